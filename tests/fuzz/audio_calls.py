"""What is asked of a mutated recording: every way in which the package reads one."""

from __future__ import annotations

import contextlib
import io
import json
from functools import cache
from pathlib import Path

import numpy as np
from audio_files import recordings

from unheard.audio.decode import check_trainable, load
from unheard.audio.medium import AudioMedium
from unheard.audio.stream import Blocks
from unheard.bundle.prediction import Prediction
from unheard.errors import AudioError, DataError
from unheard.inputs import Clip, Piece


def read(path: Path) -> object:
    """Read a recording in every way, which must agree, and return what was found."""
    size = AudioMedium().size(Clip("a", audio=Piece(str(path))))
    assert 0 <= size <= 24 * 3600
    strict = _tried(lambda: load(path))
    lenient = _tried(lambda: load(path, allow_truncated=True))
    blocks = Blocks(path, allow_truncated=True)
    streamed = _tried(lambda: np.concatenate([np.empty(0, np.float32), *blocks]))
    if not isinstance(streamed, Exception) and blocks.scale != 1:
        # Floats beyond full scale: by what they are divided is known after a first reading.
        blocks = Blocks(path, allow_truncated=True, scale=blocks.scale)
        streamed = _tried(lambda: np.concatenate([np.empty(0, np.float32), *blocks]))
    piece = _tried(lambda: load(path, 0.05, 0.1, allow_truncated=True, rate=8000).wave)
    channel = _tried(lambda: load(path, channel=1).wave)
    usable = _tried(lambda: check_trainable(load(path)))
    if isinstance(lenient, AudioError):
        assert str(streamed) == str(lenient), f"{streamed} / {lenient}"
        assert isinstance(strict, AudioError)
        raise lenient
    assert np.isfinite(lenient.wave).all()
    np.testing.assert_array_equal(streamed, lenient.wave)
    if not isinstance(strict, AudioError):
        np.testing.assert_array_equal(strict.wave, lenient.wave)
        assert "truncated" not in lenient.flags
    for refused in (strict, piece, channel):
        assert not isinstance(refused, Exception) or path.name in str(refused)
    return size, lenient, blocks.flags, [_plain(each) for each in (strict, piece, channel, usable)]


def predict(path: Path) -> object:
    """Predict three recordings at once, the one in the middle mutated, as a library and step by step."""
    bundle = _bundle()
    before, after = _neighbours(path.parent)
    answers = list(bundle.predict_many([before, path, after], allow_truncated=True))
    for answer, alone in zip(answers[::2], _alone(path.parent), strict=True):
        assert (answer.label, answer.flags, answer.quality) == (alone.label, alone.flags, alone.quality)
        np.testing.assert_allclose(
            list(answer.probabilities.values()), list(alone.probabilities.values()), atol=1e-6
        )
    steps = _tried(lambda: bundle.timeline(path, allow_truncated=True))
    if "unreadable" in answers[1].flags:
        assert isinstance(steps, AudioError), "refused by predict, and not by timeline"
        assert str(steps) == answers[1].warnings[0]
        raise steps
    assert not isinstance(steps, AudioError), steps
    return answers[1], steps


def command(path: Path) -> object:
    """Run ``unheard predict --json`` on three recordings, the one in the middle mutated."""
    from unheard.cli import app

    before, after = _neighbours(path.parent)
    out, err = io.StringIO(), io.StringIO()
    files = [str(before), str(path), str(after)]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = app(["predict", "--json", *files], standalone_mode=False) or 0
        except SystemExit as error:
            code = error.code
    rows = json.loads(out.getvalue())
    assert [row["path"] for row in rows] == files
    assert "label" in rows[0] and "label" in rows[2]
    assert code == (3 if "error" in rows[1] else 0), (code, rows[1])
    if "error" in rows[1]:
        raise AudioError(rows[1]["error"])
    return rows


def _tried(call):  # type: ignore[no-untyped-def]
    try:
        return call()
    except DataError as error:
        return error


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Exception) else value


@cache
def _bundle():  # type: ignore[no-untyped-def]
    import unheard

    return unheard.load()


@cache
def _neighbours(folder: Path) -> tuple[Path, Path]:
    made = recordings()
    paths = folder / "before.wav", folder / "after.flac"
    for path, name in zip(paths, ("WAV PCM_16", "FLAC PCM_16"), strict=True):
        path.write_bytes(made[name])
    return paths


@cache
def _alone(folder: Path) -> list[Prediction]:
    return [_bundle().predict_file(path) for path in _neighbours(folder)]
