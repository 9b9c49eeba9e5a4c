"""What the operators give that multiply, convolve, pool, recur or resize (https://onnx.ai/onnx/operators)."""

from __future__ import annotations

from collections.abc import Sequence

from unheard.onnx_graphs.nodes import Node, Shape, Sized, broadcast, given, whole_numbers, widest
from unheard.onnx_graphs.shape_rules import shape_of_numbers


def matmul(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Multiply matrices, broadcast over the axes before the last two."""
    a, b = given(inputs, 0), given(inputs, 1)
    if not a.shape or not b.shape:
        raise ValueError("a single number cannot be multiplied as a matrix")
    left = a.shape if len(a.shape) > 1 else (1, *a.shape)
    right = b.shape if len(b.shape) > 1 else (*b.shape, 1)
    if left[-1] != right[-2]:
        raise ValueError(f"shapes {a.shape} and {b.shape} do not fit one another")
    rows, columns = left[-2:-1] if len(a.shape) > 1 else (), right[-1:] if len(b.shape) > 1 else ()
    return [Sized(broadcast([left[:-2], right[:-2]]) + rows + columns, widest((a, b)))]


def gemm(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Multiply two matrices, either of which may be transposed."""
    a, b = given(inputs, 0), given(inputs, 1)
    (rows, inner) = a.shape[::-1] if node.attributes.get("transA") else a.shape
    (other, columns) = b.shape[::-1] if node.attributes.get("transB") else b.shape
    if inner != other:
        raise ValueError(f"shapes {a.shape} and {b.shape} do not fit one another")
    return [Sized((rows, columns), widest((a, b)))]


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


def conv(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Convolve: the channels are those of the weight, the places those of the window."""
    x, weight = given(inputs, 0), given(inputs, 1)
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
    return [Sized((x.shape[0], weight.shape[0], *_window(node, x.shape[2:], kernel)), widest((x, weight)))]


def pool(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Pool in windows; the channels stay."""
    x = given(inputs, 0)
    shape = (*x.shape[:2], *_window(node, x.shape[2:], node.attributes.get("kernel_shape", ())))
    return [Sized(shape, x.item if place == 0 else 8) for place in range(max(1, len(node.outputs)))]


def global_pool(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Pool over all places of a channel."""
    x = given(inputs, 0)
    return [Sized((*x.shape[:2], *(1,) * len(x.shape[2:])), x.item)]


def recurrent(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Run a GRU, LSTM or RNN over a sequence, in one direction or both."""
    x, recurrence = given(inputs, 0), given(inputs, 2)
    if len(x.shape) != 3 or len(recurrence.shape) != 3 or node.attributes.get("layout"):
        raise ValueError(f"it takes (steps, batch, dims) and no other layout, found {x.shape}")
    directions, _, hidden = recurrence.shape
    if node.attributes.get("hidden_size", hidden) != hidden:
        raise ValueError("hidden_size is not that of its weights")
    steps, batch, _ = x.shape
    last = Sized((directions, batch, hidden), x.item)
    # The gates of all steps, up to four, are held in memory with what is given.
    return [Sized((steps, directions, batch, hidden), 5 * x.item), last, last]


def resize(node: Node, inputs: Sequence[Sized | None]) -> list[Sized]:
    """Resize to scales or sizes that are constants."""
    first = given(inputs, 0)
    if node.attributes.get("axes") or node.attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise ValueError("it resizes some axes only, or keeps their ratio")
    sizes = whole_numbers(inputs, 3, node, "sizes")
    if sizes is None:
        scales = given(inputs, 2).value
        if scales is None or scales.dtype.kind != "f":
            raise ValueError("its scales depend on what is computed")
        exact = [size * scale for size, scale in zip(first.shape, scales.tolist(), strict=True)]
        if any(not size.is_integer() for size in exact):
            raise ValueError(f"{first.shape} scaled by {scales.tolist()} are not whole numbers")
        sizes = [int(size) for size in exact]
    if len(sizes) != len(first.shape):
        raise ValueError(f"{len(sizes)} sizes of {len(first.shape)} axes")
    return [Sized(shape_of_numbers(sizes), first.item)]
