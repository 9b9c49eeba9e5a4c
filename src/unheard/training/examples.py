"""What a head learns from: features, class numbers and groups of one side of a fold, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError

Features = Sequence[NDArray[np.float32]]


class Rows(Features):
    """Features of some clips, each looked up when it is asked for: a store larger than the memory stays on disk.

    Parameters
    ----------
    found
        Features by id.
    ids
        The clips, in order; all in ``found``.
    """

    def __init__(self, found: Mapping[str, NDArray[np.float32]], ids: Sequence[str]) -> None:
        self.found, self.ids = found, list(ids)

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.float32]: ...
    @overload
    def __getitem__(self, index: slice) -> Rows: ...
    def __getitem__(self, index: int | slice) -> NDArray[np.float32] | Rows:
        if isinstance(index, slice):
            return Rows(self.found, self.ids[index])
        return self.found[self.ids[index]]

    def __add__(self, other: Rows) -> Rows:
        """Both, of the same features."""
        if other.found is not self.found:
            raise ValueError("rows of two different sets of features cannot be put together")
        return Rows(self.found, [*self.ids, *other.ids])


class Part(Features):
    """Some of the dims of every clip, from ``first`` to one before ``end``.

    Parameters
    ----------
    whole
        Features (..., dims).
    first, end
        Numbers of dims.
    """

    def __init__(self, whole: Features, first: int, end: int) -> None:
        self.whole, self.first, self.end = whole, first, end

    def __len__(self) -> int:
        return len(self.whole)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.float32]: ...
    @overload
    def __getitem__(self, index: slice) -> Part: ...
    def __getitem__(self, index: int | slice) -> NDArray[np.float32] | Part:
        if isinstance(index, slice):
            return Part(self.whole[index], self.first, self.end)
        clip = self.whole[index]
        if self.end > clip.shape[-1]:
            raise DataError(
                f"dims {self.first}-{self.end - 1} are asked for, and a clip has {clip.shape[-1]}"
            )
        return clip[..., self.first : self.end]


@dataclass(frozen=True)
class Examples:
    """Rows of one side.

    Parameters
    ----------
    features
        One array a clip: (dims,) for utterance features, (frames, dims) for frame features.
    labels
        Class numbers, shape (n,), in 0 … classes - 1.
    groups
        Speaker of each clip (its own id where unknown), shape (n,); inner folds keep groups together.
    classes
        Number of classes.
    variants
        The same clips heard in other ways (at other speeds, in noise), in the same order, each with its own
        frames. A head may learn from them beside the features.
    """

    features: Features
    labels: NDArray[np.int64]
    groups: NDArray[np.str_]
    classes: int
    variants: tuple[Features, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def __add__(self, other: Examples) -> Examples:
        """Both sides together, for refitting."""
        return Examples(
            _joined(self.features, other.features),
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.groups, other.groups]),
            self.classes,
            tuple(_joined(*both) for both in zip(self.variants, other.variants, strict=True)),
        )


def with_variants(rows: Examples) -> Examples:
    """Return rows of which each variant of a clip is one more, behind the clips themselves, of the same group."""
    count = 1 + len(rows.variants)
    return Examples(
        [clip for heard in (rows.features, *rows.variants) for clip in heard],
        np.tile(rows.labels, count),
        np.tile(rows.groups, count),
        rows.classes,
    )


def _joined(one: Features, other: Features) -> Features:
    if isinstance(one, Rows) and isinstance(other, Rows):
        return one + other
    return [*one, *other]
