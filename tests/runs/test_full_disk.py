"""A disk that is full at any point: the file is named, the exit code is 4, and with room the work goes on."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from unheard.corpora.table import write_table
from unheard.runs.folder import Run, open_run
from unheard.temporary import SUFFIX
from unheard.testing import toy_encoder

pytestmark = pytest.mark.slow

#: Bytes of the disk: more than what an extraction leaves free in any case.
SIZE = 128 * 2**20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small disk; where this user may not, nothing can be tested."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", place], check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def free(disk: Path) -> int:
    return os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize


def fill(disk: Path, left: int) -> None:
    """Leave so many bytes of the disk."""
    with (disk / "filling").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free(disk) - left))


def unheard(*arguments: object, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "UNHEARD_CACHE": str(cache)}
    command = [sys.executable, "-m", "unheard", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", ["prepare", "run", "run, cache elsewhere", "report", "export", "extract"])
@pytest.mark.parametrize("seed", range(5))
def test_a_full_disk_is_named_and_nothing_is_lost(
    disk: Path, toy: pl.DataFrame, toy_folder: Path, toy_run: Run, tmp_path: Path, command: str, seed: int
) -> None:
    data, out = tmp_path / "toy.parquet", disk / "out"
    write_table(toy, data)
    weights = toy_encoder(tmp_path / "hubert") if command == "extract" else None
    name, _, elsewhere = command.partition(", ")
    arguments: dict[str, list[object]] = {
        "prepare": ["prepare", "synthetic", toy_folder, "--out", disk / "out.parquet"],
        "run": ["run", "functionals", "-p", "group-3", "-d", data, "-o", out],
        "report": ["report", toy_run.folder, "--out", disk / "out.html"],
        "export": ["export", toy_run.folder, "--fold", 0, "--out", out],
        "extract": ["extract", "-e", "hubert", "-w", weights, "-d", data, "--out", out, "--form", "frames"],
    }
    cache = tmp_path / "cache" if elsewhere or name != "run" else disk / "cache"
    # Between nothing and what the whole of it takes.
    unheard(*arguments[name], cache=cache)
    whole = SIZE - free(disk)
    for path in sorted(disk.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    fill(disk, int(random.Random(f"{command} {seed}").uniform(0, 0.9) * whole))
    done = unheard(*arguments[name], cache=cache)
    assert done.returncode == 4, (done.returncode, done.stderr)
    assert str(disk) in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(disk.rglob(f".*{SUFFIX}"))
    (disk / "filling").unlink()
    again = unheard(*arguments[name], *(["--resume"] if name == "run" else []), cache=cache)
    assert again.returncode == 0, again.stderr
    if name == "run":
        assert open_run(out).predictions.equals(toy_run.predictions)
