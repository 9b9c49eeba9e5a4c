"""Examples over a single input, as most tests of heads need them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.training.examples import Examples, labelled

NAME = "voice"


def examples(
    features: Any,
    labels: NDArray[Any],
    speakers: NDArray[Any],
    classes: int,
    augmented: Sequence[Any] = (),
) -> Examples:
    """Clips with one class each; classes are called 0, 1, 2 …"""
    more = {NAME: tuple(augmented)} if augmented else {}
    names = [str(number) for number in range(classes)]
    return labelled({NAME: features}, labels, np.asarray(speakers), names, more)


def clips_of(rows: Examples) -> Any:
    """The features of the only input."""
    return rows.inputs[NAME]


def outputs_of(head: Any, clips: Any) -> NDArray[np.float64]:
    """What a head answers to features of the only input."""
    found: NDArray[np.float64] = head.outputs({NAME: clips})
    return found
