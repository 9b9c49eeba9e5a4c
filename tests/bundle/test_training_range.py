"""Warnings of recordings that are unlike those of the training, from ranges that the bundle holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bundle_parts import CLASSES, Made, change, sound
from one_input import export_features
from unheard.audio.quality import quality
from unheard.bundle.runtime import load
from unheard.errors import BundleError

Make = Callable[[str], Made]
RANGE = {"bandwidth": (7000.0, None), "snr": (10.0, None), "speech": (0.3, None), "seconds": (1.0, 8.0)}


def talk(seconds: float, hiss: float = 0.001) -> np.ndarray:
    """Syllables of a buzz over hiss, silence around them."""
    n = int(16_000 * seconds)
    t = np.arange(n) / 16_000
    phase = 2 * np.pi * np.cumsum(140 * (1 + 0.1 * np.sin(2 * np.pi * 3 * t))) / 16_000
    buzz = sum(np.sin(h * phase) / h for h in range(1, 25)) * np.sin(np.pi * 4 * t) ** 2
    wave = np.concatenate([np.zeros(6400), 0.1 * buzz, np.zeros(6400)])
    return (wave + hiss * np.random.default_rng(0).standard_normal(len(wave))).astype(np.float32)


@pytest.fixture
def warned(made: Make, tmp_path: Path) -> Path:
    one = made("probe")
    return export_features(
        one.head, one.settings, CLASSES, tmp_path / "b", **one.options(training_range=RANGE)
    )


def test_a_recording_like_the_training_is_not_warned_of(warned: Path) -> None:
    found = load(warned).predict(talk(3.0), 16_000)
    assert found.flags == () and found.quality == quality(talk(3.0))
    assert found.as_dict()["quality"]["bandwidth"] == 8000


@pytest.mark.parametrize(
    ("wave", "flags"),
    [
        (talk(3.0, hiss=0.05), ("noisier",)),
        (talk(0.15), ("shorter",)),
        (
            np.concatenate([talk(0.5), 1e-3 * np.random.default_rng(1).standard_normal(48_000)]),
            ("little_speech",),
        ),
        (talk(9.0), ("longer",)),
        (0.1 * np.random.default_rng(0).standard_normal(48_000), ("no_speech",)),
    ],
    ids=["noise", "short", "little speech", "long", "no speech"],
)
def test_what_lies_outside_is_flagged_and_said(warned: Path, wave: np.ndarray, flags: tuple) -> None:
    found = load(warned).predict(wave, 16_000)
    assert found.flags == flags and (found.label is None) == (flags == ("no_speech",))
    assert all("recording" in warning for warning in found.warnings)


def test_without_a_range_it_is_measured_and_nothing_is_flagged(made: Make) -> None:
    found = load(made("probe").folder).predict(talk(3.0, hiss=0.05), 16_000)
    assert found.flags == () and found.quality is not None and found.quality.snr < 10
    silent = load(made("probe").folder).predict(np.zeros(16_000), 16_000)
    assert silent.quality is None and silent.as_dict()["quality"] is None


def test_the_timeline_compares_the_whole_with_the_range(warned: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "call.wav", np.concatenate([talk(9.0, 0.05), talk(0.5, 0.05)]), 16_000)
    found = load(warned).timeline(tmp_path / "call.wav")
    assert found.flags == ("noisier",)
    assert {flag for step in found.steps for flag in step.flags} <= {"shorter"}


def test_the_card_says_it(made: Make, warned: Path) -> None:
    assert (
        "bandwidth from 7000 Hz; snr from 10 dB; speech from 0.3 of the time; seconds from 1 s to 8 s"
        in (warned / "card.md").read_text()
    )
    assert "No recording is warned of" in (made("probe").folder / "card.md").read_text()


@pytest.mark.parametrize(
    "ranges",
    [
        {"loudness": [0, 1]}, {"snr": [0]}, {"snr": 3}, {"snr": ["a", None]}, {"snr": [5, 1]},
        {"snr": [1e9, None]}, [],
    ],
)  # fmt: skip
def test_what_is_no_range_is_refused(copied: Callable[..., Path], ranges: object) -> None:
    folder = copied("probe")
    change(folder, training_range=ranges)
    with pytest.raises(BundleError, match=r"bundle\.json: training_range"):
        load(folder)


def test_a_bundle_may_have_none(copied: Callable[..., Path]) -> None:
    folder = copied("probe")
    change(folder, training_range=None)
    bundle = load(folder)
    assert bundle.description.training_range == {}
    assert bundle.predict(sound(0), 16_000).label in CLASSES
