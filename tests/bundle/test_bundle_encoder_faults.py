"""Faults of a bundle's second graph and of what is said of it are refused with their reason."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from encoder_parts import MadeWithEncoder, make
from onnx import TensorProto, helper, numpy_helper

from bundle_parts import change, seal, sound
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
    model = onnx.load(folder / "voice.onnx")
    changes(model)
    (folder / "voice.onnx").write_bytes(model.SerializeToString())
    seal(folder)


def test_a_sound_copy_loads(folder: Path) -> None:
    assert load(folder).predict(sound(1), 16_000).label


@pytest.mark.parametrize("how", ["flipped", "longer", "empty"])
def test_an_altered_encoder(folder: Path, how: str) -> None:
    data = bytearray((folder / "voice.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "voice.onnx").write_bytes({"flipped": data, "longer": data + b"\n", "empty": b""}[how])
    refused(folder, r"voice\.onnx was altered")


def test_an_encoder_that_is_missing_or_not_asked_for(folder: Path) -> None:
    graph_bytes = (folder / "voice.onnx").read_bytes()
    (folder / "voice.onnx").unlink()
    refused(folder, r"missing: voice\.onnx")
    seal(folder)
    refused(folder, r"tells of the encoders \['voice'\], of words \[\], and the graphs .* are \[\]")
    (folder / "voice.onnx").write_bytes(graph_bytes)
    for name in ("voice.onnx", "face.onnx"):
        (folder / name).write_bytes(graph_bytes)
    seal(folder)
    refused(folder, r"and the graphs .* are \['face\.onnx', 'voice\.onnx'\]")


def test_another_encoder_is_noticed_by_the_golden_waves(folder: Path) -> None:
    def louder(model: onnx.ModelProto) -> None:
        weight = next(t for t in model.graph.initializer if t.name == "W")
        weight.CopyFrom(numpy_helper.from_array(1.1 * numpy_helper.to_array(weight), "W"))

    graph(folder, louder)
    refused(folder, "the features computed here change the outputs by")


def test_data_outside_the_graph(folder: Path) -> None:
    def outside(model: onnx.ModelProto) -> None:
        tensor = next(t for t in model.graph.initializer if t.name == "W")
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "../secret.bin"

    graph(folder, outside)
    refused(folder, r"voice\.onnx keeps data in other files, which is refused: W")


@pytest.mark.parametrize("data", [b"", b"no graph", b"\x00" * 100])
def test_what_is_no_graph(folder: Path, data: bytes) -> None:
    (folder / "voice.onnx").write_bytes(data)
    seal(folder)
    refused(folder, r"voice\.onnx")


def test_an_operator_that_may_not_be_used(folder: Path) -> None:
    graph(folder, lambda model: setattr(model.graph.node[0], "op_type", "Explode"))
    refused(folder, r"voice\.onnx cannot be run: it uses the operator Explode, which is refused")


def test_other_inputs_and_outputs_than_described(folder: Path) -> None:
    def renamed(model: onnx.ModelProto) -> None:
        model.graph.output[0].name = "other"
        model.graph.node.append(helper.make_node("Identity", ["unheard.hidden"], ["other"]))

    graph(folder, renamed)
    refused(folder, r"voice\.onnx takes .* and gives \['other', 'unheard\.turned'\]")


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
    refused(folder, r"voice\.onnx")


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("medium", "video", r"inputs\.voice\.medium is 'video'"),
        ("extractor", {}, r"inputs\.voice\.extractor is \[\], expected either 'features' or 'encoder'"),
        ("extractor__features", {"name": "functionals"}, r"is \['encoder', 'features'\], expected either"),
        ("form", "row", r"inputs\.voice\.form is 'row'"),
        ("form", "frames", "expected 'layers' for several layers"),
        ("form", "layers", "expected one width"),
        ("form", "video", r"inputs\.voice\.form is 'video'"),
        ("layers", 2, "inputs.voice is 2 layers of 50 dims"),
        ("layers", 10**9, r"inputs\.voice\.layers is 1000000000"),
        ("dims", 49, "inputs.voice is 3 layers of 49 dims"),
        ("version", "0", "made with version 0 of the features 'logmel'"),
        ("version", 0, r"inputs\.voice\.version is 0, expected text"),
        ("rate", 10**9, r"encoder\.rate is 1000000000"),
        ("rate", 8_000, r"encoder\.rate is 8000, and the frontend's is 16000"),
        ("layers_", [], r"encoder\.layers is"),
        ("layers_", ["a"] * 5000, r"encoder\.layers is"),
        ("widths", [6, 4], r"encoder\.widths is 2 numbers"),
        ("widths", [6, 4, 10**12], r"encoder\.widths is 1000000000000"),
        ("widths", [6, 5, 50], r"voice\.onnx gives \(.*, 4\) for the layer 'turned'"),
        ("needed", [], r"encoder\.needed is"),
        ("needed", [1, 0], r"encoder\.needed is"),
        ("needed", [0, 3], r"encoder\.needed is 3"),
        ("needed", [0], r"gives \['unheard\.hidden', 'unheard\.turned'\]"),
        ("weights", "good", r"encoder\.weights is 'good'"),
        ("average", 0, r"encoder\.average is 0"),
        ("min_samples", 10**9, r"encoder\.min_samples is 1000000000"),
        ("multiple", 0, r"encoder\.multiple is 0"),
        ("own", "half", r"encoder\.own is 'half'"),
        ("standardise", "yes", r"encoder\.standardise is 'yes'"),
        ("trim", -1, r"encoder\.trim is -1"),
        ("trim", [40, 10, 5], "expected one number of decibels, or two"),
        ("trim", [40, "10"], r"encoder\.trim is '10'"),
        ("hops", [160, 160], r"encoder\.hops is"),
        ("hops", [7, 160, 160], r"encoder\.hops is"),
        ("window__step", 0, r"encoder\.window\.step is 0"),
        ("window__length", 10**10, r"encoder\.window\.length is 10000000000"),
        ("window__longest", 160, r"encoder\.window is"),
        ("frontend", {"name": "video"}, r"encoder\.frontend: unknown frontend 'video'"),
        ("frontend", {"name": "logmel", "bands": 10**7}, r"encoder\.frontend\.bands is 10000000"),
        ("frontend", {"name": "whisper", "seconds": 3600}, r"encoder\.frontend\.seconds is 3600"),
        ("frontend", {"name": "efficientat"}, "the frontend's is 32000"),
        ("frontend", None, "says that it takes 'unheard.samples'"),
        ("trim", 3, "the features computed here change the outputs by"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_description_that_does_not_hold(folder: Path, field: str, value: Any, match: str) -> None:
    of_input = ("medium", "extractor", "extractor__features", "form", "layers", "dims", "version")
    inside = "inputs__voice__" + ("" if field in of_input else "extractor__encoder__")
    change(folder, **{inside + field.removesuffix("_"): value})
    refused(folder, match)
