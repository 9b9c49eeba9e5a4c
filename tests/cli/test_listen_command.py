"""`unheard listen`: the answers of the library's stream, from standard input or from a microphone."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from small_bundle import make_bundle
from unheard.bundle.runtime import load
from unheard.cli import app
from unheard.cli.listen import samples_of
from unheard.errors import AudioError, MachineError, UsageError

sys.path.insert(0, str(Path(__file__).parents[1] / "audio"))
from signals import RATE, voice


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("listen") / "plain")


@pytest.fixture(scope="module")
def talk() -> np.ndarray:
    wave = np.concatenate([voice(2.4), np.zeros(2 * RATE, np.float32)])
    return np.round(wave * 32767).astype("<i2")


def expected(bundle: Path, talk: np.ndarray) -> list[dict[str, Any]]:
    stream = load(bundle).stream(RATE)
    answers = stream.feed(talk.astype(np.float32) / 32768) + stream.finish()
    return [{**each.as_dict(), "delay": None} for each in answers]


def test_standard_input_is_answered_as_the_library_does(bundle: Path, talk: np.ndarray) -> None:
    given = ["listen", "--stdin", "--model", str(bundle)]
    done = CliRunner().invoke(app, [*given, "--jsonl"], input=talk.tobytes() + b"\0")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 0 and all(each["delay"] > 0 for each in found)
    assert [{**each, "delay": None} for each in found] == expected(bundle, talk)
    lines = CliRunner().invoke(app, given, input=talk.tobytes()).stdout.splitlines()
    assert len(lines) == 5 and lines[-1] == "  0:00:04.4  nobody speaks"
    assert lines[0].startswith(f"  0:00:01.0  {found[0]['label']} ")


def test_samples_in_pieces_of_any_length() -> None:
    class Pieces:
        def __init__(self, *pieces: bytes) -> None:
            self.pieces = [*pieces, b""]

        def read1(self, most: int) -> bytes:
            return self.pieces.pop(0)

    data = np.array([0, 16384, -32768], "<i2").tobytes()
    found = np.concatenate(list(samples_of(Pieces(data[:1], data[1:3], data[3:] + b"x"))))  # type: ignore[arg-type]
    assert found.tolist() == [0, 0.5, -1]


def test_a_microphone(bundle: Path, talk: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    wave = talk.astype(np.float32) / 32768

    class Microphone:
        def __init__(
            self, rate: int, size: int, device: Any, *, channels: int, dtype: str, callback: Any
        ) -> None:
            assert (rate, size, device, channels, dtype) == (RATE, 1600, 3, 1, "float32")
            self.callback = callback

        def __enter__(self) -> None:
            for place in range(0, len(wave), 1600):
                self.callback(wave[place : place + 1600, None], 1600, None, None)

        def __exit__(self, *_: object) -> None:
            pass

    class PortAudioError(Exception):
        pass

    def interrupted(queue: Any) -> Any:
        if queue.pieces:
            return queue.pieces.pop(0)
        raise KeyboardInterrupt

    class Queue:
        def __init__(self) -> None:
            self.pieces: list[np.ndarray] = []

        put = lambda self, piece: self.pieces.append(piece)  # noqa: E731
        get = interrupted

    fake = types.SimpleNamespace(InputStream=Microphone, PortAudioError=PortAudioError)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr("unheard.audio.microphone.SimpleQueue", Queue)
    done = CliRunner().invoke(app, ["listen", "--model", str(bundle), "--device", "3", "--jsonl"])
    found = [{**json.loads(line), "delay": None} for line in done.stdout.splitlines()]
    assert done.exit_code == 0 and found == expected(bundle, talk)

    def missing(*_: Any, **__: Any) -> None:
        raise PortAudioError("Error querying device -1")

    fake.InputStream = missing
    failed = CliRunner().invoke(app, ["listen", "--model", str(bundle)])
    assert isinstance(failed.exception, MachineError) and "querying device" in str(failed.exception)


@pytest.mark.parametrize("file", [b"RIFF\x24\0\0\0WAVEfmt ", b"ID3\3\0\0\0\0", b"\0\0\0\x20ftypM4A "])
def test_a_file_is_not_heard_as_samples(bundle: Path, file: bytes) -> None:
    done = CliRunner().invoke(app, ["listen", "--stdin", "--model", str(bundle)], input=file)
    assert isinstance(done.exception, AudioError) and "standard input: the sound begins as a file" in str(
        done.exception
    )


def test_two_sources_are_refused(bundle: Path) -> None:
    done = CliRunner().invoke(app, ["listen", "--model", str(bundle), "--stdin", "--device", "1"])
    assert isinstance(done.exception, UsageError)
