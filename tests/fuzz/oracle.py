"""What must hold of every input, however broken: an answer or a refusal that names it, bounded, quiet, repeatable.

An ``Oracle`` runs a function in a process of its own, on one path after another. It looks at what a caller cannot
see from inside: what native libraries print, how long a call takes, how much memory it touches, and whether the
process survives it.
"""

from __future__ import annotations

import ctypes
import dataclasses
import hashlib
import importlib
import json
import os
import pickle
import re
import resource
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mutate import Mutant

LIMIT_SECONDS = 5.0
LIMIT_BYTES = 1 << 30  # resident memory above that of the process before the call
HARD_BYTES = 3 << 30  # address space above it, which threads and allocators need some of

SANE = ("answer", "refused")


@dataclass(frozen=True)
class Outcome:
    """What became of one call.

    Attributes
    ----------
    kind : ``answer``; ``refused``, an error of ``unheard.errors``; ``foreign``, any other exception; ``memory``;
        ``hang``; ``died``.
    error, message : class and text of the exception; blank for an answer.
    digest : of the answer, or of class and message, to compare two calls.
    seconds, peak : time taken, and resident bytes above those before the call.
    stdout, stderr : what was printed meanwhile, by native libraries too.
    """

    kind: str
    error: str = ""
    message: str = ""
    digest: str = ""
    seconds: float = 0.0
    peak: int = 0
    stdout: str = ""
    stderr: str = ""


class Oracle:
    """One worker process that runs ``module:function``, a function of a path, for each path asked.

    The module is found beside this file, or on the Python path. The worker is started again after it died.
    """

    def __init__(self, function: str, *, seconds: float = LIMIT_SECONDS, limit: int = LIMIT_BYTES) -> None:
        self.limit = limit
        self._function, self._seconds = function, seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Oracle:
        self._printed = [tempfile.TemporaryFile(mode="a+b") for _ in range(2)]  # noqa: SIM115 - closed below
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        for file in self._printed:
            file.close()

    def ask(self, path: Path) -> Outcome:
        """Run the function on a path."""
        if self._process is None:
            self._start()
        assert self._process is not None
        began, worked = time.monotonic(), self._worked()
        os.write(self._questions, json.dumps(os.fsdecode(path)).encode() + b"\n")
        line = self._line(self._seconds)
        # On a busy machine, a worker that wants to run but may not has not hung.
        while not line and self._is_starved(began, worked):
            line = self._line(0.2)
        seconds = time.monotonic() - began
        if not line.endswith(b"\n"):
            hangs = self._process.poll() is None and seconds >= self._seconds
            status = self._stop()
            stdout, stderr = self._taken()
            said = "no answer in time" if hangs else f"the process ended with status {status}"
            return Outcome("hang" if hangs else "died", "", said, "", seconds, 0, stdout, stderr)
        stdout, stderr = self._taken()
        outcome = Outcome(**json.loads(line), seconds=seconds, stdout=stdout, stderr=stderr)
        if outcome.peak > self.limit and outcome.kind in SANE:
            outcome = dataclasses.replace(outcome, kind="memory", message=f"touched {outcome.peak} bytes")
        return outcome

    def twice(self, path: Path) -> tuple[Outcome, Outcome]:
        """Run the function on a path two times; once where the first did not come back."""
        first = self.ask(path)
        return first, self.ask(path) if first.kind in SANE else first

    def _start(self) -> None:
        here, there = os.pipe(), os.pipe()
        environment = dict(os.environ, MALLOC_ARENA_MAX="2")
        self._process = subprocess.Popen(
            [sys.executable, __file__, self._function, str(here[0]), str(there[1]), *sys.path],
            stdin=subprocess.DEVNULL,
            stdout=self._printed[0],
            stderr=self._printed[1],
            pass_fds=(here[0], there[1]),
            env=environment,
        )
        os.close(here[0])
        os.close(there[1])
        self._questions, self._answers = here[1], there[0]
        assert self._line(120.0) == b"ready\n", self._taken()  # what is imported is no part of a call
        self._taken()

    def _is_starved(self, began: float, worked: float) -> bool:
        """Whether the worker has used less time than it may, and still wants to go on."""
        waited = time.monotonic() - began
        if not self._seconds <= waited < 20 * self._seconds:  # it ended itself, or there is no end
            return False
        try:
            return self._worked() - worked < self._seconds and self._wants_to_run()
        except OSError:  # it, or one of its threads, ended meanwhile
            return True

    def _worked(self) -> float:
        """Return the processor seconds that the worker has used in its life."""
        fields = self._status("stat")
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def _wants_to_run(self) -> bool:
        """Whether one of its threads runs, or waits for a processor or a disk, in one of a few looks."""
        assert self._process is not None
        threads = Path(f"/proc/{self._process.pid}/task")
        for _ in range(5):
            if any(self._status(f"task/{thread.name}/stat")[0] in "RD" for thread in threads.iterdir()):
                return True
            time.sleep(0.02)
        return False

    def _status(self, name: str) -> list[str]:
        """Return the fields of a status of the worker from its state on."""
        assert self._process is not None
        return Path(f"/proc/{self._process.pid}/{name}").read_text().rpartition(")")[2].split()

    def _line(self, seconds: float) -> bytes:
        """Return what the worker says up to the end of a line, of its life, or of the time."""
        line, end = b"", time.monotonic() + seconds
        while not line.endswith(b"\n") and select.select([self._answers], [], [], end - time.monotonic())[0]:
            piece = os.read(self._answers, 1 << 16)
            if not piece:
                break
            line += piece
            end = max(end, time.monotonic() + 0.001)
        return line

    def _stop(self) -> int | None:
        if self._process is None:
            return None
        os.close(self._questions)
        os.close(self._answers)
        try:
            self._process.wait(0.5)  # one that died has a status of its own
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        status, self._process = self._process.returncode, None
        return status

    def _taken(self) -> list[str]:
        """Return what stands in both files of what was printed, and empty them."""
        taken = []
        for file in self._printed:
            file.seek(0)
            taken.append(file.read().decode("utf-8", "backslashreplace"))
            os.ftruncate(file.fileno(), 0)
        return taken


def check(
    outcome: Outcome, again: Outcome, path: Path, *, origin: str = "", named: Sequence[str] = ()
) -> None:
    """Assert that one input was answered, or refused as it must be, twice alike.

    Parameters
    ----------
    outcome, again
        Of the same path, in this order.
    origin
        How the input was made, for the message of a failure.
    named
        A refusal names one of these; the file's own name where it is left out.
    """
    wrong = []
    if outcome.kind not in SANE:
        wrong.append(" ".join(filter(None, (f"{outcome.kind}:", outcome.error, outcome.message))))
    elif outcome.kind == "refused" and not any(name in outcome.message for name in named or (path.name,)):
        wrong.append(f"refused without the name of the file: {outcome.message}")
    elif (outcome.kind, outcome.digest) != (again.kind, again.digest):
        wrong.append(
            f"answered otherwise when asked again: {outcome.kind} {outcome.message} / {again.kind} {again.message}"
        )
    wrong += [
        f"printed on {name}: {text[:200]!r}"
        for name in ("stdout", "stderr")
        for text in [getattr(outcome, name) or getattr(again, name)]
        if text
    ]
    if wrong:
        raise AssertionError(f"{origin or path.name}: {'; '.join(wrong)}; kept as {_kept(path)}")


def fuzz(oracle: Oracle, mutants: Iterable[Mutant], path: Path, *, most: int = 5) -> dict[str, int]:
    """Write each mutant to the path and check it; return how many were answered and refused.

    Raises
    ------
    AssertionError
        After ``most`` of them failed, or at the end.
    """
    counts = dict.fromkeys(SANE, 0)
    failures: list[str] = []
    for each in mutants:
        path.write_bytes(each.data)
        outcome, again = oracle.twice(path)
        try:
            check(outcome, again, path, origin=each.origin)
        except AssertionError as error:
            failures.append(str(error))
            if len(failures) == most:
                break
        else:
            counts[outcome.kind] += 1
    assert not failures, f"after {counts}:\n" + "\n".join(failures)
    return counts


def _kept(path: Path) -> str:
    """Copy an input that failed to a name of its own beside it."""
    if not path.is_file() and not path.is_dir():
        return str(path)
    number = sum(1 for _ in path.parent.glob(f"failed-*-{path.name}"))
    kept = path.parent / f"failed-{number}-{path.name}"
    if path.is_dir():
        shutil.copytree(path, kept, symlinks=True, ignore=_special)  # a link may lead to a device without end
    else:
        shutil.copyfile(path, kept)
    return str(kept)


def _special(folder: str, names: list[str]) -> list[str]:
    """Return those names in a folder that are neither files nor folders nor links."""
    kinds = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
    return [name for name in names if stat.S_IFMT(Path(folder, name).lstat().st_mode) not in kinds]


# --- the worker --------------------------------------------------------------------------------------------------


def _work(function: Callable[[Path], object], questions: int, answers: int) -> None:
    libc = ctypes.CDLL(None)
    for line in os.fdopen(questions, "rb"):
        path = Path(json.loads(line))
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins again
        before = _memory("VmRSS")
        kind, error, message, digest = _called(function, path)
        peak = max(0, _memory("VmHWM") - before)
        libc.fflush(None)  # what C libraries printed waits in their buffers
        sys.stdout.flush()
        sys.stderr.flush()
        said = {"kind": kind, "error": error, "message": message, "digest": digest, "peak": peak}
        os.write(answers, json.dumps(said).encode() + b"\n")


def _called(function: Callable[[Path], object], path: Path) -> tuple[str, str, str, str]:
    from unheard.errors import UnheardError

    try:
        answer = function(path)
        found = hashlib.sha256()
        _feed(found.update, answer)
        return "answer", "", "", found.hexdigest()
    except MemoryError as error:
        return "memory", "MemoryError", str(error), ""
    except BaseException as error:  # some libraries raise what is no Exception
        kind = "refused" if isinstance(error, UnheardError) else "foreign"
        name = f"{type(error).__module__}.{type(error).__qualname__}"
        message = str(error)
        return kind, name, message, hashlib.sha256(f"{name} {message}".encode("utf-8", "replace")).hexdigest()


def _feed(update: Callable[[bytes], object], value: Any) -> None:
    """Feed a digest with a value and all that it holds."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        update(f"{value.dtype}{value.shape}".encode())
        update(np.ascontiguousarray(value).tobytes())
    elif value is None or isinstance(value, str | bytes | int | float | complex | Path | np.generic):
        update(repr(value).encode("utf-8", "backslashreplace"))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        _feed(update, [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)])
    elif isinstance(value, Mapping):
        _feed(update, list(value.items()))
    elif isinstance(value, list | tuple):
        update(f"{len(value)} items".encode())
        for item in value:
            _feed(update, item)
    elif isinstance(value, set | frozenset):
        _feed(update, sorted(value, key=repr))
    else:
        update(pickle.dumps(value))


def _memory(name: str) -> int:
    """Return a number of bytes from the status of this process."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None, name
    return int(found[1]) * 1024


def main() -> None:
    """Serve as the worker; see ``Oracle``."""
    name, questions, answers, *path = sys.argv[1:]
    sys.path[:] = [str(Path(__file__).parent), *path]
    module, _, function = name.partition(":")
    called = getattr(importlib.import_module(module), function)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    hard = _memory("VmSize") + HARD_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.write(int(answers), b"ready\n")
    _work(called, int(questions), int(answers))


if __name__ == "__main__":
    main()
