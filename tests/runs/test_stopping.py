"""Commands that are killed or told to stop: nothing runs on, nothing half written stays, and the work goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl
import pytest

import unheard as ut
from unheard.corpora.table import write_table
from unheard.errors import MachineError
from unheard.runs.folder import Run, locked, open_run
from unheard.temporary import SUFFIX

WORK = """
import sys, time
from functools import partial
from pathlib import Path
from unheard.extraction.processes import spread

def work(folder, number):
    (Path(folder) / str(number)).touch()
    time.sleep(60)

if __name__ == "__main__":
    list(spread(partial(work, sys.argv[1]), range(32), jobs=2))
"""
STOPPED_EXPORT = """
import signal
import time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored where the tests themselves outlive their terminal
from unheard.cli import main
from unheard.exporting import writing

def load(folder):
    print("written", flush=True)
    time.sleep(60)

writing.load = load
main()
"""


@contextmanager
def started(*arguments: object, code: str = "", **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command line, or Python code, in a process of its own; nothing of it is there afterwards."""
    begin = ["-c", code] if code else ["-m", "unheard"]
    command = [sys.executable, *begin, *map(str, arguments)]
    with subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            for pid in (process.pid, *descendants(process.pid)):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> set[int]:
    """Return the processes that a process has started, and those that they have."""
    found: set[int] = set()
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, children.read_text().split()):
                found |= {child} | descendants(child)
    return found


def running(pid: int) -> bool:
    """Whether a process is there and no mere entry that nobody has asked about."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(true: Callable[[], object], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def kill_alone(process: subprocess.Popen[str]) -> None:
    """Kill a process and none that it has started; these must end by themselves."""
    family = descendants(process.pid)
    assert process.poll() is None
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(running, family)), 10)
    left = [pid for pid in family if running(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left, "processes run on"


@pytest.mark.parametrize("working", [False, True])
def test_processes_that_compute_end_with_the_one_that_asked_them(tmp_path: Path, working: bool) -> None:
    script = tmp_path / "work.py"
    script.write_text(WORK)
    (tmp_path / "begun").mkdir()
    command = [sys.executable, str(script), str(tmp_path / "begun")]
    with subprocess.Popen(command) as process:
        # Two that compute and the one that keeps account of what they share.
        assert wait_until(lambda: len(descendants(process.pid)) == 3, 60)
        if working:
            assert wait_until(lambda: len(list((tmp_path / "begun").iterdir())) == 2, 60)
        kill_alone(process)


def test_a_process_that_was_killed_and_not_waited_for_holds_no_run_folder(tmp_path: Path) -> None:
    code = "import sys, time\nfrom pathlib import Path\nfrom unheard.runs.folder import locked\n"
    code += "with locked(Path(sys.argv[1])):\n    print('on', flush=True)\n    time.sleep(60)"
    with started(tmp_path, code=code) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(MachineError, match=f"in use by process {process.pid}"), locked(tmp_path):
            pass
        os.kill(process.pid, signal.SIGKILL)
        # Its state says "zombie" while other threads of it still end; this returns when the last one has.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with locked(tmp_path):
            pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_export_that_is_told_to_stop_leaves_nothing(toy_run: Run, tmp_path: Path, number: int) -> None:
    out = tmp_path / "bundle"
    with started("export", toy_run.folder, "--out", out, "--fold", 0, code=STOPPED_EXPORT) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "written\n"
        assert len(list(tmp_path.glob(f".*{SUFFIX}"))) == 1
        process.send_signal(number)
        assert process.wait(timeout=30) == 128 + number
        assert process.stderr.read() == f"error: stopped by {signal.Signals(number).name}\n"
    assert not list(tmp_path.iterdir())


def test_what_a_killed_export_left_goes_with_the_next(toy_run: Run, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    with started("export", toy_run.folder, "--out", out, "--fold", 0, code=STOPPED_EXPORT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        kill_alone(process)
    assert list(tmp_path.glob(f".*{SUFFIX}"))
    ut.export(toy_run, out, fold=0)
    assert list(tmp_path.iterdir()) == [out]


# --- runs

#: What is on disk when a run is killed, by name: paths below the folder of the run, or of the cache.
MOMENTS: dict[str, tuple[str, int]] = {
    "audit": ("run/protocol.json", 1),
    "features": ("run/audit.json", 1),
    "store": ("cache/store/*/*.shard", 1),
    "first fold in hand": ("run/folds/.fold*", 1),
    "one fold": ("run/folds/fold*", 1),
    "two folds": ("run/folds/fold*", 2),
    "predictions": ("run/predictions.parquet", 1),
    "results": ("run/results.json", 1),
}


def _killed_then_resumed(toy: pl.DataFrame, toy_run: Run, folder: Path, moment: str, seed: int) -> None:
    """Kill a run, and no process that it has started, a little after a moment; resume; compare."""
    data, run = folder / "toy.parquet", folder / "run"
    write_table(toy, data)
    command = ["run", "functionals", "--protocol", "group-3", "--jobs", "2", "--data", data, "--out", run]
    environment = {"UNHEARD_CACHE": str(folder / "cache")}
    pattern, count = MOMENTS[moment]
    with started(*command, **environment) as process:
        assert wait_until(lambda: len(list(folder.glob(pattern))) >= count, 120)
        time.sleep(random.Random(seed).uniform(0, 0.2))
        kill_alone(process)
    assert not (run / "report.html").exists(), "the run had finished"
    with started(*command, "--resume", **environment) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait() == 0, said
    assert open_run(run).predictions.equals(toy_run.predictions)
    assert open_run(run).scores == toy_run.scores
    assert not list(folder.rglob(f".*{SUFFIX}"))
    assert not [name for name in (".lock", "extracted", "checkpoints") if (run / name).exists()]


@pytest.mark.parametrize("moment", ["features", "one fold"])
def test_a_killed_run_goes_on(toy: pl.DataFrame, toy_run: Run, tmp_path: Path, moment: str) -> None:
    _killed_then_resumed(toy, toy_run, tmp_path, moment, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_is_killed_at_any_moment_goes_on(
    toy: pl.DataFrame, toy_run: Run, tmp_path: Path, moment: str, seed: int
) -> None:
    _killed_then_resumed(toy, toy_run, tmp_path, moment, seed + 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_an_export_that_is_killed_is_made_again(toy_run: Run, tmp_path: Path, seed: int) -> None:
    out, whole = tmp_path / "bundle", ut.export(toy_run, tmp_path / "whole")
    with started("export", toy_run.folder, "--out", out) as process:
        assert wait_until(lambda: list(tmp_path.glob(f".bundle*{SUFFIX}")), 120)
        time.sleep(random.Random(seed).uniform(0, 0.05))
        kill_alone(process)
    assert not out.exists(), "the export had finished"
    ut.export(toy_run, out)
    assert sorted(tmp_path.iterdir()) == [out, whole]
    assert (out / "manifest.json").read_bytes() == (whole / "manifest.json").read_bytes()
