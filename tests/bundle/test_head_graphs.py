"""Graphs of heads on the output of encoders: equal to the head, a clip alone as among others, nothing leaks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.testing import assert_allclose

from one_input import examples, outputs_of
from unheard import heads
from unheard.errors import UsageError
from unheard.heads import Examples
from unheard.inputs import Form
from unheard.onnx_graphs.head_inputs import Shape
from unheard.onnx_graphs.head_outputs import Columns
from unheard.onnx_graphs.heads import graph_of

pytest.importorskip("torch")

LAYERS, DIMS = 4, 6
HEADS: dict[str, tuple[str, dict[str, Any]]] = {
    "convolutional": (
        "frames",
        {"name": "convolutional", "channels": 7, "attention": 5, "epochs": 4, "learning_rate": 0.05},
    ),
    "ensemble": (
        "frames",
        {
            "name": "ensemble",
            "of": [
                {"name": "probe", "grid": [0.1]},
                {"name": "convolutional", "channels": 7, "attention": 5, "epochs": 4},
                {"name": "convolutional", "channels": 5, "attention": 3, "epochs": 4},
            ],
        },
    ),
    "emobox": ("frames", {"name": "emobox", "hidden": 9, "epochs": 2, "learning_rate": 0.1}),
    "mean": ("frames", {"name": "mean", "epochs": 2, "learning_rate": 0.1}),
    "weighted": (
        "layers",
        {"name": "weighted", "attention": 5, "hidden": 7, "epochs": 2, "learning_rate": 0.1},
    ),
    "weighted normalised": (
        "layers",
        {"name": "weighted", "normalise": True, "epochs": 2, "learning_rate": 0.1},
    ),
    "tcgru": ("frames", {"name": "tcgru", "hidden": 7, "epochs": 2, "learning_rate": 0.05}),
    "probe on frames": ("frames", {"name": "probe", "grid": [0.1]}),
    "probe": ("pooled", {"name": "probe", "grid": [0.1]}),
    "probe, last, means": (
        "pooled",
        {"name": "probe", "grid": [0.1], "layers": "last", "statistics": "mean"},
    ),
    "probe, average": ("pooled", {"name": "probe", "grid": [0.1], "layers": "average"}),
    "svm, concat": ("pooled", {"name": "svm", "grid": [0.1], "layers": "concat 0,2-3"}),
}


def clips(form: str, seed: int, n: int = 18) -> Examples:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    layers = [
        (rng.normal(0, 1, (LAYERS, int(rng.integers(1, 20)), DIMS)) + label).astype(np.float32)
        for label in labels
    ]
    features = {
        "frames": lambda clip: clip[1],
        "layers": lambda clip: clip,
        "pooled": lambda clip: np.stack([clip.mean(axis=1), clip.std(axis=1)], axis=1),
    }
    groups = np.array([f"s{i // 3}" for i in range(n)])
    return examples([features[form](clip) for clip in layers], labels.astype(np.int64), groups, 3)


def shape(form: str) -> Shape:
    return Shape(Form(form), DIMS, 1 if form == "frames" else LAYERS)


def predicted(model: bytes, clips: list[np.ndarray], form: str, padding: float = 0.0) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(["outputs"], fed("voice", clips, form, padding))[0]


def fed(name: str, clips: list[np.ndarray], form: str, padding: float = 0.0) -> dict[str, np.ndarray]:
    if form in ("pooled", "row"):
        return {name: np.stack(clips)}
    lengths = np.array([clip.shape[-2] for clip in clips])
    shape = (len(clips), *clips[0].shape[:-2], lengths.max() + 3, DIMS)
    frames = np.full(shape, padding, dtype=np.float32)
    for row, clip in zip(frames, clips, strict=True):
        row[..., : clip.shape[-2], :] = clip
    return {name: frames, f"{name}.lengths": lengths}


def test_every_head_can_be_exported() -> None:
    # Heads over several inputs, spectrograms or samples are exported by the tests that hold for every head.
    others = {"alignment", "concatenation", "cross_attention", "gates", "spectrogram_cnn", "waveform_cnn"}
    assert {settings["name"] for _, settings in HEADS.values()} == set(heads.HEADS) - others


@pytest.mark.parametrize("name", HEADS)
def test_a_graph_is_its_head(name: str) -> None:
    form, settings = HEADS[name]
    head = heads.build(settings).fit(clips(form, 0), clips(form, 1))
    model = graph_of(head, {"voice": shape(form)}, Columns(3))
    assert model == graph_of(head, {"voice": shape(form)}, Columns(3))
    seen = list(clips(form, 2).inputs["voice"])
    expected = outputs_of(head, seen)
    assert np.abs(expected - expected[:1]).max() > 0.1
    for found in (
        predicted(model, seen, form),
        predicted(model, seen, form, padding=float("nan")),
        np.concatenate([predicted(model, [clip], form) for clip in seen]),
    ):
        assert_allclose(found, expected, atol=2e-5)


def test_a_graph_of_two_inputs_is_its_head() -> None:
    def rows(seed: int) -> Examples:
        frames, pooled = clips("frames", seed), clips("pooled", seed)
        rows = [clip[0, 0] for clip in pooled.inputs["voice"]]
        return replace(frames, inputs={**frames.inputs, "functionals": rows})

    of = [
        {"name": "probe", "grid": [0.1], "input": "functionals"},
        {"name": "convolutional", "channels": 7, "attention": 5, "epochs": 4, "input": "voice"},
    ]
    head = heads.build({"name": "ensemble", "of": of}).fit(rows(0), rows(1))
    model = graph_of(head, {"voice": shape("frames"), "functionals": Shape(Form.ROW, DIMS)}, Columns(3))
    seen = rows(2).inputs
    feeds = fed("voice", list(seen["voice"]), "frames", float("nan"))
    feeds |= fed("functionals", list(seen["functionals"]), "row")
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert_allclose(session.run(["outputs"], feeds)[0], head.outputs(seen), atol=2e-5)
    with pytest.raises(UsageError, match="takes the input 'functionals', and there are voice, rhythm"):
        graph_of(head, {"voice": shape("frames"), "rhythm": Shape(Form.ROW, DIMS)}, Columns(3))


@pytest.mark.parametrize(("name", "other"), [("emobox", "row"), ("mean", "pooled"), ("weighted", "frames")])
def test_another_form_of_input_is_refused(name: str, other: str) -> None:
    form, settings = HEADS[name]
    head = heads.build(settings).fit(clips(form, 0), clips(form, 1))
    with pytest.raises(UsageError, match=f"the head '{name}' takes {form}, not an input of the form {other}"):
        graph_of(head, {"voice": Shape(Form(other), DIMS)}, Columns(3))


def test_heads_of_an_ensemble_share_what_is_equal() -> None:
    onnx = pytest.importorskip("onnx")
    network = {"name": "convolutional", "channels": 7, "attention": 5, "epochs": 1}
    head = heads.build({"name": "ensemble", "of": [network, network]}).fit(
        clips("frames", 0), clips("frames", 1)
    )
    constants = onnx.load_from_string(
        graph_of(head, {"voice": shape("frames")}, Columns(3))
    ).graph.initializer
    values = [onnx.numpy_helper.to_array(constant) for constant in constants]
    # Both standardise by the training frames; their weights differ.
    mean = head.heads_[0].network_.mean.numpy()
    assert sum(value.shape == mean.shape and np.array_equal(value, mean) for value in values) == 1
    assert sum(value.shape == (7, DIMS, 3) for value in values) == 2
