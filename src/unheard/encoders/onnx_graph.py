"""Surgery on a foreign ONNX graph: splice and normalisation before it, inner tensors out of it, the rest away.

What comes out takes one clip, ``unheard.frames`` (frames, dims) or ``unheard.samples`` (samples,), and gives
``unheard.NAME`` (frames, dims) float32 for each entry. It stands alone: onnxruntime runs it without a description.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.encoders.description import Description, Entry
from unheard.errors import DataError, UsageError, first_five, need
from unheard.onnx_graphs.graph import PREFIX

#: Lowest operator set in which the added nodes are written; graphs of older ones are converted.
OPSET = 13
#: Lowest version of the file format, from 4 on constants need not be inputs.
IR = 7
#: Operator set from which ReduceMean takes its axes as an input.
_MEAN_BY_INPUT = 18

Array = NDArray[Any]


def opened(path: Path) -> Any:
    """Read an ONNX file, with its external data, as a ModelProto of operator set 13 or later.

    Raises
    ------
    DataError
        Not an ONNX graph, or weights that hold NaN.
    """
    onnx = need("onnx", "eval")
    try:
        model = onnx.load(path)
    except Exception as error:
        raise DataError(f"{path} is not an ONNX graph: {_first_line(error)}") from error
    if not model.graph.node:
        raise DataError(f"{path} is not an ONNX graph: it has no nodes")
    if _opset(model) < OPSET:
        try:
            model = need("onnx.version_converter", "eval").convert_version(model, OPSET)
        except Exception as error:
            raise DataError(
                f"{path} is of operator set {_opset(model)} and cannot be converted to {OPSET}; export it again "
                f"({_first_line(error)})"
            ) from error
    bad = [name for name, values, _ in _weights(model) if np.isnan(values.astype(np.float64)).any()]
    if bad:
        raise DataError(f"{path}: weights hold NaN: {first_five(bad)}; get the file again")
    return model


def external_files(path: Path) -> list[str]:
    """Names of the files beside a graph that hold its tensors, sorted."""
    onnx = need("onnx", "eval")
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        raise DataError(f"{path} is not an ONNX graph: {_first_line(error)}") from error
    return sorted(
        {
            field.value
            for tensor in model.graph.initializer
            for field in tensor.external_data
            if field.key == "location"
        }
    )


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
    model: Any, description: Description, entries: Sequence[Entry], norm: tuple[Array, Array] | None
) -> bytes:
    """Return the graph from a clip's frames or samples to the entries, and nothing else of it.

    Parameters
    ----------
    model : ModelProto; it is not changed.
    entries : of the description, those that are wanted.
    norm : shift and scale, (dims,) each, of a spliced frame.

    Raises
    ------
    UsageError
        A tensor that the graph does not have.
    """
    onnx = need("onnx", "eval")
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    tensors = [name for node in graph.node for name in node.output] + [value.name for value in graph.input]
    for name in (description.input.tensor, *(entry.tensor for entry in entries)):
        if name not in tensors:
            raise UsageError(
                f"the graph has no tensor {name!r}, which its description names; its inputs are "
                f"{first_five(value.name for value in graph.input)}, its outputs "
                f"{first_five(value.name for value in graph.output)}"
            )
    entrance = next((value for value in graph.input if value.name == description.input.tensor), None)
    if entrance is None:
        raise UsageError(f"tensor {description.input.tensor!r} is not an input of the graph")

    before, after = _Nodes(made, "before"), _Nodes(made, "after")
    name = before.clip = PREFIX + ("samples" if description.front is None else "frames")
    if description.splice > 1:
        name = before.spliced(name, description.splice)
    if norm is not None:
        name = before.add("Mul", before.add("Add", name, before.constant(norm[0])), before.constant(norm[1]))
    before.entered(name, description.input.axes, entrance)
    for entry in entries:
        after.left(entry)

    nodes = _needed([*before.nodes, *graph.node, *after.nodes], [PREFIX + entry.entry for entry in entries])
    del graph.node[:]
    graph.node.extend(nodes)
    used = _read(nodes)
    _keep(graph.initializer, (t for t in graph.initializer if t.name in used))
    held = {tensor.name for tensor in graph.initializer}
    given = {description.input.tensor, *held}
    free = [value.name for value in graph.input if value.name in used and value.name not in given]
    if free:
        raise UsageError(f"the graph needs more inputs than its description names: {first_five(free)}")
    axes: list[Any] = ["samples"] if description.front is None else ["frames", None]
    _keep(graph.input, [onnx.helper.make_tensor_value_info(before.clip, onnx.TensorProto.FLOAT, axes)])
    _keep(
        graph.output,
        [
            onnx.helper.make_tensor_value_info(PREFIX + entry.entry, onnx.TensorProto.FLOAT, ["frames", None])
            for entry in entries
        ],
    )
    del graph.value_info[:]
    made.ir_version = max(made.ir_version, IR)
    try:
        data: bytes = made.SerializeToString()
    except ValueError as error:
        raise DataError(f"the graph is too large for one ONNX file: {_first_line(error)}") from error
    return data


def kaldi_norm(path: Path) -> tuple[Array, Array]:
    """Read ``AddShift`` and ``Rescale`` of a normalisation in Kaldi's nnet text format, (dims,) each.

    Raises
    ------
    DataError
        A missing file, or one without the two rows of equal length.
    """
    try:
        words = path.read_text(encoding="utf-8").split()
    except (OSError, ValueError) as error:
        raise DataError(
            f"no normalisation at {path}: put the file that came with the model beside it"
        ) from error
    rows = []
    for kind in ("<AddShift>", "<Rescale>"):
        try:
            start = words.index("[", words.index(kind)) + 1
            rows.append(np.array(words[start : words.index("]", start)], dtype=np.float32))
        except ValueError as error:
            raise DataError(f"{path}: no numbers in brackets after {kind}") from error
    if rows[0].shape != rows[1].shape or not all(np.isfinite(row).all() for row in rows):
        raise DataError(
            f"{path}: shift {rows[0].shape} and scale {rows[1].shape} must be finite and of one length"
        )
    return rows[0], rows[1]


class _Nodes:
    """Nodes to be added to a graph, and their constants."""

    def __init__(self, model: Any, side: str) -> None:
        self.onnx = need("onnx", "eval")
        self.model = model
        self.side = side
        self.nodes: list[Any] = []
        self.clip = ""

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        name = output or f"{PREFIX}{self.side}{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values: Any) -> str:
        name = f"{PREFIX}constant{len(self.model.graph.initializer)}"
        tensor = self.onnx.numpy_helper.from_array(np.asarray(values), name)
        self.model.graph.initializer.append(tensor)
        return name

    def spliced(self, name: str, count: int) -> str:
        """Set neighbouring frames side by side, (frames, dims) to (frames, count · dims)."""
        around = count // 2
        padded = self.add("Pad", name, self.constant(np.array([around, 0, around, 0])), mode="edge")
        end = np.iinfo(np.int64).max
        pieces = [
            self.add(
                "Slice",
                padded,
                self.constant(np.array([k])),
                self.constant(np.array([k - 2 * around if k < 2 * around else end])),
                self.constant(np.array([0])),
            )
            for k in range(count)
        ]
        return self.add("Concat", *pieces, axis=1)

    def entered(self, name: str, axes: Sequence[str], entrance: Any) -> None:
        """Lay a clip out as the graph takes it."""
        if [axis for axis in axes if axis != "one"] == ["dims", "frames"]:
            name = self.add("Transpose", name, perm=[1, 0])
        ones = [place for place, axis in enumerate(axes) if axis == "one"]
        if ones:
            name = self.add("Unsqueeze", name, self.constant(np.array(ones)))
        self.add("Cast", name, output=entrance.name, to=entrance.type.tensor_type.elem_type)

    def left(self, entry: Entry) -> None:
        """Turn a tensor of the graph into (frames, dims) float32."""
        name = self.add("Cast", entry.tensor, to=self.onnx.TensorProto.FLOAT)
        means = [place for place, axis in enumerate(entry.axes) if axis == "mean"]
        if means and _opset(self.model) < _MEAN_BY_INPUT:
            name = self.add("ReduceMean", name, axes=means, keepdims=1)
        elif means:
            name = self.add("ReduceMean", name, self.constant(np.array(means)), keepdims=1)
        ones = [place for place, axis in enumerate(entry.axes) if axis in ("one", "mean")]
        if ones:
            name = self.add("Squeeze", name, self.constant(np.array(ones)))
        rest = [axis for axis in entry.axes if axis in ("frames", "dims")]
        perm = [0, 1] if rest == ["frames", "dims"] else [1, 0]
        self.add("Transpose", name, output=PREFIX + entry.entry, perm=perm)


def _needed(nodes: Sequence[Any], outputs: Iterable[str]) -> list[Any]:
    """Keep the nodes that the outputs come from, in their order."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(_read([node]))
    return kept[::-1]


def _read(nodes: Iterable[Any]) -> set[str]:
    """Names of all tensors that nodes read, those inside branches and loops included."""
    names: set[str] = set()
    for node in nodes:
        names.update(node.input)
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                names.update(_read(graph.node))
                names.update(value.name for value in graph.output)
    return names


def _weights(model: Any) -> list[tuple[str, Array, Any]]:
    """Name, values and tensor of each initializer or constant that may be a weight."""
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


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
