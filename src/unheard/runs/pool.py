"""Folds × seeds over worker processes, with the same result as one after the other.

Each fold is fitted with the recipe's number of threads whatever runs at the same time, so ``jobs`` changes nothing
but the time. A worker that dies is noticed and named, and its fold is tried once more.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

Task = tuple[int, int]
Done = Callable[[int, int], None]

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass
class Outcome:
    """What became of the tasks."""

    failed: dict[Task, str] = field(default_factory=dict)
    machine: str | None = None  # what the environment refused, as a full disk does; no fold is begun after it
    tried: int = 0
    interrupted: bool = False
    stopped: bool = False
    counting: threading.Lock = field(default_factory=threading.Lock)


def fit_all(folder: Path, tasks: Sequence[Task], *, jobs: int, threads: int, done: Done) -> Outcome:
    """Fit ``(fold, seed)`` tasks of a run folder in ``jobs`` processes.

    ``done(finished, all)`` is called after each. The first interrupt lets the folds in hand finish and starts
    no other; the second stops at once.
    """
    waiting: queue.Queue[Task] = queue.Queue()
    for task in tasks:
        waiting.put(task)
    outcome = Outcome()
    workers = [
        _Worker(folder, threads, waiting, outcome, done, len(tasks)) for _ in range(min(jobs, len(tasks)))
    ]
    with _first_interrupt(outcome, workers):
        for worker in workers:
            worker.start()
        for worker in workers:
            while worker.is_alive():
                worker.join(0.2)
    return outcome


class _DiedError(Exception):
    """A worker process ended without an answer."""

    def __init__(self, status: int) -> None:
        how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"
        memory = "; out of memory?" if status == -signal.SIGKILL else ""
        super().__init__(f"its worker process died ({how}{memory})")


class _Worker(threading.Thread):
    """A thread that feeds one worker process, and starts another where it died."""

    def __init__(
        self, folder: Path, threads: int, waiting: queue.Queue[Task], outcome: Outcome, done: Done, total: int
    ) -> None:
        super().__init__(daemon=True)
        self.folder, self.threads, self.waiting = folder, threads, waiting
        self.outcome, self.done, self.total = outcome, done, total
        self.process: subprocess.Popen[str] | None = None

    def run(self) -> None:
        outcome = self.outcome
        while not (outcome.interrupted or outcome.stopped or outcome.machine):
            try:
                task = self.waiting.get_nowait()
            except queue.Empty:
                break
            answer = self._fit_or_try_again(task)
            with outcome.counting:
                if "error" in answer:
                    outcome.failed[task] = answer["error"]
                    if answer.get("machine"):
                        outcome.machine = answer["error"]
                outcome.tried += 1
                self.done(outcome.tried, self.total)
        self.stop()

    def _fit_or_try_again(self, task: Task) -> dict[str, Any]:
        try:
            try:
                return self._fit(task)
            except _DiedError:
                if self.outcome.stopped:
                    raise
                return self._fit(task)
        except _DiedError as error:
            return {"error": str(error)}
        except OSError as error:
            return {"error": f"no worker process could be started: {error}", "machine": True}

    def _fit(self, task: Task) -> dict[str, Any]:
        """Return a worker's answer, with ``error`` where something went wrong."""
        process = self.process
        if process is None or process.poll() is not None:
            process = self.process = self._start()
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps({"fold": task[0], "seed": task[1]}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except (BrokenPipeError, ValueError):
            line = ""
        if not line:
            status = process.wait()
            self.process = None
            raise _DiedError(status)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _start(self) -> subprocess.Popen[str]:
        environment = {**os.environ, **dict.fromkeys(_THREADS, str(self.threads))}
        return subprocess.Popen(
            [sys.executable, "-m", "unheard.runs.worker", str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,  # an interrupt at the keyboard is the parent's to handle
        )

    def stop(self) -> None:
        """End the process; it holds nothing that is not on disk."""
        process = self.process
        if process is not None:
            process.kill()
            process.wait()


@contextmanager
def _first_interrupt(outcome: Outcome, workers: Sequence[_Worker]) -> Iterator[None]:
    """Turn the first interrupt into "finish what is in hand"; the second stops at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        if outcome.interrupted:
            raise KeyboardInterrupt
        outcome.interrupted = True
        # To the person at the keyboard, who would otherwise see nothing until the fold ends.
        sys.stderr.write("\nfinishing the folds in hand; press again to stop at once\n")

    # Only the main thread may set handlers; elsewhere interrupts are the caller's to handle.
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, handle) if main else None
    try:
        yield
    finally:
        outcome.stopped = True
        if main:
            signal.signal(signal.SIGINT, before)
        for worker in workers:
            worker.stop()
