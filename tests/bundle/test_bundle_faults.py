"""Every fault of a bundle is refused with its reason; a sound one is not."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bundle_parts import KINDS, change, seal
from unheard.bundle import golden, manifest
from unheard.bundle.runtime import load
from unheard.bundle.schema import SCHEMA
from unheard.errors import BundleError, UsageError

Copy = Callable[..., Path]


def refused(folder: Path, match: str) -> None:
    with pytest.raises(BundleError, match=match):
        load(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_copy_loads(copied: Copy, kind: str) -> None:
    assert load(copied(kind)).classes


# --- files ---------------------------------------------------------------------------------------------------


def test_no_bundle_at_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such bundle folder"):
        load(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file", "not the folder of a bundle but a file")
    refused(tmp_path, r"no manifest\.json, so this is no bundle")


@pytest.mark.parametrize("name", sorted(manifest.FILES))
def test_a_missing_file(copied: Copy, name: str) -> None:
    folder = copied()
    (folder / name).unlink()
    refused(folder, f"missing: {name}")
    # Nor may the manifest leave it out.
    seal(folder)
    refused(folder, f"missing: {name}")


@pytest.mark.parametrize("name", sorted(manifest.FILES))
@pytest.mark.parametrize("how", ["flipped", "longer", "shorter", "empty"])
def test_an_altered_file(copied: Copy, name: str, how: str) -> None:
    folder = copied()
    data = bytearray((folder / name).read_bytes())
    if how == "flipped":
        data[len(data) // 2] ^= 1
    altered = {"flipped": data, "longer": data + b"\n", "shorter": data[:-1], "empty": b""}[how]
    (folder / name).write_bytes(altered)
    refused(folder, f"{name} was altered")


@pytest.mark.parametrize("name", ["extra.txt", ".hidden", "model.onnx.data"])
def test_an_extra_file(copied: Copy, name: str) -> None:
    folder = copied()
    (folder / name).write_text("x")
    refused(folder, f"not listed in manifest.json: {name}")
    seal(folder)
    refused(folder, f"lists files that no bundle has: {name}")


def test_what_file_managers_leave_is_not_opened(copied: Copy) -> None:
    folder = copied()
    left = [".DS_Store", "._model.onnx", "Thumbs.db", "desktop.ini"]
    for name in left:
        (folder / name).write_bytes(b"\0")
    assert load(folder).classes and manifest.foreign_files(folder) == sorted(left)
    seal(folder)
    assert not set(left) & set(manifest.listed_files(folder))
    # What the manifest names must match even so.
    (folder / "._model.onnx").rename(folder / "model.onnx")
    refused(folder, r"model\.onnx was altered")


def test_an_extra_folder(copied: Copy) -> None:
    folder = copied()
    (folder / "sub").mkdir()
    refused(folder, "not listed in manifest.json: sub")


@pytest.mark.parametrize("path", ["../model.onnx", "/etc/passwd", "sub/model.onnx", "..", ".", "", "a\\b"])
def test_a_path_that_leaves_the_folder(copied: Copy, path: str) -> None:
    folder = copied()
    listed = json.loads((folder / "manifest.json").read_text())["files"]
    change(folder, "manifest.json", files={**listed, path: "0" * 64})
    refused(folder, "a path that leaves the folder")


@pytest.mark.parametrize("name", ["model.onnx", "bundle.json", "manifest.json"])
def test_a_link_out_of_the_folder(copied: Copy, tmp_path: Path, name: str) -> None:
    folder = copied()
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    refused(folder, f"{name}: not a file but a link")


def test_a_pipe_is_not_waited_for(copied: Copy) -> None:
    folder = copied()
    (folder / "card.md").unlink()
    os.mkfifo(folder / "card.md")
    refused(folder, r"card\.md: not a file but a pipe, a socket or a device")


def test_a_file_of_absurd_size(copied: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copied()
    monkeypatch.setitem(manifest.FILES, "card.md", 10)
    refused(folder, r"card\.md: holds [0-9,]+ bytes, more than the 10")


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"schema": "1.0"}', '{"schema": "1.0", "files": {"model.onnx": 5}}']
)
def test_a_broken_manifest(copied: Copy, text: str) -> None:
    folder = copied()
    (folder / "manifest.json").write_text(text)
    refused(folder, "manifest.json")


# --- description ---------------------------------------------------------------------------------------------


def newer() -> list[str]:
    major, minor = map(int, SCHEMA.split("."))
    return [f"{major}.{minor + 1}", f"{major + 1}.0"]


@pytest.mark.parametrize("version", newer())
@pytest.mark.parametrize("name", ["manifest.json", "bundle.json"])
def test_a_newer_schema(copied: Copy, name: str, version: str) -> None:
    folder = copied()
    change(folder, name, schema=version)
    refused(folder, f"{name}: schema {version} is newer than {SCHEMA}.*update unheard")


def test_an_older_schema_is_read(copied: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    major, minor = map(int, SCHEMA.split("."))
    monkeypatch.setattr("unheard.bundle.schema.SCHEMA", f"{major}.{minor + 2}")
    assert load(copied()).classes


FEATURES = "inputs__voice__extractor__features"


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("schema", 1, "schema is 1"),
        ("schema", "one", "schema is 'one'"),
        ("target__classes", [], "0 classes and 0 dimensions"),
        ("target__classes", ["angry"], "1 classes"),
        ("target__classes", ["angry", "angry", "sad"], "3 classes"),
        ("target__classes", ["angry", "happy", 3], "classes is 3"),
        ("target__classes", ["angry", "happy", ""], "classes is ''"),
        ("target__classes", "angry", "classes is 'angry'"),
        ("target__classes", [str(i) for i in range(5000)], "5000 classes"),
        ("target__classes", ["angry", "happy", "sad", "calm"], "gives outputs of 4 columns"),
        ("target__classes", ["angry", "sad"], "gives outputs of 2 columns"),
        ("target__dimensions", ["valence"], "gives outputs of 4 columns"),
        ("target__dimensions", ["sad"], "with different names"),
        ("target__of", "guess", "target.of is 'guess'"),
        ("target", None, "target is None"),
        ("inputs__voice__form", "row", r"says that it takes \{voice: \(batch, 44\)\}"),
        ("inputs__voice__form", "layers", "layers of 1 layers, expected row or frames"),
        ("inputs__voice__dims", 45, r"says that it takes \{voice: \(batch, frames, 45\)"),
        ("inputs__voice__dims", 0, "dims is 0"),
        ("inputs__voice__dims", 10**12, "dims is 1000000000000"),
        ("inputs__voice__dims", 44.5, "dims is 44.5"),
        ("inputs__voice__layers", 2, "frames of 2 layers"),
        ("inputs__voice", None, "inputs.voice is None"),
        ("inputs", {}, "inputs is 0 of them"),
        ("inputs", None, "inputs is None"),
        ("inputs__model", {}, "inputs is 'model', expected names of small letters"),
        ("inputs__../voice", {}, "inputs is '../voice', expected names of small letters"),
        ("temperature", 0, "temperature is 0"),
        ("temperature", -1.0, "temperature is -1"),
        ("temperature", "hot", "temperature is 'hot'"),
        ("temperature", True, "temperature is True"),
        ("thresholds", {"confidence": 2}, "confidence is 2"),
        ("training__others", {"emodb": "03"}, "training.others is"),
        ("weights", "int4", "weights is 'int4', expected float32 or float16 or int8"),
        ("training", {"corpus": "x"}, "training.speakers is None"),
        ("training__speakers", [1], r"training.speakers is \[1\]"),
        ("score", [], r"score is \[\]"),
        ("name", None, "name is None"),
        (FEATURES, {"name": "mfbf1"}, "features: unknown features 'mfbf1'"),
        (
            "inputs__voice__extractor__features",
            {"name": "mfbf0", "bands": "many"},
            "features.bands is 'many'",
        ),
        (
            "inputs__voice__extractor__features",
            {"name": "mfbf0", "average": 4, "bands": 39},
            "input 'voice' has shape",
        ),
        (
            "inputs__voice__extractor__features",
            {"name": "functionals"},
            "made with version 1 of the features 'functionals'",
        ),
        (
            "inputs__voice__extractor__features",
            {"name": "precomputed", "path": "/etc"},
            "features.name is 'precomputed', expected",
        ),
        (FEATURES, {}, "features.name is None"),
        (FEATURES, {"name": ["mfbf0"]}, r"features.name is \['mfbf0'\]"),
        (
            "inputs__voice__extractor__features",
            {"name": "logmel", "bands": 10**7},
            "features.bands is 10000000, expected",
        ),
        (
            "inputs__voice__extractor__features",
            {"name": "logmel", "fft": 2**40},
            "features.fft is 1099511627776",
        ),
        (
            "inputs__voice__extractor__features",
            {"name": "logmel", "hop": 1 / 16_000},
            "features.hop is 6.25e-05",
        ),
        (FEATURES, {"name": "logmel", "gain": 10**400}, "a whole number of more than 64 bits"),
        (
            "inputs__voice__extractor__features",
            {"name": "mfbf0", "trim": 1e999},
            r"bundle\.json: not JSON",
        ),
        ("inputs__voice__version", "0", "made with version 0 of the features 'mfbf0'.* computes version 1"),
        ("inputs__voice__version", None, "version is None"),
        (
            "inputs__voice__extractor__features",
            {"name": "mfbf0", "average": 3},
            "features computed here change the outputs",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_description_that_does_not_hold(copied: Copy, field: str, value: Any, match: str) -> None:
    folder = copied()
    change(folder, **{field: value})
    refused(folder, match)


@pytest.mark.parametrize(
    "text",
    [
        b"\xff\xfe",
        b"{",
        b'{"schema": "1.0", "temperature": NaN}',
        b'{"schema": "1.0", "schema": "1.0"}',
        b"[" * 200_000,
    ],
    ids=["not text", "cut", "nan", "doubled", "deep"],
)
def test_a_description_that_is_no_json(copied: Copy, text: bytes) -> None:
    folder = copied()
    (folder / "bundle.json").write_bytes(text)
    seal(folder)
    refused(folder, r"bundle\.json: not (JSON|UTF-8)")


# --- graph ---------------------------------------------------------------------------------------------------


def graph(folder: Path, change_model: Callable[[onnx.ModelProto], Any]) -> None:
    model = onnx.load(folder / "model.onnx")
    result = change_model(model)
    changed = result if isinstance(result, onnx.ModelProto) else model
    (folder / "model.onnx").write_bytes(changed.SerializeToString())
    seal(folder)


def outside(tensor: TensorProto) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "../secret.bin"), ("offset", "0")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


def test_data_outside_the_graph(copied: Copy) -> None:
    folder = copied()
    graph(folder, lambda m: outside(m.graph.initializer[0]))
    refused(folder, "keeps data in other files, which is refused: constant_0")


def test_data_outside_the_graph_in_an_attribute(copied: Copy) -> None:
    tensor = numpy_helper.from_array(np.zeros(3, np.float32), "hidden")
    outside(tensor)
    constant = helper.make_node("Constant", [], ["c"])
    constant.attribute.append(
        helper.make_attribute("value", numpy_helper.from_array(np.zeros(1, np.float32)))
    )
    constant.attribute[0].t.CopyFrom(tensor)
    folder = copied()
    graph(folder, lambda m: m.graph.node.append(constant))
    refused(folder, "keeps data in other files, which is refused: hidden")


def test_a_graph_inside_a_graph(copied: Copy) -> None:
    inner = helper.make_graph([], "inner", [], [])
    branch = helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
    folder = copied()
    graph(folder, lambda m: m.graph.node.append(branch))
    refused(folder, "model.onnx is no ONNX graph: it uses g of AttributeProto, which is refused")


@pytest.mark.parametrize("data", [b"", b"no graph", b"\x00" * 100, os.urandom(1000)])
def test_what_is_no_graph(copied: Copy, data: bytes) -> None:
    folder = copied()
    (folder / "model.onnx").write_bytes(data)
    seal(folder)
    refused(folder, r"model\.onnx")


def test_what_has_another_operator_or_attribute(copied: Copy) -> None:
    folder = copied()

    known = onnx.load(folder / "model.onnx").graph.node[0].op_type

    def unknown_operator(model: onnx.ModelProto) -> None:
        model.graph.node[0].op_type = "Explode"

    graph(folder, unknown_operator)
    refused(folder, "model.onnx cannot be run: it uses the operator Explode, which is refused")

    def unknown_attribute(model: onnx.ModelProto) -> None:
        model.graph.node[0].op_type = known
        model.graph.node[0].attribute.append(helper.make_attribute("explode", 1))

    graph(folder, unknown_attribute)
    refused(folder, "onnxruntime refuses model.onnx")


def replaced(inputs: list[Any], outputs: list[Any], nodes: list[Any], constants: Any = ()) -> onnx.ModelProto:
    made = helper.make_graph(nodes, "g", inputs, outputs, list(constants))
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def tensor(name: str, shape: list[Any], kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def test_a_graph_that_asks_for_absurd_amounts(copied: Copy) -> None:
    folder = copied()
    size = numpy_helper.from_array(np.array([2**40, 3], np.int64), "size")
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["huge"]),
        helper.make_node("ReduceSum", ["huge"], ["sum"], keepdims=1),
        helper.make_node("Expand", ["sum", "shape"], ["outputs"]),
    ]
    shape = numpy_helper.from_array(np.array([1, 3], np.int64), "shape")
    inputs = [tensor("voice", ["b", "t", 44]), tensor("voice.lengths", ["b"], TensorProto.INT64)]
    graph(folder, lambda _: replaced(inputs, [tensor("outputs", ["b", 3])], nodes, [size, shape]))
    refused(folder, r"model\.onnx")


def test_other_inputs_and_outputs_than_described(copied: Copy) -> None:
    frames, lengths = tensor("voice", ["b", "t", 44]), tensor("voice.lengths", ["b"], TensorProto.INT64)
    logits = tensor("outputs", ["b", 3])
    cases = [
        ([tensor("audio", ["b", "t", 44]), lengths], [logits]),
        ([tensor("voice", ["b", 44]), lengths], [logits]),
        ([frames], [logits]),
        ([frames, lengths], [tensor("scores", ["b", 3])]),
        ([frames, lengths], [logits, tensor("more", ["b"])]),
        ([frames, lengths], [tensor("outputs", ["b", 5])]),
    ]
    folder = copied()
    for inputs, outputs in cases:
        node = helper.make_node("ReduceMean", [inputs[0].name], [outputs[0].name], keepdims=0)
        extra = [helper.make_node("ReduceMean", ["voice.lengths"], ["more"])] if len(outputs) == 2 else []
        graph(folder, lambda _, i=inputs, o=outputs, n=(node, *extra): replaced(i, o, list(n)))
        refused(folder, r"model\.onnx")
    rows = helper.make_node("Reshape", ["voice", "shape"], ["outputs"])
    shape = numpy_helper.from_array(np.array([-1, 3], np.int64), "shape")
    graph(folder, lambda _: replaced([frames, lengths], [logits], [rows], [shape]))
    refused(folder, r"model\.onnx gives outputs of shape")


# --- golden outputs ------------------------------------------------------------------------------------------


def arrays(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "golden.npz") as stored:
        return {name: stored[name] for name in stored.files}


def put(folder: Path, stored: dict[str, Any]) -> None:
    np.savez(folder / "golden.npz", **stored)
    seal(folder)


@pytest.mark.parametrize(("by", "fits"), [(0.0009, True), (0.0011, False)])
def test_logits_may_differ_by_a_thousandth(copied: Copy, by: float, fits: bool) -> None:
    folder = copied()
    stored = arrays(folder)
    stored["outputs"][1, 2] += by * max(1, abs(stored["outputs"][1, 2]))
    put(folder, stored)
    if fits:
        load(folder)
    else:
        refused(folder, "differs from its golden outputs by 0.0011")


def test_another_wave_is_noticed(copied: Copy) -> None:
    folder = copied()
    stored = arrays(folder)
    stored["wave_0"] = stored["wave_0"] // 2
    put(folder, stored)
    refused(folder, "the features computed here change the outputs by")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("outputs", np.zeros((3, 2))),
        ("outputs", np.zeros((2, 3))),
        ("outputs", np.full((3, 3), np.nan)),
        ("outputs", np.zeros((3, 3), np.float32)),
        ("outputs", np.array([{}, 1, 2], dtype=object)),
        ("voice.0", np.zeros(44, np.float32)),
        ("voice.0", np.zeros((0, 44), np.float32)),
        ("voice.0", np.zeros((4, 44))),
        ("voice.1", np.full((4, 44), np.inf, np.float32)),
        ("wave_0", np.zeros(100, np.float32)),
        ("wave_0", np.zeros((10, 10), np.int16)),
        ("wave_0", np.zeros(0, np.int16)),
    ],
    ids=lambda value: f"{value.shape}{value.dtype}" if isinstance(value, np.ndarray) else value,
)
def test_golden_outputs_of_another_shape(copied: Copy, name: str, value: np.ndarray) -> None:
    folder = copied()
    put(folder, {**arrays(folder), name: value})
    refused(folder, "golden|has shape")


@pytest.mark.parametrize("left_out", ["outputs", "voice.2", "wave_1"])
def test_golden_outputs_that_lack_something(copied: Copy, left_out: str) -> None:
    folder = copied()
    put(folder, {name: value for name, value in arrays(folder).items() if name != left_out})
    refused(folder, "golden")


def test_golden_outputs_that_are_no_archive_or_a_bomb(copied: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copied()
    (folder / "golden.npz").write_bytes(b"no zip")
    seal(folder)
    refused(folder, "golden.npz: not readable arrays")
    # A header that promises more than there is must not be believed either.
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776, 3), }"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("outputs.npy", header.ljust(127) + b"\n" + b"\0" * 64)
        archive.writestr("wave_0.npy", b"")
    (folder / "golden.npz").write_bytes(buffer.getvalue())
    seal(folder)
    refused(folder, "golden.npz: not readable arrays")
    put(folder, {"wave_0": np.zeros(10**6, np.int16)})
    monkeypatch.setattr(golden, "MAX_BYTES", 10**6)
    refused(folder, "golden.npz: .* unpack to 2,000,128 bytes")


@pytest.mark.parametrize(
    ("stored", "match"),
    [
        (
            {
                "voice.0": np.zeros((300_000, 44), np.float32),
                **{f"voice.{k}": np.zeros(1) for k in range(1, 9)},
            },
            "475200000 bytes when all are padded to the longest",
        ),
        ({f"wave_{k}": np.zeros(1, np.int16) for k in range(17)}, "17 waves"),
        ({"wave_0": np.zeros(400_000, np.int16)}, "1 waves among them of 800000 bytes"),
        ({f"x{k}.": np.zeros(0) for k in range(1001)}, "holds 1001 arrays"),
    ],
    ids=["padded", "waves", "seconds", "arrays"],
)
def test_golden_outputs_that_would_take_too_much(copied: Copy, stored: dict[str, Any], match: str) -> None:
    folder = copied()
    np.savez_compressed(folder / "golden.npz", **stored)
    seal(folder)
    refused(folder, match)


# --- texts ---------------------------------------------------------------------------------------------------

ODD = ["a\nb", "a\x1b[2Jb", "\x00", "\x9b31m", "\ud800", "a\u2028b", "\u202egnp.exe", "\u2066x", "\x7f"]


@pytest.mark.parametrize("text", ODD, ids=ascii)
@pytest.mark.parametrize(
    "field", ["name", "licences__weights", "training__speakers", "target__classes", "recipe__x"]
)
def test_texts_that_would_change_a_terminal(copied: Copy, field: str, text: str) -> None:
    folder = copied()
    change(folder, **{field: [text, "happy", "sad"] if field != "name" else text})
    refused(folder, r"bundle\.json: (not JSON|the text .* holds the control character)")
    change(folder, **{field: "x"}, **{text: 1})
    refused(folder, r"bundle\.json: (not JSON|the text .* holds the control character)")


@pytest.mark.parametrize("name", ["فرح", "میخواهم", "ärger", "ความสุข", "👩‍🎤", "a\u00a0b"])
def test_texts_of_any_language(copied: Copy, name: str) -> None:
    folder = copied()
    change(folder, target__classes=[name, "happy", "sad"])
    assert load(folder).classes[0] == name


@pytest.mark.parametrize("text", ["# Card\x1b[2J", "\x00", "\u202e"])
def test_a_card_that_would_change_a_terminal(copied: Copy, text: str) -> None:
    folder = copied()
    (folder / "card.md").write_text(text)
    seal(folder)
    refused(folder, r"card\.md: the text .* holds the control character")
    (folder / "card.md").write_bytes(b"\xff")
    seal(folder)
    refused(folder, r"card\.md: not UTF-8")
