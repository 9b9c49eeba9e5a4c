"""Random graphs of the operators that a graph may use, with attributes and shapes that fit and that do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from unheard.errors import BundleError
from unheard.onnx_graphs.model_format import read_model
from unheard.onnx_graphs.operators import RULES
from unheard.onnx_graphs.session import Session
from unheard.onnx_graphs.sizes import Fed, Sizes

FEED = {
    "x": np.random.default_rng(3).standard_normal((2, 6, 10)).astype(np.float32),
    "y": np.random.default_rng(4).standard_normal((1, 6, 1)).astype(np.float32),
    "n": np.array([3, 1, 2], dtype=np.int64),
}
INTEGERS = (0, 0, 1, 1, 1, 1, 2, 2, 3, 5, 6, 10, -1, -1, -2, -3, 100, 2**31, 2**40, -(2**63))
SHAPES = (
    (),
    (1,),
    (2,),
    (3,),
    (6,),
    (10,),
    (6, 10),
    (4, 6, 3),
    (4, 3, 3),
    (6, 1, 1),
    (2, 6, 10),
    (1, 12, 10),
    (1, 12, 4),
)
WHOLE = (
    *("axis", "keepdims", "group", "ceil_mode", "hidden_size", "transA", "transB", "allowzero", "exclusive"),
    *(
        "noop_with_empty_axes",
        "start",
        "end",
        "num_outputs",
        "to",
        "layout",
        "batch_dims",
        "reverse",
        "upper",
    ),
    *("storage_order", "count_include_pad", "select_last_index", "training_mode", "linear_before_reset"),
)
LISTS = (
    *(
        "axes",
        "perm",
        "pads",
        "strides",
        "dilations",
        "kernel_shape",
        "split",
        "starts",
        "ends",
        "value_ints",
    ),
)
TEXTS = {
    "auto_pad": ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"),
    "mode": ("constant", "edge", "reflect", "wrap", "nearest", "linear", "cubic"),
    "direction": ("forward", "reverse", "bidirectional"),
}


def graph(rng: np.random.Generator) -> bytes:
    """Return a graph of one to six nodes, each of whose outputs is one of the graph."""
    opset = int(rng.choice([7, 9, 11, 13, 18, 18, 18, 21]))
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), [None] * value.ndim)
        for name, value in FEED.items()
    ]
    names = [*FEED]
    nodes: list[Any] = []
    constants: list[Any] = []
    for number in range(rng.integers(1, 7)):
        operator = sorted(RULES)[rng.integers(len(RULES))]
        schema = _schema(operator, opset)
        least, most = (schema.min_input, min(5, schema.max_input)) if schema else (1, 3)
        given = [
            _input(operator, place, names, constants, rng) for place in range(rng.integers(least, most + 1))
        ]
        made = [f"{number}.{place}" for place in range(1 + (rng.integers(8) == 0))]
        nodes.append(helper.make_node(operator, given, made, **_attributes(schema, rng)))
        names += made
    outputs = [onnx.ValueInfoProto(name=name) for node in nodes for name in node.output]
    whole = helper.make_graph(nodes, "g", inputs, outputs, constants)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


#: Operators that take whole numbers in these inputs, as many as there are axes or one.
TAKE_WHOLE = {
    **dict.fromkeys(("ConstantOfShape", "Range"), (0, 1, 2)),
    **dict.fromkeys(("Slice", "Pad", "Resize"), (1, 2, 3, 4)),
}


def _input(
    operator: str, place: int, names: list[str], constants: list[Any], rng: np.random.Generator
) -> str:
    whole = place in TAKE_WHOLE.get(operator, (1,)) and rng.integers(8) > 0
    if (place == 0 and not whole and rng.integers(8)) or rng.integers(4) == 0:
        return names[rng.integers(len(names))]
    if rng.integers(20) == 0:
        return ""
    if (
        whole
        and not operator.startswith(("MatMul", "Gemm", "Conv", "GRU", "LSTM", "RNN"))
        and rng.integers(3)
    ):
        value = np.array(rng.choice(INTEGERS, rng.choice((1, 1, 2, 3, 3, 6))), dtype=np.int64)
        value = value[0] if rng.integers(4) == 0 else value
    else:
        value = rng.standard_normal(SHAPES[rng.integers(len(SHAPES))]).astype(np.float32)
    constants.append(numpy_helper.from_array(np.asarray(value), f"c{len(constants)}"))
    return str(constants[-1].name)


def _attributes(schema: Any, rng: np.random.Generator) -> dict[str, Any]:
    """Return some of the attributes that the operator has, with numbers that fit or do not."""
    made: dict[str, Any] = {}
    for name in schema.attributes if schema else ():
        if rng.integers(3) and not schema.attributes[name].required:
            continue
        if name in WHOLE:
            made[name] = int(rng.choice((1, 6, 7, 9, 11))) if name == "to" else int(rng.choice(INTEGERS))
        elif name in LISTS:
            made[name] = [int(number) for number in rng.choice(INTEGERS, rng.integers(1, 4))]
        elif name in TEXTS:
            made[name] = TEXTS[name][rng.integers(len(TEXTS[name]))]
        elif name == "value":
            made[name] = numpy_helper.from_array(np.array([int(rng.choice(INTEGERS))]))
    return made


def _schema(operator: str, opset: int) -> Any:
    """Return what the onnx package knows of an operator; None where there was none of that name yet."""
    try:
        return onnx.defs.get_schema(operator, opset)
    except Exception:
        return None


def run(path: Path) -> object:
    """Run a graph: what it gives has the shapes that were computed beforehand."""
    data = path.read_bytes()
    session = Session(data, path.name)
    found = dict(zip(session.outputs, session.run(list(session.outputs), FEED), strict=True))
    try:
        sizes = Sizes(read_model(data), len(data))
    except ValueError as error:
        raise BundleError(f"{path.name}: {error}") from error
    expected = sizes.tensors({name: Fed(value.shape, value.itemsize) for name, value in FEED.items()})
    for name, value in found.items():
        assert name not in expected or expected[name].shape == value.shape, (
            name,
            expected[name],
            value.shape,
        )
    return sorted((name, value.shape) for name, value in found.items())
