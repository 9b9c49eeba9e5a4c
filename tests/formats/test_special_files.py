"""What is no regular file is refused unopened, wherever a file can be named: a pipe would wait for its writer."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from unheard import corpora, label_files
from unheard.corpora.source import utterances
from unheard.corpora.table import read_table
from unheard.errors import UnheardError
from unheard.external.predictions import read_external
from unheard.features.precomputed import Precomputed
from unheard.files import read_bytes, regular_file
from unheard.predictions.table import read_predictions
from unheard.protocols.stored import from_file
from unheard.recipes import recipe
from unheard.runs.folder import open_run

OPENED: list[str] = []
LISTENING = [False]


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if LISTENING[0] and event == "open":
        OPENED.append(os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else "")


@pytest.fixture(scope="module", autouse=True)
def hook() -> None:
    sys.addaudithook(_hear)  # it cannot be taken away again; it hears nothing when nobody listens


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """Return the names of files that are opened, and end the test after three seconds."""
    before = signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError("it waits")))
    signal.setitimer(signal.ITIMER_REAL, 3)
    OPENED.clear()
    LISTENING[0] = True
    yield OPENED
    LISTENING[0] = False
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


TABLE = pl.DataFrame({"id": ["a"], "speaker": ["s"], "label": ["x"], "corpus": ["c"]})
READERS: list[tuple[str, Callable[[Path], object]]] = [
    *(
        (f"x{suffix}", lambda path: corpora.read("generic", path))
        for suffix in (".csv", ".tsv", ".jsonl", ".parquet")
    ),
    *((f"x{suffix}", utterances) for suffix in (".csv", ".parquet")),
    ("x.parquet", read_table),
    ("x.parquet", read_predictions),
    ("x.csv", read_external),
    *((f"x{suffix}", lambda path: from_file(path, TABLE)) for suffix in (".csv", ".json")),
    ("x.yaml", recipe.load),
    ("x.yaml", lambda path: label_files.parse(str(path))),
    *((f"x{suffix}", lambda path: Precomputed(str(path))) for suffix in (".npz", ".csv", ".safetensors")),
    ("folder/x.npy", lambda path: Precomputed(str(path.parent))),
    ("x", regular_file),
    ("x", lambda path: read_bytes(path, 10)),
]


@pytest.mark.parametrize("kind", ["pipe", "device", "link to a device"])
@pytest.mark.parametrize(("name", "read"), READERS, ids=range(len(READERS)))
def test_a_pipe_and_a_device_are_refused_unopened(
    name: str, read: Callable[[Path], object], kind: str, tmp_path: Path, opened: list[str]
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        try:
            os.mknod(path, 0o666 | 0o020000, os.makedev(1, 5))  # /dev/zero
        except PermissionError:
            pytest.skip("only root makes devices")
    else:
        path.symlink_to("/dev/zero")
    began = time.monotonic()
    with pytest.raises(UnheardError, match=path.name if path.parent == tmp_path else "folder"):
        read(path)
    assert time.monotonic() - began < 1
    assert not [name for name in opened if name.startswith(str(tmp_path)) or name == "/dev/zero"]


def test_recordings_that_are_pipes_stay_in_the_table_unopened(tmp_path: Path, opened: list[str]) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    table = tmp_path / "t.csv"
    table.write_text("path,label\npipe.wav,x\n/dev/zero,y\n")
    read = corpora.read("generic", table)
    assert read["duration"].to_list() == [None, None]
    assert not [name for name in opened if name.endswith(("pipe.wav", "/dev/zero"))]


def test_a_folder_of_recordings_with_a_pipe(tmp_path: Path, opened: list[str]) -> None:
    (tmp_path / "x").mkdir()
    os.mkfifo(tmp_path / "x" / "pipe.wav")
    with pytest.raises(UnheardError, match=r"pipe\.wav \(neither a file nor a folder"):
        corpora.read("generic", tmp_path)
    assert not [name for name in opened if name.endswith("pipe.wav")]


@pytest.mark.parametrize("name", ["config.yaml", "results.json", "predictions.parquet", "table.parquet"])
def test_a_run_folder_with_a_pipe(name: str, tmp_path: Path, opened: list[str]) -> None:
    if name != "config.yaml":
        (tmp_path / "config.yaml").write_text("recipe: x\n")
    os.mkfifo(tmp_path / name)
    with pytest.raises(UnheardError):
        run = open_run(tmp_path)
        _ = run.config, run.scores if "results" in name else run.table if "table" in name else run.predictions
    assert not [opened for opened in opened if opened.endswith(name)]


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 300, "loop", "folder"])
def test_other_names_that_are_no_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UnheardError):
        regular_file(tmp_path / name)
