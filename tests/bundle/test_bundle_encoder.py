"""Bundles with a frozen encoder: the encoder's own outputs, for every family, for long clips and short ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile
from encoder_parts import FAMILIES, MadeWithEncoder, make, write
from numpy.testing import assert_allclose

from bundle_parts import CLASSES, sound
from one_input import outputs_of
from unheard import encoders
from unheard.bundle.runtime import load
from unheard.errors import BundleError
from unheard.extraction.extract import Storage, extract
from unheard.inputs import Clip, Form, Piece

pytest.importorskip("torch")

Make = Callable[..., MadeWithEncoder]
PROBE = {"name": "probe", "grid": [0.01], "layers": "concat"}
BLOCKED = ("torch", "onnx", "polars", "sklearn", "scipy", "pydantic", "yaml", "matplotlib", "safetensors")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Make:
    kept: dict[str, MadeWithEncoder] = {}

    def one(family: str, head: dict[str, Any] = PROBE, layers: tuple[int, ...] | None = None) -> Any:
        key = json.dumps([family, head, layers])
        if key not in kept:
            kept[key] = make(family, tmp_path_factory.mktemp(family), head, layers)
        return kept[key]

    return one


def graph(folder: Path) -> onnx.ModelProto:
    return onnx.load(folder / "voice.onnx")


def encoder_of(folder: Path) -> Any:
    return load(folder).description.inputs["voice"].encoder


@pytest.mark.parametrize("family", FAMILIES)
def test_the_bundle_computes_what_the_encoder_does(made: Make, family: str) -> None:
    one = made(family)
    bundle = load(one.folder)
    # Toy Whisper's window is 2 s; the last is cut into windows by every family.
    waves = [sound(50, 0.11), sound(51, 1.3), sound(52, 2.0), sound(53, 4.01), sound(54, 31.7)]
    for found, right in zip(bundle.inputs(waves), one.inputs(waves)["voice"], strict=True):
        assert found["voice"].dtype == np.float32
        assert_allclose(found["voice"], right, rtol=1e-4, atol=1e-4)
    outputs = one.outputs(waves)
    assert outputs.std() > 0.01
    assert_allclose(bundle.outputs(bundle.inputs(waves)), outputs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", ["onnx", "hubert", "onnx-32-khz"])
def test_predictions_are_the_head_s_on_stored_features(made: Make, family: str, tmp_path: Path) -> None:
    one = made(family)
    bundle = load(one.folder)
    paths = [tmp_path / f"{k}.wav" for k in range(4)]
    for k, path in enumerate(paths):
        # Each at another rate: the store and the bundle resample it alike.
        soundfile.write(path, sound(60 + k, 0.9), (16_000, 8_000, 44_100, 32_000)[k], subtype="FLOAT")
    clips = [Clip(path.stem, Piece(str(path))) for path in paths]
    stored = extract(clips, one.settings, Storage(), folder=tmp_path / "store")
    logits = outputs_of(one.head, [stored.features[clip.id] for clip in clips]) / 1.5
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = [list(bundle.predict_file(path).probabilities.values()) for path in paths]
    assert_allclose(found, expected, atol=1e-4)
    assert_allclose(
        [list(prediction.probabilities.values()) for prediction in bundle.predict_many(paths)],
        expected,
        atol=1e-4,
    )


@pytest.mark.parametrize(
    ("family", "head", "layers", "form"),
    [
        ("hubert", {"name": "tcgru", "hidden": 8, "epochs": 1}, (2,), Form.FRAMES),
        ("whisper", {"name": "emobox", "epochs": 1}, (3,), Form.FRAMES),
        ("hubert", {"name": "weighted", "epochs": 1}, None, Form.LAYERS),
    ],
)
def test_heads_on_frames_and_on_all_layers(
    made: Make, family: str, head: dict[str, Any], layers: tuple[int, ...] | None, form: Form
) -> None:
    one = made(family, head, layers)
    bundle = load(one.folder)
    assert bundle.description.inputs["voice"].form is form
    waves = [sound(70, 0.5), sound(71, 2.3), sound(72, 31.0)]
    assert_allclose(bundle.outputs(bundle.inputs(waves)), one.outputs(waves), rtol=1e-4, atol=1e-4)
    assert bundle.predict(sound(0), 16_000).label in CLASSES


def test_frames_that_were_averaged_are_averaged(made: Make, tmp_path: Path) -> None:
    one = made("hubert", {"name": "emobox", "epochs": 1}, (2,))
    averaged = {"voice": replace(one.given["voice"], average=3)}
    bundle = load(write(tmp_path / "b", one.head, averaged))
    wave = sound(70, 0.5)
    frames = load(one.folder).inputs([wave])[0]["voice"]
    expected = [frames[start : start + 3].mean(axis=0) for start in range(0, len(frames), 3)]
    assert_allclose(bundle.inputs([wave])[0]["voice"], expected, rtol=1e-5, atol=1e-6)


def test_nothing_above_the_highest_layer_in_use_is_there(made: Make) -> None:
    whole = made("hubert")
    low = made("hubert", {**PROBE, "layers": "concat 0-1"})
    encoder = encoder_of(low.folder)
    assert (encoder.cut, encoder.needed, encoder.layers) == (1, (0, 1), ("0", "1", "2", "3"))
    sizes = [sum(np.prod(t.dims) for t in graph(one.folder).graph.initializer) for one in (low, whole)]
    layer = sum(p.numel() for p in whole.encoder.network.layers[2].parameters())
    assert sizes[1] - sizes[0] >= 2 * layer
    assert encoder.parameters < encoder_of(whole.folder).parameters
    foreign = made("onnx", {**PROBE, "layers": "concat 1"})
    names = {tensor.name for tensor in graph(foreign.folder).graph.initializer}
    assert "V" in names and "unused_above" not in names
    assert [value.name for value in graph(foreign.folder).graph.output] == ["unheard.turned"]


def test_a_long_clip_is_never_in_the_network_as_a_whole(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = load(made("hubert").folder)
    heard = []
    network = type(bundle._extractors.made["voice"])
    run = network._run  # type: ignore[attr-defined]

    def counted(self: Any, wave: np.ndarray) -> Any:
        heard.append(len(wave) / 16_000)
        return run(self, wave)

    monkeypatch.setattr(network, "_run", counted)
    bundle.inputs([sound(0, 30.0), sound(1, 75.0)])
    assert heard[0] <= 30 and len(heard) > 4
    assert max(heard[1:]) <= 20


@pytest.mark.parametrize("family", ["onnx", "hubert", "whisper"])
def test_nothing_of_the_machine_and_the_same_bytes_again(made: Make, family: str, tmp_path: Path) -> None:
    one = made(family)
    again = write(tmp_path / "again", one.head, one.given)
    for path in one.folder.iterdir():
        data = path.read_bytes()
        assert data == (again / path.name).read_bytes(), path.name
        for trace in (b"/home", b"mallory", str(one.folder.parent).encode(), str(Path.cwd()).encode()):
            assert trace not in data, (path.name, trace)


def test_the_card_says_whose_encoder_it_is(made: Make) -> None:
    one = made("onnx")
    card = (one.folder / "card.md").read_text()
    assert "ToyNet, by Nobody" in card
    assert "- encoder: Toy Licence 2.0 (ToyNet, by Nobody)" in card
    assert one.settings["sha256"] in card
    assert "RANDOM WEIGHTS" not in card
    assert "**RANDOM WEIGHTS**" in (made("onnx-32-khz").folder / "card.md").read_text()


def test_predicting_needs_neither_torch_nor_anything_that_trains(made: Make, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.flac", sound(1), 16_000)
    code = (
        "import sys\n"
        f"for name in {BLOCKED!r}:\n    sys.modules[name] = None\n"
        "from unheard.bundle.runtime import load\n"
        "for folder in sys.argv[2:]:\n"
        "    assert load(folder).predict_file(sys.argv[1]).label\n"
        "print([name for name in sys.modules if name.startswith(('unheard.encoders', 'unheard.heads'))])"
    )
    folders = [str(made(family).folder) for family in FAMILIES]
    command = [sys.executable, "-c", code, str(tmp_path / "clip.flac"), *folders]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "[]", "")


def test_an_encoder_that_answers_otherwise_than_its_graph_is_not_exported(
    made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made("hubert")
    other = encoders.load({**one.settings, "sha256": ""})
    extract = other.extract
    monkeypatch.setattr(
        other,
        "extract",
        lambda waves, layers: [tuple(x + 0.05 for x in clip) for clip in extract(waves, layers)],
    )
    with pytest.raises(BundleError, match=r"voice\.onnx changes the outputs by"):
        write(tmp_path / "b", one.head, {"voice": replace(one.given["voice"], extractor=other)})
    assert not list(tmp_path.iterdir())


@pytest.mark.data
def test_fsmn_in_a_bundle(data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"name": "onnx", "model": str(data_folder / "weights" / "fsmn-vad"), "description": "fsmn-vad"}
    monkeypatch.setitem(FAMILIES, "fsmn", lambda _: {**settings, "trim": 40})
    one = make("fsmn", tmp_path, {**PROBE, "layers": "concat 1-4"})
    bundle = load(one.folder)
    path = next((data_folder / "ravdess").rglob("03-01-*.flac"))
    wave, rate = soundfile.read(path, dtype="float32")
    assert rate == 16_000
    assert_allclose(bundle.outputs(bundle.inputs([wave])), one.outputs([wave]), rtol=1e-4, atol=1e-4)
    encoder = encoder_of(one.folder)
    assert encoder.layers[4] == "hidden5" and encoder.needed == (1, 2, 3, 4)
    assert "FSMN-VAD" in encoder.source and "FunASR" in encoder.licence
    # The output layer (250 → 140 → 248) is left out.
    assert encoder.parameters < 380_000
