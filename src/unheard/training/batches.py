"""Batches of clips of similar length, read one batch at a time, padded with zeros."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unheard.errors import DataError
from unheard.training.examples import Examples


class Batches:
    """An iterable over batches; iterating again gives other batches where there is an ``rng``.

    A batch is a mapping: ``inputs`` and ``lengths`` by name (see :func:`padded`), ``targets`` (B, width)
    and ``rows``, the numbers of its clips. The features may lie in files: each is read when its turn comes.

    Parameters
    ----------
    rows
        The clips.
    names
        The inputs that are read.
    lengths
        Frames of each clip as it is, by input.
    size
        Clips in a batch.
    rng
        With one, a clip is taken as it is or under one of its augmentations, each as often, and its frames are cut
        to a random piece; the clips of a batch are then of similar length. None: every clip as it is.
    crop
        Smallest share of a clip's frames that a piece has.
    """

    def __init__(
        self,
        rows: Examples,
        names: Sequence[str],
        lengths: Mapping[str, Sequence[int]],
        size: int,
        rng: np.random.Generator | None,
        crop: float = 1.0,
    ) -> None:
        self.rows, self.size, self.rng, self.crop = rows, size, rng, crop
        self._versions = {
            name: (rows.inputs[name], *(() if rng is None else rows.augmented.get(name, ())))
            for name in names
        }
        counts = {len(versions) for versions in self._versions.values()}
        if len(counts) > 1:
            raise DataError(
                "the inputs of a head have different numbers of augmentations; give them the same"
            )
        total = np.zeros((counts.pop(), len(rows)), dtype=np.int64)
        for name, versions in self._versions.items():
            more = [[frames(clip) for clip in version] for version in versions[1:]]
            total += np.array([lengths[name], *more])
        self._lengths = total  # (versions, clips)

    def __len__(self) -> int:
        return -(-len(self.rows) // self.size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        drawn = self._drawn()
        taken = self._lengths[drawn, np.arange(len(self.rows))]
        for numbers in buckets(taken, self.size, self.rng):
            batch: dict[str, Any] = {"inputs": {}, "lengths": {}, "rows": numbers}
            for name, versions in self._versions.items():
                clips = [versions[drawn[i]][i] for i in numbers]
                if self.rng is not None and self.crop < 1:
                    clips = [cropped(clip, self.crop, self.rng) if clip.ndim > 1 else clip for clip in clips]
                batch["inputs"][name], batch["lengths"][name] = padded(clips)
            batch["targets"] = torch.as_tensor(self.rows.targets[numbers], dtype=torch.float32)
            yield batch

    def _drawn(self) -> NDArray[np.int64]:
        """Draw how each clip is taken this time: 0 as it is, k under its k-th augmentation."""
        count = len(self._lengths)
        if self.rng is None or count == 1:
            return np.zeros(len(self.rows), dtype=np.int64)
        return self.rng.integers(count, size=len(self.rows))


def frames(clip: NDArray[np.float32]) -> int:
    """Return the number of frames of a clip; a row counts as one."""
    return clip.shape[-2] if clip.ndim > 1 else 1


def cropped(clip: NDArray[np.float32], min_share: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a random piece of (..., frames, dims), of at least one frame and ``min_share`` of all frames."""
    count = clip.shape[-2]
    length = max(1, round(count * rng.uniform(min_share, 1)))
    start = int(rng.integers(count - length + 1))
    return clip[..., start : start + length, :]


def padded(features: Sequence[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    """Return a batch of clips and their lengths (B,).

    Rows (dims,) become (B, dims) of length 1; frames become (B, T, dims) or (B, layers, T, dims), with zeros after
    each clip's end.
    """
    lengths = [frames(clip) for clip in features]
    first = features[0].shape
    if len(first) == 1:
        return torch.from_numpy(np.stack(features).astype(np.float32)), torch.tensor(lengths)
    # A clip may lack the input; where all of a batch do, one frame of zeros stands for it.
    longest = max(1, *lengths)
    batch = np.zeros((len(features), *first[:-2], longest, first[-1]), dtype=np.float32)
    for row, clip in zip(batch, features, strict=True):
        row[..., : clip.shape[-2], :] = clip
    return torch.from_numpy(batch), torch.tensor(lengths)


def buckets(
    lengths: Sequence[int] | NDArray[np.int64], size: int, rng: np.random.Generator | None
) -> list[list[int]]:
    """Return the numbers of the clips of each batch; with ``rng``, other ones and in another order at every call.

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
    """Return a mask that is true at the valid frames of (B, T, dims), shape (B, T, 1)."""
    steps = torch.arange(frames.shape[1], device=frames.device)
    return (steps[None, :] < lengths[:, None]).unsqueeze(2)
