"""What a head learns from: named inputs, targets and speakers of one part of a fold, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError
from unheard.inputs import Array, Features
from unheard.targets import Floats, Target, class_numbers, one_hot


class Rows(Features):
    """Features of some clips, each looked up when it is asked for: a store larger than the memory stays on disk.

    Parameters
    ----------
    found
        Features by id.
    ids
        The clips in order; all are in ``found``, unless ``missing``.
    missing
        Whether clips may lack these features: they have none of the frames then, (0, dims).
    """

    def __init__(self, found: Mapping[str, Array], ids: Sequence[str], *, missing: bool = False) -> None:
        self.found, self.ids, self.missing = found, list(ids), missing

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice) -> Rows: ...
    def __getitem__(self, index: int | slice) -> Array | Rows:
        if isinstance(index, slice):
            return Rows(self.found, self.ids[index], missing=self.missing)
        name = self.ids[index]
        if self.missing and name not in self.found:
            return _nothing(self.found)
        return self.found[name]

    def __add__(self, other: Rows) -> Rows:
        """Return both, of the same features."""
        if other.found is not self.found:
            raise ValueError("rows of two different sets of features cannot be put together")
        return Rows(self.found, [*self.ids, *other.ids], missing=self.missing)


class Joined(Features):
    """The clips of one set of features, then those of another; each is read when it is asked for."""

    def __init__(self, one: Features, other: Features) -> None:
        self.one, self.other = one, other

    def __len__(self) -> int:
        return len(self.one) + len(self.other)

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice) -> list[Array]: ...
    def __getitem__(self, index: int | slice) -> Array | list[Array]:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        number = range(len(self))[index]
        return self.one[number] if number < len(self.one) else self.other[number - len(self.one)]


@dataclass(frozen=True)
class Examples:
    """Clips of one part of a fold.

    Parameters
    ----------
    inputs
        Features by the name of the input, one array a clip in the form of that input.
    targets
        Shape (n, classes + dimensions): class columns are one-hot or shares that sum to 1, dimensions lie on
        [0, 1]; NaN where a value is not known.
    target
        What the columns of ``targets`` mean.
    speakers
        Speaker of each clip (its own id where unknown), shape (n,); inner folds keep a speaker's clips together.
    augmented
        The same clips in the same order under each augmentation (another speed, noise), by the name of the input.
        Augmentation k is the same for all inputs.
    """

    inputs: Mapping[str, Features]
    targets: Floats
    target: Target
    speakers: NDArray[np.str_]
    augmented: Mapping[str, tuple[Features, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.target.classes)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class with the largest share, shape (n,); -1 where no class is known."""
        return class_numbers(self.targets[:, : self.classes])

    def __add__(self, other: Examples) -> Examples:
        """Return the clips of both, for refitting."""
        return Examples(
            {name: _joined(rows, other.inputs[name]) for name, rows in self.inputs.items()},
            np.concatenate([self.targets, other.targets]),
            self.target,
            np.concatenate([self.speakers, other.speakers]),
            {
                name: tuple(_joined(*both) for both in zip(several, other.augmented[name], strict=True))
                for name, several in self.augmented.items()
            },
        )


def labelled(
    inputs: Mapping[str, Features],
    labels: Sequence[int] | NDArray[np.int64],
    speakers: NDArray[np.str_],
    classes: Sequence[str],
    augmented: Mapping[str, tuple[Features, ...]] | None = None,
) -> Examples:
    """Return examples whose target is one class each, of class numbers (n,)."""
    return Examples(
        inputs, one_hot(labels, len(classes)), Target(tuple(classes)), speakers, dict(augmented or {})
    )


def _nothing(found: Mapping[str, Array]) -> Array:
    """Return no frames, (0, dims), of the width that the found clips have."""
    first = next((found[name] for name in found), None)
    if first is None:
        raise DataError("no clip has this input, so that its width is not known")
    return np.zeros((0, first.shape[-1]), np.float32)


def _joined(one: Features, other: Features) -> Features:
    if isinstance(one, Rows) and isinstance(other, Rows):
        return one + other
    return Joined(one, other)
