"""Compact copies: half and a quarter of the size, the same predicted within what rounding can do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from encoder_parts import make
from numpy.testing import assert_allclose, assert_array_equal
from onnx import TensorProto, helper, numpy_helper

from bundle_parts import Made, sound
from unheard.bundle.runtime import load
from unheard.errors import UsageError
from unheard.exporting.compact import compact
from unheard.onnx_graphs.packing import packed, quantised

#: Largest change of a logit, of a few units, that so many bits may bring.
LOST = {"float16": 0.02, "int8": 0.3}


@pytest.mark.parametrize("weights", ["float16", "int8"])
@pytest.mark.parametrize("kind", ["tcgru", "probe"])
def test_answers_stay_and_bytes_go(
    made: Callable[[str], Made], kind: str, weights: str, tmp_path: Path
) -> None:
    whole = made(kind).folder
    found = compact(whole, tmp_path / "small", weights)
    assert found.after < found.before
    small, large = load(found.folder), load(whole)
    assert small.description.weights == weights
    assert f"stored as {weights}" in (found.folder / "card.md").read_text()
    waves = [sound(seed) for seed in range(40, 52)]
    a, b = (bundle.outputs(bundle.inputs(waves)) for bundle in (small, large))
    assert 0 < np.abs(a - b).max() < LOST[weights]
    assert 0 < found.difference < LOST[weights]


@pytest.mark.parametrize("weights", ["float16", "int8"])
def test_an_encoder_is_made_smaller_too(weights: str, tmp_path: Path) -> None:
    one = make("hubert", tmp_path / "made", {"name": "probe", "grid": [0.01]})
    found = compact(one.folder, tmp_path / "small", weights)
    sizes = [(folder / "voice.onnx").stat().st_size for folder in (found.folder, one.folder)]
    assert sizes[0] < sizes[1]
    waves = [sound(seed) for seed in range(3)]
    small, large = load(found.folder), load(one.folder)
    assert_allclose(
        small.outputs(small.inputs(waves)), large.outputs(large.inputs(waves)), atol=LOST[weights]
    )


def test_what_is_small_or_large_stays_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 40)).astype(np.float32)
    kept = {"b": rng.normal(size=2000), "huge": np.full((40, 50), 1e6), "tiny": rng.normal(size=(40, 3))}
    for name, values in kept.items():
        graph = helper.make_graph(
            [
                helper.make_node(
                    "MatMul" if values.ndim > 1 else "Identity", ["x", name][-values.ndim :], ["y"]
                )
            ],
            "toy",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 40])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", "columns"][-values.ndim :])],
            [numpy_helper.from_array(values.astype(np.float32), name)],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        data = model.SerializeToString()
        for weights in LOST:
            assert_array_equal(run(packed(data, weights), x), run(data, x))


def test_float16_is_rounding_and_nothing_else() -> None:
    rng = np.random.default_rng(1)
    w, x = rng.normal(size=(64, 32)).astype(np.float32), rng.normal(size=(5, 64)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "toy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [5, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [5, 32])],
        [numpy_helper.from_array(w, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    half = packed(model.SerializeToString(), "float16")
    assert_allclose(run(half, x), x @ w.astype(np.float16).astype(np.float32), rtol=1e-5, atol=1e-5)
    names = {tensor.name: tensor.data_type for tensor in onnx.load_from_string(half).graph.initializer}
    assert names == {"w.float16": TensorProto.FLOAT16}


def test_whole_numbers_are_within_half_a_step_along_the_better_axis() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(30, 50)) * 10.0 ** rng.integers(-3, 3, size=(30, 1))
    for values in (rows, rows.T, np.zeros((4, 4))):
        whole, scale = quantised(values)
        assert whole.dtype == np.int8
        assert np.abs(whole).max() <= 127
        assert (np.abs(whole * scale - values) <= scale / 2 + 1e-12).all()
    assert quantised(rows)[1].shape == (30, 1)
    assert quantised(rows.T)[1].shape == (1, 30)


def test_what_cannot_be(made: Callable[[str], Made], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="number format of weights 'int4'"):
        compact(made("probe").folder, tmp_path / "x", "int4")
    half = compact(made("probe").folder, tmp_path / "half", "float16").folder
    with pytest.raises(UsageError, match="has float16 weights already"):
        compact(half, tmp_path / "x", "int8")
    with pytest.raises(UsageError, match="exists"):
        compact(made("probe").folder, half, "float16")


def run(model: bytes, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {entry.name: x for entry in session.get_inputs()})[0]
