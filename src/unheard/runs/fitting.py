"""One fold with one seed: fit on training speakers, calibrate on validation speakers, predict both parts.

This is the only function that holds training and test rows at once; the head sees the training and the
validation clips, never the test clips.
"""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard import heads, tuning
from unheard.adaptation.draws import COUNTS, draw
from unheard.corpora.table import corpus_of
from unheard.decide.calibration import apply_temperature, fit_temperature
from unheard.errors import DataError, first_five
from unheard.files import write_bytes, write_json
from unheard.heads import Head, Model
from unheard.predictions.table import predictions, write_predictions
from unheard.protocols.fold import Protocol
from unheard.recipes.old_recipe import modern_state
from unheard.recipes.recipe import Recipe
from unheard.runs.adapted_head import AdaptedHead
from unheard.runs.content import understood
from unheard.runs.digests import write_digests
from unheard.runs.enrolment import asked
from unheard.runs.folder import ENROLMENT, FOLD_FILES, Run, fold_folder
from unheard.runs.target import matrix, predicted_columns, shares, target_of, truth
from unheard.targets import Target, without_agreement
from unheard.temporary import part_folder
from unheard.training.divergence import DivergenceError
from unheard.training.examples import Examples, Rows
from unheard.tuning import FineTuned

#: Features of one input by the id of the clip.
Found = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Fitted:
    """What a fold leaves behind."""

    predictions: pl.DataFrame
    head: Model
    record: dict[str, Any]
    #: Predictions that know clips of the speakers, of a head that adapts to them.
    enrolment: pl.DataFrame | None = None


def fit_fold(
    recipe: Recipe,
    table: pl.DataFrame,
    protocol: Protocol,
    inputs: Mapping[str, Found],
    *,
    augmented: Mapping[str, Sequence[Found]] | None = None,
    number: int,
    seed: int,
    data_hash: str,
    chosen: Mapping[str, Any] | None = None,
    checkpoints: Path | None = None,
) -> Fitted:
    """Fit one fold.

    ``inputs`` maps the name of each input to its features by clip id; a clip that lacks one (an unreadable
    recording) is left out of training and validation, and counts as unanswered where it is tested. ``augmented``
    holds the same clips under each augmentation, from which a head may learn too. ``chosen`` is what was chosen
    for this fold before the head (a salient layer). ``checkpoints`` is a folder from which a long training goes on
    after a kill.
    """
    started = time.monotonic()
    fold = protocol.folds[number]
    target = wanted(recipe, table)
    missing = recipe.takes_missing
    train = examples(table, fold.train, inputs, target, augmented, missing=missing)
    val = examples(table, fold.val, inputs, target, augmented, missing=missing)
    if len(train) == 0:
        raise DataError(f"fold {number}: no training clip could be read and has what the target asks for")
    head: Model = unfitted(recipe, seed, checkpoints)
    with named(ids_of(train)):
        head = head.fit(train, val if len(val) else None)
    predicted_val = _readable(fold.val, inputs, missing)
    val_outputs = outputs(head, inputs, predicted_val, target.width)
    if isinstance(head, AdaptedHead):
        temperature = temperature_of(recipe, *_at_every_count(head, val, seed))
    else:
        known = np.isin(predicted_val, ids_of(val))
        temperature = temperature_of(recipe, val_outputs[known, : val.classes], val.labels)
    record: dict[str, Any] = {
        "fold": number,
        "seed": seed,
        "settings_hash": recipe.settings_hash,
        "protocol_hash": protocol.hash,
        "data_hash": data_hash,
        "chosen": {**(chosen or {}), **head.chosen_},
        "temperature": temperature,
        "history": head.history_,
    }
    if recipe.refit == "val":
        with named([*ids_of(train), *ids_of(val)]):
            head = head.refit(train + val)
    if learned := getattr(head, "learned_", None):
        record["learned"] = learned
    trained_on = (*fold.train, *fold.val) if recipe.refit == "val" else fold.train
    record["n_train_speakers"] = speakers_in(table, trained_on)
    record["n_train_clips"] = len(train) + (len(val) if recipe.refit == "val" else 0)
    if "votes" in table.columns and target.classes:
        taught = [*ids_of(train), *(ids_of(val) if recipe.refit == "val" else ())]
        voted = table.filter(pl.col("id").is_in(taught) & pl.col("votes").is_not_null())
        record["n_train_without_agreement"] = without_agreement(shares(voted, target.classes))
    predicted_test = _readable(fold.test, inputs, missing)
    test_outputs = outputs(head, inputs, predicted_test, target.width)
    rows = [
        _rows(table, target, fold.val, predicted_val, val_outputs, temperature, "val"),
        _rows(table, target, fold.test, predicted_test, test_outputs, temperature, "test"),
    ]
    common = {
        "system": pl.lit(recipe.recipe),
        "corpus": pl.lit(corpus_of(table)),
        "protocol": pl.lit(protocol.name),
        "protocol_hash": pl.lit(protocol.hash),
        "fold": pl.lit(number, pl.Int64),
        "seed": pl.lit(seed, pl.Int64),
        "settings_hash": pl.lit(recipe.settings_hash),
        "data_hash": pl.lit(data_hash),
    }
    frame = predictions(pl.concat(row for row in rows if len(row)).with_columns(**common), target.classes)
    enrolment = None
    if isinstance(head, AdaptedHead) and target.classes:
        lost = sorted(set(fold.test) - set(predicted_test))
        found = _knowing(head, table, target, inputs, predicted_test, lost, temperature)
        enrolment = None if found is None else predictions(found.with_columns(**common), target.classes)
    record["seconds"] = round(time.monotonic() - started, 2)
    return Fitted(frame, head, record, enrolment)


def temperature_of(recipe: Recipe, logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the temperature that validation rows of a known class ask for; a free one may also sharpen.

    ``logits`` (n, classes) are class scores, ``labels`` (n,) the classes, -1 where there is none.
    """
    known = labels >= 0
    if recipe.calibration == "none" or not known.any():
        return 1.0
    return fit_temperature(logits[known], labels[known], floor=0.0 if recipe.calibration == "free" else 1.0)


def unfitted(recipe: Recipe, seed: int, checkpoints: Path | None = None) -> Head | AdaptedHead | FineTuned:
    """Make the head of a recipe, or with ``training`` what tunes its encoder and head together."""
    head = {**recipe.head, "seed": seed, "threads": recipe.threads}
    if recipe.training is None:
        priors = {name: own.adapt.priors for name, own in recipe.inputs.items() if own.adapt is not None}
        return AdaptedHead(heads.build(head), priors) if priors else heads.build(head)
    (own,) = recipe.inputs.values()
    return tuning.build(
        recipe.training, own.encoder or {}, recipe.head, seed=seed, threads=recipe.threads, folder=checkpoints
    )


@contextmanager
def named(ids: Sequence[str]) -> Iterator[None]:
    """Say by clip instead of by row which batch a training diverged on."""
    try:
        yield
    except DivergenceError as error:
        batch = first_five(sorted(ids[row] for row in error.rows))
        raise DataError(f"the loss is not finite in epoch {error.epoch}; its batch held {batch}") from error


def outputs(head: Model, inputs: Mapping[str, Found], ids: Sequence[str], width: int) -> NDArray[np.float64]:
    """Return a head's outputs for some clips, shape (clips, width)."""
    if not ids:
        return np.zeros((0, width))
    missing = getattr(head, "missing", False)
    return head.outputs({name: Rows(clips, ids, missing=missing) for name, clips in inputs.items()})


def wanted(recipe: Recipe, table: pl.DataFrame) -> Target:
    """Return what the recipe asks for of a corpus."""
    asked = recipe.target
    return target_of(table, asked.classes, asked.dimensions, asked.smoothing)


def examples(
    table: pl.DataFrame,
    ids: Sequence[str],
    inputs: Mapping[str, Found],
    target: Target,
    augmented: Mapping[str, Sequence[Found]] | None = None,
    *,
    missing: bool = False,
) -> Examples:
    """Return the clips of ``ids`` that a head learns from, in their order: with every input and some target.

    With ``missing`` one of the inputs is enough.
    """
    rows = pl.DataFrame({"id": _readable(ids, inputs, missing)}, schema={"id": pl.String}).join(
        table.with_columns(pl.col("speaker").fill_null(pl.col("id"))),
        on="id",
        how="left",
        maintain_order="left",
    )
    targets = matrix(rows, target)
    known = ~np.isnan(targets).all(axis=1)
    rows = rows.filter(pl.Series(known))
    listed = rows["id"].to_list()
    return Examples(
        {name: Rows(clips, listed, missing=missing) for name, clips in inputs.items()},
        targets[known],
        target,
        rows["speaker"].to_numpy().astype(np.str_),
        {
            name: tuple(Rows(clips, listed, missing=missing) for clips in several)
            for name, several in (augmented or {}).items()
        },
    )


def ids_of(rows: Examples) -> list[str]:
    """Return the ids of the clips of :func:`examples`."""
    found = next(iter(rows.inputs.values()))
    assert isinstance(found, Rows)
    return found.ids


def speakers_in(table: pl.DataFrame, ids: Sequence[str]) -> int:
    """Count the known speakers of some clips."""
    return table.filter(pl.col("id").is_in(list(ids)))["speaker"].drop_nulls().n_unique()


def save(fitted: Fitted, folder: Path) -> None:
    """Write a fold's folder whole: a reader sees all of it or nothing."""
    target = fold_folder(folder, fitted.record["fold"], fitted.record["seed"])
    with part_folder(target) as part:
        write_predictions(fitted.predictions, part / "predictions.parquet")
        if fitted.enrolment is not None:
            write_predictions(fitted.enrolment, part / ENROLMENT)
        write_bytes(part / "model.npz", arrays_to_bytes(fitted.head.state()))
        write_json(part / "fold.json", fitted.record)
        write_digests(part, FOLD_FILES)
        part.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        part.rename(target)


def load_head(run: Run, recipe: Recipe, record: Mapping[str, Any]) -> Model:
    """Load the head that a fold fitted, of the record that it left of itself; nothing is unpickled.

    Raises
    ------
    DataError
        The fold has no model, or it was damaged.
    """
    stored = run.fold_state(record)
    with understood([fold_folder(run.folder, record["fold"], record["seed"]) / "model.npz"]):
        state = modern_state(stored)
        head = unfitted(recipe, record["seed"])
        loaded: Model
        if isinstance(head, FineTuned):
            # What was tuned is in the state; the frozen rest is read again from where the recipe says it lies now.
            loaded = head.from_state(state, *(own.encoder for own in recipe.inputs.values()))
        else:
            loaded = head.from_state(state)
    loaded.chosen_ = record["chosen"]
    return loaded


def arrays_to_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as the bytes of an npz file without objects."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{name: np.asarray(array) for name, array in arrays.items()})
    return buffer.getvalue()


def _at_every_count(
    head: AdaptedHead, val: Examples, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return class scores and labels of validation clips once for every number of known clips."""
    if not len(val):
        return np.zeros((0, val.classes)), val.labels
    rng = np.random.default_rng([seed, 4])
    speakers = val.speakers.tolist()
    scores = [
        head.outputs_knowing(val.inputs, speakers, draw(speakers, rng, (count,)))[:, : val.classes]
        for count in COUNTS
    ]
    return np.concatenate(scores), np.tile(val.labels, len(COUNTS))


def _knowing(
    head: AdaptedHead,
    table: pl.DataFrame,
    target: Target,
    inputs: Mapping[str, Found],
    ids: Sequence[str],
    lost: Sequence[str],
    temperature: float,
) -> pl.DataFrame | None:
    """Make prediction rows of test clips whose speakers are known by some of their clips; None where none is.

    ``lost`` are test clips that cannot be predicted: rows without a prediction, as without knowing anybody.
    """
    of_speaker: dict[str, list[str]] = {}
    for clip, speaker in table.filter(pl.col("id").is_in(list(lost))).select("id", "speaker").iter_rows():
        of_speaker.setdefault(str(speaker), []).append(clip)
    known = pl.DataFrame({"id": list(ids)}, schema={"id": pl.String}).join(
        table.select("id", "speaker", "label"), on="id", how="left", maintain_order="left"
    )
    speakers, labels = known["speaker"].to_list(), known["label"].cast(pl.String).to_list()
    rows = {name: Rows(clips, ids) for name, clips in inputs.items()}
    listed = []
    for one in asked(speakers, labels):
        found = head.outputs_knowing(rows, [str(name) for name in speakers], one.known, one.scored)
        scored = [ids[row] for row in one.scored]
        unpredicted = [clip for speaker in one.known for clip in of_speaker.get(speaker, ())]
        every = [*scored, *unpredicted]
        listed.append(
            _rows(table, target, every, scored, found, temperature, "test").with_columns(
                enrol_kind=pl.lit(one.kind),
                enrol_k=pl.lit(one.count, pl.Int64),
                draw=pl.lit(one.draw, pl.Int64),
            )
        )
    return pl.concat(listed) if listed else None


def _readable(ids: Sequence[str], inputs: Mapping[str, Found], missing: bool) -> list[str]:
    enough = any if missing else all
    return [i for i in ids if enough(i in clips for clips in inputs.values())]


def _rows(
    table: pl.DataFrame,
    target: Target,
    ids: Sequence[str],
    predicted: Sequence[str],
    found: NDArray[np.float64],
    temperature: float,
    part: str,
) -> pl.DataFrame:
    """Make prediction rows of one part, with nulls for the clips without a prediction."""
    asked = table.filter(pl.col("id").is_in(list(ids)))
    scores = found[:, : len(target.classes)]
    probabilities = apply_temperature(scores, temperature) if target.classes else scores
    return (
        asked.select("id", "speaker", "gender")
        .join(truth(asked, target), on="id", how="left", maintain_order="left")
        .join(
            predicted_columns(predicted, found, probabilities, target),
            on="id",
            how="left",
            maintain_order="left",
        )
        .with_columns(part=pl.lit(part))
    )
