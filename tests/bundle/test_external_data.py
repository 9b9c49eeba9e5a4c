"""The walk through protobuf against the onnx package, and on bytes that are no graph."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import onnx
import pytest
from bundle_parts import KINDS, Made
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from unheard.onnx_graphs.external_data import external_tensors


def test_our_own_graphs_hold_all_their_data(made: Callable[[str], Made]) -> None:
    for kind in KINDS:
        assert external_tensors((made(kind).folder / "model.onnx").read_bytes()) == []


def tensor(name: str, location: bool, entries: bool) -> TensorProto:
    made = numpy_helper.from_array(np.arange(5, dtype=np.float32), name)
    if location:
        made.data_location = TensorProto.EXTERNAL
    if entries:
        entry = made.external_data.add()
        entry.key, entry.value = "location", "x"
    return made


@pytest.mark.parametrize(
    "place", ["initializer", "sparse", "attribute", "list", "inner", "inner list", "function", "training"]
)
@pytest.mark.parametrize(
    ("location", "entries"), [(True, True), (True, False), (False, True), (False, False)]
)
def test_tensors_outside_are_found_wherever_they_stand(place: str, location: bool, entries: bool) -> None:
    one = tensor("w", location, entries)
    node = helper.make_node("Op", [], ["y"])
    graph = helper.make_graph([helper.make_node("Op", [], ["y"])], "g", [], [])
    model = helper.make_model(graph)
    attribute = onnx.AttributeProto(name="a")
    if place == "initializer":
        model.graph.initializer.append(one)
    elif place == "sparse":
        model.graph.sparse_initializer.append(onnx.SparseTensorProto(values=one))
    elif place == "training":
        model.training_info.add().algorithm.initializer.append(one)
    elif place == "function":
        attribute.t.CopyFrom(one)
        node.attribute.append(attribute)
        model.functions.append(onnx.FunctionProto(name="f", node=[node]))
    else:
        inner = helper.make_graph([], "inner", [], [], [one])
        {
            "attribute": lambda: attribute.t.CopyFrom(one),
            "list": lambda: attribute.tensors.append(one),
            "inner": lambda: attribute.g.CopyFrom(inner),
            "inner list": lambda: attribute.graphs.append(inner),
        }[place]()
        node.attribute.append(attribute)
        model.graph.node.append(node)
    assert external_tensors(model.SerializeToString()) == (["w"] if location or entries else [])


@given(st.binary(max_size=300))
def test_any_bytes_are_walked_or_refused(data: bytes) -> None:
    with suppress(ValueError):
        assert isinstance(external_tensors(data), list)


@given(st.data())
def test_a_damaged_graph_is_walked_or_refused(data: st.DataObject) -> None:
    model = helper.make_model(helper.make_graph([], "g", [], [], [tensor("w", True, True)]))
    whole = bytearray(model.SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ValueError):
        external_tensors(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
