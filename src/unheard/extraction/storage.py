"""What is stored of a clip: a row, statistics over frames, or the frames themselves, small enough for a disk.

*Statistics* (``pooled``): mean and population standard deviation over frames of each layer, in float32.

*Frames* (``frames`` of one layer, ``layers`` of several): as float32, float16 or int8, each as it is or averaged
over so many neighbours in time. In int8 every dimension of every layer has its own range in every clip, 255 steps
from its smallest to its largest value. (One scale a frame would be spent on the few dimensions that are a hundred
times larger than the others.) What is lost is measured while packing: the cosine between frames before and after,
of every eighth frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, UsageError, unknown
from unheard.inputs import Form
from unheard.settings import OneOf, Within, check

Array = NDArray[np.float32]

TYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "int8": np.dtype("i1"),
}
STEPS = 254  # between the smallest value (−127) and the largest (127)
MEASURED = 8  # the cosine is measured on every eighth frame


@dataclass(frozen=True)
class Storage:
    """How an extractor's output is stored.

    Parameters
    ----------
    form
        ``row``, ``pooled``, ``frames`` or ``layers`` (``unheard.inputs.Form``).
    layers
        Numbers of the layers in increasing order; None for all of the extractor.
    type
        Type of stored frames: ``float32``, ``float16`` or ``int8``. Rows and statistics are float32.
    average
        Number of neighbouring frames that are averaged; the last mean of a clip may be of fewer.
    """

    form: Form = Form.POOLED
    layers: tuple[int, ...] | None = None
    type: Annotated[str, OneOf(*TYPES)] = "float32"
    average: Annotated[int, Within(1, 1000)] = 1

    def __post_init__(self) -> None:
        check(self, "storage")
        if self.form not in list(Form):
            raise unknown("storage.form", self.form, list(Form))
        object.__setattr__(self, "form", Form(self.form))
        if not self.form.has_frames and (self.type != "float32" or self.average != 1):
            raise UsageError(
                "storage.type and storage.average belong to the forms frames and layers; rows and statistics are "
                "float32 of all frames"
            )
        chosen = self.layers
        if chosen is not None and (not chosen or list(chosen) != sorted(set(chosen)) or chosen[0] < 0):
            raise UsageError(
                f"storage.layers must be different numbers in increasing order, found {list(chosen)}"
            )
        if self.form in (Form.ROW, Form.FRAMES) and chosen is not None and len(chosen) > 1:
            raise UsageError(
                f"storage.form {self.form.value!r} holds one layer, found {list(chosen)}; take 'layers'"
            )

    def words(self) -> str:
        """Return what it is in a few words, for plans and listings."""
        kept = {Form.ROW: "one row a clip", Form.POOLED: "pooled statistics"}.get(
            self.form, f"frames as {self.type}"
        )
        return kept if self.average == 1 else f"{kept}, averaged by {self.average}"

    def plain(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        layers = None if self.layers is None else list(self.layers)
        return {"form": self.form.value, "layers": layers, "type": self.type, "average": self.average}


@dataclass(frozen=True)
class Packed:
    """A clip as it is written.

    Attributes
    ----------
    shape
        Shape of the array that ``unpack`` returns.
    parts
        Written one after another.
    cosines
        Cosine of each layer between its frames before and after packing; None where nothing is lost.
    """

    shape: tuple[int, ...]
    parts: tuple[NDArray[Any], ...]
    cosines: tuple[float, ...] | None


def pack(layers: Sequence[Array], storage: Storage) -> Packed:
    """Pack the stored layers of a clip, each (frames, dims), or (dims,) for a row.

    Raises
    ------
    DataError
        A layer is empty or of another form, a value is not finite or does not fit float16, or layers that are
        stored together differ in shape.
    """
    axes = 1 if storage.form is Form.ROW else 2
    for place, layer in enumerate(layers):
        if layer.ndim != axes or layer.size == 0:
            expected = "(dims,)" if axes == 1 else "(frames, dims)"
            raise DataError(f"its features have shape {layer.shape} in layer {place}, expected {expected}")
        if not np.isfinite(layer).all():
            bad = int((~np.isfinite(layer)).sum())
            raise DataError(f"its features hold {bad} values that are not finite, in layer {place}")
    if storage.form is Form.ROW:
        return Packed(layers[0].shape, (np.ascontiguousarray(layers[0], TYPES["float32"]),), None)
    if storage.form is Form.POOLED:
        pooled = statistics(layers)
        return Packed(pooled.shape, (pooled,), None)
    if len({layer.shape for layer in layers}) > 1:
        shapes = ", ".join(str(layer.shape) for layer in layers)
        raise DataError(
            f"layers that are stored together in full must agree in frames and dims, found {shapes}"
        )
    frames = np.stack([averaged(layer, storage.average) for layer in layers])
    shape = frames.shape if storage.form is Form.LAYERS else frames.shape[1:]
    if storage.type == "float32":
        return Packed(shape, (np.ascontiguousarray(frames, TYPES["float32"]),), None)
    parts = _half(frames) if storage.type == "float16" else _bytes(frames)
    back = _restored([part[:, ::MEASURED] if part.shape == frames.shape else part for part in parts])
    return Packed(shape, parts, _cosines(frames[:, ::MEASURED], back))


def unpack(raw: NDArray[np.uint8], shape: tuple[int, ...], storage: Storage) -> Array:
    """Return the array that was packed into these bytes, as a new one."""
    if storage.type != "int8":
        stored: NDArray[Any] = raw.view(TYPES[storage.type])
        return stored.reshape(shape).astype(np.float32)
    layers, frames, dims = shape if len(shape) == 3 else (1, *shape)
    ranges = raw[: 8 * layers * dims].view(TYPES["float32"]).reshape(2, layers, 1, dims)
    steps = raw[8 * layers * dims :].view(np.int8).reshape(layers, frames, dims)
    return _restored([ranges[0], ranges[1], steps]).reshape(shape)


def restored(packed: Packed, storage: Storage) -> Array:
    """Return what a store would give back of a packed clip, with what storing loses."""
    raw = np.frombuffer(b"".join(part.tobytes() for part in packed.parts), np.uint8)
    return unpack(raw, packed.shape, storage)


def shape_of(storage: Storage, frames: Sequence[int], dims: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of the array of a clip whose stored layers have so many frames and dims."""
    if storage.form is Form.ROW:
        return (dims[0],)
    if storage.form is Form.POOLED:
        return len(dims), 2, max(dims)
    whole = -(-max(frames) // storage.average), max(dims)
    return (len(dims), *whole) if storage.form is Form.LAYERS else whole


def size_of(storage: Storage, shape: tuple[int, ...]) -> int:
    """Return the bytes that an array of this shape is packed into."""
    ranges = 0 if storage.type != "int8" else 8 * (math.prod(shape) // shape[-2])
    return math.prod(shape) * TYPES[storage.type].itemsize + ranges


def statistics(layers: Sequence[Array]) -> Array:
    """Return mean and population deviation over frames, (layers, 2, widest), zeros beyond a layer's dims."""
    pooled = np.zeros((len(layers), 2, max(layer.shape[1] for layer in layers)), TYPES["float32"])
    for place, layer in enumerate(layers):
        exact = layer.astype(np.float64)
        mean = exact.mean(axis=0)
        exact -= mean
        pooled[place, 0, : len(mean)] = mean
        pooled[place, 1, : len(mean)] = np.sqrt(np.einsum("td,td->d", exact, exact) / len(exact))
    return pooled


def averaged(frames: Array, count: int) -> Array:
    """Return the mean of each ``count`` neighbouring frames; of what is left for the last."""
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
            f"the extractor gives {highest:.3g}, beyond what float16 holds; take int8 or float32 (storage.type)"
        )
    return (frames.astype(TYPES["float16"]),)


def _bytes(frames: Array) -> tuple[NDArray[Any], ...]:
    """Return middle and step, (layers, 1, dims), and numbers of steps from the middle, (layers, frames, dims)."""
    low, high = (frames.min(axis=1, keepdims=True), frames.max(axis=1, keepdims=True))
    middle = (low / 2 + high / 2).astype(TYPES["float32"])
    step = ((high / STEPS) - (low / STEPS)).astype(TYPES["float32"])
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
    """Return the mean cosine over frames of each layer; two frames of zeros agree."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    products = np.einsum("etd,etd->et", a, b)
    lengths = np.sqrt(np.einsum("etd,etd->et", a, a) * np.einsum("etd,etd->et", b, b))
    cosines = np.where(lengths > 0, products / np.where(lengths > 0, lengths, 1), 1.0)
    return tuple(round(float(cosine), 7) for cosine in cosines.mean(axis=1))
