"""Cutting a waveform into overlapping frames, in samples at 16 kHz.

Conventions for where a frame lies (``edges``):

``snip``
    frame t starts at sample t·hop and only whole frames are kept: 1 + floor((n − length) / hop).
    Kaldi's default.
``mirror``
    frame t is centred on (t + ½)·hop, the signal is mirrored at its ends: round(n / hop) frames. Kaldi with
    ``--snip-edges=false``.
``zeros``
    frame t is centred on t·hop, zeros stand outside the signal: 1 + floor(n / hop). What librosa does.

A waveform shorter than one frame gives one frame, padded with zeros at its end (``snip``) or as said above.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from unheard.errors import AudioError

EDGES = ("snip", "mirror", "zeros")
BLOCK = 512  # frames in work at a time, so that memory does not grow with the recording

Array = NDArray[np.float64]
Sample = TypeVar("Sample", np.float32, np.float64)


def frames(wave: NDArray[np.floating], length: int, hop: int, edges: str = "mirror") -> Array:
    """Return overlapping frames as a read-only view, in float64.

    Parameters
    ----------
    wave : (n,) samples; nothing at all (n = 0) counts as one sample of silence.
    length, hop : frame length and distance in samples.
    edges : one of ``EDGES``.

    Returns
    -------
    (frames, length) float64, at least one frame.
    """
    return cut(np.asarray(wave, dtype=np.float64), length, hop, edges)


def cut(samples: NDArray[Sample], length: int, hop: int, edges: str = "mirror") -> NDArray[Sample]:
    """Return what ``frames`` does, in the precision of the samples."""
    n = max(1, len(samples))
    total = count(n, length, hop, edges)
    before = {"snip": 0, "mirror": length // 2 - hop // 2, "zeros": length // 2}[edges]
    after = max(0, (total - 1) * hop + length - before - n)
    if edges == "mirror":
        # A frame shorter than the hop starts inside the signal.
        padded = _mirrored(samples, max(0, before), after)[max(0, -before) :]
    else:
        padded = np.pad(samples, (before, after + n - len(samples)))
    view: NDArray[Sample] = sliding_window_view(padded, length)[::hop][:total]
    return view


def count(samples: int, length: int, hop: int, edges: str = "mirror") -> int:
    """Return how many frames a waveform of so many samples has."""
    n = max(1, samples)
    if edges == "snip":
        return 1 + max(0, n - length) // hop
    return max(1, (n + hop // 2) // hop) if edges == "mirror" else 1 + n // hop


def checked(wave: NDArray[np.floating]) -> Array:
    """Return the waveform in float64.

    Raises
    ------
    AudioError
        Where it is not one row of finite numbers.
    """
    samples = np.asarray(wave, dtype=np.float64)
    if samples.ndim != 1:
        raise AudioError(f"a waveform is one row of samples (mono), found shape {samples.shape}")
    bad = int((~np.isfinite(samples)).sum())
    if bad:
        raise AudioError(f"the waveform holds {bad} samples that are not finite numbers; decode it again")
    return samples


def blocks(total: int, size: int = BLOCK) -> Iterator[slice]:
    """Yield slices that cover ``total`` frames, ``size`` at a time."""
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))


def _mirrored(samples: NDArray[Sample], before: int, after: int) -> NDArray[Sample]:
    """Extend both ends by reflection, the outermost sample included, as often as needed."""
    if len(samples) == 0:
        return np.zeros(before + 1 + after, dtype=samples.dtype)
    return np.pad(samples, (before, after), mode="symmetric")
