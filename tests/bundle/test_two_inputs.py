"""Bundles of two inputs: the head's own predictions, one waveform for both, and dimensions as well as classes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from encoder_parts import MadeWithEncoder, make_two
from numpy.testing import assert_allclose

import unheard.bundle.extractors as extractors
from bundle_parts import CLASSES, change, sound
from unheard import features
from unheard.bundle.runtime import load
from unheard.errors import BundleError
from unheard.exporting.compact import compact
from unheard.exporting.export import ExportInput, export
from unheard.inputs import Form
from unheard.targets import Target

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], MadeWithEncoder]:
    kept: dict[str, MadeWithEncoder] = {}

    def one(family: str) -> MadeWithEncoder:
        if family not in kept:
            kept[family] = make_two(family, tmp_path_factory.mktemp(family))
        return kept[family]

    return one


@pytest.mark.parametrize("family", ["hubert", "onnx", "onnx-32-khz"])
def test_the_bundle_answers_as_its_head(made: Callable[[str], MadeWithEncoder], family: str) -> None:
    one = made(family)
    bundle = load(one.folder)
    waves = [sound(70, 0.5), sound(71, 2.3), sound(72, 1.1)]
    expected = one.outputs(waves)
    inputs = bundle.inputs(waves)
    assert list(inputs[0]) == ["voice", "functionals"]
    assert_allclose(bundle.outputs(inputs), expected, rtol=1e-4, atol=1e-4)
    assert_allclose(
        np.concatenate([bundle.outputs([clip]) for clip in inputs]), expected, rtol=1e-4, atol=1e-4
    )
    assert sorted(path.name for path in one.folder.iterdir()) == [
        "bundle.json", "card.md", "golden.npz", "manifest.json", "model.onnx", "voice.onnx",
    ]  # fmt: skip


def test_a_waveform_that_two_inputs_share_is_trimmed_once(
    made: Callable[[str], MadeWithEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load(made("hubert").folder)
    trimmed = []
    trim = extractors.trim

    def counted(*arguments: Any) -> Any:
        trimmed.append(arguments[1:])
        return trim(*arguments)

    monkeypatch.setattr(extractors, "trim", counted)
    assert bundle.predict(sound(1), 16_000).label
    assert trimmed == [(40.0, 16_000)]


def test_many_files_are_answered_as_each_alone(
    made: Callable[[str], MadeWithEncoder], tmp_path: Path
) -> None:
    bundle = load(made("onnx-32-khz").folder)
    paths = [tmp_path / f"{k}.wav" for k in range(5)]
    for k, path in enumerate(paths):
        soundfile.write(path, sound(k, 0.3 + 0.2 * k), (16_000, 8_000, 32_000, 44_100, 48_000)[k])
    soundfile.write(paths[3], np.zeros(8_000), 16_000)
    found = list(bundle.predict_many(paths))
    assert [prediction.label is None for prediction in found] == [False, False, False, True, False]
    for path, prediction in zip(paths, found, strict=True):
        alone = bundle.predict_file(path)
        assert prediction.flags == alone.flags
        assert_allclose(
            list(prediction.probabilities.values()), list(alone.probabilities.values()), atol=1e-5
        )


def test_a_compact_copy_answers_alike(made: Callable[[str], MadeWithEncoder], tmp_path: Path) -> None:
    one = made("hubert")
    small = compact(one.folder, tmp_path / "small", "float16")
    assert small.after < small.before and small.difference < 0.05
    assert (
        load(small.folder).predict(sound(1), 16_000).label == load(one.folder).predict(sound(1), 16_000).label
    )


def test_places_stay_out_and_both_are_told_of(made: Callable[[str], MadeWithEncoder]) -> None:
    one = made("hubert")
    assert str(one.folder.parent).encode() not in (one.folder / "bundle.json").read_bytes()
    plain = json.loads((one.folder / "bundle.json").read_text())
    assert set(plain["licences"]) == {"code", "encoder", "features", "weights"}
    card = (one.folder / "card.md").read_text()
    assert "Input voice, a frozen encoder" in card and "Input functionals, features: functionals" in card


def test_an_input_that_the_graph_does_not_take_is_refused(
    made: Callable[[str], MadeWithEncoder], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(made("hubert").folder, tmp_path / "copy"))
    path = folder / "bundle.json"
    plain = json.loads(path.read_text())
    plain["inputs"]["rhythm"] = plain["inputs"].pop("functionals")
    path.write_text(json.dumps(plain))
    change(folder)
    with pytest.raises(BundleError, match=r"lacks the array 'rhythm\.0'|bundle\.json says that it takes"):
        load(folder)


class Linear:
    """A head over two rows that predicted classes and dimensions, made of fixed numbers."""

    name = "probe"
    input = "functionals"

    def __init__(self, columns: int) -> None:
        rng = np.random.default_rng(0)
        self.coef, self.intercept = 1e-3 * rng.normal(size=(columns, 590)), np.full(columns, 0.5)

    def state(self) -> dict[str, np.ndarray]:
        return {
            "mean_": np.zeros(590), "scale_": np.ones(590), "coef_": self.coef, "intercept_": self.intercept,
        }  # fmt: skip

    def outputs(self, inputs: Any) -> np.ndarray:
        found: np.ndarray = np.stack(inputs["functionals"]).astype(float) @ self.coef.T + self.intercept
        return found


@pytest.mark.parametrize("classes", [CLASSES, ()])
def test_dimensions_are_answered_beside_classes_or_alone(classes: tuple[str, ...], tmp_path: Path) -> None:
    target = Target(classes, dimensions=("activation", "valence"))
    head = Linear(target.width)
    spec = ExportInput(features.build({"name": "functionals", "hop": 0.02}), Form.ROW)
    options = {"temperature": 2.0, "training_speakers": [], "corpus": "toy", "scores": None, "recipe": {}}
    folder = export(head, {"functionals": spec}, target, tmp_path / "b", licences={}, **options)
    bundle = load(folder)
    assert (bundle.classes, bundle.dimensions) == (classes, ("activation", "valence"))
    wave = sound(3, 1.0)
    (expected,) = head.outputs({"functionals": [spec.compute(wave)]})
    found = bundle.predict(wave, 16_000)
    assert_allclose(list(found.dimensions.values()), expected[len(classes) :], rtol=1e-4)
    assert list(found.dimensions) == ["activation", "valence"]
    assert list(found.probabilities) == list(classes)
    assert (found.label is None) == (not classes) and found.answered
    assert found.as_dict()["dimensions"] == found.dimensions
    silent = bundle.predict(np.zeros(16_000), 16_000)
    assert (silent.probabilities, silent.dimensions, silent.answered) == ({}, {}, False)
    if classes:
        scores = np.exp(expected[:3] / 2.0)
        assert_allclose(list(found.probabilities.values()), scores / scores.sum(), rtol=1e-4)
    soundfile.write(tmp_path / "long.wav", np.concatenate([sound(k, 3.0) for k in range(3)]), 16_000)
    over_time = bundle.timeline(tmp_path / "long.wav")
    for name, value in over_time.dimensions().items():
        steps = [step.dimensions[name] for step in over_time.steps]
        assert min(steps) <= value <= max(steps)
