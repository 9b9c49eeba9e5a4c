"""ONNX models are read and written as the onnx package does, and what would escape the checks is refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from unheard.onnx_graphs import protobuf
from unheard.onnx_graphs.model_format import external, read_model, tensors, values_of, write_model


def model(constants: Any = (), nodes: Any = None) -> onnx.ModelProto:
    made = [helper.make_node("Identity", ["x"], ["y"], name="n")] if nodes is None else nodes
    axes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["t", None, 3]) for name in "xy"]
    graph = helper.make_graph(made, "g", axes[:1], axes[1:], list(constants))
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8, producer_name="p"
    )


KINDS = [np.float32, np.float64, np.float16, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64]
KINDS += [np.uint32, np.uint64, np.bool_]
RAW = st.booleans()


def stored(values: np.ndarray, raw: bool) -> TensorProto:
    if raw:
        return numpy_helper.from_array(values, "w")
    kind = helper.np_dtype_to_tensor_dtype(values.dtype)
    return helper.make_tensor("w", kind, values.shape, values.reshape(-1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("shape", [(), (0,), (2, 3), (1, 1, 5)])
def test_tensors_of_every_type(kind: Any, raw: bool, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    values = (rng.standard_normal(shape) * 100).astype(kind) if shape != (2, 3) else np.eye(2, 3, dtype=kind)
    made = model([stored(np.asarray(values), raw)])
    read = read_model(made.SerializeToString())
    (tensor,) = tensors(read)
    assert np.array_equal(values_of(tensor), values)
    again = onnx.load_from_string(write_model(read))
    assert np.array_equal(numpy_helper.to_array(again.graph.initializer[0]), values)
    assert again == made


def test_every_attribute_comes_back() -> None:
    values = {"f": 1.5, "i": -3, "s": "text", "fs": [0.5, -2.0], "is": [1, -(2**63)], "ss": ["a", "b"]}
    values["t"] = numpy_helper.from_array(np.arange(6, dtype=np.int64).reshape(2, 3), "t")
    made = model(nodes=[helper.make_node("Op", ["x", ""], ["y"], domain="", **values)])
    assert onnx.load_from_string(write_model(read_model(made.SerializeToString()))) == made


def test_comments_and_unknown_fields_are_left_out() -> None:
    made = model()
    made.doc_string = made.graph.doc_string = "comment"
    helper.set_model_props(made, {"path": "/home/mallory"})
    made.graph.value_info.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [10**12]))
    data = made.SerializeToString() + b"\xd2\xa4\x05\x03abc"  # a field of no version
    assert onnx.load_from_string(write_model(read_model(data))) == model()


def tensor(location: int | None, entries: bool) -> TensorProto:
    made = TensorProto(name="w", dims=[5], data_type=TensorProto.FLOAT)
    if location is not None:
        made.data_location = location
    if entries:
        made.external_data.add(key="location", value="x")
    return made


@pytest.mark.parametrize("entries", [True, False])
def test_tensors_outside_are_found(entries: bool) -> None:
    one = tensor(TensorProto.EXTERNAL, entries)
    for made in (model([one]), model(nodes=[helper.make_node("Constant", [], ["y"], value=one)])):
        assert [each["name"] for each in external(read_model(made.SerializeToString()))] == ["w"]
    assert external(read_model(model([stored(np.zeros(5), True)]).SerializeToString())) == []


def inner() -> onnx.GraphProto:
    return helper.make_graph([], "inner", [], [])


def attribute(**fields: Any) -> Callable[[onnx.ModelProto], None]:
    return lambda made: made.graph.node[0].attribute.append(AttributeProto(name="a", **fields))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (attribute(g=inner()), "it uses g of AttributeProto"),
        (attribute(graphs=[inner()]), "it uses graphs"),
        (attribute(tensors=[tensor(None, False)]), "it uses tensors"),
        (attribute(sparse_tensor=onnx.SparseTensorProto()), "it uses sparse_tensor"),
        (attribute(ref_attr_name="b"), "it uses ref_attr_name"),
        (lambda m: m.functions.append(onnx.FunctionProto(name="f")), "it uses functions"),
        (lambda m: m.training_info.add(), "it uses training_info"),
        (lambda m: m.graph.sparse_initializer.add(), "it uses sparse_initializer"),
        (
            lambda m: m.graph.input[0].type.sequence_type.elem_type.tensor_type.SetInParent(),
            "it uses sequence",
        ),
        (lambda m: m.graph.initializer.append(tensor(None, True)), "both here and in another file"),
        (lambda m: m.graph.initializer.append(tensor(None, False)), "other than its 5 values"),
        (lambda m: m.graph.initializer.append(tensor(0, True)), "both here and in another file"),
        (lambda m: m.graph.initializer.add(name="s", data_type=8, dims=[1]), "values of type 8"),
        (lambda m: m.graph.initializer.add(name="s", data_type=1, dims=[-1]), r"the shape \(-1,\)"),
        (lambda m: m.graph.initializer.add(name="s", data_type=1, dims=[2**40, 2**40]), "other than its"),
        (
            lambda m: m.graph.initializer.add(name="s", data_type=1, dims=[1], raw_data=b"12345"),
            "other than its",
        ),
        (
            lambda m: m.graph.initializer.add(name="s", data_type=7, dims=[1], float_data=[1.0]),
            "other than its",
        ),
        (lambda m: m.ClearField("graph"), "no graph"),
    ],
)
def test_what_is_refused(change: Callable[[onnx.ModelProto], Any], match: str) -> None:
    made = model()
    change(made)
    with pytest.raises(ValueError, match=match):
        read_model(made.SerializeToString())


def message(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def protobuf_field(number: int, content: bytes) -> bytes:
    return protobuf.varint(number << 3 | 2) + protobuf.varint(len(content)) + content


@pytest.mark.parametrize(
    ("tail", "match"),
    [
        (message(7, b""), "graph of ModelProto stands there twice"),
        (b"\x08\x08", "ir_version of ModelProto stands there twice"),
        (b"\x38\x01", "graph of ModelProto has the wire type 0"),
        (b"\x45\x00\x00\x00\x00", "opset_import of ModelProto has the wire type 5"),
        (message(8, message(1, b"\xff")), "utf-8"),
    ],
    ids=["graph twice", "version twice", "graph as number", "import as float", "no text"],
)
def test_what_no_writer_of_onnx_writes(tail: bytes, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        read_model(model().SerializeToString() + tail)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"\x0a\x00" * 500_000, "more than 500,000 fields"),
        (b"\xd2\xa4\x05\x00" * 500_000, "more than 500,000 fields"),
        (
            protobuf_field(5, protobuf_field(7, b"\x01" * (2**23 + 1))),
            "packed numbers take more than 8,388,608",
        ),
        (message(1, message(1, b"\x1b[2J")), r"holds the control character U\+001B"),
        (message(1, message(4, b"a\nb")), r"holds the control character U\+000A"),
    ],
    ids=["nodes", "unknown", "packed", "escape", "line"],
)
def test_what_would_take_too_much_or_change_a_terminal(content: bytes, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        read_model(b"\x08\x08" + protobuf_field(7, content))


def test_a_type_of_more_than_32_bits() -> None:
    wide = message(7, message(5, b"\x10\x81\x80\x80\x80\x10" + b"\x4a\x04abcd"))  # 1, and bit 32
    with pytest.raises(ValueError, match="data_type of TensorProto has more than 32 bits"):
        read_model(b"\x08\x08" + wide)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(ValueError):
        read_model(data)


@given(st.data())
def test_a_damaged_model_is_refused_or_written_as_it_was_read(data: st.DataObject) -> None:
    one = stored(np.arange(7, dtype=np.int32), data.draw(RAW))
    whole = bytearray(model([one, tensor(1, True)]).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ValueError):
        written = write_model(read_model(bytes(whole[: data.draw(st.integers(0, len(whole)))])))
        assert write_model(read_model(written)) == written
