"""One training, many test sets: the models of a run score every labelled clip of other tables.

Nothing is trained and nothing is chosen on what is tested. Of each set it is checked, fold by fold, that the model
was not trained on its speakers. A set may have fewer classes than the run knows: the probabilities are scaled to
sum to 1 over the classes that are scored (the headline), and the answer among all classes stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from unheard.analysis.cross_corpus import among
from unheard.corpora.names import comparable
from unheard.corpora.table import corpus_of
from unheard.decide.calibration import apply_temperature
from unheard.errors import DataError, ProtocolError, UsageError, first_five
from unheard.metrics.rows import marks
from unheard.predictions.table import predictions
from unheard.recipe_inputs.preparing import (
    Prepared,
    Progress,
    Say,
    data_digest,
    loaded,
    of_layers,
    read_inputs,
)
from unheard.recipes.recipe import Recipe
from unheard.runs.fitting import load_head, outputs, wanted
from unheard.runs.folder import Run
from unheard.runs.salient_layer import chosen_layers
from unheard.runs.scoring import scores
from unheard.runs.target import predicted_columns, truth
from unheard.targets import Target

#: Metrics of classes that are also scored as answered among all classes.
ANSWERED = ("uar", "accuracy", "macro_f1")
#: Blocks of metrics that count the answers among the scored classes alone.
AMONG = ("metrics", "k_best")


@dataclass(frozen=True)
class TestSet:
    """Clips that are tested together.

    Parameters
    ----------
    name
        How the set is called; where a publication's figure of the recipe is for a protocol of this name, it
        stands beside ours.
    table
        Utterances, with labels under the names that the run knows.
    heard
        Whether speakers of the training are left out and counted (``drop``), or refused (``refuse``).
    """

    __test__ = False  # pytest takes names that begin so for tests

    name: str
    table: pl.DataFrame
    heard: str = "refuse"


def score_test_sets(
    run: Run,
    sets: Sequence[TestSet],
    *,
    classes: Sequence[str] | None = None,
    weights: str | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
    say: Say | None = None,
) -> list[dict[str, Any]]:
    """Return the scores of each set, in their order; scores are fractions, or on the scale of their metric.

    Parameters
    ----------
    run
        A finished run on features or a frozen encoder.
    sets
        What is tested.
    classes
        The classes that are scored, such as six of nine; None for those of the run that a set has.
    weights
        Where the encoder's weights are now; None means where the run found them.
    jobs, progress, say
        As for :func:`unheard.runs.run.run`.

    Returns
    -------
    For each set ``set``, ``corpus``, ``n_clips``, ``n_speakers``, ``n_left_out`` (clips of labels that are not
    scored), ``n_heard`` (clips of speakers of the training, that were left out), ``n_unanswered``, ``classes``
    (those that are scored), ``stamps``, the blocks of :func:`unheard.runs.scoring.scores` (``metrics``: among the
    scored classes), ``answered``: UAR, accuracy and macro-F1 of the answers among all classes, and ``published``:
    figures that the recipe quotes for a protocol of the set's name.

    Raises
    ------
    UsageError
        Two sets of one name, a class that the run does not know, or a run that tuned its encoder.
    ProtocolError
        A speaker of a set is in a fold's training.
    DataError
        A set has no clip that can be scored.
    """
    names = [one.name for one in sets]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"name at least one test set, each once; found {first_five(names) or 'none'}")
    recipe = run.recipe.with_weights_at(weights)
    if recipe.training is not None:
        raise UsageError(
            f"{run.folder} tuned its encoder together with the head; other sets are tested with heads on "
            "features and on frozen encoders"
        )
    if any(own.name == "precomputed" for own in recipe.inputs.values()):
        raise UsageError(
            f"{run.folder} learned from features that were computed elsewhere; let `unheard score` score what "
            "that system predicts"
        )
    known = tuple(run.scores["labels"])
    strange = [name for name in classes or () if name not in known]
    if strange:
        raise UsageError(f"the run knows {', '.join(known)}; found {first_five(strange)} among the classes")
    target = wanted(recipe, run.table)
    # Every set is guarded before the first clip is read.
    prepared = [_guarded(run, one, known, classes, target) for one in sets]
    recipe, encoders = loaded(recipe)
    found = []
    for one, (table, counts) in zip(sets, prepared, strict=True):
        if say is not None:
            say(f"{one.name}: {len(table):,} clips of {corpus_of(table)}")
        inputs = read_inputs(recipe, table, encoders=encoders, jobs=jobs, progress=progress, say=say)
        rows = pl.concat([_predicted(run, recipe, record, table, inputs, target) for record in run.folds()])
        frame = rows.with_columns(
            system=pl.lit(recipe.recipe),
            corpus=pl.lit(corpus_of(table)),
            data_hash=pl.lit(data_digest(table)),
        )
        test = predictions(frame, target.classes)
        beside = [own.model_dump(mode="json") for own in recipe.published if own.protocol == one.name]
        scored = _scored(test, run, counts["classes"])
        found.append({"set": one.name, **counts, **scored, "published": beside})
    return found


def _guarded(
    run: Run, one: TestSet, known: Sequence[str], classes: Sequence[str] | None, target: Target
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Return the clips of a set that are scored, and how many are not and why."""
    asked = list(classes or known)
    label = pl.col("label").cast(pl.String)
    scored = label.is_in(asked).fill_null(value=False)
    measured = pl.any_horizontal(pl.lit(value=False), *(pl.col(d).is_not_null() for d in target.dimensions))
    left_out = one.table.filter(label.is_not_null() & ~scored) if target.classes else one.table.head(0)
    # A clip of a class that is not scored still tells something of the dimensions.
    rows = one.table.filter(scored | measured)
    if rows.is_empty():
        there = first_five(one.table["label"].cast(pl.String).drop_nulls().unique().sort()) or "no label"
        expected = ", ".join((*asked, *target.dimensions))
        raise DataError(f"{one.name}: no clip can be scored: expected {expected}; found {there}")
    people = _taught(run, corpus_of(rows))
    heard = [name for name in rows["speaker"].drop_nulls().unique().sort() if comparable(name) in people]
    if heard and one.heard != "drop":
        raise ProtocolError(
            f"SPEAKER_ON_TWO_SIDES: {one.name}: the run was trained on {first_five(heard)}; leave their clips out "
            "and count them (--drop-heard, heard='drop' in Python), or test other people"
        )
    kept = rows.filter(~pl.col("speaker").is_in(heard).fill_null(value=False))
    if kept.is_empty():
        raise DataError(
            f"{one.name}: every speaker is one on whom the run was trained; nobody is left to test"
        )
    named = pl.when(scored).then(label).cast(pl.Enum(list(known))).alias("label")
    kept = kept.with_columns(named)
    present = set(kept["label"].drop_nulls())
    return kept, {
        "corpus": corpus_of(kept),
        "n_clips": len(kept),
        "n_speakers": kept["speaker"].drop_nulls().n_unique(),
        "n_left_out": len(left_out),
        "n_heard": len(rows) - len(kept),
        "classes": [name for name in classes or known if classes or name in present],
    }


def _taught(run: Run, corpus: str) -> set[str]:
    """Return the speakers of a corpus from whom some fold of the run learned, or on whom it chose.

    Speakers of another corpus are other people, whatever they are called; of a joined table they are called
    ``corpus/speaker``.
    """
    ids = {i for fold in run.protocol.folds for i in (*fold.train, *fold.val)}
    rows = run.table.filter(pl.col("id").is_in(list(ids)) & pl.col("speaker").is_not_null())
    found = set()
    for own, speaker in rows.select("corpus", "speaker").unique().iter_rows():
        if own == corpus:
            found |= {comparable(speaker), comparable(str(speaker).removeprefix(f"{own}/"))}
    return found


def _predicted(
    run: Run, recipe: Recipe, record: dict[str, Any], table: pl.DataFrame, found: Prepared, target: Target
) -> pl.DataFrame:
    """Return rows of the prediction table: what the model of one fold and seed says of every clip."""
    layers = chosen_layers(recipe, record["chosen"])
    inputs = read_inputs(of_layers(recipe, layers), table).inputs if layers else found.inputs
    enough = any if recipe.takes_missing else all
    ids = [i for i in table["id"] if enough(i in clips for clips in inputs.values())]
    head = load_head(run, recipe, record)
    made = outputs(head, inputs, ids, target.width)
    scored = made[:, : len(target.classes)]
    probabilities = apply_temperature(scored, record["temperature"]) if target.classes else scored
    return (
        table.select("id", "speaker", "gender")
        .join(truth(table, target), on="id", how="left", maintain_order="left")
        .join(predicted_columns(ids, made, probabilities, target), on="id", how="left", maintain_order="left")
        .with_columns(
            fold=pl.lit(record["fold"], pl.Int64),
            seed=pl.lit(record["seed"], pl.Int64),
            part=pl.lit("test"),
        )
    )


def _scored(test: pl.DataFrame, run: Run, asked: Sequence[str]) -> dict[str, Any]:
    """Return the scores of a set: of classes among those that are scored, and as answered among all."""
    stamps = [*(s for s in run.scores["stamps"] if s == "RANDOM WEIGHTS"), *marks(test["speaker"])]
    if test["corpus"][0] == "synthetic":
        stamps.append("SYNTHETIC")
    silent = pl.all_horizontal(
        pl.col(name).is_null() for name in ("probabilities", "activation", "valence", "dominance")
    )
    found: dict[str, Any] = {
        "stamps": stamps,
        "n_unanswered": test.filter(silent)["id"].n_unique(),
        "answered": {},
        **scores(test),
    }
    if found["metrics"]:
        found["answered"] = {metric: found["metrics"][metric] for metric in ANSWERED}
        found |= {name: made for name, made in scores(among(test, asked)).items() if name in AMONG}
    return found
