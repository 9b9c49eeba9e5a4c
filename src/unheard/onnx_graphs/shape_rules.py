"""What operators give that move, join, choose or count values (https://onnx.ai/onnx/operators).

Shapes are exact, since sizes are computed from sizes (Shape, Gather, Concat, Reshape), and a step that is off by
one may be multiplied by a million after it. What would make a size of what is computed is refused, and so are
options whose result differs between versions of onnxruntime.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.onnx_graphs.model_format import BFLOAT16, TYPES
from unheard.onnx_graphs.nodes import (
    SMALL,
    Node,
    Rule,
    Shape,
    Sized,
    axis_of,
    broadcast,
    given,
    whole_numbers,
    widest,
    with_values,
)


def same(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Give the first output the shape of the first input; a norm's other outputs may not be used."""
    first = given(inputs, 0)
    return [Sized(first.shape, max(first.item, 4))]


def dropout(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Give the input and a mask of its shape."""
    first = given(inputs, 0)
    return [first._replace(value=None), Sized(first.shape, 1)]


def unary(of: Callable[..., Any]) -> Rule:
    """Return the rule of what changes each value of one input."""

    def rule(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
        first = given(inputs, 0)
        return [with_values(first.shape, first.item, inputs[:1], of)]

    return rule


def nary(of: Callable[..., Any] | None) -> Rule:
    """Return the rule of what joins values of several inputs, which are broadcast."""

    def rule(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
        several = [given(inputs, place) for place in range(len(inputs))]
        shape, item = broadcast([each.shape for each in several]), widest(several)
        return [Sized(shape, item) if of is None else with_values(shape, item, several, of)]

    return rule


def quotient(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Return quotients, those of whole numbers rounded towards 0."""
    if a.dtype.kind not in "iu":
        return np.asarray(a / b)
    if not b.all():
        raise ValueError("it divides by 0")
    return np.asarray(np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b)), dtype=a.dtype)


def cast(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Give values of another type."""
    first, kind = given(inputs, 0), node.attributes.get("to", 0)
    if kind not in TYPES:
        raise ValueError(f"it gives values of type {kind}")
    if kind == BFLOAT16:
        return [Sized(first.shape, 2)]

    def cast(x: NDArray[Any]) -> NDArray[Any]:
        made = x.astype(TYPES[kind])
        if TYPES[kind].kind in "iu" and not (made == np.trunc(x)).all():
            raise ValueError("a number is out of the range of its type")
        return made

    return [with_values(first.shape, TYPES[kind].itemsize, inputs[:1], cast)]


def constant(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Give what stands in the node itself."""
    ((name, value),) = node.attributes.items()
    if name == "value" and isinstance(value, Sized):
        return [value]
    kind = {
        "value_int": np.int64,
        "value_ints": np.int64,
        "value_float": np.float32,
        "value_floats": np.float32,
    }
    made = np.asarray(value, dtype=kind[name])
    return [Sized(made.shape, made.itemsize, made if made.size <= SMALL else None)]


def constant_of_shape(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Give one value in a shape that is known."""
    shape = shape_of_numbers(whole_numbers(inputs, 0, node, "shape"))
    value = node.attributes.get("value")
    if value is None:
        value = Sized((1,), 4, np.zeros(1, dtype=np.float32))
    if not isinstance(value, Sized) or value.size != 1 or value.value is None:
        raise ValueError("its value is not one number")
    return [with_values(shape, value.item, [value], lambda x: np.full(shape, x.reshape(-1)[0]))]


def shape_of_numbers(numbers: Sequence[int] | None) -> Shape:
    """Return whole numbers as a shape, none of them below zero."""
    if numbers is None or any(number < 0 for number in numbers):
        raise ValueError(f"the shape is {numbers}")
    return tuple(numbers)


def shape_of(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Give the shape of the input as values."""
    first = given(inputs, 0)
    start, end = node.attributes.get("start", 0), node.attributes.get("end")
    value = np.array(first.shape[start:end], dtype=np.int64)
    return [Sized(value.shape, 8, value)]


def size_of(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Give the number of values of the input as a value."""
    return [Sized((), 8, np.array(given(inputs, 0).size, dtype=np.int64))]


def range_of(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Give the whole numbers of a range that is known."""
    values = [given(inputs, place).value for place in range(3)]
    if any(value is None or value.size != 1 or value.dtype.kind != "i" for value in values):
        raise ValueError("its length depends on what is computed, or on other than whole numbers")
    start, limit, delta = (int(np.asarray(value).reshape(-1)[0]) for value in values)
    numbers = range(start, limit, delta)
    return [
        with_values(
            (len(numbers),), widest(inputs), inputs, lambda first, *_: np.array(numbers, dtype=first.dtype)
        )
    ]


def expand(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Broadcast to a shape that is known."""
    first = given(inputs, 0)
    shape = broadcast([first.shape, shape_of_numbers(whole_numbers(inputs, 1, node, "shape"))])
    return [with_values(shape, first.item, [first], lambda x: np.broadcast_to(x, shape))]


def tile(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Repeat along each axis as often as is known."""
    first, repeats = given(inputs, 0), shape_of_numbers(whole_numbers(inputs, 1, node, "repeats"))
    if len(repeats) != len(first.shape):
        raise ValueError(f"it repeats {len(first.shape)} axes {len(repeats)} times")
    shape = tuple(size * times for size, times in zip(first.shape, repeats, strict=True))
    return [with_values(shape, first.item, [first], lambda x: np.tile(x, repeats))]


def pad(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Add places before and after each axis, as many as are known."""
    first, rank = given(inputs, 0), len(given(inputs, 0).shape)
    pads = whole_numbers(inputs, 1, node, "pads") or []
    axes = [axis_of(axis, rank) for axis in whole_numbers(inputs, 3, node, "axes") or range(rank)]
    if len(pads) != 2 * len(axes) or len(set(axes)) < len(axes):
        raise ValueError(f"it has {len(pads)} pads for {len(axes)} axes")
    if min(pads, default=0) < 0:
        raise ValueError("a pad is below 0")
    shape = list(first.shape)
    for axis, before, behind in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        shape[axis] += before + behind
    return [Sized(tuple(shape), first.item)]


def reshape(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Give another shape of as many values; -1 stands for what is left, 0 for what was there."""
    first, wanted = given(inputs, 0), whole_numbers(inputs, 1, node, "shape")
    if wanted is None or sum(size == -1 for size in wanted) > 1:
        raise ValueError(f"the shape is {wanted}")
    shape = [
        first.shape[place] if size == 0 and not node.attributes.get("allowzero") else size
        for place, size in enumerate(wanted)
    ]
    if -1 in shape:
        rest = prod(size for size in shape if size != -1)
        shape[shape.index(-1)] = first.size // rest if rest else 0
    if prod(shape) != first.size:
        raise ValueError(f"{first.shape} does not become {wanted}")
    return [with_values(shape_of_numbers(shape), first.item, [first], lambda x: x.reshape(shape))]


def flatten(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Give a matrix: the axes before one, and those from it on."""
    first, axis = given(inputs, 0), node.attributes.get("axis", 1)
    if not -len(first.shape) <= axis <= len(first.shape):
        raise ValueError(f"axis {axis} of {len(first.shape)} axes")
    axis = axis + len(first.shape) if axis < 0 else axis
    shape = (prod(first.shape[:axis]), prod(first.shape[axis:]))
    return [with_values(shape, first.item, [first], lambda x: x.reshape(shape))]


def squeeze(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Leave out axes of one place."""
    first, axes = given(inputs, 0), whole_numbers(inputs, 1, node, "axes")
    rank = len(first.shape)
    if axes is None:
        axes = [axis for axis, size in enumerate(first.shape) if size == 1]
    gone = {axis_of(axis, rank) for axis in axes}
    if any(first.shape[axis] != 1 for axis in gone):
        raise ValueError(f"{first.shape} is not of length 1 along {axes}")
    shape = tuple(size for axis, size in enumerate(first.shape) if axis not in gone)
    return [with_values(shape, first.item, [first], lambda x: x.reshape(shape))]


def unsqueeze(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Put in axes of one place."""
    first, axes = given(inputs, 0), whole_numbers(inputs, 1, node, "axes") or []
    rank = len(first.shape) + len(axes)
    new = {axis_of(axis, rank) for axis in axes}
    if len(new) < len(axes):
        raise ValueError(f"an axis stands twice in {axes}")
    old = iter(first.shape)
    shape = tuple(1 if axis in new else next(old) for axis in range(rank))
    return [with_values(shape, first.item, [first], lambda x: x.reshape(shape))]


def transpose(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Change the order of axes."""
    first = given(inputs, 0)
    order = node.attributes.get("perm", list(range(len(first.shape)))[::-1])
    if sorted(order) != list(range(len(first.shape))):
        raise ValueError(f"perm {order} of {len(first.shape)} axes")
    shape = tuple(first.shape[axis] for axis in order)
    return [with_values(shape, first.item, [first], lambda x: x.transpose(order))]


def concat(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Join along an axis."""
    several = [given(inputs, place) for place in range(len(inputs))]
    axis = axis_of(node.attributes.get("axis", 1), len(given(inputs, 0).shape))
    rests = {each.shape[:axis] + each.shape[axis + 1 :] for each in several}
    if len(rests) > 1 or len({len(each.shape) for each in several}) > 1:
        raise ValueError(f"shapes {', '.join(str(each.shape) for each in several)} do not fit one another")
    first = several[0].shape
    shape = (*first[:axis], sum(each.shape[axis] for each in several), *first[axis + 1 :])
    return [with_values(shape, widest(several), several, lambda *parts: np.concatenate(parts, axis=axis))]


def split(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Cut along an axis into parts of equal or of known sizes."""
    first = given(inputs, 0)
    axis, parts = axis_of(node.attributes.get("axis", 0), len(first.shape)), len(node.outputs)
    sizes = whole_numbers(inputs, 1, node, "split")
    if sizes is None:
        # Chunks of one length, the last of which may be shorter.
        chunk = -(-first.shape[axis] // parts)
        sizes = [chunk] * (parts - 1) + [first.shape[axis] - chunk * (parts - 1)]
    if len(sizes) != parts or min(sizes) < 0 or sum(sizes) != first.shape[axis]:
        raise ValueError(f"{first.shape[axis]} values in {parts} parts of {sizes}")
    starts = np.cumsum([0, *sizes])
    return [
        with_values(
            (*first.shape[:axis], size, *first.shape[axis + 1 :]),
            first.item,
            [first],
            lambda x, start=start, size=size: x.take(range(start, start + size), axis=axis),
        )
        for start, size in zip(starts, sizes, strict=False)
    ]


def sliced(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Take a slice along axes, whose bounds are known."""
    first = given(inputs, 0)
    starts, ends = whole_numbers(inputs, 1, node, "starts"), whole_numbers(inputs, 2, node, "ends")
    if starts is None or ends is None:
        raise ValueError("it has no starts or ends")
    rank = len(first.shape)
    axes = [axis_of(axis, rank) for axis in whole_numbers(inputs, 3, node, "axes") or range(len(starts))]
    steps = whole_numbers(inputs, 4, node, "steps") or [1] * len(starts)
    if len({len(starts), len(ends), len(axes), len(steps), len(set(axes))}) > 1 or 0 in steps:
        raise ValueError(
            f"its starts {starts}, ends {ends}, axes {axes} and steps {steps} do not fit one another"
        )
    shape, cuts = list(first.shape), [slice(None)] * rank
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        taken = _taken(first.shape[axis], start, end, step)
        shape[axis] = len(taken)
        # From the first towards the beginning, the end is not -1, which would be the last.
        stop = None if taken.stop < 0 else taken.stop
        cuts[axis] = slice(taken.start, stop, taken.step) if len(taken) else slice(0, 0)
    return [with_values(tuple(shape), first.item, [first], lambda x: x[tuple(cuts)])]


def _taken(size: int, start: int, end: int, step: int) -> range:
    """Return the places that a slice takes of so many, as ONNX clamps them."""
    low, high = (0, size) if step > 0 else (-1, size - 1)
    start, end = (place + size if place < 0 else place for place in (start, end))
    return range(min(max(start, 0), high), min(max(end, low), high), step)


def gather(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Take places of an axis."""
    first, places = given(inputs, 0), given(inputs, 1)
    axis = axis_of(node.attributes.get("axis", 0), len(first.shape))
    shape = first.shape[:axis] + places.shape + first.shape[axis + 1 :]
    return [with_values(shape, first.item, [first, places], lambda x, at: np.take(x, at, axis=axis))]


def gather_elements(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Take a value for each place of the second input."""
    return [Sized(given(inputs, 1).shape, given(inputs, 0).item)]


def reduce(of: Callable[..., Any] | None) -> Rule:
    """Return the rule of what makes one value of those along axes."""

    def rule(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
        first, rank = given(inputs, 0), len(given(inputs, 0).shape)
        axes = whole_numbers(inputs, 1, node, "axes")
        if not axes and node.attributes.get("noop_with_empty_axes"):
            gone: set[int] = set()
        else:
            gone = {axis_of(axis, rank) for axis in axes or range(rank)}
        keep = node.attributes.get("keepdims", 1)
        shape = tuple(
            1 if axis in gone else size for axis, size in enumerate(first.shape) if keep or axis not in gone
        )
        if of is None:
            return [Sized(shape, first.item)]
        along = tuple(sorted(gone))

        def reduced(x: NDArray[Any]) -> Any:
            return np.asarray(of(x, axis=along, keepdims=bool(keep))).astype(x.dtype)

        return [with_values(shape, first.item, [first], reduced)]

    return rule


def arg(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Give the place of the largest or least value along an axis."""
    first = given(inputs, 0)
    axis = axis_of(node.attributes.get("axis", 0), len(first.shape))
    kept = (1,) if node.attributes.get("keepdims", 1) else ()
    return [Sized(first.shape[:axis] + kept + first.shape[axis + 1 :], 8)]
