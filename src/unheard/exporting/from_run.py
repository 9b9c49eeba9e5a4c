"""From a run to a bundle."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from unheard import encoders, features
from unheard.corpora.table import corpus_of
from unheard.decide.abstain import threshold_for
from unheard.decide.calibration import apply_temperature
from unheard.errors import DataError, UsageError, first_five
from unheard.exporting.export import ExportInput
from unheard.exporting.export import export as write_bundle
from unheard.exporting.known_clips import known_clips
from unheard.exporting.retraining import calibrating, of_fold, on_speakers
from unheard.exporting.training_range import training_range_of
from unheard.inputs import Form
from unheard.predictions.table import logits
from unheard.recipe_inputs.preparing import data_digest, of_layers
from unheard.recipes.recipe import Recipe
from unheard.runs.content import understood
from unheard.runs.fitting import wanted
from unheard.runs.folder import MARK, Run
from unheard.runs.salient_layer import chosen_layers

#: Share of validation clips that a bundle gives a prediction to.
COVERAGE = 0.9


def export(
    run: Run,
    out: str | os.PathLike[str],
    *,
    fold: int | None = None,
    speakers: Sequence[str] | None = None,
    coverage: float = COVERAGE,
    encoder_heard: Sequence[pl.DataFrame] = (),
    force: bool = False,
) -> Path:
    """Write the bundle of a run: retrained on its speakers (all, or those declared), or one fold's model.

    The bundle withholds predictions that are less sure than the threshold that this share of the validation clips
    (of the fold, or of all folds; of folds that leave corpora out, of what they left out) reaches; with a coverage
    of 1 it withholds none. It warns of recordings unlike its training and of ``encoder_heard``: utterance tables
    of the recordings that its encoder was trained on. All of these are known again by sound where the bundle is
    scored.
    """
    with understood([run.folder]):
        if not run.folds():
            raise UsageError(
                f"{run.folder} holds predictions without a model; only a run of ours can be exported"
            )
        recipe = run.recipe
        if recipe.training is not None:
            raise UsageError(
                f"{run.folder} tuned its encoder together with the head; only heads on frozen encoders and "
                "features can be exported"
            )
        if run.scores.get("incomplete"):
            raise UsageError(
                f"{run.folder} is incomplete ({run.scores['incomplete'][0]}); finish it (--resume) first"
            )
        if fold is not None and speakers is not None:
            raise UsageError(
                "the speakers of a fold's model are those of the fold; give fold or speakers (--fold, --speakers)"
            )
        _check_recordings(run)
        trained = on_speakers(run, speakers) if fold is None else of_fold(run, fold)
        inputs = _inputs(of_layers(recipe, chosen_layers(recipe, trained.head.chosen_)))
        clips = _training_clips(run, trained.ids, encoder_heard)
        heard = any(each.extractor.medium == "audio" for each in inputs.values())
        licences = {"weights": run.table["licence"].drop_nulls().unique().sort().to_list()}
        return write_bundle(
            trained.head,
            inputs,
            wanted(recipe, run.table),
            out,
            temperature=trained.temperature,
            thresholds=_thresholds(run, fold, trained.temperature, coverage),
            training_range=training_range_of(clips, recipe.channel) if heard else {},
            known_clips=known_clips(clips, recipe.channel) if heard else None,
            training_speakers=trained.speakers,
            corpus=corpus_of(run.table),
            scores=run.scores,
            recipe=run.config,
            licences=licences,
            channel=recipe.channel,
            others=_others(inputs.values(), run.table, trained.speakers),
            force=force,
        )


def _check_recordings(run: Run) -> None:
    """Refuse to teach a model from other recordings than those that its run was scored on."""
    if data_digest(run.table) == run.provenance["data_hash"]:
        return
    paths = sorted(run.table["path"].unique())
    gone = [path for path in paths if not Path(path).is_file()]
    began = run.path(MARK).stat().st_mtime
    changed = [path for path in paths if path not in gone and Path(path).stat().st_mtime > began]
    told = [f"{len(gone)} are gone: {first_five(gone)}"] if gone else []
    told += [f"{len(changed)} were written after it: {first_five(changed)}"] if changed else []
    raise DataError(
        f"{run.folder}: the recordings are no longer those of the run "
        f"({'; '.join(told) or 'their content differs'}); "
        "put them back, or run it again"
    )


def _training_clips(run: Run, ids: Sequence[str], others: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the recordings that the model and its encoders were trained on."""
    own = run.table.filter(pl.col("id").is_in(list(ids)))
    return pl.concat([table.select("id", "path", "start", "end") for table in (own, *others)])


def _thresholds(run: Run, fold: int | None, temperature: float, coverage: float) -> dict[str, float]:
    """Return the confidence that a prediction must reach at the bundle's temperature."""
    val = calibrating(run, fold)
    if run.recipe.target.classes == "none" or val.is_empty() or coverage == 1:
        return {}
    confidence = threshold_for(apply_temperature(logits(val), temperature), coverage)
    return {"confidence": confidence, "coverage": coverage}


def _inputs(recipe: Recipe) -> dict[str, ExportInput]:
    """Return the inputs of the head; encoders are loaded as they are exported, in float32."""
    inputs = {}
    for name, own in recipe.inputs.items():
        if own.encoder is None:
            spec = features.build(own.features or {})
            inputs[name] = ExportInput(spec, Form.ROW if spec.frames_per_second is None else Form.FRAMES)
            continue
        settings = {**own.encoder, "precision": "float32", "device": "cpu"}
        if isinstance(own.layer, int):
            settings["cut"] = own.layer
        encoder, form = encoders.load(settings), recipe.form(name)
        layers = (len(encoder.layers) - 1,) if form is Form.FRAMES else None
        average = 1 if own.storage is None or form is Form.POOLED else own.storage.average
        inputs[name] = ExportInput(encoder, form, layers, average, own.context)
    return inputs


def _others(
    inputs: Iterable[ExportInput], table: pl.DataFrame, speakers: Sequence[str]
) -> dict[str, list[str]]:
    """Return the speakers of each corpus that the encoders were trained on, and of each of a joined table."""
    found: dict[str, set[str]] = {}
    for each in inputs:
        for corpus, known in each.extractor.source.trained_on.items():
            found.setdefault(corpus, set()).update(known)
    corpora = table["corpus"].unique().to_list()
    for corpus in corpora if len(corpora) > 1 else ():
        own = f"{corpus}/"
        found.setdefault(corpus, set()).update(s.removeprefix(own) for s in speakers if s.startswith(own))
    return {corpus: sorted(known) for corpus, known in found.items()}
