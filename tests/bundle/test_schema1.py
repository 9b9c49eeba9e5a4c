"""Bundles that were made when bundles had one input: they open, and prediction as they did then.

``schema1`` holds a tiny one of every kind, as it was written by the code of its time, with the predicted that this
code gave to the sounds of ``bundle_parts.buzz``.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from numpy.testing import assert_allclose

from bundle_parts import CLASSES, buzz, change
from unheard.audio.decode import from_samples
from unheard.bundle.head import GraphHead
from unheard.bundle.runtime import Bundle, load
from unheard.bundle.schema import SCHEMA
from unheard.bundle.schema1 import upgraded
from unheard.errors import BundleError, UsageError
from unheard.exporting.compact import compact
from unheard.inputs import Form

PLACE = Path(__file__).parent / "schema1"
PREDICTED = json.loads((PLACE / "answers.json").read_text())
FORMS = {
    "beside": {"voice": Form.FRAMES, "functionals": Form.ROW},
    "encoder-frames": {"voice": Form.FRAMES},
    "encoder-layers": {"voice": Form.LAYERS},
    "encoder-pooled": {"voice": Form.POOLED},
    "features-frames": {"voice": Form.FRAMES},
    "features-row": {"voice": Form.ROW},
}


def unpacked(kind: str, folder: Path) -> Path:
    with zipfile.ZipFile(PLACE / f"{kind}.zip") as archive:
        archive.extractall(folder / kind)
    return folder / kind


@pytest.mark.parametrize("kind", FORMS)
def test_it_answers_as_it_did(kind: str, tmp_path: Path) -> None:
    bundle = load(unpacked(kind, tmp_path))
    assert bundle.classes == CLASSES and bundle.dimensions == ()
    assert {name: each.form for name, each in bundle.description.inputs.items()} == FORMS[kind]
    assert bundle.description.training_range["seconds"] == (0.5, 1.1)
    for seed, expected in PREDICTED[kind].items():
        (found,) = bundle._predict_speech([from_samples(buzz(int(seed)), 16_000)], None)
        assert (found.label, list(found.flags)) == (expected["label"], expected["flags"])
        assert_allclose(list(found.probabilities.values()), expected["probabilities"], rtol=0, atol=1e-6)


def test_many_are_answered_as_each_alone(tmp_path: Path) -> None:
    bundle = load(unpacked("beside", tmp_path))
    inputs = bundle.inputs([buzz(seed) for seed in range(3)])
    alone = [bundle.outputs([clip])[0] for clip in inputs]
    assert_allclose(bundle.outputs(inputs), alone, rtol=1e-5, atol=1e-5)


def test_the_first_schema_knew_neither_encoders_nor_channels(tmp_path: Path) -> None:
    folder = unpacked("features-frames", tmp_path)
    path = folder / "bundle.json"
    plain = json.loads(path.read_text())
    for name in ("encoder", "channel", "weights", "domain"):
        del plain[name]
    del plain["training"]["others"], plain["input"]["entries"]
    path.write_text(json.dumps(plain))
    change(folder, schema="1.0")
    bundle = load(folder)
    assert (bundle.description.channel, bundle.description.training_range) == (None, {})
    assert bundle.description.training["others"] == {}
    expected = PREDICTED["features-frames"]["1"]["probabilities"]
    (found,) = bundle._predict_speech([from_samples(buzz(1), 16_000)], None)
    assert_allclose(list(found.probabilities.values()), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("features-row", {"input__kind": "layers"}, "row or frames where there is no encoder"),
        ("features-row", {"input__kind": "rows"}, r"input\.kind is 'rows', expected utterance or"),
        ("features-row", {"input__kind": [None]}, r"input\.kind is \[None\], expected utterance or"),
        ("features-row", {"input__dims": 589}, r"takes .*; bundle\.json says"),
        ("features-row", {"labels": ["a"]}, "labels is 1 labels, expected 2"),
        ("features-row", {"versions__features": "1"}, "made with version 1 of the features 'functionals'"),
        ("encoder-pooled", {"features": {"name": "mfbf0"}}, "features is there beside an encoder"),
        ("encoder-pooled", {"input__kind": "frames"}, r"input\.kind is 'frames', expected 'pooled'"),
        ("encoder-pooled", {"encoder__entries": []}, r"encoder\.layers is \[\]"),
        ("encoder-pooled", {"sample_rate": 8000}, "sample_rate is 8000, expected 16000"),
        ("beside", {"encoder__beside__name": "mfbf0"}, r"encoder\.beside"),
        ("beside", {"encoder__beside__trim": 30}, r"encoder\.beside\.trim"),
        ("beside", {"input__dims": 4}, r"encoder\.beside"),
        ("beside", {"versions__features": "1"}, "made with version  of the features 'functionals'"),
    ],
)
def test_what_does_not_fit_is_refused(kind: str, fields: dict, message: str, tmp_path: Path) -> None:
    folder = unpacked(kind, tmp_path)
    change(folder, **fields)
    with pytest.raises(BundleError, match=message):
        load(folder)


def test_the_graph_of_an_encoder_of_today_does_not_belong_to_it(tmp_path: Path) -> None:
    folder = unpacked("encoder-pooled", tmp_path)
    (folder / "face.onnx").write_bytes((folder / "encoder.onnx").read_bytes())
    change(folder)
    with pytest.raises(BundleError, match="belong to no bundle of schema 1"):
        load(folder)


@pytest.mark.parametrize("kind", ["encoder-pooled", "encoder-layers", "features-frames"])
def test_a_compact_copy_is_of_today_s_schema(kind: str, tmp_path: Path) -> None:
    old = unpacked(kind, tmp_path)
    small = compact(old, tmp_path / "small", "float16")
    assert json.loads((small.folder / "bundle.json").read_text())["schema"] == SCHEMA
    assert_same_answers(load(old), load(small.folder))


def test_features_beside_frames_become_an_input_of_their_own(tmp_path: Path) -> None:
    old = unpacked("beside", tmp_path)
    with pytest.raises(UsageError, match="has float16 weights already"):
        compact(old, tmp_path / "small", "int8")
    bundle = load(old)
    graph = upgraded((old / "model.onnx").read_bytes(), bundle.description)
    head = GraphHead(graph, bundle.description)
    inputs = bundle.inputs([buzz(seed) for seed in range(3)])
    assert_allclose(head.outputs(inputs), bundle.outputs(inputs), rtol=1e-5, atol=1e-5)


def assert_same_answers(one: Bundle, other: Bundle) -> None:
    for seed in range(3):
        both = [bundle.outputs(bundle.inputs([buzz(seed)])) for bundle in (one, other)]
        assert_allclose(*both, atol=0.05)
