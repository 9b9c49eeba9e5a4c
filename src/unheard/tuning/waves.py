"""Waveforms of a training: cut to a longest length, gently changed, and put together in batches.

A waveform is (n,) float32 in -1 … 1 at the encoder's rate. Whatever is drawn for a clip depends on the seed, the
epoch and the clip's number alone: not on its batch, nor on what was drawn before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Wave = NDArray[np.float32]

# As in a published fine-tuning on RAVDESS: a gain, noise for half of the clips, a silenced span for half of them.
GAIN = (0.85, 1.15)
NOISE_DB = (15.0, 30.0)
SPAN = (0.02, 0.10)
SHARE = 0.5


def cropped(wave: Wave, longest: int, crop: str, rng: np.random.Generator | None) -> Wave:
    """Return at most ``longest`` samples of a waveform.

    ``crop`` is ``centre``, ``start`` or ``random``; without ``rng`` (nothing is being trained) ``random`` is the
    centre.
    """
    beyond = len(wave) - longest
    if beyond <= 0:
        return wave
    start = beyond // 2
    if crop == "start":
        start = 0
    elif crop == "random" and rng is not None:
        start = int(rng.integers(beyond + 1))
    return wave[start : start + longest]


def augmented(wave: Wave, rng: np.random.Generator) -> Wave:
    """Return a waveform with another gain, perhaps some noise, perhaps a silenced span.

    Gain uniform in 0.85 … 1.15; with probability 1/2 white Gaussian noise at a signal-to-noise ratio uniform in
    15 … 30 dB; with probability 1/2 zeros over a span of 2 … 10 % of the clip.
    """
    changed = wave * np.float32(rng.uniform(*GAIN))
    if rng.random() < SHARE:
        power = float(np.mean(np.square(changed, dtype=np.float64)))
        deviation = np.sqrt(power / 10 ** (rng.uniform(*NOISE_DB) / 10))
        changed = changed + rng.standard_normal(len(wave), dtype=np.float32) * np.float32(deviation)
    if rng.random() < SHARE:
        span = round(rng.uniform(*SPAN) * len(wave))
        start = int(rng.integers(len(wave) - span + 1))
        changed[start : start + span] = 0
    return changed


def drawn(seed: int, epoch: int, row: int) -> np.random.Generator:
    """Return the generator of one clip in one epoch."""
    return np.random.default_rng([seed, 2, epoch, row])


def padded(waves: Sequence[Wave]) -> tuple[Tensor, Tensor]:
    """Return waveforms (B, N) with zeros after each clip's end, and lengths (B,) in samples."""
    lengths = torch.tensor([len(wave) for wave in waves])
    rows = torch.zeros(len(waves), int(lengths.max()))
    for row, wave in zip(rows, waves, strict=True):
        row[: len(wave)] = torch.from_numpy(np.ascontiguousarray(wave, dtype=np.float32))
    return rows, lengths
