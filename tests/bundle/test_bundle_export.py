"""What export promises: a graph that is the head, nothing half made, nothing of others' deleted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import pytest
from numpy.testing import assert_allclose

from bundle_parts import CLASSES, KINDS, Made, named, seal, sound
from one_input import examples, export_features, outputs_of
from unheard import heads
from unheard.bundle.head import GraphHead
from unheard.bundle.runtime import load
from unheard.encoders.contract import Encoder
from unheard.errors import BundleError, UsageError
from unheard.exporting import writing
from unheard.exporting.export import ExportInput, export
from unheard.inputs import Form, Layer
from unheard.onnx_graphs.head_inputs import Shape
from unheard.onnx_graphs.head_outputs import Columns
from unheard.onnx_graphs.heads import graph_of
from unheard.targets import Target

Make = Callable[[str], Made]


def again(
    one: Made, out: Path, *, head: Any = None, features: Any = None, classes: Any = CLASSES, **changes: Any
) -> Path:
    return export_features(head or one.head, features or one.settings, classes, out, **one.options(**changes))


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", KINDS)
def test_graph_is_the_head(made: Make, kind: str) -> None:
    one = made(kind)
    bundle = load(one.folder)
    inputs = [one.spec.compute(sound(seed)) for seed in range(100, 110)]
    expected = outputs_of(one.head, inputs)
    assert expected.std() > 0.01
    assert_allclose(bundle.outputs(named(inputs)), expected, rtol=1e-4, atol=1e-4)
    # One at a time, and in another order: the other clips of a batch do not matter.
    assert_allclose(
        np.concatenate([bundle.outputs(named([x])) for x in inputs]), expected, rtol=1e-4, atol=1e-4
    )
    assert_allclose(bundle.outputs(named(inputs[::-1])), expected[::-1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["probe-frames", "tcgru"])
def test_what_lies_beyond_a_clip_does_not_matter(made: Make, kind: str) -> None:
    one = made(kind)
    session = load(one.folder)._head._session  # type: ignore[attr-defined]
    clips = [one.spec.compute(sound(seed)) for seed in (7, 8)]
    for garbage in (0.0, 1e6, np.nan):
        frames = np.full((2, 99, clips[0].shape[1]), garbage, np.float32)
        for row, clip in zip(frames, clips, strict=True):
            row[: len(clip)] = clip
        lengths = np.array([len(clip) for clip in clips])
        (found,) = session.run(["outputs"], {"voice": frames, "voice.lengths": lengths})
        assert_allclose(found, outputs_of(one.head, clips), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["probe", "tcgru"])
def test_the_same_head_gives_the_same_bytes(made: Make, tmp_path: Path, kind: str) -> None:
    one = made(kind)
    assert files(again(one, tmp_path / "b")) == files(one.folder)


def test_the_graph_is_plain_onnx_that_older_onnxruntimes_read(made: Make) -> None:
    for kind in KINDS:
        model = onnx.load(made(kind).folder / "model.onnx")
        onnx.checker.check_model(model, full_check=True)
        assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
        assert model.ir_version == 8
        names = [entry.name for entry in model.graph.input]
        assert names == (["voice"] if kind == "probe" else ["voice", "voice.lengths"])


def test_the_folder_holds_what_it_says(made: Make) -> None:
    one = made("probe")
    plain = json.loads((one.folder / "bundle.json").read_text())
    assert sorted(files(one.folder)) == [
        "bundle.json",
        "card.md",
        "golden.npz",
        "manifest.json",
        "model.onnx",
    ]
    assert plain["schema"] == "2.2"
    assert plain["target"] == {"classes": list(CLASSES), "of": "label", "dimensions": []}
    assert plain["training"] == {"corpus": "toy", "speakers": ["s0", "s1", "s2", "s3"], "others": {}}
    assert plain["temperature"] == 1.5
    voice = plain["inputs"].pop("voice")
    assert not plain["inputs"]
    assert voice.pop("extractor")["features"]["trim"] == 40
    assert voice == {"medium": "audio", "form": "row", "dims": 590, "layers": 1, "version": "2"}
    assert plain["score"]["stamps"] == ["FEW SPEAKERS", "SYNTHETIC"]
    assert "folds" not in plain["score"]
    assert plain["licences"]["weights"] == ["CC BY 4.0"]
    assert plain["licences"]["code"] == "Apache-2.0"
    assert {"unheard", "onnxruntime", "numpy"} <= plain["versions"].keys()
    # No recording, no path of the machine that made it.
    for name, data in files(one.folder).items():
        assert b"/home" not in data and str(Path.cwd()).encode() not in data, name


def test_an_existing_folder_is_refused_and_replaced_by_force_alone(made: Make, tmp_path: Path) -> None:
    one, out = made("probe-means"), tmp_path / "b"
    again(one, out)
    before = files(out)
    with pytest.raises(UsageError, match="exists; choose another name or give --force"):
        again(one, out, temperature=2.0)
    assert files(out) == before
    again(one, out, temperature=2.0, force=True)
    assert load(out).description.temperature == 2.0
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_force_never_deletes_what_is_not_a_bundle_s(made: Make, tmp_path: Path) -> None:
    one, out = made("probe-means"), tmp_path / "b"
    again(one, out)
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"thesis\.tex"):
        again(one, out, force=True)
    assert (out / "thesis.tex").read_text() == "years of work"
    load_refused = files(out)
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not a bundle, so it is not replaced"):
        again(one, notes, force=True)
    assert files(notes) == {"a.txt": b"mine"}
    assert files(out) == load_refused
    file = tmp_path / "file"
    file.write_text("mine")
    (tmp_path / "link").symlink_to(notes)
    for path in (file, tmp_path / "link"):
        with pytest.raises(UsageError, match="is not a folder"):
            again(one, path, force=True)


def test_force_fills_an_empty_folder_and_replaces_a_damaged_bundle(made: Make, tmp_path: Path) -> None:
    one = made("probe-means")
    (tmp_path / "empty").mkdir()
    filled = again(one, tmp_path / "empty", force=True)
    load(filled)
    out = again(one, tmp_path / "b")
    (out / "model.onnx").write_bytes(b"damaged")
    assert files(again(one, out, force=True)) == files(filled)
    load(out)


@pytest.mark.parametrize("when", ["write_manifest", "load", "_put"])
def test_a_failure_leaves_what_was_there_and_nothing_else(
    made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    one, out = made("probe-means"), tmp_path / "b"
    again(one, out)
    before = files(out)

    def fail(*_: Any) -> None:
        raise OSError("broken")

    monkeypatch.setattr(writing, when, fail)
    with pytest.raises(OSError, match="broken"):
        again(one, out, temperature=2.0, force=True)
    assert files(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_an_older_bundle_comes_back_if_the_new_one_cannot_take_its_name(
    made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, out = made("probe-means"), tmp_path / "b"
    again(one, out)
    before, real = files(out), Path.rename

    def rename(self: Path, target: Path) -> Path:
        if target == out and not self.name.endswith(".old"):
            raise OSError("broken")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OSError, match="broken"):
        again(one, out, temperature=2.0, force=True)
    assert files(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


class Lying:
    """A head whose graph gives other logits than itself."""

    name = "probe"

    def __init__(self, head: Any, by: float) -> None:
        self.head, self.by, self.statistics, self.input = head, by, head.statistics, None

    def outputs(self, inputs: Any) -> Any:
        return self.head.outputs(inputs) + self.by * np.array([1, 0, 0])

    def state(self) -> Any:
        return self.head.state()


class Faces(Encoder):
    """An encoder that takes video."""

    medium = "video"
    settings: ClassVar = {"name": "faces"}
    layers = (Layer("0", 1, 1.0),)


def test_a_graph_that_is_not_the_head_is_never_written(made: Make, tmp_path: Path) -> None:
    one = made("probe-means")
    with pytest.raises(BundleError, match=r"other outputs than the head, by 0\.0[0-9]+ for clips together"):
        again(one, tmp_path / "b", head=Lying(one.head, 0.1))
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_a_bundle_is_refused_first(made: Make, tmp_path: Path) -> None:
    one = made("probe-means")
    out = tmp_path / "b"
    np.savez(tmp_path / "x.npz", a=np.zeros(3, np.float32))
    with pytest.raises(UsageError, match=r"'voice' \(precomputed\) was read from files"):
        again(one, out, features={"name": "precomputed", "path": str(tmp_path / "x.npz")})
    (tmp_path / "x.npz").unlink()
    face = ExportInput(Faces(), Form.POOLED)
    with pytest.raises(UsageError, match=r"'face' \(faces\) takes video, and bundles take audio and text"):
        export(one.head, {"face": face}, Target(CLASSES), out, **one.options())
    spec = ExportInput(one.spec, Form.FRAMES)
    with pytest.raises(UsageError, match="input 'Voice!': a bundle calls its inputs by small letters"):
        export(one.head, {"Voice!": spec}, Target(CLASSES), out, **one.options())
    with pytest.raises(UsageError, match="gives 3 outputs, and the target has 2 columns"):
        again(one, out, classes=["angry", "happy"])
    with pytest.raises(UsageError, match="plain finite values"):
        again(one, out, recipe={"recipe": object()})
    with pytest.raises(UsageError, match="plain finite values"):
        again(one, out, licences={"weights": float("nan")})
    unknown = Lying(one.head, 0)
    unknown.name = "forest"  # type: ignore[misc]
    with pytest.raises(UsageError, match="'forest' has no graph"):
        again(one, out, head=unknown)
    assert not list(tmp_path.iterdir())


def test_frames_of_a_different_kind_of_head_are_refused(made: Make, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs frame features"):
        again(made("tcgru"), tmp_path / "b", features={"name": "functionals"})


def test_many_random_heads_agree_with_their_graphs(made: Make) -> None:
    rng = np.random.default_rng(0)
    description = load(made("tcgru").folder).description
    dims = description.inputs["voice"].dims
    torch = pytest.importorskip("torch")
    for seed in range(3):
        clips = [rng.normal(0, 1, (int(rng.integers(1, 20)), dims)).astype(np.float32) for _ in range(9)]
        rows = examples(clips, np.arange(9) % 3, np.array([f"s{i}" for i in range(9)]), 3)
        head = heads.build({"name": "tcgru", "hidden": 7 + seed, "epochs": 1, "seed": seed}).fit(rows, rows)
        with torch.no_grad():
            for parameter in head.network_.parameters():  # type: ignore[attr-defined]
                parameter.mul_(3)
        graph = GraphHead(graph_of(head, {"voice": Shape(Form.FRAMES, dims)}, Columns(3)), description)
        assert_allclose(graph.outputs(named(clips)), outputs_of(head, clips), rtol=1e-4, atol=1e-4)


def test_sealing_a_sound_copy_changes_nothing(copied: Callable[..., Path]) -> None:
    folder = copied()
    before = files(folder)
    seal(folder)
    assert files(folder) == before
