"""The making of ``golden.npz``: synthetic waves and words, packed with the inputs and outputs that they give.

:mod:`unheard.bundle.golden` reads and checks it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.bundle.golden import Golden
from unheard.inputs import Turn

WAVES = 3
#: What is said in each, as of a dialogue.
TURNS = (
    (Turn("A", "Have you seen the weather?"), Turn("B", "It is raining again, isn't it?")),
    (Turn("B", "Oh no! We can't go out then."),),
    (Turn("A", "Never mind."), Turn("B", "Why?"), Turn("A", "Die Straße ist naß – 12 °C.")),
)


def synthetic_waves() -> tuple[NDArray[np.float32], ...]:
    """Return three speech-like sounds of about a second: gliding harmonics under formants, with pauses and breath.

    Made of seeded numbers; nobody's recording is shipped.
    """
    return tuple(_quantised(_sound(np.random.default_rng(seed), seed)) for seed in range(WAVES))


def pack(golden: Golden) -> bytes:
    """Return the bytes of ``golden.npz``; the same content gives the same bytes."""
    arrays: dict[str, NDArray[Any]] = {"outputs": golden.outputs}
    if golden.known is not None:
        arrays["known"] = golden.known
    for k, turns in enumerate(golden.turns):
        said = json.dumps([[turn.speaker, turn.text] for turn in turns], ensure_ascii=False)
        arrays[f"words_{k}"] = np.frombuffer(said.encode(), dtype=np.uint8)
    for k, (wave, inputs) in enumerate(zip(golden.waves, golden.inputs, strict=True)):
        arrays[f"wave_{k}"] = np.round(wave * 32768).astype(np.int16)
        arrays |= {f"{name}.{k}": values for name, values in inputs.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _sound(rng: np.random.Generator, number: int) -> NDArray[np.float64]:
    n = RATE + number * RATE // 5
    t = np.arange(n) / RATE
    f0 = (110, 190, 240)[number % 3] * (1 + 0.15 * np.sin(2 * np.pi * (2.1 + number) * t)) * (1.1 - 0.2 * t)
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    formants: Sequence[tuple[float, float]] = ((600, 120), (1300, 180), (2600, 250), (3600, 350))
    voice: NDArray[np.float64] = np.zeros(n)
    for h in range(1, 40):
        hertz = h * f0
        gain = sum(1 / (1 + ((hertz - f * (1 + 0.04 * number)) / width) ** 2) for f, width in formants)
        voice += np.where(hertz < 7000, gain / h**0.5, 0) * np.sin(h * phase)
    syllables = np.clip(np.sin(2 * np.pi * (3 + number) * t) + 0.4, 0, 1) ** 0.5
    breath = 0.02 * rng.standard_normal(n)
    sound: NDArray[np.float64] = voice / np.abs(voice).max() * syllables + breath * (0.2 + syllables)
    return 0.3 * sound


def _quantised(wave: NDArray[np.float64]) -> NDArray[np.float32]:
    return (np.round(np.clip(wave, -1, 1) * 32767) / 32768).astype(np.float32)
