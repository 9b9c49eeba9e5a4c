"""What `unheard predict` takes for recordings: files, folders, patterns, lists, and names of no file."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unheard.audio.decode import load
from unheard.audio.extensions import EXTENSIONS, MEDIA
from unheard.bundle.prediction import Prediction
from unheard.cli.inputs import Recording, recordings
from unheard.cli.predict import _row
from unheard.corpora.folder import recordings as recordings_of_a_corpus
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
    return [recording.name.removeprefix("./") for recording in recordings(inputs)]


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
    name = os.fsdecode(b"\xff.wav")
    found = Prediction("a", {"a": 0.5, "b": 0.5}, (), (), 0.0)
    row = _row(lambda path: found, Recording(name, name))
    assert row["path"] == "\\udcff.wav" and json.dumps(row, ensure_ascii=False).encode()


def test_folders_of_a_corpus_and_of_predict_hold_the_same_recordings(tmp_path: Path) -> None:
    for extension in (*EXTENSIONS, *MEDIA, ".txt", ""):
        (tmp_path / f"clip{extension}").write_bytes(b"")
        (tmp_path / f"CLIP2{extension.upper()}").write_bytes(b"")
    for hidden in ("._clip.wav", ".ipynb_checkpoints/clip-checkpoint.wav", "__MACOSX/._clip.wav"):
        (tmp_path / hidden).parent.mkdir(exist_ok=True)
        (tmp_path / hidden).write_bytes(b"")
    corpus = [str(tmp_path / path) for path in recordings_of_a_corpus(tmp_path) if isinstance(path, Path)]
    assert len(corpus) == 2 * len(EXTENSIONS + MEDIA)
    assert corpus == found(str(tmp_path))


def test_recordings_that_nothing_reads_are_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "voice.WMA").write_bytes(b"0")
    assert "voice.WMA" not in found(".")
    assert "voice.WMA: .wma is not read; convert it" in capsys.readouterr().err


def test_links_to_folders_are_followed_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "linked").symlink_to(folder / "sub")
    (folder / "sub" / "up").symlink_to(folder)
    assert found(".") == ["b.wav", "linked/a.FLAC", "sub/a.FLAC"]
    assert capsys.readouterr().err.count("a link back to a folder above it") == 2


def test_what_names_no_file_stays_as_it_was_typed(folder: Path) -> None:
    assert found("https://example.org/a.wav") == ["https://example.org/a.wav"]


def test_a_list_is_answered_as_its_lines_arrive(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = os.pipe()
    monkeypatch.setattr(sys, "stdin", os.fdopen(ends[0], encoding="utf-8"))
    with os.fdopen(ends[1], "wb", buffering=0) as writer:
        names = recordings(["-"])
        for line in (b"\xef\xbb\xbfb.wav\n", b"sub/a.FLAC\n"):
            writer.write(line)
            assert next(names).name == line.decode("utf-8-sig").strip()


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3", "AIFF", "NIST"])
def test_audio_on_standard_input_is_one_recording(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = io.BytesIO()
    soundfile.write(sound, 0.1 * np.random.default_rng(0).normal(size=16_000), 16_000, format=form)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sound.getvalue()), encoding="utf-8"))
    ((name, seconds),) = ((each.name, load(each.path).seconds) for each in recordings(["-"]))
    assert name == "-" and seconds == pytest.approx(1.0, abs=0.1)


def test_every_extension_is_one_that_is_read() -> None:
    import soundfile

    known = {f".{name.lower()}" for name in soundfile.available_formats()}
    other = {".aif", ".aifc", ".snd", ".sph", ".oga", ".opus"}  # AIFF, AU, NIST and Ogg by other names
    assert set(EXTENSIONS) <= known | other
