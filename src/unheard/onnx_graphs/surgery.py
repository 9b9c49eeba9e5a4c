"""Surgery on external ONNX graphs: splice and normalisation before them, inner tensors out of them, the rest away.

What comes out of ``adapted`` takes one clip, ``unheard.frames`` (frames, dims) or ``unheard.samples`` (samples,),
and gives ``unheard.NAME`` (frames, dims) float32 for each layer. It stands alone: onnxruntime runs it without a
description.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, UsageError, first_five, need
from unheard.onnx_graphs.graph import PREFIX, Graph
from unheard.onnx_graphs.model_files import ModelFile
from unheard.onnx_graphs.session import first_line

#: Lowest operator set in which the added nodes are written; graphs of older ones are converted.
OPSET = 13
#: Lowest version of the file format, from 4 on constants need not be inputs.
IR = 7
#: Operator set from which ReduceMean takes its axes as an input.
_MEAN_BY_INPUT = 18

Array = NDArray[Any]


class Tensor(NamedTuple):
    """A tensor of an external graph: its name, and what its axes are, in the graph's order.

    An axis is ``samples``, ``frames`` or ``dims``; ``one``, which has length 1; or ``mean``, which is averaged
    over.
    """

    name: str
    axes: Sequence[str]


def read_graph(file: ModelFile) -> Any:
    """Return the ModelProto of an ONNX file with its external data, of operator set 13 or later.

    Raises
    ------
    DataError
        It cannot be converted to that, or its weights hold NaN.
    """
    model, path = file.load(), file.path
    if not model.graph.node:
        raise DataError(f"{path} is not an ONNX graph: it has no nodes")
    if _opset(model) < OPSET:
        try:
            model = need("onnx.version_converter", "eval").convert_version(model, OPSET)
        except Exception as error:
            raise DataError(
                f"{path} is of operator set {_opset(model)} and cannot be converted to {OPSET}; export it again "
                f"({first_line(error)})"
            ) from error
    bad = [name for name, values, _ in _weights(model) if values.dtype.kind == "f" and np.isnan(values).any()]
    if bad:
        raise DataError(f"{path}: weights hold NaN: {first_five(bad)}; get the file again")
    return model


def shuffle(model: Any, seed: int) -> None:
    """Permute the values inside each tensor of weights, in place.

    Weights are the floating-point and 8-bit initializers and constants of more than one value. Shapes, indices and
    single numbers stay as they are.
    """
    onnx = need("onnx", "eval")
    rng = np.random.default_rng(seed)
    for name, values, tensor in _weights(model):
        if values.size > 1:
            mixed = rng.permutation(values.reshape(-1)).reshape(values.shape)
            tensor.CopyFrom(onnx.numpy_helper.from_array(mixed, name))


def adapted(
    model: Any,
    entrance: Tensor,
    layers: Mapping[str, Tensor],
    *,
    waveform: bool,
    splice: int = 1,
    norm: tuple[Array, Array] | None = None,
) -> bytes:
    """Return the graph from a clip's frames or samples to some layers, and nothing else of it.

    Parameters
    ----------
    model
        ModelProto; it is not changed.
    entrance
        The input that a clip enters by.
    layers
        The wanted tensors by the names that they get.
    waveform
        Whether a clip enters as samples rather than as frames.
    splice
        Number of neighbouring frames, an odd one, that stand side by side in a frame of the entrance.
    norm
        Shift and scale, (dims,) each, of a spliced frame.

    Raises
    ------
    UsageError
        The graph has no such tensor, or needs more inputs.
    DataError
        It is too large for a file.
    """
    onnx = need("onnx", "eval")
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    entered = _entrance_of(graph, entrance, layers.values())
    before, after = Graph(PREFIX + "before."), Graph(PREFIX + "after.")
    axes: list[Any] = ["samples"] if waveform else ["frames", None]
    name = before.take(PREFIX + ("samples" if waveform else "frames"), before.types.FLOAT, axes)
    if splice > 1:
        name = _spliced(before, name, splice)
    if norm is not None:
        name = before.add("Mul", before.add("Add", name, before.constant(norm[0])), before.constant(norm[1]))
    _enter(before, name, entrance.axes, entered)
    for layer, tensor in layers.items():
        _leave(after, tensor, PREFIX + layer, _opset(made))
        after.outputs.append(
            onnx.helper.make_tensor_value_info(PREFIX + layer, onnx.TensorProto.FLOAT, ["frames", None])
        )
    held = {tensor.name for tensor in graph.initializer}
    others = [value for value in graph.input if value.name not in {entrance.name, *held}]
    _keep(graph.node, [*before.nodes, *graph.node, *after.nodes])
    _keep(graph.initializer, [*graph.initializer, *before.constants, *after.constants])
    _keep(graph.input, [*before.inputs, *others])
    _keep(graph.output, after.outputs)
    prune(made, {PREFIX + layer for layer in layers})
    free = [value.name for value in graph.input[1:]]
    if free:
        raise UsageError(f"the graph needs more inputs than its description names: {first_five(free)}")
    made.ir_version = max(made.ir_version, IR)
    try:
        data: bytes = made.SerializeToString()
    except ValueError as error:
        raise DataError(f"the graph is too large for one ONNX file: {first_line(error)}") from error
    return data


def prune(model: Any, outputs: Collection[str]) -> None:
    """Leave out other outputs than the named ones, what they alone were computed for, and inner shapes."""
    graph = model.graph
    used, nodes = set(outputs), []
    for node in reversed(graph.node):
        if used.intersection(node.output):
            nodes.append(node)
            used.update(_read([node]))
    _keep(graph.node, nodes[::-1])
    _keep(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in used])
    _keep(graph.input, [value for value in graph.input if value.name in used])
    _keep(graph.output, [value for value in graph.output if value.name in outputs])
    del graph.value_info[:]


def strip(model: Any) -> None:
    """Take away what nobody computes with: comments, metadata, shapes of inner tensors."""
    graph = model.graph
    model.doc_string = graph.doc_string = ""
    del model.metadata_props[:]
    del graph.value_info[:]
    parts = [graph, *graph.node, *graph.initializer, *graph.input, *graph.output]
    for function in model.functions:
        parts += [function, *function.node]
    for part in parts:
        part.doc_string = ""
        if hasattr(part, "metadata_props"):
            del part.metadata_props[:]


def parameters(model: Any) -> int:
    """Return how many numbers stand in the floating-point and 8-bit tensors of more than one value."""
    kinds = need("onnx", "eval").TensorProto
    counted = (kinds.FLOAT, kinds.FLOAT16, kinds.BFLOAT16, kinds.DOUBLE, kinds.INT8, kinds.UINT8)
    tensors = list(model.graph.initializer)
    tensors += [a.t for node in model.graph.node for a in node.attribute if a.name == "value"]
    sizes = [int(np.prod(tensor.dims)) for tensor in tensors if tensor.data_type in counted and tensor.dims]
    return sum(size for size in sizes if size > 1)


def _entrance_of(graph: Any, entrance: Tensor, layers: Iterable[Tensor]) -> Any:
    """Return the input that a clip enters by; refuse tensors that the graph does not have."""
    tensors = [name for node in graph.node for name in node.output] + [value.name for value in graph.input]
    for name in (entrance.name, *(layer.name for layer in layers)):
        if name not in tensors:
            raise UsageError(
                f"the graph has no tensor {name!r}, which its description names; its inputs are "
                f"{first_five(value.name for value in graph.input)}, its outputs "
                f"{first_five(value.name for value in graph.output)}"
            )
    for value in graph.input:
        if value.name == entrance.name:
            return value
    raise UsageError(f"tensor {entrance.name!r} is not an input of the graph")


def _spliced(g: Graph, name: str, count: int) -> str:
    """Set neighbouring frames side by side, (frames, dims) to (frames, count · dims)."""
    around = count // 2
    padded = g.add("Pad", name, g.constant([around, 0, around, 0]), mode="edge")
    end = np.iinfo(np.int64).max
    pieces = []
    for k in range(count):
        stop = k - 2 * around if k < 2 * around else end
        pieces.append(g.add("Slice", padded, g.constant([k]), g.constant([stop]), g.constant([0])))
    return g.add("Concat", *pieces, axis=1)


def _enter(g: Graph, name: str, axes: Sequence[str], entrance: Any) -> None:
    """Lay a clip out as the graph takes it."""
    if [axis for axis in axes if axis != "one"] == ["dims", "frames"]:
        name = g.add("Transpose", name, perm=[1, 0])
    ones = [place for place, axis in enumerate(axes) if axis == "one"]
    if ones:
        name = g.add("Unsqueeze", name, g.constant(ones))
    g.add("Cast", name, output=entrance.name, to=entrance.type.tensor_type.elem_type)


def _leave(g: Graph, tensor: Tensor, output: str, opset: int) -> None:
    """Turn a tensor of the graph into (frames, dims) float32."""
    name = g.add("Cast", tensor.name, to=g.types.FLOAT)
    means = [place for place, axis in enumerate(tensor.axes) if axis == "mean"]
    if means and opset < _MEAN_BY_INPUT:
        name = g.add("ReduceMean", name, axes=means, keepdims=1)
    elif means:
        name = g.add("ReduceMean", name, g.constant(means), keepdims=1)
    ones = [place for place, axis in enumerate(tensor.axes) if axis in ("one", "mean")]
    if ones:
        name = g.add("Squeeze", name, g.constant(ones))
    rest = [axis for axis in tensor.axes if axis in ("frames", "dims")]
    g.add("Transpose", name, output=output, perm=[0, 1] if rest == ["frames", "dims"] else [1, 0])


def _read(nodes: Iterable[Any]) -> set[str]:
    """Return the names of all tensors that nodes read, those inside branches and loops included."""
    names: set[str] = set()
    for node in nodes:
        names.update(node.input)
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                names.update(_read(graph.node))
                names.update(value.name for value in graph.output)
    return names


def _weights(model: Any) -> list[tuple[str, Array, Any]]:
    """Return name, values and tensor of each initializer or constant that may be a weight."""
    onnx = need("onnx", "eval")
    kinds = onnx.TensorProto
    tensors = [(tensor.name, tensor) for tensor in model.graph.initializer]
    tensors += [
        (node.output[0], attribute.t)
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    ]
    numeric = (kinds.FLOAT, kinds.FLOAT16, kinds.DOUBLE, kinds.INT8, kinds.UINT8)
    return [
        (name, onnx.numpy_helper.to_array(tensor), tensor)
        for name, tensor in tensors
        if tensor.data_type in numeric
    ]


def _keep(field: Any, items: Iterable[Any]) -> None:
    kept = list(items)
    del field[:]
    field.extend(kept)


def _opset(model: Any) -> int:
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
