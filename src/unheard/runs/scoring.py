"""From predictions to ``results.json``: scores with intervals, baselines, groups, stamps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from unheard.corpora.table import corpus_of, counted
from unheard.metrics import estimators
from unheard.metrics.blocks import key
from unheard.metrics.categorical import confusion, per_class
from unheard.metrics.graders import ceiling, ceiling_of
from unheard.metrics.k_best import second_answers
from unheard.metrics.rows import UNIT, labelled_rows, marks, units
from unheard.metrics.selective import selective
from unheard.metrics.speakers import variance_split
from unheard.metrics.speakers_above import speakers_above
from unheard.predictions.table import classes, dimensions, predictions, shares
from unheard.protocols.fold import Protocol
from unheard.targets import without_agreement


def results(
    table: pl.DataFrame,
    predicted: pl.DataFrame,
    protocol: Protocol,
    *,
    recipe: str,
    refit: str,
    settings_hash: str | None,
    records: Sequence[Mapping[str, Any]],
    held_back: Sequence[str] = (),
    incomplete: Sequence[str] = (),
    also: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the content of ``results.json`` (scores are fractions, or on the scale of their metric).

    ``metrics`` holds the scores of classes; it is empty, and what else is about classes is absent, where no test
    clip has a label. ``distribution`` and ``dimensions`` are there where the predictions have such targets. Where
    the table has votes, ``graders`` holds the human ceiling, and ``n_without_agreement`` counts the tested clips
    whose graders have no majority.

    Parameters
    ----------
    table, predicted, protocol
        The utterances, the prediction table and the folds.
    recipe, refit, settings_hash
        What made the predictions.
    records
        One mapping a fold and seed: ``chosen``, ``temperature``, ``n_train_speakers``.
    held_back
        Speakers whose score is shown apart, on whom development was evaluated least.
    incomplete
        Folds that are missing, with their reasons.
    also
        Stamps that rows and folds do not show, such as ``RANDOM WEIGHTS``.
    """
    test = predicted.filter(pl.col("part") == "test")
    tested = test["speaker"].drop_nulls().n_unique()
    by_fold: list[dict[str, Any]] = estimators.folds(test)
    for fold in by_fold:
        own = [record for record in records if record["fold"] == fold["fold"]]
        fold["n_train_speakers"] = own[0]["n_train_speakers"] if own else None
        fold["temperature"] = [record.get("temperature") for record in own]
        fold["chosen"] = [record.get("chosen") for record in own]
    found: dict[str, Any] = {
        "recipe": recipe,
        "corpus": corpus_of(table),
        "protocol": protocol.name,
        "protocol_hash": protocol.hash,
        "settings_hash": settings_hash,
        "labels": list(classes(predicted)),
        "stamps": [*stamps(test, protocol), *also],
        "refit": refit,
        "seeds": sorted(test["seed"].unique()),
        "n_train_speakers": _usual([record["n_train_speakers"] for record in records]),
        "n_speakers": tested,
        "n_clips": test["id"].n_unique(),
        "n_folds": len(protocol.folds),
        **scores(test),
        "folds": by_fold,
    }
    if "distribution" in found:
        voted = test.filter(pl.col("target").is_not_null()).unique("id")
        found["n_without_agreement"] = without_agreement(shares(voted))
    if found["metrics"]:
        found |= {
            "per_class": by_class(test),
            "groups": {"gender": estimators.per_gender(test)},
            "variance": variance_split(test),
            "aurc": selective(test),
            "speakers_above": speakers_above(test),
            "second_answers": second_answers(labelled_rows(test)).tolist(),
            "baselines": baselines(table, protocol, test),
        }
    people = graders(table, test)
    if people is not None:
        found["graders"] = people
    part = test.filter(pl.col("speaker").is_in(list(held_back)))
    if held_back and len(part):
        found["held_back"] = {"speakers": list(held_back), **scores(part)}
    if incomplete:
        found["incomplete"] = list(incomplete)
    return found


def scores(test: pl.DataFrame) -> dict[str, estimators.Estimates]:
    """Return the estimates of every block of metrics under its key; ``metrics``, of classes, may be empty."""
    return {"metrics": {}, **{key(block): found for block, found in estimators.estimates(test)}}


def graders(table: pl.DataFrame, test: pl.DataFrame) -> dict[str, Any] | None:
    """Return how well each grader of the tested clips agrees with the others, the human ceiling; None without any.

    Of dimensions those are scored that the system answers.
    """
    if "votes" not in table.columns:
        return None
    tested = test.select("id").unique()
    rows = table.join(tested, on="id", how="semi").filter(pl.col("votes").is_not_null())
    rows = rows.with_columns(UNIT)
    names, strata = units(rows)
    place = {name: number for number, name in enumerate(names)}
    asked = dimensions(test)
    made = ceiling_of(
        [counted(votes) for votes in rows["votes"].to_list()],
        np.array([place[name] for name in rows["unit"].to_list()], dtype=np.int64),
        classes(test),
        asked,
    )
    return ceiling(made, strata, asked) if made.n_clips else None


def by_class(test: pl.DataFrame) -> dict[str, dict[str, float | int | None]]:
    """Return support, recall, precision and F1 of each class over all test clips, mean over seeds."""
    rows = labelled_rows(test)
    names = rows.classes
    each = per_class(confusion(rows.label, rows.predicted, len(names)).astype(np.float64))
    seeds = rows.frame["seed"].n_unique()
    return {
        name: {
            "n_clips": int(each.support[c] / seeds),
            "recall": float(each.recall[c]) if each.support[c] else None,
            "precision": float(each.precision[c]),
            "f1": float(each.f1[c]),
        }
        for c, name in enumerate(names)
    }


def stamps(test: pl.DataFrame, protocol: Protocol) -> list[str]:
    """Return the stamps that are shown with the score."""
    due = list(dict.fromkeys((*protocol.stamps, *marks(test["speaker"]))))
    if test["corpus"][0] == "synthetic":
        due.append("SYNTHETIC")
    return due


def baselines(table: pl.DataFrame, protocol: Protocol, test: pl.DataFrame) -> dict[str, Any]:
    """Return chance, and the scores of always predicting the commonest class of the training split."""
    names = classes(test)
    k = len(names)
    label = dict(zip(table["id"], table["label"].cast(pl.String).to_list(), strict=True))
    commonest = {
        number: commonest_class([label[i] for i in splits.train], names)
        for number, splits in enumerate(protocol.folds)
    }
    one_seed = test.filter(pl.col("seed") == test["seed"].min())
    return {
        "chance": {"accuracy": 1 / k, "uar": 1 / k},
        "majority": majority(one_seed, [commonest[fold] for fold in one_seed["fold"]]),
    }


def commonest_class(labels: Sequence[str | None], names: Sequence[str]) -> str:
    """Return the commonest of the labels, on a tie the one that comes first among the names."""
    counts = Counter(labels)
    return min(names, key=lambda name: -counts[name])


def majority(test: pl.DataFrame, predicted: str | Sequence[str]) -> dict[str, dict[str, float | None]]:
    """Return accuracy, UAR and F1 of always predicting one class; ``predicted`` may name one for each row."""
    names = classes(test)
    each = [predicted] * len(test) if isinstance(predicted, str) else predicted
    constant = test.drop("logits", "probabilities", strict=False).with_columns(
        system=pl.lit("majority"),
        probabilities=pl.Series(
            [[float(name == own) for name in names] for own in each], dtype=pl.List(pl.Float64)
        ),
    )
    found = estimators.estimate(predictions(constant, names))
    return {name: found[name] for name in ("accuracy", "uar", "macro_f1", "weighted_f1")}


def _usual(counts: Sequence[int]) -> int | None:
    """Return the commonest count, the smaller on a tie."""
    return min(set(counts), key=lambda n: (-counts.count(n), n)) if counts else None
