"""Words through a run: with the turns before, without recordings, and never across the test's border."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile

from unheard import encoders, protocols
from unheard.corpora.table import utterances
from unheard.errors import UsageError
from unheard.inputs import Turn
from unheard.protocols.fold import guarded
from unheard.recipes import recipe as recipes
from unheard.runs.run import run

SAYS = {"joy": "wonderful great yes", "sadness": "alone crying lost", "neutral": "table door window"}


@pytest.fixture(scope="module")
def series() -> pl.DataFrame:
    """MELD's columns on 72 utterances whose words say the class; no recording is there."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for part, count in (("train", 36), ("dev", 18), ("test", 18)):
        for k in range(count):
            label = list(SAYS)[k % 3]
            words = " ".join(rng.permutation(SAYS[label].split()))
            rows.append(
                {
                    "id": f"{part}/dia{k // 6}_utt{k % 6}", "path": f"/nowhere/{part}{k}.mp4", "text": words,
                    "speaker": f"s{k % 5}", "dialogue": f"{part}/{k // 6}", "turn": str(k % 6),
                    "label": label, "split": part,
                }
            )  # fmt: skip
    return utterances(rows, corpus="meld", labels=sorted(SAYS))


def test_words_are_learned_and_no_clip_is_lost_for_want_of_a_recording(
    series: pl.DataFrame, tmp_path: Path
) -> None:
    # The published code drops rows without audio, from the test of words alone too.
    recipe = recipes.load("meld-terms", {"head.grid": [0.1], "features.dims": 64})
    made = run(recipe, series, protocols.make("meld", series), tmp_path / "run")
    test = made.predictions.filter(pl.col("part") == "test")
    assert len(test) == 18 and not test["logits"].null_count()
    assert (tmp_path / "run" / "errors.jsonl").read_text() == ""
    score = made.scores["scores"]["weighted_f1"] if "scores" in made.scores else None
    assert score is None or score["pooled"] > 0.9
    assert made.scores["stamps"] and "LEAKY" in str(made.scores["stamps"])


def test_context_across_the_border_of_a_test_is_refused(series: pl.DataFrame, tmp_path: Path) -> None:
    recipe = recipes.load("meld-terms", {"inputs.words.context": 1, "features.dims": 64, "head.grid": [0.1]})
    folds = protocols.make("random-3", series).folds
    split = guarded("split", series, folds, leaky=True)
    with pytest.raises(UsageError, match="both in test and in training of fold 0"):
        run(recipe, series, split, tmp_path / "run")
    alone = recipes.load("meld-terms", {"features.dims": 64, "head.grid": [0.1]})
    assert alone.inputs["words"].context == 0


@pytest.mark.parametrize("missing", [True, False])
def test_a_clip_without_a_recording_is_answered_from_its_words_where_the_head_can(
    series: pl.DataFrame, tmp_path: Path, missing: bool
) -> None:
    pytest.importorskip("torch")
    noise = np.random.default_rng(1).normal(0, 0.1, 8_000)
    sound = tmp_path / "there.wav"
    soundfile.write(sound, noise, 16_000)
    # A third of the clips has no recording, of every class as many.
    there = pl.int_range(pl.len()) // 3 % 3 != 0
    table = series.with_columns(path=pl.when(there).then(pl.lit(str(sound))).otherwise("path"))
    recipe = recipes.validate(
        {
            "recipe": "both", "about": "both", "protocol": "meld",
            "inputs": {
                "voice": {"features": {"name": "mfbf0", "average": 10}},
                "words": {"features": {"name": "terms", "dims": 32}},
            },
            "head": {
                "name": "cross_attention", "inputs": ["words", "voice"], "hidden": 16, "attention_heads": 2,
                "missing": missing, "epochs": 20, "learning_rate": 0.01, "dropout": 0.0,
            },
        }
    )  # fmt: skip
    made = run(recipe, table, protocols.make("meld", table), tmp_path / "run", max_bad=1.0)
    test = made.predictions.filter(pl.col("part") == "test")
    assert test["logits"].null_count() == (0 if missing else 6)
    answered = test.filter(pl.col("logits").is_not_null())
    right = [
        sorted(SAYS)[int(np.argmax(scores))] == label
        for scores, label in answered.select("logits", pl.col("label").cast(pl.String)).iter_rows()
    ]
    assert np.mean(right) > 0.8


@pytest.mark.data
def test_a_whole_sentence_encoder_tells_moods_apart() -> None:
    folder = Path(os.environ.get("UNHEARD_TEST_MODELS", "models")) / "all-MiniLM-L6-v2"
    if not folder.is_dir():
        pytest.skip("no whole sentence encoder in UNHEARD_TEST_MODELS")
    encoder = encoders.load({"name": "transformers", "model": str(folder)})
    texts = ("I am so happy for you!", "This is wonderful news.", "The train leaves at noon.")
    rows = [layers[0].mean(0) for layers in encoder.extract([(Turn(None, t),) for t in texts], [6])]
    a, b, c = (row / np.linalg.norm(row) for row in rows)
    assert a @ b > a @ c + 0.1
