"""``golden.npz``: synthetic waves with the features and logits that they gave when the bundle was made.

Arrays, for K waves: ``wave_k`` (n,) int16 at 16 kHz (value / 32768), ``features_k`` float32: what the head takes,
and ``logits`` (K, classes) float64.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.errors import BundleError

WAVES = 3
MOST_BYTES = 2**26
#: Largest difference of a logit z that is still the same model, times max(1, |z|).
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Golden:
    """Inputs and outputs that a bundle must reproduce."""

    waves: tuple[NDArray[np.float32], ...]
    features: tuple[NDArray[np.float32], ...]
    logits: NDArray[np.float64]


def synthetic_waves() -> tuple[NDArray[np.float32], ...]:
    """Three speech-like sounds of about a second: gliding harmonics under formants, with pauses and breath.

    Made of seeded numbers; nobody's recording is shipped.
    """
    return tuple(_quantised(_sound(np.random.default_rng(seed), seed)) for seed in range(WAVES))


def pack(golden: Golden) -> bytes:
    """Bytes of ``golden.npz``; the same content gives the same bytes."""
    arrays: dict[str, NDArray[np.generic]] = {"logits": golden.logits}
    for k, (wave, features) in enumerate(zip(golden.waves, golden.features, strict=True)):
        arrays[f"wave_{k}"] = np.round(wave * 32768).astype(np.int16)
        arrays[f"features_{k}"] = features
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpack(data: bytes) -> Golden:
    """Read ``golden.npz``; nothing is unpickled, and sizes are looked at before anything is allocated."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
            count = sum(entry.filename.startswith("wave_") for entry in archive.infolist())
        if size > MOST_BYTES:
            raise BundleError(f"golden.npz unpacks to {size} bytes, more than the {MOST_BYTES} allowed")
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            waves = tuple(stored[f"wave_{k}"] for k in range(count))
            features = tuple(stored[f"features_{k}"] for k in range(count))
            logits = stored["logits"]
    except (
        OSError,
        ValueError,
        KeyError,
        EOFError,
        MemoryError,
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
    ) as e:
        raise BundleError(f"golden.npz cannot be read: {e}") from e
    shapes = [array.shape for array in (*waves, *features, logits)]
    fits = (
        count > 0
        and all(wave.ndim == 1 and wave.dtype == np.int16 and wave.size for wave in waves)
        and all(x.ndim in (1, 2, 3) and x.dtype == np.float32 and np.isfinite(x).all() for x in features)
        and logits.ndim == 2
        and logits.shape[0] == count
        and logits.dtype == np.float64
        and np.isfinite(logits).all()
    )
    if not fits:
        raise BundleError(
            f"golden.npz holds arrays of shapes {shapes}; expected waves (n,) of int16, features of 1 to "
            "3 axes of float32 and logits (waves, classes) of float64, all finite"
        )
    return Golden(tuple(wave.astype(np.float32) / 32768 for wave in waves), features, logits)


def difference(found: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    """Largest difference of logits, relative to max(1, |expected|); infinite where they are not finite."""
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    return float((np.abs(found - expected) / np.maximum(1, np.abs(expected))).max())


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
