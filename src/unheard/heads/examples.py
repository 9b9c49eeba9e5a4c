"""What a head learns from: features, class numbers and groups of one side of a fold, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = Sequence[NDArray[np.float32]]


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
    """

    features: Features
    labels: NDArray[np.int64]
    groups: NDArray[np.str_]
    classes: int

    def __len__(self) -> int:
        return len(self.labels)

    def __add__(self, other: Examples) -> Examples:
        """Both sides together, for refitting."""
        return Examples(
            [*self.features, *other.features],
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.groups, other.groups]),
            self.classes,
        )
