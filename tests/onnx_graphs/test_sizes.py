"""Sizes that are computed beforehand are those that onnxruntime makes, and what is unbounded is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import unheard
from unheard.errors import BundleError
from unheard.onnx_graphs.model_format import read_model
from unheard.onnx_graphs.operators import RULES
from unheard.onnx_graphs.session import Session
from unheard.onnx_graphs.sizes import ALIVE, TENSOR, Fed, Sizes

F, INT = np.float32, np.int64


def model(
    nodes: list[Any], feeds: dict[str, np.ndarray], constants: dict[str, Any], opset: int
) -> onnx.ModelProto:
    """A graph of nodes whose outputs are all outputs of the graph."""
    kinds = {name: helper.np_dtype_to_tensor_dtype(x.dtype) for name, x in feeds.items()}
    inputs = [helper.make_tensor_value_info(name, kinds[name], [None] * x.ndim) for name, x in feeds.items()]
    outputs = [onnx.ValueInfoProto(name=name) for node in nodes for name in node.output if name]
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def compare(nodes: list[Any], feeds: dict[str, np.ndarray], opset: int = 18, **constants: Any) -> None:
    """Shapes and bytes of what onnxruntime makes of the nodes against those computed beforehand."""
    data = model(nodes, feeds, constants, opset).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    found = dict(zip(names, session.run(names, feeds), strict=True))
    sizes = Sizes(read_model(data), len(data))
    fed = {name: Fed(x.shape, x.itemsize) for name, x in feeds.items()}
    items = sizes.tensors(fed)
    assert {name: each.shape for name, each in items.items()} == {name: x.shape for name, x in found.items()}
    for name, x in found.items():
        assert items[name].item >= x.itemsize
        value = items[name].value
        assert value is None or (np.array_equal(value, x) and value.dtype == x.dtype)


def node(operator: str, inputs: str, outputs: str = "y", /, **attributes: Any) -> Any:
    return helper.make_node(operator, inputs.split(","), outputs.split(","), **attributes)


X = np.random.default_rng(0).standard_normal((2, 6, 10)).astype(F)
GRU = {"w": np.zeros((2, 12, 10), F), "r": np.zeros((2, 12, 4), F), "b": np.zeros((2, 24), F)}

ONE: list[tuple[Any, dict[str, Any]]] = [
    *[
        (node(op, "x"), {})
        for op in ("Abs", "Relu", "Erf", "Tanh", "Sqrt", "Neg", "HardSwish", "Shape", "Size")
    ],
    *[(node(op, "x"), {}) for op in ("IsNaN", "Identity", "Transpose", "Flatten", "Softmax", "ReduceMean")],
    (node("Shape", "x", start=1, end=-1), {}),
    (node("Shape", "x", start=-9, end=2), {}),
    (node("Flatten", "x", axis=0), {}),
    (node("Flatten", "x", axis=-1), {}),
    (node("Transpose", "x", perm=[2, 0, 1]), {}),
    *[
        (node(op, "x,c"), {"c": np.ones((6, 1), F)})
        for op in ("Add", "Mul", "Pow", "Less", "Max", "Min", "Mean")
    ],
    (node("Where", "c,x,d"), {"c": np.ones((3, 1, 1, 1), bool), "d": np.zeros(10, F)}),
    (node("Clip", "x,c"), {"c": F(0)}),
    (node("Clip", "x,,c"), {"c": F(0)}),
    (node("Cast", "x", to=TensorProto.DOUBLE), {}),
    (node("Cast", "x", to=TensorProto.BOOL), {}),
    (node("Concat", "x,c,x", axis=-2), {"c": np.zeros((2, 3, 10), F)}),
    (node("Expand", "x,c"), {"c": np.array([5, 1, 6, 1])}),
    (node("Tile", "x,c"), {"c": np.array([1, 3, 2])}),
    (node("Pad", "x,c"), {"c": np.array([0, 1, 2, 3, 4, 5])}),
    (node("Pad", "x,c,,d", mode="edge"), {"c": np.array([3, 4]), "d": np.array([-1])}),
    (node("Reshape", "x,c"), {"c": np.array([0, -1, 4])}),
    (node("Reshape", "x,c"), {"c": np.array([4, 30])}),
    (node("Squeeze", "c"), {"c": np.zeros((1, 3, 1), F)}),
    (node("Squeeze", "c,d"), {"c": np.zeros((1, 3, 1), F), "d": np.array([-1])}),
    (node("Unsqueeze", "x,c"), {"c": np.array([0, -1])}),
    (node("Split", "x", "y,z", axis=1, num_outputs=2), {}),
    (node("Split", "x", "y,z,u", axis=-1, num_outputs=3), {}),
    (node("Split", "x,c", "y,z", axis=-1), {"c": np.array([3, 7])}),
    (node("Slice", "x,a,b"), {"a": np.array([1, 2]), "b": np.array([9, -1])}),
    (node("Slice", "x,a,b,c,d"), {"a": [8], "b": [-(2**62)], "c": [2], "d": [-3]}),
    (node("Slice", "x,a,b,c,d"), {"a": [-99], "b": [-99], "c": [2], "d": [-1]}),
    (node("Slice", "x,a,b,c,d"), {"a": [2**62], "b": [1], "c": [-1], "d": [-2]}),
    (node("Slice", "x,a,b,c,d"), {"a": [3], "b": [2], "c": [1], "d": [1]}),
    (node("Gather", "x,c", axis=-1), {"c": np.array([[0, -1, 3]])}),
    (node("Gather", "x,c", axis=1), {"c": np.array(2)}),
    (node("GatherElements", "x,c", axis=2), {"c": np.zeros((2, 6, 1), INT)}),
    (node("ReduceSum", "x,c", keepdims=0), {"c": np.array([0, -1])}),
    (node("ReduceMax", "x,c"), {"c": np.array([1])}),
    (node("ReduceSum", "x", noop_with_empty_axes=1), {}),
    (node("ArgMax", "x", axis=1, keepdims=0), {}),
    (node("ArgMin", "x", axis=-1), {}),
    (node("MatMul", "x,c"), {"c": np.zeros((10, 3), F)}),
    (node("MatMul", "x,c"), {"c": np.zeros(10, F)}),
    (node("MatMul", "c,x"), {"c": np.zeros((5, 1, 4, 6), F)}),
    (node("MatMul", "c,x"), {"c": np.zeros(6, F)}),
    (node("Gemm", "a,b", transA=1, transB=1), {"a": np.zeros((3, 4), F), "b": np.zeros((5, 3), F)}),
    (node("Conv", "x,c"), {"c": np.zeros((4, 6, 3), F)}),
    (node("Conv", "x,c", pads=[2, 3], strides=[2], dilations=[2], group=2), {"c": np.zeros((4, 3, 3), F)}),
    (node("Conv", "x,c", auto_pad="SAME_UPPER", strides=[3]), {"c": np.zeros((4, 6, 2), F)}),
    (node("Conv", "x,c", auto_pad="SAME_LOWER", strides=[4]), {"c": np.zeros((4, 6, 1), F)}),
    (node("Conv", "x,c", auto_pad="VALID", strides=[2]), {"c": np.zeros((4, 6, 3), F)}),
    (node("MaxPool", "x", kernel_shape=[3], strides=[2], pads=[1, 1]), {}),
    (node("MaxPool", "x", "y,z", kernel_shape=[2]), {}),
    (node("MaxPool", "x", kernel_shape=[2], strides=[2], ceil_mode=1), {}),
    (node("AveragePool", "x", kernel_shape=[4], strides=[3], auto_pad="SAME_UPPER"), {}),
    (node("GlobalAveragePool", "x"), {}),
    (node("GRU", "x,w,r,b", "y,z", hidden_size=4, direction="bidirectional"), GRU),
    (
        node("LSTM", "x,w,r", "y,,z", hidden_size=3),
        {"w": np.zeros((1, 12, 10), F), "r": np.zeros((1, 12, 3), F)},
    ),
    (node("LayerNormalization", "x,c"), {"c": np.ones(10, F)}),
    (node("InstanceNormalization", "x,c,c"), {"c": np.ones(6, F)}),
    (node("BatchNormalization", "x,c,c,c,c"), {"c": np.ones(6, F)}),
    (node("Dropout", "x", "y,z"), {}),
    (node("CumSum", "x,c"), {"c": np.array(1)}),
    (node("Trilu", "x"), {}),
    (node("Resize", "x,,,c", mode="nearest"), {"c": np.array([2, 6, 25])}),
    (node("Resize", "x,,c", mode="linear"), {"c": np.array([1, 1, 2.5], F)}),
    (node("Constant", "", value_ints=[1, 2, 3]), {}),
    (node("Constant", "", value_float=1.5), {}),
    (node("ConstantOfShape", "c"), {"c": np.array([3, 0, 2])}),
    (node("ConstantOfShape", "c", value=numpy_helper.from_array(np.array([7], INT))), {"c": np.array([3])}),
    (node("Range", "a,b,c"), {"a": INT(3), "b": INT(-9), "c": INT(-5)}),
    (node("DequantizeLinear", "a,b"), {"a": np.zeros((3, 4), np.int8), "b": F(0.5)}),
]


@pytest.mark.parametrize(("one", "constants"), ONE, ids=lambda value: getattr(value, "op_type", ""))
def test_each_operator(one: Any, constants: dict[str, Any]) -> None:
    if one.input[:] == [""]:
        del one.input[:]
    compare([one], {"x": X}, **constants)


@pytest.mark.parametrize(
    ("one", "constants", "opset"),
    [
        (node("Slice", "x", starts=[1], ends=[-1], axes=[2]), {}, 9),
        (node("Pad", "x", pads=[0, 1, 2, 3, 4, 5]), {}, 9),
        (node("Squeeze", "c", axes=[0]), {"c": np.zeros((1, 3, 1), F)}, 11),
        (node("Unsqueeze", "x", axes=[0, -1]), {}, 11),
        (node("ReduceMean", "x", axes=[-1], keepdims=0), {}, 17),
        (node("Split", "x", "y,z", axis=2, split=[3, 7]), {}, 11),
        (node("Split", "x", "y,z", axis=2), {}, 13),
        (node("Softmax", "x", axis=1), {}, 11),
    ],
)
def test_older_operators(one: Any, constants: dict[str, Any], opset: int) -> None:
    compare([one], {"x": X}, opset, **constants)


def test_sizes_that_are_computed_from_sizes() -> None:
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape,two", "last"),
        node("Div", "last,minus", "less"),
        node("Sub", "two,less", "more"),
        node("Mul", "more,two", "most"),
        node("Unsqueeze", "most,zero", "one"),
        node("Slice", "shape,zero,pair", "first"),
        node("Concat", "first,one", "whole", axis=0),
        node("ConstantOfShape", "whole", "filled"),
        node("Cast", "whole", "narrow", to=TensorProto.INT32),
        node("ReduceProd", "narrow", "count", keepdims=0),
        node("Cast", "count", "wide", to=TensorProto.INT64),
        node("Less", "wide,two", "few"),
        node("Where", "few,two,wide", "chosen"),
        node("Range", "least,chosen,two", "numbers"),
        node("Expand", "x,whole4", "expanded"),
    ]
    held = {
        "two": INT(2),
        "minus": INT(-3),
        "zero": [0],
        "pair": [2],
        "least": INT(0),
        "whole4": [3, 1, 1, 1],
    }
    compare(nodes, {"x": X}, **held)


def session(nodes: list[Any], feeds: dict[str, np.ndarray], **constants: Any) -> Session:
    return Session(model(nodes, feeds, constants, 18).SerializeToString(), "g.onnx")


FEED = {"x": np.zeros((1, 4), F)}


@pytest.mark.parametrize(
    ("nodes", "constants", "match"),
    [
        ([node("ConstantOfShape", "c")], {"c": [2**40]}, "more than 256 MB"),
        ([node("ConstantOfShape", "c")], {"c": [2**15, 2**13]}, "more than 256 MB"),
        ([node("Range", "a,b,c")], {"a": INT(0), "b": INT(2**62), "c": INT(1)}, "more than 256 MB"),
        ([node("Expand", "x,c")], {"c": [2**20, 2**10, 1, 1]}, "more than 256 MB"),
        ([node("Tile", "x,c")], {"c": [2**30, 2**30]}, "more than 256 MB"),
        ([node("Pad", "x,c")], {"c": [0, 0, 2**40, 2**40]}, "more than 256 MB"),
        ([node("Resize", "x,,,c")], {"c": [2**20, 2**20]}, "more than 256 MB"),
        (
            [node("Conv", "x3,c", pads=[2**40, 0])],
            {"x3": np.zeros((1, 1, 9), F), "c": np.zeros((1, 1, 3), F)},
            "256 MB",
        ),
        ([node("Reshape", "x,c", "r"), node("MatMul", "x,r")], {"c": [4, 1]}, None),
        (
            [node("Transpose", "e", "t"), node("MatMul", "e,t")],
            {"e": np.zeros((9000, 1), F)},
            "more than 256 MB",
        ),
        (
            [node("Transpose", "e", "t"), node("Add", "e,t")],
            {"e": np.zeros((9000, 1), F)},
            "more than 256 MB",
        ),
        (
            [node("Concat", f"{k},{k}", str(k + 1), axis=0) for k in range(40)],
            {"0": np.zeros((9, 9), F)},
            "256 MB",
        ),
        (
            [node("Shape", "x", "s"), node("Mul", "s,c", "m"), node("ConstantOfShape", "m")],
            {"c": INT(10**9)},
            "more than 256 MB",
        ),
        (
            [node("Cast", "x", "i", to=TensorProto.INT64), node("ConstantOfShape", "i")],
            {},
            "shape depends on what is computed",
        ),
        (
            [node("NonZero", "x", "n")],
            {},
            "uses the operator NonZero",
        ),
        ([node("Range", "a,b,c")], {"a": F(0), "b": F(1e30), "c": F(1e-30)}, "other than whole numbers"),
        (
            [node("LayerNormalization", "x,c", "y,z"), node("Shape", "z", "s")],
            {"c": np.ones(4, F)},
            "takes 'z', which nothing before it gives",
        ),
        ([node("ReduceMax", "x", keepdims=-2)], {}, "attribute keepdims of ReduceMax is -2, expected 0 or 1"),
        ([node("Resize", "x,,c")], {"c": [1, 2]}, "scales depend on what is computed"),
        ([node("Resize", "x,,c")], {"c": np.array([1, 1.1], F)}, "are not whole numbers"),
        ([node("ConstantOfShape", "c")], {"c": [-1]}, r"the shape is \[-1\]"),
        ([node("Relu", "y", "y2"), node("Relu", "x", "y")], {}, "which nothing before it gives"),
        ([node("Relu", "x", "y"), node("Relu", "x", "y")], {}, "two of its tensors have one name"),
        ([node("Relu", "x", "y")] * 20_001, {}, "20001 nodes"),
        (
            [node("MatMul", "e,e", "a"), node("MatMul", "a,e")],
            {"e": np.zeros((5000, 5000), F)},
            "multiply-adds",
        ),
        (
            [node("MaxPool", "e", kernel_shape=[4000], pads=[3999, 3999])],
            {"e": np.zeros((1, 1000, 10_000), F)},
            "multiply-adds",
        ),
        ([helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")], {}, "operator com.microsoft.Gelu"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
def test_what_is_unbounded(nodes: list[Any], constants: dict[str, Any], match: str | None) -> None:
    if match is None:
        assert session(nodes, FEED, **constants).run(["y"], FEED)
        return
    with pytest.raises(BundleError, match=match):
        session(nodes, FEED, **constants).run([nodes[-1].output[0]], FEED)


def test_many_large_tensors_at_once_and_one_after_the_other() -> None:
    """Nine of 128 MB are refused where all are read at the end, and allowed where each is read by the next."""
    count = TENSOR // 8
    feeds = {"x": np.zeros((1, 1), F)}
    shape, few = np.array([count, 1]), ALIVE // (TENSOR // 2) + 3
    wide = [
        node("Expand", "x,c", "0"),
        *(node("Relu", "0" if k % 2 else str(k), str(k + 1)) for k in range(few)),
    ]
    chain = [node("Expand", "x,c", "0"), *(node("Relu", str(k), str(k + 1)) for k in range(few))]
    last = node("Sum", ",".join(map(str, range(1, few + 1))))
    end = [node("Slice", f"{few},zero,one", "y")]
    held = {"c": shape, "zero": [0], "one": [1]}

    def sizes(nodes: list[Any]) -> Sizes:
        made = model(nodes, feeds, held, 18)
        del made.graph.output[:-1]
        return Sizes(read_model(made.SerializeToString()), 100)

    fed = {"x": Fed((1, 1), 4)}
    sizes([*chain, *end]).check(fed)
    with pytest.raises(ValueError, match="more than 512 MB together"):
        sizes([*wide, last]).check(fed)


def test_what_is_made_of_constants_is_bounded_by_the_file() -> None:
    nodes = [node("ConstantOfShape", "c", str(k)) for k in range(3)] + [node("Sum", "0,1,2")]
    with pytest.raises(BundleError, match="its constants take"):
        session(nodes, FEED, c=[TENSOR // 8]).run(["y"], FEED)


def test_inputs_of_another_shape_than_declared_are_refused_before_onnxruntime_sees_them() -> None:
    made = model([node("Relu", "x")], FEED, {}, 18)
    made.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 5
    with pytest.raises(BundleError, match=r"has the shape \(None, 5\), and is fed \(1, 4\)"):
        Session(made.SerializeToString(), "g.onnx").run(["y"], FEED)


def test_declared_shapes_of_outputs_are_not_believed() -> None:
    """An output declared huge would be folded into a constant of that size."""
    nodes = [node("Reshape", "x,s", "r"), node("Shape", "r", "q"), node("ConstantOfShape", "q")]
    made = model(nodes, FEED, {"s": [-1]}, 18)
    made.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    made.graph.output[0].type.tensor_type.shape.dim.add(dim_value=2**34)
    (found,) = Session(made.SerializeToString(), "g.onnx").run(["y"], FEED)
    assert found.shape == (4,)


def test_an_operator_set_is_asked_for() -> None:
    made = model([node("Relu", "x")], FEED, {}, 18)
    del made.opset_import[:]
    with pytest.raises(BundleError, match="operator sets"):
        Session(made.SerializeToString(), "g.onnx")


def test_all_operators_that_the_package_writes_may_be_used() -> None:
    source = Path(unheard.__file__).parent
    written = {
        name
        for file in source.rglob("*.py")
        for name in re.findall(
            r'\b(?:g|graph|before|after)\.add\(\s*"(\w+)"', file.read_text(encoding="utf-8")
        )
    }
    assert len(written) > 30
    assert written <= RULES.keys()
