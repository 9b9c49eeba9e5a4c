"""From the features of clips to the rows that a linear head sees, and the checks that every head makes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, UsageError, first_five, unknown
from unheard.inputs import Features
from unheard.training.examples import Examples

STATISTICS = ("mean", "mean+sd")


def matrix(features: Features, statistics: str) -> NDArray[np.float64]:
    """Return one row a clip, shape (n, dims) or, for ``mean+sd`` of frames, (n, 2 dims).

    Utterance features (dims,) are taken as they are; of frames (frames, dims) the statistics over frames
    (population standard deviation).
    """
    if statistics not in STATISTICS:
        raise unknown("head.statistics", statistics, STATISTICS)
    _check(features)
    if features[0].ndim == 1:
        return np.stack([np.asarray(clip, dtype=np.float64) for clip in features])
    rows = []
    for clip in features:
        frames = np.asarray(clip, dtype=np.float64)
        parts = [frames.mean(axis=0)]
        if statistics == "mean+sd":
            parts.append(frames.std(axis=0))
        rows.append(np.concatenate(parts))
    return np.stack(rows)


def check_frames(features: Features, *, layers: bool = False, empty: bool = False) -> list[int]:
    """Refuse features that are not (frames, dims), or with ``layers`` (layers, frames, dims), and finite.

    With ``empty`` a clip may be without frames.

    Returns the number of frames of each clip; dims and layers must agree.
    """
    if not len(features):
        raise DataError("there are no features")
    first = features[0].shape
    expected = "(layers, frames, dims)" if layers else "(frames, dims)"
    if len(first) != (3 if layers else 2):
        advice = "an encoder with all its layers" if layers else "features such as mfbf0 or logmel"
        raise UsageError(
            f"this head needs frame features {expected}, and these are {first} a clip; take {advice}"
        )
    lengths = []

    def fits(clip: NDArray[np.float32]) -> bool:
        lengths.append(clip.shape[-2] if clip.ndim > 1 else 0)
        others = clip.shape[:-2], clip.shape[-1]
        return clip.ndim == len(first) and others == (first[:-2], first[-1]) and (clip.size > 0 or empty)

    _check_each(features, fits, f"{expected} with the same dims for every clip and no empty clip")
    return lengths


def check_examples(rows: Examples) -> None:
    """Refuse training rows in which a class or a dimension has no example, or that do not fit together.

    Shares of votes may leave out a class: nobody may have chosen it.
    """
    n, target = len(rows), rows.target
    if n == 0:
        raise DataError("there are no training rows")
    if rows.targets.shape != (n, target.width):
        raise DataError(f"targets are {rows.targets.shape}, expected {(n, target.width)} (rows, outputs)")
    for name, features in rows.inputs.items():
        if len(features) != n or len(rows.speakers) != n:
            raise DataError(
                f"{len(features)} clips of the input {name!r} and {len(rows.speakers)} speakers for {n} targets"
            )
    _check_classes(rows)
    dimensions = rows.targets[:, rows.classes :]
    lacking = [name for name, x in zip(target.dimensions, dimensions.T, strict=True) if np.isnan(x).all()]
    if lacking:
        raise DataError(f"no training row has the dimension {first_five(lacking)}")


def _check_classes(rows: Examples) -> None:
    if not rows.classes and rows.target.dimensions:
        return
    if rows.classes < 2:
        raise DataError(f"at least two classes are needed, found {rows.classes}")
    if rows.target.of == "votes":
        if (rows.labels < 0).all():
            raise DataError("no training row has votes for its classes")
        return
    absent = sorted(set(range(rows.classes)) - set(rows.labels.tolist()))
    if absent:
        named = first_five(rows.target.classes[number] for number in absent)
        raise DataError(f"no training row of the class {named}; every class needs some")


def check_dims(found: int, expected: int) -> None:
    """Refuse features of other dims than the head was trained on."""
    if found != expected:
        raise DataError(f"the head was trained on {expected} dims, and these features have {found}")


def scale_of(mean: NDArray[np.float64], sd: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what standardises: the standard deviation, 1 where a dimension is constant.

    Features are float32: a spread below a millionth of the mean is their rounding, and dividing by it would turn
    the smallest change in a new recording into a huge number.
    """
    return np.where(sd <= 1e-6 * np.abs(mean), 1.0, sd)


def moments(features: Features) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and scale (:func:`scale_of`) over all frames of all clips (frames, dims), (dims,) each."""
    count = sum(len(clip) for clip in features)
    mean = np.sum([np.sum(clip, axis=0, dtype=np.float64) for clip in features], axis=0) / count
    square = np.sum([np.sum((clip - mean) ** 2, axis=0) for clip in features], axis=0) / count
    return mean, scale_of(mean, np.sqrt(square))


def check_pooled(features: Features) -> None:
    """Refuse features that are not (layers, 2, dims) arrays of the same shape with finite values."""
    shape = features[0].shape
    if len(shape) != 3 or shape[1] != 2 or 0 in shape:
        raise UsageError(
            f"this head needs pooled layers (layers, 2, dims), and these are {shape} a clip; take an encoder"
        )
    _check_each(
        features, lambda clip: clip.shape == shape, "(layers, 2, dims) of the same shape for every clip"
    )


def _check(features: Features) -> None:
    if not len(features):
        raise DataError("there are no features")
    ndim, dims = features[0].ndim, features[0].shape[-1] if features[0].ndim else 0
    _check_each(
        features,
        lambda clip: clip.ndim in (1, 2) and clip.ndim == ndim and clip.shape[-1] == dims and clip.size > 0,
        "(dims,) or (frames, dims) for every clip, with the same dims and no empty clip",
    )


def _check_each(features: Features, fits: Callable[[NDArray[np.float32]], bool], expected: str) -> None:
    """Check shapes and finite values in one pass over the clips, which may be read from files."""
    bad = []
    for number, clip in enumerate(features):
        if not fits(clip):
            raise DataError(
                f"features of row {number} have shape {clip.shape}, those of row 0 {features[0].shape}; "
                f"expected {expected}"
            )
        if not np.isfinite(clip).all():
            bad.append(number)
    if bad:
        raise DataError(f"features are NaN or infinite in row {first_five(bad)}")
