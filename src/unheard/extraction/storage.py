"""What is kept of a clip's entries: statistics over frames, or the frames themselves, small enough for a disk.

*Statistics* (``pooled``): mean and population standard deviation over frames of each entry, in float32.

*Frames*: as float32, float16 or int8, each as it is or averaged over so many neighbours in time. In int8 every
dimension of every entry has its own range in every clip, 255 steps from its least to its greatest value. (One
scale a frame would be spent on the few dimensions that are a hundred times larger than the others.) What is
lost is measured while packing: the cosine between frames before and after, of every eighth frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, UsageError
from unheard.settings import OneOf, Within, check

Array = NDArray[np.float32]

FORMS = ("pooled", "frames")
TYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "int8": np.dtype("i1"),
}
STEPS = 254  # between the least value (−127) and the greatest (127)
MEASURED = 8  # every so manieth frame


@dataclass(frozen=True)
class Keep:
    """What to keep.

    Parameters
    ----------
    form : ``pooled`` or ``frames``.
    entries : which, in increasing order; None for all of the encoder.
    type : of frames: ``float32``, ``float16`` or ``int8``. Statistics are float32.
    average : frames averaged in time by so many; the last of a clip may average fewer.
    """

    form: Annotated[str, OneOf(*FORMS)] = "pooled"
    entries: tuple[int, ...] | None = None
    type: Annotated[str, OneOf(*TYPES)] = "float32"
    average: Annotated[int, Within(1, 1000)] = 1

    def __post_init__(self) -> None:
        check(self, "keep")
        if self.form == "pooled" and (self.type != "float32" or self.average != 1):
            raise UsageError(
                "keep.type and keep.average belong to form frames; statistics are float32 of all frames"
            )
        chosen = self.entries
        if chosen is not None and (not chosen or list(chosen) != sorted(set(chosen)) or chosen[0] < 0):
            raise UsageError(
                f"keep.entries must be different numbers in increasing order, found {list(chosen)}"
            )


@dataclass(frozen=True)
class Packed:
    """A clip as it is written.

    Attributes
    ----------
    shape : of the array that ``unpack`` gives.
    parts : written one after another.
    cosines : of each entry, between its frames before and after packing; None where nothing is lost.
    """

    shape: tuple[int, ...]
    parts: tuple[NDArray[Any], ...]
    cosines: tuple[float, ...] | None


def pack(layers: Sequence[Array], keep: Keep) -> Packed:
    """Pack the kept entries of a clip, each (frames, dims).

    Raises
    ------
    DataError
        Where a value is not finite or does not fit float16, or entries that are kept together differ in shape.
    """
    for place, layer in enumerate(layers):
        if layer.size == 0 or not np.isfinite(layer).all():
            bad = int((~np.isfinite(layer)).sum())
            raise DataError(
                f"the encoder gives {bad} of {layer.size} values that are not finite in entry {place}"
            )
    if keep.form == "pooled":
        pooled = statistics(layers)
        return Packed(pooled.shape, (pooled,), None)
    if len({layer.shape for layer in layers}) > 1:
        shapes = ", ".join(str(layer.shape) for layer in layers)
        raise DataError(
            f"entries that are kept together in full must agree in frames and dims, found {shapes}"
        )
    frames = np.stack([averaged(layer, keep.average) for layer in layers])
    shape = frames.shape if len(layers) > 1 else frames.shape[1:]
    if keep.type == "float32":
        return Packed(shape, (frames,), None)
    parts = _half(frames) if keep.type == "float16" else _bytes(frames)
    restored = _restored([part[:, ::MEASURED] if part.shape == frames.shape else part for part in parts])
    return Packed(shape, parts, _cosines(frames[:, ::MEASURED], restored))


def unpack(raw: NDArray[np.uint8], shape: tuple[int, ...], keep: Keep) -> Array:
    """Return the array that was packed into these bytes, as a new one."""
    if keep.type != "int8":
        stored: NDArray[Any] = raw.view(TYPES[keep.type])
        return stored.reshape(shape).astype(np.float32)
    entries, frames, dims = shape if len(shape) == 3 else (1, *shape)
    ranges = raw[: 8 * entries * dims].view(TYPES["float32"]).reshape(2, entries, 1, dims)
    steps = raw[8 * entries * dims :].view(np.int8).reshape(entries, frames, dims)
    return _restored([ranges[0], ranges[1], steps]).reshape(shape)


def shape_of(keep: Keep, frames: Sequence[int], widths: Sequence[int]) -> tuple[int, ...]:
    """Shape of the array of a clip whose kept entries have so many frames and dims."""
    if keep.form == "pooled":
        return len(widths), 2, max(widths)
    whole = -(-max(frames) // keep.average), max(widths)
    return (len(widths), *whole) if len(widths) > 1 else whole


def size_of(keep: Keep, shape: tuple[int, ...]) -> int:
    """Bytes that an array of this shape is packed into."""
    ranges = 0 if keep.type != "int8" else 8 * (math.prod(shape) // shape[-2])
    return math.prod(shape) * TYPES[keep.type].itemsize + ranges


def statistics(layers: Sequence[Array]) -> Array:
    """Mean and population standard deviation over frames: (entries, 2, widest), zeros beyond an entry's width."""
    pooled = np.zeros((len(layers), 2, max(layer.shape[1] for layer in layers)), TYPES["float32"])
    for place, layer in enumerate(layers):
        exact = layer.astype(np.float64)
        mean = exact.mean(axis=0)
        exact -= mean
        pooled[place, 0, : len(mean)] = mean
        pooled[place, 1, : len(mean)] = np.sqrt(np.einsum("td,td->d", exact, exact) / len(exact))
    return pooled


def averaged(frames: Array, count: int) -> Array:
    """Mean of each ``count`` neighbouring frames; of what is left for the last."""
    if count == 1:
        return frames
    firsts = np.arange(0, len(frames), count)
    sums = np.add.reduceat(frames, firsts, axis=0)
    lengths = np.diff(np.append(firsts, len(frames)))
    sums /= lengths[:, None]
    return np.asarray(sums, np.float32)


def _half(frames: Array) -> tuple[NDArray[Any], ...]:
    highest = float(np.abs(frames).max())
    if highest > float(np.finfo(np.float16).max):
        raise DataError(
            f"the encoder gives {highest:.3g}, beyond what float16 holds; keep int8 or float32 (keep.type)"
        )
    return (frames.astype(TYPES["float16"]),)


def _bytes(frames: Array) -> tuple[NDArray[Any], ...]:
    """Middle and step, each (entries, 1, dims), and (entries, frames, dims) numbers of steps from the middle."""
    least, most = (frames.min(axis=1, keepdims=True), frames.max(axis=1, keepdims=True))
    middle = (least / 2 + most / 2).astype(TYPES["float32"])
    step = ((most / STEPS) - (least / STEPS)).astype(TYPES["float32"])
    steps = frames - middle
    steps /= np.where(step > 0, step, np.float32(1))
    np.rint(steps, out=steps)
    return middle, step, np.clip(steps, -(STEPS // 2), STEPS // 2, out=steps).astype(np.int8)


def _restored(parts: Sequence[NDArray[Any]]) -> Array:
    if len(parts) == 1:
        return parts[0].astype(np.float32)
    middle, step, steps = parts
    restored = steps.astype(np.float32)
    restored *= step
    restored += middle
    return restored


def _cosines(first: Array, second: Array) -> tuple[float, ...]:
    """Mean cosine over frames of each entry; two frames of zeros agree."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    products = np.einsum("etd,etd->et", a, b)
    lengths = np.sqrt(np.einsum("etd,etd->et", a, a) * np.einsum("etd,etd->et", b, b))
    cosines = np.where(lengths > 0, products / np.where(lengths > 0, lengths, 1), 1.0)
    return tuple(round(float(cosine), 7) for cosine in cosines.mean(axis=1))
