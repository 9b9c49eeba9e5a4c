"""What `unheard predict` takes for recordings: files, folders, patterns, lists, and names of no file."""

from __future__ import annotations

import io
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from unheard.audio.decode import load
from unheard.audio.extensions import EXTENSIONS
from unheard.bundle.prediction import Prediction
from unheard.cli.predict import _paths, _row
from unheard.corpora.folder import recordings
from unheard.errors import AudioError

LONG = "x" * 300 + ".wav"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two recordings, one of them deeper, and what is none."""
    (tmp_path / "sub" / "c.wav").mkdir(parents=True)
    for name in ("b.wav", "sub/a.FLAC", "notes.txt"):
        (tmp_path / name).write_bytes(b"no audio")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*inputs: str) -> list[str]:
    return [path.as_posix() for path in _paths(inputs)]


def test_files_folders_and_patterns(folder: Path) -> None:
    assert found("b.wav") == ["b.wav"]
    assert found(".") == ["b.wav", "sub/a.FLAC"]
    assert found("*.wav", "sub") == ["b.wav", "sub/a.FLAC"]
    assert found("**/*.FLAC") == ["sub/a.FLAC"]
    assert found(f"{folder}/*.wav") == [f"{folder}/b.wav"]
    (folder / "[1].wav").write_bytes(b"")
    assert found("[1].wav") == ["[1].wav"]


@pytest.mark.parametrize(
    "name",
    [LONG, "y" * 5000, "**x.wav", "x**/*.wav", "[", "[a.wav", "z*.wav", "a\0b.wav", "a\0*.wav"],
    ids=lambda name: ascii(name)[:12],
)
def test_what_names_no_file_is_handed_on_and_the_others_go_on(folder: Path, name: str) -> None:
    assert found("b.wav", name, "b.wav") == ["b.wav", name, "b.wav"]
    # Reading it gives the reason.
    with pytest.raises(AudioError, match=r"no such file|cannot be opened"):
        load(name)


def test_a_list_on_standard_input_may_hold_any_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = b"b.wav\r\n\n" + LONG.encode() + b"\n\xff\xfe.wav\n*.wav"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines), encoding="utf-8"))
    assert found("-") == ["b.wav", LONG, os.fsdecode(b"\xff\xfe.wav"), "*.wav"]


def test_a_name_that_is_no_utf8_can_be_printed() -> None:
    path = Path(os.fsdecode(b"\xff.wav"))
    unread = Prediction(None, {"a": 0.5, "b": 0.5}, ("unreadable",), ("no such file",), 0.0)
    assert _row(path, unread) == {"path": "\\udcff.wav", "error": "no such file"}
    assert json.dumps(_row(path, replace(unread, flags=())), ensure_ascii=False).encode()


def test_folders_of_a_corpus_and_of_predict_hold_the_same_recordings(tmp_path: Path) -> None:
    for extension in (*EXTENSIONS, ".txt", ".m4a", ""):
        (tmp_path / f"clip{extension}").write_bytes(b"")
        (tmp_path / f"CLIP2{extension.upper()}").write_bytes(b"")
    corpus = [str(tmp_path / path) for path in recordings(tmp_path) if isinstance(path, Path)]
    assert len(corpus) == 2 * len(EXTENSIONS)
    assert sorted(corpus) == sorted(found(str(tmp_path)))


def test_every_extension_is_one_that_is_read() -> None:
    import soundfile

    known = {f".{name.lower()}" for name in soundfile.available_formats()}
    other = {".aif", ".aifc", ".snd", ".sph", ".oga", ".opus"}  # AIFF, AU, NIST and Ogg by other names
    assert set(EXTENSIONS) <= known | other
