"""Answers of `unheard predict` are printed when they are known, and an interrupt keeps them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from typer.testing import CliRunner

from bundle_parts import sound
from one_input import examples, export_features
from unheard import features, heads
from unheard.cli import app
from unheard.cli.inputs import Recording

SETTINGS = {"name": "mfbf0", "average": 8}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle, and one recording under many names."""
    import numpy as np

    place = tmp_path_factory.mktemp("streams")
    spec = features.build(SETTINGS)
    rows = examples(
        [spec.compute(sound(k)) for k in range(6)],
        np.arange(6) % 2,
        np.array([f"s{k // 3}" for k in range(6)]),
        2,
    )
    export_features(
        heads.build({"name": "probe", "grid": [0.01]}).fit(rows), SETTINGS, ("loud", "soft"), place / "bundle",
        temperature=1.0, training_speakers=["s0"], corpus="toy", scores=None, recipe={}, licences={},
    )  # fmt: skip
    (place / "many").mkdir()
    soundfile.write(place / "one.wav", sound(1, 1.0), 16_000)
    for k in range(3000):
        os.link(place / "one.wav", place / "many" / f"{k:04d}.wav")
    return place


def started(place: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "unheard", "predict", "--model", str(place / "bundle"), *options],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=place,
        # Where tests run in the background of a shell, interrupts are ignored, and here would be as well.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


@pytest.mark.parametrize("form", ["--jsonl", "--json"])
def test_an_interrupt_keeps_what_was_printed_and_says_what_is_left(place: Path, form: str) -> None:
    process = started(place, form, "many")
    assert process.stdout is not None and process.stderr is not None
    first = process.stdout.readline()  # long before the last of them
    process.send_signal(signal.SIGINT)
    rest, errors = process.stdout.read(), process.stderr.read()
    assert process.wait(timeout=60) == 130
    rows = (
        json.loads(first + rest) if form == "--json" else list(map(json.loads, (first + rest).splitlines()))
    )
    assert 1 <= len(rows) < 3000
    assert [row["path"] for row in rows] == [f"many/{k:04d}.wav" for k in range(len(rows))]
    answered = "1 recording" if len(rows) == 1 else f"{len(rows)} recordings"
    assert f"interrupted: {answered} answered, {3000 - len(rows)} left" in errors
    assert "Traceback" not in errors


def test_a_list_is_answered_line_by_line(place: Path) -> None:
    process = started(place, "--csv", "-")
    assert process.stdin is not None and process.stdout is not None
    for k, name in enumerate(["one.wav", "absent.wav", "many/0000.wav"]):
        process.stdin.write(f"{name}\n")
        process.stdin.flush()
        if k == 0:
            assert process.stdout.readline().startswith("path,label,p_loud,p_soft")
        assert process.stdout.readline().startswith(f"{name},")
    process.stdin.close()
    assert process.wait(timeout=60) == 3


def test_streams_that_the_caller_closed_stop_nothing(place: Path) -> None:
    command = f"{sys.executable} -m unheard predict --model bundle one.wav absent.wav"
    for closed in ("2>&-", "2>&- <&-"):
        done = subprocess.run(
            ["bash", "-c", f"{command} {closed}"],
            capture_output=True,
            text=True,
            cwd=place,
            timeout=60,
            check=False,
        )
        assert done.returncode == 3 and done.stdout.startswith("one.wav\t")
    silent = subprocess.run(["bash", "-c", f"{command} >&-"], cwd=place, timeout=60, check=False)
    assert silent.returncode == 3


def test_output_that_ends_early_is_one_json_value_whatever_happens(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(inputs: list[str]) -> Iterator[Recording]:
        yield Recording(str(place / "one.wav"), "one.wav")
        raise OSError("the disk is gone")

    monkeypatch.setattr("unheard.cli.predict.recordings", failing)
    done = CliRunner().invoke(app, ["predict", "x", "--model", str(place / "bundle"), "--json"])
    assert isinstance(done.exception, OSError)
    assert [row["path"] for row in json.loads(done.stdout)] == ["one.wav"]
