"""``unheard layers`` on a tiny encoder: what it prints and leaves, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

RECIPE = """
recipe: tiny
about: a tiny encoder
corpus: synthetic
protocol: loso
encoder: {name: hubert, weights: random}
head: {name: probe}
"""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from unheard.testing import toy_encoder

    return toy_encoder(tmp_path_factory.mktemp("weights") / "tiny", "hubert")


@pytest.mark.slow
def test_layers_are_printed_drawn_and_stored(call, toy_folder: Path, weights: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "tiny.yaml").write_text(RECIPE, encoding="utf-8")
    asked = ("layers", "tiny.yaml", "--data", toy_folder, "--weights", weights, "--fold", 1)
    done = call(*asked)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((tmp_path / "layers" / "layers.json").read_text(encoding="utf-8"))
    layers = found["layers"]
    assert [layer["layer"] for layer in layers] == list(range(len(layers))) and len(layers) > 1
    assert found["stamps"] == ["FEW SPEAKERS", "SYNTHETIC", "RANDOM WEIGHTS"]
    assert found["fold"] == 1 and found["n_speakers"] == 4 and found["n_clips"] == 64
    assert found["encoder"]["sha256"] and found["encoder"]["model"] == str(weights)
    first, stamped, head, *rest = done.stdout.splitlines()
    assert first.startswith("64 training clips of 4 speakers of fold 1 of loso")
    assert stamped.split(" · ")[-1] == "RANDOM WEIGHTS"
    assert head.split() == ["layer", "name", "saliency", "r", "alone", "emotion", "UAR", "%"]
    for layer, line in zip(layers, rest, strict=False):
        assert line.split()[0] == str(layer["layer"]) and f"{100 * layer['emotion']['uar']:.1f}" in line
    assert any(line.startswith(f"Salient: layer {found['salient']['layer']}") for line in rest)
    assert any("4 training speakers" in line and "no score for unheard people" in line for line in rest)
    page = (tmp_path / "layers" / "layers.html").read_text(encoding="utf-8")
    assert "RANDOM WEIGHTS" in page and page.count("<svg") == 1 and "<script" not in page

    again = call(*asked)
    assert again.returncode == 2 and "layers.json exists" in again.stderr
    missing = call(*asked[:-1], 9, "--out", "other")
    assert missing.returncode == 2 and "has the folds 0-5, found 9" in missing.stderr


def test_a_recipe_without_an_encoder_has_no_layers(call, toy_folder: Path) -> None:  # type: ignore[no-untyped-def]
    done = call("layers", "functionals", "--data", toy_folder, "--corpus", "synthetic")
    assert done.returncode == 2 and "has no encoder, so there are no layers to look at" in done.stderr
