"""Every published system runs end to end on the real RAVDESS, here with a tiny encoder that learned nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import unheard as ut
from unheard.recipes import recipe as recipes
from unheard.runs.reporting import report
from unheard.runs.run import run
from unheard.testing import toy_encoder

pytest.importorskip("torch")

#: Recipes that quote a figure of a pretrained encoder; those on networks at hand are run in earnest elsewhere.
PUBLISHED = [
    name
    for name in recipes.names()
    if (recipe := recipes.load(name)).published
    and recipe.corpus == "ravdess"
    and "voice" in recipe.inputs
    and recipe.inputs["voice"].encoder
    and recipe.inputs["voice"].encoder["name"]
    != "onnx"  # its own weights are small, and its results are stored
]
#: Short trainings: the plumbing is tested, not the score.
SHORT = {"emobox": {"head.epochs": 1}, "weighted": {"head.epochs": 1}, "probe": {"head.grid": [0.01]}}


def test_the_published_systems_are_all_there() -> None:
    families = {"wavlm-large", "xlsr", "hubert-large", "whisper-large-v3"}
    expected = {f"ravdess-probe-{family}" for family in families}
    expected |= {f"ravdess-emobox-{family}" for family in ("hubert-base", "wavlm-large", "whisper-large-v3")}
    expected |= {f"ravdess-emobox-{family}-lr" for family in ("wavlm-large", "xlsr", "whisper-large-v3")}
    expected |= {"ravdess-hubert-base", "ravdess-hubert-base-random", "ravdess-wav2vec2-base"}
    expected |= {"ravdess-wavlm-large-frozen", "ravdess-wavlm-large-finetuned"}
    assert expected <= set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_its_figure_names_its_own_protocol(name: str) -> None:
    recipe = recipes.load(name)
    assert all(figure.protocol == recipe.protocol for figure in recipe.published)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("name", PUBLISHED)
def test_it_runs_end_to_end_and_is_stamped(name: str, data_folder: Path, tmp_path: Path) -> None:
    stated = recipes.load(name)
    encoder = stated.inputs["voice"].encoder
    assert encoder is not None
    changes: dict[str, Any] = dict(SHORT.get(stated.head["name"], {}))
    if stated.training is not None:
        changes = {"training.epochs": 1, "training.patience": 1, "training.longest": 1.0}
        # So small a network is fastest on one thread.
        changes |= {"threads": 1, "training.precision": "float32"}
    model = toy_encoder(tmp_path / "model", encoder["name"], num_hidden_layers=8)
    changes |= {"inputs.voice.encoder.model": str(model), "inputs.voice.encoder.weights": "random"}
    if "words" in stated.inputs:
        words = toy_encoder(tmp_path / "words", "bert")
        changes |= {"inputs.words.encoder.model": str(words), "inputs.words.encoder.weights": "random"}
        changes |= {"head.epochs": 1, "head.hidden": 16}
    table = ut.read("ravdess", data_folder / "ravdess" / "speech")
    made = run(
        recipes.load(name, changes), table, ut.protocol(stated.protocol, table), tmp_path / "run", only=[0]
    )
    assert made.scores["n_clips"] == len(made.protocol.folds[0].test)
    assert made.predictions["logits"].null_count() == 0
    assert "RANDOM WEIGHTS" in made.scores["stamps"]
    assert ("LEAKY" in made.scores["stamps"]) == name.endswith("-random")
    page = report([made], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "RANDOM WEIGHTS" in page
    assert all(figure.system in page for figure in stated.published)
