"""Faults of a bundle's second graph and of what is said of it are refused with their reason; old schemas load."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from bundle_parts import change, seal, sound
from encoder_parts import MadeWithEncoder, make
from onnx import TensorProto, helper, numpy_helper

from unheard.bundle.runtime import load
from unheard.errors import BundleError

Copy = Callable[[], Path]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> MadeWithEncoder:
    head = {"name": "probe", "grid": [0.01], "layers": "concat 0-1"}
    return make("onnx", tmp_path_factory.mktemp("onnx"), head)


@pytest.fixture
def folder(whole: MadeWithEncoder, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole.folder, tmp_path / "copy"))


def refused(folder: Path, match: str) -> None:
    with pytest.raises(BundleError, match=match):
        load(folder)


def graph(folder: Path, changes: Callable[[onnx.ModelProto], Any]) -> None:
    model = onnx.load(folder / "encoder.onnx")
    changes(model)
    (folder / "encoder.onnx").write_bytes(model.SerializeToString())
    seal(folder)


def test_a_sound_copy_loads(folder: Path) -> None:
    assert load(folder).predict(sound(1), 16_000).label


@pytest.mark.parametrize("how", ["flipped", "longer", "empty"])
def test_an_altered_encoder(folder: Path, how: str) -> None:
    data = bytearray((folder / "encoder.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "encoder.onnx").write_bytes({"flipped": data, "longer": data + b"\n", "empty": b""}[how])
    refused(folder, r"encoder\.onnx was altered")


def test_an_encoder_that_is_missing_or_not_asked_for(folder: Path) -> None:
    graph_bytes = (folder / "encoder.onnx").read_bytes()
    (folder / "encoder.onnx").unlink()
    refused(folder, r"missing: encoder\.onnx")
    seal(folder)
    refused(folder, r"bundle\.json tells of an encoder, and there is no encoder\.onnx")
    (folder / "encoder.onnx").write_bytes(graph_bytes)
    plain = {"features": {"name": "functionals"}, "encoder": None, "input": {"kind": "utterance", "dims": 10}}
    change(folder, **plain)
    refused(folder, r"bundle\.json tells of no encoder, and there is an encoder\.onnx")


def test_another_encoder_is_noticed_by_the_golden_waves(folder: Path) -> None:
    def louder(model: onnx.ModelProto) -> None:
        weight = next(t for t in model.graph.initializer if t.name == "W")
        weight.CopyFrom(numpy_helper.from_array(1.1 * numpy_helper.to_array(weight), "W"))

    graph(folder, louder)
    refused(folder, "the features computed here change the logits by")


def test_data_outside_the_graph(folder: Path) -> None:
    def outside(model: onnx.ModelProto) -> None:
        tensor = next(t for t in model.graph.initializer if t.name == "W")
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "../secret.bin"

    graph(folder, outside)
    refused(folder, r"encoder\.onnx keeps data in other files, which is refused: W")


@pytest.mark.parametrize("data", [b"", b"no graph", b"\x00" * 100])
def test_what_is_no_graph(folder: Path, data: bytes) -> None:
    (folder / "encoder.onnx").write_bytes(data)
    seal(folder)
    refused(folder, r"encoder\.onnx")


def test_what_onnxruntime_refuses(folder: Path) -> None:
    graph(folder, lambda model: setattr(model.graph.node[0], "op_type", "Explode"))
    refused(folder, r"onnxruntime refuses encoder\.onnx")


def test_other_inputs_and_outputs_than_described(folder: Path) -> None:
    def renamed(model: onnx.ModelProto) -> None:
        model.graph.output[0].name = "other"
        model.graph.node.append(helper.make_node("Identity", ["unheard.hidden"], ["other"]))

    graph(folder, renamed)
    refused(folder, r"encoder\.onnx takes .* and gives \['other', 'unheard\.turned'\]")


def test_a_graph_that_asks_for_absurd_amounts(folder: Path) -> None:
    def huge(model: onnx.ModelProto) -> None:
        nodes = model.graph.node
        size = numpy_helper.from_array(np.array([2**40, 6], np.int64), "size")
        model.graph.initializer.append(size)
        last = next(node for node in nodes if "unheard.hidden" in node.output)
        last.output[0] = "before"
        nodes.append(helper.make_node("ConstantOfShape", ["size"], ["zeros"]))
        nodes.append(helper.make_node("ReduceSum", ["zeros"], ["nothing"]))
        nodes.append(helper.make_node("Add", ["before", "nothing"], ["unheard.hidden"]))

    graph(folder, huge)
    refused(folder, r"encoder\.onnx")


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("encoder", [], r"encoder is \[\], expected an object"),
        ("encoder__rate", 10**9, "encoder.rate is 1000000000"),
        ("encoder__rate", 8_000, "sample_rate is 16000, expected 8000"),
        ("encoder__entries", [], "encoder.entries is"),
        ("encoder__entries", ["a"] * 5000, "encoder.entries is"),
        ("encoder__widths", [6, 4], "tuple(layer.dims for layer in encoder.layers) is 2 numbers"),
        ("encoder__widths", [6, 4, 10**12], "tuple(layer.dims for layer in encoder.layers) is 1000000000000"),
        ("encoder__widths", [6, 5, 50], r"encoder\.onnx gives \(.*, 4\) for the entry 'turned'"),
        ("encoder__needed", [], "encoder.needed is"),
        ("encoder__needed", [1, 0], "encoder.needed is"),
        ("encoder__needed", [0, 3], "encoder.needed is 3"),
        ("encoder__needed", [0], r"gives \['unheard\.hidden', 'unheard\.turned'\]"),
        ("encoder__form", "frames", "expected 'layers' for several entries"),
        ("encoder__form", "layers", "expected one width"),
        ("encoder__beside", {"name": "functionals"}, "encoder.beside is features"),
        ("encoder__form", "video", "encoder.form is 'video'"),
        ("encoder__weights", "good", "encoder.weights is 'good'"),
        ("encoder__average", 0, "encoder.average is 0"),
        ("encoder__least", 10**9, "encoder.least is 1000000000"),
        ("encoder__multiple", 0, "encoder.multiple is 0"),
        ("encoder__own", "half", "encoder.own is 'half'"),
        ("encoder__standardise", "yes", "encoder.standardise is 'yes'"),
        ("encoder__trim", -1, "encoder.trim is -1"),
        ("encoder__trim", [40, 10, 5], "expected one number of decibels, or two"),
        ("encoder__trim", [40, "10"], "encoder.trim is '10'"),
        ("encoder__hops", [160, 160], "encoder.hops is"),
        ("encoder__hops", [7, 160, 160], "encoder.hops is"),
        ("encoder__window__step", 0, "encoder.window.step is 0"),
        ("encoder__window__length", 10**10, "encoder.window.length is 10000000000"),
        ("encoder__window__longest", 160, "encoder.window is"),
        ("encoder__front", {"name": "video"}, "encoder.front: unknown front end 'video'"),
        ("encoder__front", {"name": "logmel", "bands": 10**7}, "encoder.front.bands is 10000000"),
        ("encoder__front", {"name": "whisper", "seconds": 3600}, "encoder.front.seconds is 3600"),
        ("encoder__front", {"name": "efficientat"}, "the front end's is 32000"),
        ("encoder__front", None, "says that it takes 'unheard.samples'"),
        ("encoder__trim", 3, "the features computed here change the logits by"),
        ("features", {"name": "functionals"}, "features is there beside an encoder"),
        ("input__kind", "utterance", "input is utterance of 3 entries"),
        ("input__entries", 2, "input is pooled of 2 entries"),
        ("input__entries", 10**9, "input.entries is 1000000000"),
        ("input__dims", 49, "and 49 dims"),
        ("channel", -1, "channel is -1"),
        ("versions__features", "0", "made with version 0 of the features 'logmel'"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_description_that_does_not_hold(folder: Path, field: str, value: Any, match: str) -> None:
    change(folder, **{field: value})
    refused(folder, match)


def test_bundles_of_schema_1_0_are_read(made: Callable[[str], Any], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made("probe-means").folder, tmp_path / "old"))
    plain = json.loads((folder / "bundle.json").read_text())
    for field in ("encoder", "channel"):
        del plain[field]
    del plain["input"]["entries"]
    (folder / "bundle.json").write_text(json.dumps({**plain, "schema": "1.0"}))
    seal(folder)
    change(folder, "manifest.json", schema="1.0")
    wave = sound(3)
    assert load(folder).predict(wave, 16_000) == load(made("probe-means").folder).predict(wave, 16_000)
