"""What is half written is hidden, and goes with the process that wrote it or with the next that writes there."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from unheard.corpora.table import utterances, write_table
from unheard.errors import MachineError
from unheard.files import atomic, write_text
from unheard.temporary import SUFFIX, held, part_folder, sweep, sweep_folder

KILLED = """
import sys, time
from pathlib import Path
from unheard.temporary import part_file, part_folder
with part_folder(Path(sys.argv[1])) as folder, part_file(Path(sys.argv[2])):
    (folder / "half").write_text("half")
    print("on", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("name", ["bundle", "[a] *", "ä" * 100])
def test_what_a_killed_process_left_goes_with_the_next_that_writes_there(tmp_path: Path, name: str) -> None:
    folder, file = tmp_path / name, tmp_path / f"{name}.json"
    other = tmp_path / f".{name[:20]}.of-somebody-else"
    other.write_text("")
    command = [sys.executable, "-c", KILLED, str(folder), str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        left = sorted(tmp_path.glob(f".*{SUFFIX}"))
        assert len(left) == 2
        sweep(folder)
        sweep_folder(tmp_path)
        assert sorted(tmp_path.glob(f".*{SUFFIX}")) == left  # they are in hand
        writer.send_signal(signal.SIGKILL)
    with part_folder(folder) as part:
        part.rename(folder)
    write_text(file, "whole")
    assert sorted(tmp_path.iterdir()) == sorted([folder, file, other])


def test_a_folder_that_is_not_renamed_goes(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), part_folder(tmp_path / "x") as part:
        (part / "half").write_text("half")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_link_in_the_place_of_a_left_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("")
    (tmp_path / f".x.12345678{SUFFIX}").symlink_to(tmp_path / "kept")
    sweep(tmp_path / "x")
    assert (tmp_path / "kept" / "file").exists()


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    with held(tmp_path), pytest.raises(OSError), held(tmp_path):
        pass


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_with_the_file_whatever_a_library_made_of_it(
    tmp_path: Path, number: int
) -> None:
    def fill() -> None:
        with atomic(tmp_path / "x"):
            try:
                raise OSError(number, os.strerror(number))
            except OSError as error:
                raise RuntimeError("a library's own words") from error

    with pytest.raises(MachineError, match=r"the disk is full.*: could not write .*/x$"):
        fill()
    assert not list(tmp_path.iterdir())


def test_a_table_that_the_system_refuses_to_write_is_named(tmp_path: Path) -> None:
    rows = [{"id": f"{n}", "path": os.urandom(40).hex(), "label": "a"} for n in range(2000)]
    table = utterances(rows, corpus="x", labels=["a"])
    target = tmp_path / "table.parquet"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(MachineError, match=r"no file of that size: could not write .*/table.parquet"):
            write_table(table, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
    write_table(table, target)
    assert pl.read_parquet(target).height == 2000
