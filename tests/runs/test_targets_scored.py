"""Shares of votes and two dimensions, from predictions to results, the page and the check of stored results."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from unheard.analysis.stored_results import check, store
from unheard.corpora.table import utterances
from unheard.files import write_json, write_text
from unheard.metrics.dimensional import ccc, mae
from unheard.metrics.distributional import kl
from unheard.predictions.table import predictions
from unheard.protocols.fold import Fold, Protocol
from unheard.report.page import html
from unheard.report.system import System
from unheard.runs.scoring import results

CLASSES = ("calm", "happy", "sad")


@dataclass
class Scored:
    """A made-up system on twelve speakers of two folds."""

    table: pl.DataFrame
    predicted: pl.DataFrame
    found: dict[str, Any]


def scored(*, classes: bool, dimensions: bool = True, corpus: str = "toy") -> Scored:
    """Graders share their votes among three classes; every fifth clip has no consensus, one no prediction."""
    rng = np.random.default_rng(3)
    clips, rows = [], []
    for s in range(12):
        for i in range(10):
            name, votes = f"s{s:02d}-{i}", rng.multinomial(5, rng.dirichlet(np.ones(3)))
            label = None if i % 5 == 4 else CLASSES[int(votes.argmax())]
            shares, valence, activation = votes / 5, *rng.random(2)
            answered = not (s == 0 and i == 0)
            z = np.log(shares + 0.2) + 0.3 * rng.normal(size=3)
            facts = {
                "id": name,
                "speaker": f"s{s:02d}",
                "gender": ("female", "male")[s % 2],
                "label": label,
            }
            clips.append({**facts, "path": f"{name}.wav", "valence": valence, "activation": activation})
            row: dict[str, Any] = {**facts, "fold": s // 6}
            if classes:
                row |= {"target": shares.tolist(), "logits": z.tolist() if answered else None}
            else:
                row["label"] = None
            if dimensions:
                row |= {
                    "valence_true": valence,
                    "activation_true": activation,
                    "valence": 0.6 * valence + 0.4 * rng.random() if answered else None,
                    "activation": 0.2 * activation + 0.8 * rng.random() if answered else None,
                }
            rows.append(row)
    table = utterances(clips, corpus=corpus, labels=CLASSES)
    ids = [[c["id"] for c in clips if int(c["speaker"][1:]) // 6 == fold] for fold in (0, 1)]
    protocol = Protocol(
        name="toy2",
        corpus=corpus,
        folds=tuple(Fold(train=tuple(ids[1 - f]), val=(), test=tuple(ids[f])) for f in (0, 1)),
    )
    frame = pl.DataFrame(rows, infer_schema_length=None).with_columns(
        system=pl.lit("toy"),
        corpus=pl.lit(corpus),
        protocol=pl.lit(protocol.name),
        protocol_hash=pl.lit(protocol.hash),
    )
    predicted = predictions(frame, CLASSES if classes else ())
    records = [
        {"fold": f, "seed": 0, "n_train_speakers": 6, "chosen": {}, "temperature": None} for f in (0, 1)
    ]
    found = results(
        table, predicted, protocol,
        recipe="toy", refit="none", settings_hash="h", records=records, held_back=["s10", "s11"],
    )  # fmt: skip
    return Scored(table, predicted, found)


def page_of(made: Scored, **config: Any) -> str:
    return html(
        [System("toy", made.found, made.predicted, None, config=config, table=made.table, folder="runs/toy")]
    )


def test_votes_and_dimensions_stand_in_the_results() -> None:
    made = scored(classes=True)
    found, t = made.found, made.predicted
    assert set(found["dimensions"]) >= {"activation.ccc", "valence.mae", "mean.ccc"}
    filled = t.with_columns(pl.col("valence", "activation").fill_null(0.5))
    valence = (filled["valence"].to_numpy(), filled["valence_true"].to_numpy())
    assert found["dimensions"]["valence.ccc"]["pooled"] == pytest.approx(ccc(*valence))
    assert found["dimensions"]["valence.mae"]["pooled"] == pytest.approx(mae(*valence))
    p = np.array([row or [1 / 3] * 3 for row in t["probabilities"].to_list()])
    due = kl(p, np.array(t["target"].to_list())).mean()
    assert found["distribution"]["kl"]["pooled"] == pytest.approx(due)
    for block in ("metrics", "distribution", "dimensions"):
        for value in found[block].values():
            assert value["low"] <= value["pooled"] <= value["high"]
    # Accuracy is over the clips with a consensus, the rest over all of them.
    assert sum(c["n_clips"] for c in found["per_class"].values()) == 96
    assert found["n_clips"] == 120
    assert {"distribution", "dimensions", "accuracy"} <= set(found["folds"][0])
    assert set(found["held_back"]) >= {"metrics", "distribution", "dimensions"}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_dimensions_alone_have_no_score_of_classes() -> None:
    found = scored(classes=False).found
    assert found["metrics"] == {} and found["labels"] == []
    assert not {"per_class", "groups", "variance", "baselines", "distribution"} & set(found)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize("classes", [True, False])
def test_the_page_shows_a_table_of_dimensions(classes: bool) -> None:
    made = scored(classes=classes)
    text = page_of(made, published=[
        {"system": "another", "protocol": "toy2", "train_speakers": 6, "ccc": 0.99, "source": "an article"}
    ])  # fmt: skip
    estimate = made.found["dimensions"]["valence.ccc"]
    ends = f"[{estimate['low']:.3f}, {estimate['high']:.3f}]"
    assert "<h3>Dimensions</h3>" in text and ends in text
    assert re.search(
        rf'<th scope="row">valence</th><td[^>]*>{estimate["pooled"]:.3f}</td><td[^>]*>{re.escape(ends)}</td>',
        text,
    )
    assert "The mean CCC of dimensions over 120 clips by 12 speakers" in text
    assert "another, mean CCC: published 0.990, ours" in text and "They differ" in text
    assert ("KL" in text) == classes
    assert ("Reliability" in text) == classes
    assert "1 clip got no prediction" in text


def test_systems_of_one_target_are_compared_on_a_page_and_others_stand_apart() -> None:
    both, alone = scored(classes=True), scored(classes=False)
    systems = [
        System(name, made.found, made.predicted, None)
        for name, made in (("votes", both), ("first", alone), ("second", alone))
    ]
    text = html(systems)
    assert "Not shown: first and second differ by 0.000 in mean CCC." in text
    assert "difference of mean CCC" in text
    assert "votes and first differ" not in text
    assert all(
        f'<th scope="col" class="number">{name}</th>' in text for name in ("accuracy", "KL", "mean CCC")
    )


def test_votes_alone_make_a_page() -> None:
    made = scored(classes=True, dimensions=False)
    assert "dimensions" not in made.found
    assert "Dimensions" not in page_of(made) and "Jensen-Shannon" in page_of(made)


@pytest.mark.parametrize("classes", [True, False])
def test_stored_results_are_checked_to_the_last_metric(classes: bool, tmp_path: Path) -> None:
    from unheard.predictions.table import write_predictions
    from unheard.runs.folder import Run

    made = scored(classes=classes, corpus="ravdess")
    folder = tmp_path / "run"
    write_json(folder / "results.json", made.found)
    write_json(folder / "provenance.json", {"protocol_hash": made.found["protocol_hash"]})
    write_text(folder / "config.yaml", "recipe: toy\n")
    write_predictions(made.predicted, folder / "predictions.parquet")
    target = store(Run(folder), tmp_path / "results")
    value = made.found["dimensions"]["valence.ccc"]
    said = f"{value['pooled']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
    text = tmp_path / "README.md"
    text.write_text(f"| recipe | protocol | CCC of valence |\n|---|---|---|\n| toy | toy2 | {said} |\n")
    assert check(text, tmp_path / "results") == (1, [])
    stored = json.loads((target / "results.json").read_text())
    stored["dimensions"]["mean.mae"]["pooled"] += 0.1
    write_json(target / "results.json", stored)
    checked: Callable[..., Any] = check
    assert any("mean.mae.pooled" in line for line in checked(text, tmp_path / "results")[1])
