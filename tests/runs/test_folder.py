"""The run folder: one owner at a time, and --force removes what a run made and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from unheard.errors import MachineError, UsageError
from unheard.runs.folder import clear, locked, open_run


def test_a_second_owner_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    hold = "import sys, time\nfrom pathlib import Path\nfrom unheard.runs.folder import locked\n"
    hold += "with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold, tmp_path], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(MachineError, match=f"in use by process {other.pid}"), locked(tmp_path):
            pass
        other.kill()
        other.wait()
    # The owner was killed: its lock is stale and is taken over.
    assert (tmp_path / ".lock").exists()
    with locked(tmp_path):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())
    assert not (tmp_path / ".lock").exists()


def test_clear_leaves_what_is_not_ours(tmp_path: Path) -> None:
    mine = tmp_path / "folds" / "fold00-seed0"
    mine.mkdir(parents=True)
    for name in ("config.yaml", "results.json", "notes.txt"):
        (tmp_path / name).write_text("x")
    (mine / "fold.json").write_text("{}")
    (mine / "kept.txt").write_text("x")
    clear(tmp_path)
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["kept.txt", "notes.txt"]


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run folder"):
        open_run(tmp_path)
