"""The operators that a graph may use, and the shape of what each gives (https://onnx.ai/onnx/operators).

Shapes are exact, since sizes are computed from sizes (Shape, Gather, Concat, Reshape), and a step that is off by
one may be multiplied by a million after it. So whole numbers that are made of sizes and constants are carried
along as values; of other numbers constants alone, since their rounding depends on how a computation is put
together. What would make a size of anything else is refused, and so are options whose result differs between
versions of onnxruntime.
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


def node_of(message: Message) -> Node:
    """Return a node.

    Raises
    ------
    ValueError
        An operator that a graph may not use, or an attribute that is not what it says it is.
    """
    operator = message.get("op_type", "")
    if message.get("domain", "") not in ("", "ai.onnx") or operator not in RULES:
        domain = message.get("domain", "")
        raise ValueError(f"it uses the operator {f'{domain}.' if domain else ''}{operator}, which is refused")
    attributes: dict[str, Any] = {}
    for attribute in message.get("attribute", ()):
        name = attribute.get("name", "")
        if name in attributes:
            raise ValueError(f"the operator {operator} has the attribute {name} twice")
        attributes[name] = _attribute(operator, attribute)
        if name in _YES_OR_NO and attributes[name] not in (0, 1):
            raise ValueError(f"the attribute {name} of {operator} is {attributes[name]}, expected 0 or 1")
    return Node(operator, tuple(message.get("input", ())), tuple(message.get("output", ())), attributes)


#: Attributes of which onnxruntime takes what is neither 0 nor 1 as the one here, as the other there.
_YES_OR_NO = ("keepdims", "noop_with_empty_axes", "transA", "transB", "allowzero", "ceil_mode", "layout")
#: AttributeProto.AttributeType to the field that holds it.
_ATTRIBUTES = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints", 8: "strings"}


def _attribute(operator: str, message: Message) -> Any:
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


# --- helpers -----------------------------------------------------------------------------------------------------


def _given(inputs: Sequence[Sized | None], place: int) -> Sized:
    """Return an input that may not be left out."""
    found = inputs[place] if place < len(inputs) else None
    if found is None:
        raise ValueError(f"input {place} is missing")
    return found


def _known(inputs: Sequence[Sized | None], place: int, node: Node, attribute: str) -> list[int] | None:
    """Return whole numbers that stand in an input, or, in older graphs, in an attribute; None where in neither."""
    if place < len(inputs) and inputs[place] is not None:
        value = _given(inputs, place).value
        if value is None:
            raise ValueError(f"its {attribute} depends on what is computed")
        return [int(number) for number in value.reshape(-1)]
    found = node.attributes.get(attribute)
    return None if found is None else [int(number) for number in found]


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < max(rank, 1):
        raise ValueError(f"axis {axis} of {rank} axes")
    return axis + rank if axis < 0 else axis


def _broadcast(shapes: Sequence[Shape]) -> Shape:
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


def _item(inputs: Sequence[Sized | None]) -> int:
    return max((each.item for each in inputs if each is not None), default=8)


def _valued(shape: Shape, item: int, inputs: Sequence[Sized | None], of: Callable[..., Any]) -> Sized:
    """Return a tensor, with its values where those of all inputs are known and they are few."""
    values = [each.value for each in inputs if each is not None and each.value is not None]
    if len(values) < len(inputs) or prod(shape) > SMALL:
        return Sized(shape, item)
    with np.errstate(all="ignore"):
        value = np.asarray(of(*values))
    return Sized(shape, item, value if value.shape == shape and value.dtype.kind in "iub" else None)


# --- rules -------------------------------------------------------------------------------------------------------


def _same(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Give the first output the shape of the first input; a norm's other outputs may not be used."""
    first = _given(inputs, 0)
    return [Sized(first.shape, max(first.item, 4))]


def _dropout(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    first = _given(inputs, 0)
    return [first._replace(value=None), Sized(first.shape, 1)]


def _unary(of: Callable[..., Any]) -> Rule:
    def rule(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
        first = _given(inputs, 0)
        return [_valued(first.shape, first.item, inputs[:1], of)]

    return rule


def _nary(of: Callable[..., Any] | None) -> Rule:
    def rule(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
        given = [_given(inputs, place) for place in range(len(inputs))]
        shape, item = _broadcast([each.shape for each in given]), _item(given)
        return [Sized(shape, item) if of is None else _valued(shape, item, given, of)]

    return rule


def _quotient(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Return quotients, those of whole numbers rounded towards 0."""
    if a.dtype.kind not in "iu":
        return np.asarray(a / b)
    if not b.all():
        raise ValueError("it divides by 0")
    return np.asarray(np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b)), dtype=a.dtype)


def _cast(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    first, kind = _given(inputs, 0), node.attributes.get("to", 0)
    if kind not in TYPES:
        raise ValueError(f"it gives values of type {kind}")
    if kind == BFLOAT16:
        return [Sized(first.shape, 2)]

    def cast(x: NDArray[Any]) -> NDArray[Any]:
        made = x.astype(TYPES[kind])
        if TYPES[kind].kind in "iu" and not (made == np.trunc(x)).all():
            raise ValueError("a number is out of the range of its type")
        return made

    return [_valued(first.shape, TYPES[kind].itemsize, inputs[:1], cast)]


def _constant(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
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


def _filled(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    shape = _shape(_known(inputs, 0, node, "shape"))
    value = node.attributes.get("value")
    if value is None:
        value = Sized((1,), 4, np.zeros(1, dtype=np.float32))
    if not isinstance(value, Sized) or value.size != 1 or value.value is None:
        raise ValueError("its value is not one number")
    return [_valued(shape, value.item, [value], lambda x: np.full(shape, x.reshape(-1)[0]))]


def _shape(numbers: Sequence[int] | None) -> Shape:
    if numbers is None or any(number < 0 for number in numbers):
        raise ValueError(f"the shape is {numbers}")
    return tuple(numbers)


def _shape_of(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    first = _given(inputs, 0)
    start, end = node.attributes.get("start", 0), node.attributes.get("end")
    value = np.array(first.shape[start:end], dtype=np.int64)
    return [Sized(value.shape, 8, value)]


def _size(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    return [Sized((), 8, np.array(_given(inputs, 0).size, dtype=np.int64))]


def _range(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    values = [_given(inputs, place).value for place in range(3)]
    if any(value is None or value.size != 1 or value.dtype.kind != "i" for value in values):
        raise ValueError("its length depends on what is computed, or on other than whole numbers")
    start, limit, delta = (int(np.asarray(value).reshape(-1)[0]) for value in values)
    numbers = range(start, limit, delta)
    return [
        _valued(
            (len(numbers),), _item(inputs), inputs, lambda first, *_: np.array(numbers, dtype=first.dtype)
        )
    ]


def _expand(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    first = _given(inputs, 0)
    shape = _broadcast([first.shape, _shape(_known(inputs, 1, node, "shape"))])
    return [_valued(shape, first.item, [first], lambda x: np.broadcast_to(x, shape))]


def _tile(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    first, repeats = _given(inputs, 0), _shape(_known(inputs, 1, node, "repeats"))
    if len(repeats) != len(first.shape):
        raise ValueError(f"it repeats {len(first.shape)} axes {len(repeats)} times")
    shape = tuple(size * times for size, times in zip(first.shape, repeats, strict=True))
    return [_valued(shape, first.item, [first], lambda x: np.tile(x, repeats))]


def _pad(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    first, rank = _given(inputs, 0), len(_given(inputs, 0).shape)
    pads = _known(inputs, 1, node, "pads") or []
    axes = [_axis(axis, rank) for axis in _known(inputs, 3, node, "axes") or range(rank)]
    if len(pads) != 2 * len(axes) or len(set(axes)) < len(axes):
        raise ValueError(f"it has {len(pads)} pads for {len(axes)} axes")
    if min(pads, default=0) < 0:
        raise ValueError("a pad is below 0")
    shape = list(first.shape)
    for axis, before, behind in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        shape[axis] += before + behind
    return [Sized(tuple(shape), first.item)]


def _reshape(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    first, wanted = _given(inputs, 0), _known(inputs, 1, node, "shape")
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
    return [_valued(_shape(shape), first.item, [first], lambda x: x.reshape(shape))]


def _flatten(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    first, axis = _given(inputs, 0), node.attributes.get("axis", 1)
    if not -len(first.shape) <= axis <= len(first.shape):
        raise ValueError(f"axis {axis} of {len(first.shape)} axes")
    axis = axis + len(first.shape) if axis < 0 else axis
    shape = (prod(first.shape[:axis]), prod(first.shape[axis:]))
    return [_valued(shape, first.item, [first], lambda x: x.reshape(shape))]


def _squeeze(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    first, axes = _given(inputs, 0), _known(inputs, 1, node, "axes")
    rank = len(first.shape)
    if axes is None:
        axes = [axis for axis, size in enumerate(first.shape) if size == 1]
    gone = {_axis(axis, rank) for axis in axes}
    if any(first.shape[axis] != 1 for axis in gone):
        raise ValueError(f"{first.shape} is not of length 1 along {axes}")
    shape = tuple(size for axis, size in enumerate(first.shape) if axis not in gone)
    return [_valued(shape, first.item, [first], lambda x: x.reshape(shape))]


def _unsqueeze(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    first, axes = _given(inputs, 0), _known(inputs, 1, node, "axes") or []
    rank = len(first.shape) + len(axes)
    new = {_axis(axis, rank) for axis in axes}
    if len(new) < len(axes):
        raise ValueError(f"an axis stands twice in {axes}")
    old = iter(first.shape)
    shape = tuple(1 if axis in new else next(old) for axis in range(rank))
    return [_valued(shape, first.item, [first], lambda x: x.reshape(shape))]


def _transpose(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    first = _given(inputs, 0)
    order = node.attributes.get("perm", list(range(len(first.shape)))[::-1])
    if sorted(order) != list(range(len(first.shape))):
        raise ValueError(f"perm {order} of {len(first.shape)} axes")
    shape = tuple(first.shape[axis] for axis in order)
    return [_valued(shape, first.item, [first], lambda x: x.transpose(order))]


def _concat(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    given = [_given(inputs, place) for place in range(len(inputs))]
    axis = _axis(node.attributes.get("axis", 1), len(_given(inputs, 0).shape))
    rests = {each.shape[:axis] + each.shape[axis + 1 :] for each in given}
    if len(rests) > 1 or len({len(each.shape) for each in given}) > 1:
        raise ValueError(f"shapes {', '.join(str(each.shape) for each in given)} do not fit one another")
    first = given[0].shape
    shape = (*first[:axis], sum(each.shape[axis] for each in given), *first[axis + 1 :])
    return [_valued(shape, _item(given), given, lambda *parts: np.concatenate(parts, axis=axis))]


def _split(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    first = _given(inputs, 0)
    axis, parts = _axis(node.attributes.get("axis", 0), len(first.shape)), len(node.outputs)
    sizes = _known(inputs, 1, node, "split")
    if sizes is None:
        # Chunks of one length, the last of which may be shorter.
        chunk = -(-first.shape[axis] // parts)
        sizes = [chunk] * (parts - 1) + [first.shape[axis] - chunk * (parts - 1)]
    if len(sizes) != parts or min(sizes) < 0 or sum(sizes) != first.shape[axis]:
        raise ValueError(f"{first.shape[axis]} values in {parts} parts of {sizes}")
    starts = np.cumsum([0, *sizes])
    return [
        _valued(
            (*first.shape[:axis], size, *first.shape[axis + 1 :]),
            first.item,
            [first],
            lambda x, start=start, size=size: x.take(range(start, start + size), axis=axis),
        )
        for start, size in zip(starts, sizes, strict=False)
    ]


def _slice(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    first = _given(inputs, 0)
    starts, ends = _known(inputs, 1, node, "starts"), _known(inputs, 2, node, "ends")
    if starts is None or ends is None:
        raise ValueError("it has no starts or ends")
    rank = len(first.shape)
    axes = [_axis(axis, rank) for axis in _known(inputs, 3, node, "axes") or range(len(starts))]
    steps = _known(inputs, 4, node, "steps") or [1] * len(starts)
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
    return [_valued(tuple(shape), first.item, [first], lambda x: x[tuple(cuts)])]


def _taken(size: int, start: int, end: int, step: int) -> range:
    """Return the places that a slice takes of so many, as ONNX clamps them."""
    low, high = (0, size) if step > 0 else (-1, size - 1)
    start, end = (place + size if place < 0 else place for place in (start, end))
    return range(min(max(start, 0), high), min(max(end, low), high), step)


def _gather(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    first, places = _given(inputs, 0), _given(inputs, 1)
    axis = _axis(node.attributes.get("axis", 0), len(first.shape))
    shape = first.shape[:axis] + places.shape + first.shape[axis + 1 :]
    return [_valued(shape, first.item, [first, places], lambda x, at: np.take(x, at, axis=axis))]


def _gather_elements(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    return [Sized(_given(inputs, 1).shape, _given(inputs, 0).item)]


def _reduce(of: Callable[..., Any] | None) -> Rule:
    def rule(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
        first, rank = _given(inputs, 0), len(_given(inputs, 0).shape)
        axes = _known(inputs, 1, node, "axes")
        if not axes and node.attributes.get("noop_with_empty_axes"):
            gone: set[int] = set()
        else:
            gone = {_axis(axis, rank) for axis in axes or range(rank)}
        keep = node.attributes.get("keepdims", 1)
        shape = tuple(
            1 if axis in gone else size for axis, size in enumerate(first.shape) if keep or axis not in gone
        )
        if of is None:
            return [Sized(shape, first.item)]
        along = tuple(sorted(gone))

        def reduced(x: NDArray[Any]) -> Any:
            return np.asarray(of(x, axis=along, keepdims=bool(keep))).astype(x.dtype)

        return [_valued(shape, first.item, [first], reduced)]

    return rule


def _arg(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    first = _given(inputs, 0)
    axis = _axis(node.attributes.get("axis", 0), len(first.shape))
    kept = (1,) if node.attributes.get("keepdims", 1) else ()
    return [Sized(first.shape[:axis] + kept + first.shape[axis + 1 :], 8)]


def _matmul(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    a, b = _given(inputs, 0), _given(inputs, 1)
    if not a.shape or not b.shape:
        raise ValueError("a single number cannot be multiplied as a matrix")
    left = a.shape if len(a.shape) > 1 else (1, *a.shape)
    right = b.shape if len(b.shape) > 1 else (*b.shape, 1)
    if left[-1] != right[-2]:
        raise ValueError(f"shapes {a.shape} and {b.shape} do not fit one another")
    rows, columns = left[-2:-1] if len(a.shape) > 1 else (), right[-1:] if len(b.shape) > 1 else ()
    return [Sized(_broadcast([left[:-2], right[:-2]]) + rows + columns, _item((a, b)))]


def _gemm(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    a, b = _given(inputs, 0), _given(inputs, 1)
    (rows, inner) = a.shape[::-1] if node.attributes.get("transA") else a.shape
    (other, columns) = b.shape[::-1] if node.attributes.get("transB") else b.shape
    if inner != other:
        raise ValueError(f"shapes {a.shape} and {b.shape} do not fit one another")
    return [Sized((rows, columns), _item((a, b)))]


def _window(node: Node, sizes: Sequence[int], kernel: Sequence[int]) -> Shape:
    """Return the lengths of what a kernel gives that slides over axes of these lengths."""
    rank = len(sizes)
    strides = node.attributes.get("strides") or [1] * rank
    dilations = node.attributes.get("dilations") or [1] * rank
    how = node.attributes.get("auto_pad", "NOTSET")
    pads = node.attributes.get("pads") or [0] * (2 * rank)
    if how != "NOTSET" and (any(pads) or {*dilations} - {1}):
        raise ValueError(f"auto_pad {how} stands beside pads or dilations")
    wrong = {len(kernel), len(strides), len(dilations), len(pads) // 2} != {rank} or len(pads) % 2
    if wrong or how not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise ValueError(f"its kernel, strides, dilations and pads do not fit {rank} axes")
    if min([*kernel, *strides, *dilations], default=1) < 1 or min(pads, default=0) < 0:
        raise ValueError("a kernel, stride or dilation is below 1, or a pad below 0")
    lengths = []
    for axis, size in enumerate(sizes):
        if how.startswith("SAME"):
            lengths.append(-(-size // strides[axis]))
            continue
        room = size + pads[axis] + pads[axis + rank] - dilations[axis] * (kernel[axis] - 1) - 1
        if room < 0:
            raise ValueError(f"{size} values are fewer than a kernel of {kernel[axis]} needs")
        if node.attributes.get("ceil_mode") and (room % strides[axis] or max(pads) >= min(kernel)):
            raise ValueError("it rounds up the number of its steps")
        lengths.append(room // strides[axis] + 1)
    return tuple(lengths)


def _conv(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    x, weight = _given(inputs, 0), _given(inputs, 1)
    group, kernel = node.attributes.get("group", 1), weight.shape[2:]
    if (
        len(x.shape) != len(weight.shape)
        or len(x.shape) < 3
        or group < 1
        or weight.shape[1] * group != x.shape[1]
    ):
        raise ValueError(f"a kernel of shape {weight.shape} does not fit {x.shape} in {group} groups")
    if list(kernel) != node.attributes.get("kernel_shape", list(kernel)):
        raise ValueError("kernel_shape is not that of its weights")
    return [Sized((x.shape[0], weight.shape[0], *_window(node, x.shape[2:], kernel)), _item((x, weight)))]


def _pool(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    x = _given(inputs, 0)
    shape = (*x.shape[:2], *_window(node, x.shape[2:], node.attributes.get("kernel_shape", ())))
    return [Sized(shape, x.item if place == 0 else 8) for place in range(max(1, len(node.outputs)))]


def _global_pool(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    x = _given(inputs, 0)
    return [Sized((*x.shape[:2], *(1,) * len(x.shape[2:])), x.item)]


def _recurrent(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    x, recurrence = _given(inputs, 0), _given(inputs, 2)
    if len(x.shape) != 3 or len(recurrence.shape) != 3 or node.attributes.get("layout"):
        raise ValueError(f"it takes (steps, batch, dims) and no other layout, found {x.shape}")
    directions, _, hidden = recurrence.shape
    if node.attributes.get("hidden_size", hidden) != hidden:
        raise ValueError("hidden_size is not that of its weights")
    steps, batch, _ = x.shape
    last = Sized((directions, batch, hidden), x.item)
    # The gates of all steps, up to four, are held in memory with what is given.
    return [Sized((steps, directions, batch, hidden), 5 * x.item), last, last]


def _resize(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    first = _given(inputs, 0)
    if node.attributes.get("axes") or node.attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise ValueError("it resizes some axes only, or keeps their ratio")
    sizes = _known(inputs, 3, node, "sizes")
    if sizes is None:
        scales = _given(inputs, 2).value
        if scales is None or scales.dtype.kind != "f":
            raise ValueError("its scales depend on what is computed")
        exact = [size * scale for size, scale in zip(first.shape, scales.tolist(), strict=True)]
        if any(not size.is_integer() for size in exact):
            raise ValueError(f"{first.shape} scaled by {scales.tolist()} are not whole numbers")
        sizes = [int(size) for size in exact]
    if len(sizes) != len(first.shape):
        raise ValueError(f"{len(sizes)} sizes of {len(first.shape)} axes")
    return [Sized(_shape(sizes), first.item)]


#: What changes each value, or normalises values by one another.
_ALIKE = (
    *(
        "BatchNormalization",
        "Clip",
        "Cos",
        "CumSum",
        "DequantizeLinear",
        "Elu",
        "Erf",
        "Exp",
        "Gelu",
        "HardSigmoid",
    ),
    *(
        "HardSwish",
        "Hardmax",
        "InstanceNormalization",
        "IsInf",
        "IsNaN",
        "LayerNormalization",
        "LeakyRelu",
        "Log",
    ),
    *(
        "LogSoftmax",
        "LpNormalization",
        "Mish",
        "Reciprocal",
        "Relu",
        "Round",
        "Selu",
        "Sigmoid",
        "Sign",
        "Sin",
    ),
    *("Softmax", "Softplus", "Softsign", "Tanh", "ThresholdedRelu", "Trilu"),
)
RULES: dict[str, Rule] = {
    **dict.fromkeys(_ALIKE, _same),
    "Abs": _unary(np.abs),
    "Ceil": _unary(np.ceil),
    "Floor": _unary(np.floor),
    "Identity": _unary(lambda x: x),
    "Neg": _unary(np.negative),
    "Not": _unary(np.logical_not),
    "Sqrt": _unary(np.sqrt),
    "Add": _nary(np.add),
    "And": _nary(np.logical_and),
    "Div": _nary(_quotient),
    "Equal": _nary(np.equal),
    "Greater": _nary(np.greater),
    "GreaterOrEqual": _nary(np.greater_equal),
    "Less": _nary(np.less),
    "LessOrEqual": _nary(np.less_equal),
    "Max": _nary(lambda *x: np.max(np.broadcast_arrays(*x), axis=0)),
    "Mean": _nary(None),
    "Min": _nary(lambda *x: np.min(np.broadcast_arrays(*x), axis=0)),
    "Mod": _nary(None),
    "Mul": _nary(np.multiply),
    "Or": _nary(np.logical_or),
    "PRelu": _nary(None),
    "Pow": _nary(None),
    "Sub": _nary(np.subtract),
    "Sum": _nary(None),
    "Where": _nary(np.where),
    "Xor": _nary(np.logical_xor),
    "ArgMax": _arg,
    "ArgMin": _arg,
    "AveragePool": _pool,
    "Cast": _cast,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "Conv": _conv,
    "Dropout": _dropout,
    "Expand": _expand,
    "Flatten": _flatten,
    "GRU": _recurrent,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool,
    "GlobalMaxPool": _global_pool,
    "LSTM": _recurrent,
    "MatMul": _matmul,
    "MaxPool": _pool,
    "Pad": _pad,
    "RNN": _recurrent,
    "Range": _range,
    "ReduceL1": _reduce(None),
    "ReduceL2": _reduce(None),
    "ReduceLogSumExp": _reduce(None),
    "ReduceMax": _reduce(np.max),
    "ReduceMean": _reduce(None),
    "ReduceMin": _reduce(np.min),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "ReduceSumSquare": _reduce(None),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": _shape_of,
    "Size": _size,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}


def work(node: Node, inputs: Sequence[Sized | None], outputs: Sequence[Sized]) -> int:
    """Return about how many multiply-adds a node takes; other steps count as 8 a value."""
    if node.operator == "MatMul":
        return outputs[0].size * _given(inputs, 0).shape[-1]
    if node.operator == "Gemm":
        return outputs[0].size * _given(inputs, 1).size // max(1, outputs[0].shape[1])
    if node.operator == "Conv":
        return outputs[0].size * prod(_given(inputs, 1).shape[1:])
    if node.operator in ("MaxPool", "AveragePool"):
        kernel: list[int] = node.attributes.get("kernel_shape", [])
        return outputs[0].size * prod(kernel)
    if node.operator in ("GRU", "LSTM", "RNN"):
        weights = _given(inputs, 1).size + _given(inputs, 2).size
        return prod(_given(inputs, 0).shape[:2]) * weights
    return 8 * sum([prod(each.shape) for each in (*inputs, *outputs) if each is not None])
