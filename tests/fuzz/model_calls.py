"""What is asked of a mutated bundle, of a mutated voice profile, and of a mutated encoder folder."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from unheard import encoders
from unheard.bundle.runtime import Bundle, load
from unheard.bundle.voice import read_voice
from unheard.errors import about

WAVE = (0.2 * np.sin(np.arange(12_000) / 9) * np.sin(np.arange(12_000) / 2000)).astype(np.float32)


def bundle(path: Path) -> object:
    """Open a bundle and predict."""
    opened = load(path)
    found = opened.predict(WAVE, 16_000)
    return opened.classes, opened.training_speakers, found


def voice(path: Path) -> object:
    """Read a voice profile, and predict with it by the bundle beside it."""
    profile = read_voice(path)
    bundle = _adapting(path.parent / "adapting")
    with about(path):  # a profile no longer knows its file, and whoever read it does
        bundle.check_profile(profile)
    found = bundle.predict(WAVE, 16_000, profile=profile)
    assert found.enrol_k == profile.clips
    return profile, found


@cache
def _adapting(path: Path) -> Bundle:
    return load(path)


def encoder(path: Path) -> object:
    """Open an encoder folder, extract a waveform's layers, and write its graph."""
    opened = encoders.load({"name": "onnx", "model": str(path)})
    wave = np.resize(WAVE, int(opened.rate * 0.75)).astype(np.float32)
    return opened.layers, opened.source, opened.extract([wave], [0, len(opened.layers) - 1])[0]
