"""Batches of clips of similar length, read one batch at a time, padded with zeros."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unheard.training.examples import Examples


class Batches:
    """An iterable over batches; iterating again gives other batches where there is an ``rng``.

    ``lengths`` are the frames of each clip. The features may lie in files: each is read when its turn comes. With
    an ``rng`` a clip is heard as it is or in one of its variants, each as often, and cut to a random piece, whose
    share of it is uniform from ``crop`` to 1. Those of a batch are of similar length as they are heard.
    """

    def __init__(
        self,
        rows: Examples,
        lengths: Sequence[int],
        size: int,
        rng: np.random.Generator | None,
        crop: float = 1.0,
    ) -> None:
        self.rows, self.size, self.rng, self.crop = rows, size, rng, crop
        self._heard = (rows.features, *(rows.variants if rng is not None else ()))
        more = [[clip.shape[-2] for clip in variant] for variant in self._heard[1:]]
        self._lengths = np.array([lengths, *more])  # (ways, clips)

    def __len__(self) -> int:
        return -(-len(self.rows) // self.size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        ways = self._drawn()
        heard = self._lengths[ways, np.arange(len(self.rows))]
        for numbers in buckets(heard, self.size, self.rng):
            clips = [self._heard[ways[i]][i] for i in numbers]
            if self.rng is not None and self.crop < 1:
                clips = [cropped(clip, self.crop, self.rng) for clip in clips]
            frames, lengths = padded(clips)
            labels = torch.as_tensor(self.rows.labels[numbers])
            yield {"frames": frames, "lengths": lengths, "labels": labels, "rows": numbers}

    def _drawn(self) -> NDArray[np.int64]:
        """How each clip is heard this time: 0 as it is, k in its k-th variant."""
        if self.rng is None or len(self._heard) == 1:
            return np.zeros(len(self.rows), dtype=np.int64)
        return self.rng.integers(len(self._heard), size=len(self.rows))


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


def buckets(
    lengths: Sequence[int] | NDArray[np.int64], size: int, rng: np.random.Generator | None
) -> list[list[int]]:
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
