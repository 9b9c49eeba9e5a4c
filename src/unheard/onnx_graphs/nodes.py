"""What is known of the tensors and nodes of a graph before anything is computed.

Whole numbers that are made of sizes and constants are carried along as values; of other numbers constants alone,
since their rounding depends on how a computation is put together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unheard.onnx_graphs.model_format import BFLOAT16, TYPES, Message, is_external, shape_of, values_of

#: Values up to which what is known of a tensor is carried along.
SMALL = 4096
Shape = tuple[int, ...]


class Sized(NamedTuple):
    """What is known of a tensor before anything is computed.

    Parameters
    ----------
    shape
        Its shape.
    item
        Bytes of a value, at most.
    value
        Its values, where they are known and few.
    """

    shape: Shape
    item: int
    value: NDArray[Any] | None = None

    @property
    def size(self) -> int:
        """Return the number of values."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Return the number of bytes, at most."""
        return prod(self.shape) * self.item


class Node(NamedTuple):
    """A node of a graph: its attributes are numbers, texts, lists of these, or tensors as ``Sized``."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


#: Takes a node and its inputs, None where an optional one is left out; returns what its outputs are.
Rule = Callable[[Node, Sequence[Sized | None]], list[Sized]]


def of_tensor(tensor: Message) -> Sized:
    """Return what is known of a constant."""
    shape, kind = shape_of(tensor), TYPES[tensor["data_type"]]
    known = prod(shape) <= SMALL and tensor["data_type"] != BFLOAT16 and not is_external(tensor)
    return Sized(shape, kind.itemsize, values_of(tensor) if known else None)


#: Attributes of which onnxruntime takes what is neither 0 nor 1 as the one here, as the other there.
YES_OR_NO = ("keepdims", "noop_with_empty_axes", "transA", "transB", "allowzero", "ceil_mode", "layout")
#: AttributeProto.AttributeType to the field that holds it.
_ATTRIBUTES = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints", 8: "strings"}


def attribute_of(operator: str, message: Message) -> Any:
    """Return the value of an attribute, which must be of the type that it says."""
    field = _ATTRIBUTES.get(message.get("type", 0))
    others = message.keys() & (set(_ATTRIBUTES.values()) - {field})
    if field is None or others:
        raise ValueError(
            f"an attribute of {operator} is of another type than it says: {message.get('name')!r}"
        )
    if field == "t":
        return of_tensor(message["t"])
    if field in ("floats", "ints"):
        return [value.item() for value in message.get(field, ())]
    if field == "s":
        return bytes(message.get("s", b"")).decode("utf-8")
    return message.get(field, 0)


def given(inputs: Sequence[Sized | None], place: int) -> Sized:
    """Return an input that may not be left out."""
    found = inputs[place] if place < len(inputs) else None
    if found is None:
        raise ValueError(f"input {place} is missing")
    return found


def whole_numbers(inputs: Sequence[Sized | None], place: int, node: Node, attribute: str) -> list[int] | None:
    """Return whole numbers that stand in an input, or, in older graphs, in an attribute; None where in neither."""
    if place < len(inputs) and inputs[place] is not None:
        value = given(inputs, place).value
        if value is None:
            raise ValueError(f"its {attribute} depends on what is computed")
        return [int(number) for number in value.reshape(-1)]
    found = node.attributes.get(attribute)
    return None if found is None else [int(number) for number in found]


def axis_of(axis: int, rank: int) -> int:
    """Return an axis counted from the front."""
    if not -rank <= axis < max(rank, 1):
        raise ValueError(f"axis {axis} of {rank} axes")
    return axis + rank if axis < 0 else axis


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """Return the shape that several are broadcast to."""
    different = set(shapes) - {()}
    if len(different) < 2:
        return different.pop() if different else ()
    rank = max(map(len, shapes), default=0)
    whole = []
    for sizes in zip(*((1,) * (rank - len(shape)) + shape for shape in shapes), strict=True):
        wide = {size for size in sizes if size != 1}
        if len(wide) > 1:
            raise ValueError(f"shapes {', '.join(map(str, shapes))} do not fit one another")
        whole.append(wide.pop() if wide else 1)
    return tuple(whole)


def widest(inputs: Sequence[Sized | None]) -> int:
    """Return the bytes of the widest value among inputs."""
    return max((each.item for each in inputs if each is not None), default=8)


def with_values(shape: Shape, item: int, inputs: Sequence[Sized | None], of: Callable[..., Any]) -> Sized:
    """Return a tensor, with its values where those of all inputs are known and they are few."""
    values = [each.value for each in inputs if each is not None and each.value is not None]
    if len(values) < len(inputs) or prod(shape) > SMALL:
        return Sized(shape, item)
    with np.errstate(all="ignore"):
        value = np.asarray(of(*values))
    return Sized(shape, item, value if value.shape == shape and value.dtype.kind in "iub" else None)
