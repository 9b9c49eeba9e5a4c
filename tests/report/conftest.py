"""Made-up systems of a RAVDESS-like size: random predicted, right with a probability of each speaker's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from unheard.corpora.table import utterances
from unheard.metrics import estimators
from unheard.metrics.speakers import variance_split
from unheard.predictions.table import predictions
from unheard.report.system import System

CLASSES = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")

#: Draws of the intervals in these made-up results.
DRAWS = 200


def made_up(
    name: str = "made-up",
    *,
    classes: tuple[str, ...] = CLASSES,
    speakers: int = 24,
    clips: int = 60,
    folds: int = 6,
    seeds: int = 1,
    right: float = 0.55,
    gap: float = 0.1,
    known: bool = True,
    protocol: str = "ravdess-balanced6",
    corpus: str = "ravdess",
    stamps: tuple[str, ...] = (),
    seed: int = 0,
    unanswered: int = 0,
    **changes: Any,
) -> System:
    """Make a system; ``gap`` is what women are understood better, ``changes`` go over the fields of System."""
    rng = np.random.default_rng(seed)
    k = len(classes)
    rows: list[dict[str, Any]] = []
    for s in range(speakers):
        female = s % 2 == 1
        skill = right + (gap / 2 if female else -gap / 2) + rng.normal(0, 0.05)
        for c in range(clips):
            label = c % k
            for run in range(seeds):
                hit = rng.random() < skill
                prediction = label if hit else (label + rng.integers(1, min(k, 4))) % k
                logits = rng.normal(0, 0.7, k)
                logits[prediction] = logits.max() + rng.gamma(2.0, 0.7 if hit else 0.4)
                rows.append(
                    {
                        "id": f"03-01-{label + 1:02d}-01-01-{c:02d}-{s + 1:02d}",
                        "speaker": f"{s + 1:02d}" if known else None,
                        "gender": ("female" if female else "male") if known else None,
                        "label": classes[label],
                        "logits": logits.tolist(),
                        "fold": s * folds // speakers,
                        "seed": run,
                        "part": "test",
                    }
                )
    for row in rows[:unanswered]:
        row["logits"] = None
    frame = pl.DataFrame(rows, schema_overrides={"speaker": pl.String, "gender": pl.String}).with_columns(
        system=pl.lit(name),
        corpus=pl.lit(corpus),
        protocol=pl.lit(protocol),
        protocol_hash=pl.lit(f"hash of {protocol}"),
    )
    predicted = predictions(frame, classes)
    by_fold = estimators.folds(predicted)
    fits = [
        {"fold": f, "seed": run, "chosen": {"epochs": 7}, "temperature": 1.2, "history": _history(rng)}
        for f in range(folds)
        for run in range(seeds)
    ]
    for fold in by_fold:
        fold |= {"n_train_speakers": 16, "temperature": [1.2] * seeds, "chosen": [{"epochs": 7}] * seeds}
    results = {
        "recipe": "made-up",
        "corpus": corpus,
        "protocol": protocol,
        "protocol_hash": f"hash of {protocol}",
        "settings_hash": "settings",
        "labels": list(classes),
        "stamps": list(stamps),
        "refit": "none",
        "n_train_speakers": 16 if known else None,
        "n_speakers": speakers if known else 0,
        "metrics": estimators.estimate(predicted, draws=DRAWS),
        "folds": by_fold,
        "groups": {"gender": estimators.per_gender(predicted, draws=DRAWS)},
        "variance": variance_split(predicted),
        "baselines": {
            "chance": {"accuracy": 1 / k, "uar": 1 / k},
            "majority": {"accuracy": {"pooled": 0.133}, "uar": {"pooled": 1 / k}},
        },
    }
    certificate = {
        "passed": "LEAKY" not in stamps,
        "table_hash": "t",
        "protocol_hash": f"hash of {protocol}",
        "findings": [
            {"code": "SENTENCE_SHARED", "severity": "information", "message": "2 sentences on both sides",
             "count": 2, "examples": ["Kids are talking by the door"]},
            {"code": "EXACT_DUPLICATE", "severity": "warning", "message": "one recording under two names",
             "count": 1, "examples": [["03-01-03-01-02-01-07", "03-01-03-01-02-02-07"]]},
        ],
        "versions": {"unheard": "0.1.0"},
    }  # fmt: skip
    if "LEAKY" in stamps:
        certificate["findings"].append(  # type: ignore[attr-defined]
            {"code": "SPEAKER_ON_TWO_SIDES", "severity": "error", "message": "speakers on both sides", "count": 24,
             "examples": ["01", "02", "03"]}
        )  # fmt: skip
    table = utterances(
        ({**row, "path": f"Actor_{row['id'][-2:]}/{row['id']}.wav"} for row in
         predicted.unique("id").select("id", "speaker", "gender", "label").to_dicts()),
        corpus=corpus, labels=classes,
    )  # fmt: skip
    fields: dict[str, Any] = {
        "name": name,
        "results": results,
        "predictions": predicted,
        "certificate": certificate,
        "config": {
            "recipe": "made-up",
            "about": "A made-up system for tests.",
            "protocol": protocol,
            "features": {"name": "functionals", "trim": 40},
            "head": {"name": "probe", "C": [0.0001, 0.01]},
        },
        "table": table,
        "folder": "runs/made-up",
        "fits": fits,
        "provenance": {
            "unheard": "0.1.0",
            "packages": {"numpy": "2.0"},
            "seeds": [0],
            "protocol_hash": "hash",
        },
    }
    return System(**{**fields, **changes})


def _history(rng: np.random.Generator) -> list[dict[str, float]]:
    wobble = rng.normal(0, 0.02, 14)
    return [
        {
            "epoch": e,
            "train_loss": 2.0 * float(np.exp(-e / 5)) + 0.2,
            "val_loss": 1.9 * float(np.exp(-e / 4)) + 0.03 * e + 0.5 + float(wobble[e]),
            "val_uar": 0.55 - 0.4 * float(np.exp(-e / 3)) - 0.004 * max(0, e - 6) + float(wobble[e]),
        }
        for e in range(14)
    ]


@pytest.fixture(scope="session")
def make() -> Callable[..., System]:
    """Return :func:`made_up`."""
    return made_up


@pytest.fixture(scope="session")
def system() -> System:
    """One ordinary system over six folds."""
    return made_up()
