"""Folds × seeds over worker processes, with the same result as one after the other.

Each fold is fitted with the recipe's number of threads whatever runs beside it, so ``jobs`` changes nothing
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

_DIED = "its worker process died"

Task = tuple[int, int]
Done = Callable[[int, int], None]

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass
class Outcome:
    """What became of the tasks."""

    failed: dict[Task, str] = field(default_factory=dict)
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
        while not (self.outcome.interrupted or self.outcome.stopped):
            try:
                task = self.waiting.get_nowait()
            except queue.Empty:
                break
            try:
                problem = self._fit(task)
                if problem is _DIED and not self.outcome.stopped:
                    problem = self._fit(task)
            except OSError as error:
                problem = f"no worker process could be started: {error}"
            with self.outcome.counting:
                if problem is not None:
                    self.outcome.failed[task] = problem
                self.outcome.tried += 1
                self.done(self.outcome.tried, self.total)
        self.stop()

    def _fit(self, task: Task) -> str | None:
        """Return what went wrong, or nothing."""
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
            process.wait()
            self.process = None
            return _DIED
        problem: str | None = json.loads(line).get("error")
        return problem

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
