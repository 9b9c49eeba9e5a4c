"""Batches of clips of similar length, read one batch at a time, padded with zeros."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unheard.heads.examples import Examples


class Batches:
    """An iterable over batches; iterating again gives other batches where there is an ``rng``.

    ``lengths`` are the frames of each clip. The features may lie in files: each is read when its turn comes. With
    an ``rng`` a clip is heard as it is or in one of its variants, each as often, and cut to a random piece, whose
    share of it is uniform from ``crop`` to 1.
    """

    def __init__(
        self,
        rows: Examples,
        lengths: Sequence[int],
        size: int,
        rng: np.random.Generator | None,
        crop: float = 1.0,
    ) -> None:
        self.rows, self.lengths, self.size, self.rng, self.crop = rows, lengths, size, rng, crop

    def __len__(self) -> int:
        return -(-len(self.rows) // self.size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for numbers in buckets(self.lengths, self.size, self.rng):
            clips = self._drawn(numbers)
            if self.rng is not None and self.crop < 1:
                clips = [cropped(clip, self.crop, self.rng) for clip in clips]
            frames, lengths = padded(clips)
            labels = torch.as_tensor(self.rows.labels[numbers])
            yield {"frames": frames, "lengths": lengths, "labels": labels, "rows": numbers}

    def _drawn(self, numbers: Sequence[int]) -> list[NDArray[np.float32]]:
        heard = (self.rows.features, *self.rows.variants)
        if self.rng is None or len(heard) == 1:
            return [self.rows.features[i] for i in numbers]
        return [
            heard[way][i]
            for i, way in zip(numbers, self.rng.integers(len(heard), size=len(numbers)), strict=True)
        ]


def cropped(clip: NDArray[np.float32], least: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a random piece of (..., frames, dims), of at least one frame and ``least`` of all frames."""
    frames = clip.shape[-2]
    length = max(1, round(frames * rng.uniform(least, 1)))
    start = int(rng.integers(frames - length + 1))
    return clip[..., start : start + length, :]


def padded(features: Sequence[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    """Frames (B, T, dims) or (B, entries, T, dims) with zeros after each clip's end, and lengths (B,)."""
    lengths = [clip.shape[-2] for clip in features]
    first = features[0].shape
    frames = np.zeros((len(features), *first[:-2], max(lengths), first[-1]), dtype=np.float32)
    for row, clip in zip(frames, features, strict=True):
        row[..., : clip.shape[-2], :] = clip
    return torch.from_numpy(frames), torch.tensor(lengths)


def buckets(lengths: Sequence[int], size: int, rng: np.random.Generator | None) -> list[list[int]]:
    """Numbers of the clips of each batch; with ``rng``, other ones and in another order at every call.

    Lengths are jittered by up to a tenth before sorting, so that the same clips do not always meet.
    """
    keys = np.asarray(lengths, dtype=np.float64)
    if rng is not None:
        keys = keys * rng.uniform(0.9, 1.1, len(keys))
    order = np.argsort(keys, kind="stable")
    batches = [order[start : start + size].tolist() for start in range(0, len(order), size)]
    if rng is not None:
        rng.shuffle(batches)
    return batches


def valid(frames: Tensor, lengths: Tensor) -> Tensor:
    """True at the valid frames of (B, T, dims), shape (B, T, 1)."""
    steps = torch.arange(frames.shape[1], device=frames.device)
    return (steps[None, :] < lengths[:, None]).unsqueeze(2)
