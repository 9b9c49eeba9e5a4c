"""Weights as arrays by name: those that are not finite are refused, and shuffled where that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.encoders.contract import Settings
from unheard.errors import DataError, UsageError, first_five


def check_finite(weights: Mapping[str, Any], where: str | Path) -> None:
    """Refuse weights, arrays of numpy or tensors by name, that hold NaN or infinity.

    Raises
    ------
    DataError
        The place, and the first five names.
    """
    bad = [name for name, values in weights.items() if not np.isfinite(np.asarray(values)).all()]
    if bad:
        raise DataError(
            f"{where}: NaN or infinite values in {len(bad)} of the weights: {first_five(bad)}; the file is "
            "damaged, or was written by a training that diverged: download it again"
        )


def prepared(weights: Mapping[str, NDArray[np.float32]], options: Settings) -> dict[str, NDArray[np.float32]]:
    """Return what was read of ``options.model`` as the settings ask for it: as it is, or shuffled inside arrays.

    Raises
    ------
    DataError
        Weights that are not finite.
    UsageError
        Random weights are asked for, which arrays alone do not say how to draw.
    """
    check_finite(weights, options.model)
    if options.weights == "random":
        raise UsageError(
            "encoder.weights is 'random', but this family has no way to draw them; take 'shuffled'"
        )
    if options.weights == "pretrained":
        return dict(weights)
    rng = np.random.default_rng(options.seed)
    return {name: rng.permutation(values.ravel()).reshape(values.shape) for name, values in weights.items()}
