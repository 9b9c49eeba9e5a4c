"""Gentle changes to standardised frames, in training only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unheard.training.batches import valid


@dataclass(frozen=True)
class Augmentation:
    """How much to change; 0 is off, everywhere.

    Parameters
    ----------
    level, noise
        Standard deviation of one shift for a whole clip, and of noise at every frame and dimension.
    time_mask, frequency_mask
        Largest share of a clip's frames, and of the dimensions, that a mask sets to 0, the mean.
    mixup
        Probability that the clips of a batch are mixed with each other (:func:`mixed`).
    """

    level: float
    noise: float
    time_mask: float
    frequency_mask: float
    mixup: float = 0.0


def augmented(frames: Tensor, lengths: Tensor, how: Augmentation, rng: np.random.Generator) -> Tensor:
    """Return standardised frames (B, T, dims) after a level shift, noise, and masks over time and dims.

    Every draw is a clip's own; the length of a mask is uniform from 0 to its largest.
    """
    B, T, D = frames.shape
    changed = frames
    if how.level:
        shift = rng.normal(0, how.level, (B, 1, 1))
        changed = changed + torch.as_tensor(shift, dtype=frames.dtype, device=frames.device)
    if how.noise:
        noise = rng.standard_normal((B, T, D), dtype=np.float32) * np.float32(how.noise)
        changed = changed + torch.as_tensor(noise, device=frames.device)
    if how.time_mask:
        mask = _spans(lengths.cpu().numpy(), T, how.time_mask, rng)[:, :, None]
        changed = changed.masked_fill(torch.as_tensor(mask, device=frames.device), 0.0)
    if how.frequency_mask:
        mask = _spans(np.full(B, D), D, how.frequency_mask, rng)[:, None, :]
        changed = changed.masked_fill(torch.as_tensor(mask, device=frames.device), 0.0)
    return changed


def mixed(frames: Tensor, lengths: Tensor, share: float, partners: Tensor) -> tuple[Tensor, Tensor]:
    """Mix each clip of standardised frames (B, T, dims) with its partner's, ``share`` of its own (mixup).

    Beyond its end a clip is 0, the mean; a mixture is as long as the longer one. Zhang et al. 2018, arXiv
    1710.09412; its loss is the same mixture of the losses for both targets.
    """
    clean = torch.where(valid(frames, lengths), frames, torch.zeros_like(frames))
    return share * clean + (1 - share) * clean[partners], torch.maximum(lengths, lengths[partners])


def _spans(sizes: NDArray[np.int64], width: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return a mask (rows, width) with one random span a row, at most ``share`` of the row's size long."""
    length = np.floor(rng.uniform(0, share, len(sizes)) * sizes + 0.5)
    start = np.floor(rng.uniform(0, 1, len(sizes)) * (sizes - length + 1))
    place = np.arange(width)
    return (place >= start[:, None]) & (place < (start + length)[:, None])
