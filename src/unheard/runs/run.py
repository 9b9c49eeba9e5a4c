"""A run from start to end: audit → inputs → folds × seeds → predictions → scores."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from unheard._version import __version__
from unheard.audio.decode import VERSIONS, check_trainable, load
from unheard.auditing import RULES, audit
from unheard.corpora.table import corpus_of, write_table
from unheard.errors import (
    AudioError,
    DataError,
    MachineError,
    ProtocolError,
    UnheardError,
    UsageError,
    first_five,
)
from unheard.extraction.extracted import BadClip
from unheard.files import cache_folder, digest, write_json, write_text
from unheard.formats import sealed_json
from unheard.predictions.table import read_predictions, write_predictions
from unheard.protocols.fold import Protocol, check_classes, check_labels
from unheard.recipe_inputs.extracting import refuse_too_many_bad
from unheard.recipe_inputs.indexes import Indexes
from unheard.recipe_inputs.preparing import Progress, Say, data_digest, loaded, read_inputs, staged
from unheard.recipes.recipe import Recipe
from unheard.runs import ledger as ledger_file
from unheard.runs import salient_layer as salience
from unheard.runs.dialogues import check_dialogues
from unheard.runs.digests import check_files, write_digests
from unheard.runs.enrolment_scores import enrolment_scores
from unheard.runs.folder import (
    ANOTHER,
    ENROLMENT,
    EXTRACTED,
    FOLDS,
    KEPT,
    MARK,
    REMADE,
    Run,
    begin,
    clear_fold,
    fold_folder,
    has_work,
    is_run,
    locked,
    remove,
)
from unheard.runs.pool import Task, fit_all
from unheard.runs.provenance import provenance
from unheard.runs.scoring import results
from unheard.runs.target import target_of
from unheard.temporary import sweep_folder


class Interrupted(UnheardError):  # noqa: N818 - it is a request, not an error
    """The run was stopped on request; finished folds are kept."""

    exit_code = 130


def run(
    recipe: Recipe,
    table: pl.DataFrame,
    protocol: Protocol,
    out: str | os.PathLike[str],
    *,
    only: Sequence[int] | None = None,
    jobs: int = 1,
    resume: bool = False,
    force: bool = False,
    strict: bool = False,
    max_bad: float = 0.01,
    ledger: str | os.PathLike[str] | None = None,
    decided: str = "",
    progress: Progress | None = None,
    say: Say | None = None,
) -> Run:
    """Run a recipe over the folds of a protocol into a folder.

    Parameters
    ----------
    recipe, table, protocol
        What to do, the utterances, and the folds.
    out
        Run folder; one that holds a run is refused, unless ``resume`` (goes on) or ``force`` (starts again) is
        set, or the run there ended before its first fold was done.
    only
        Numbers of the folds to run; all where None.
    jobs
        Number of processes; the result does not depend on it.
    strict
        Whether to stop at the first recording that cannot be used.
    max_bad
        Largest share of unusable recordings; more is an error.
    ledger, decided
        File to which a finished run adds a row, and what was decided because of the run.
    progress
        Function that is called as ``progress(stage, done, total)``.
    say
        Function that is called with lines to show, such as the plan of an extraction before it starts.

    Raises
    ------
    UsageError
        The output exists, a run is resumed with other settings (the difference is named), or the corpus is wrong.
    DataError
        Too many recordings cannot be used, or a fold failed.
    Interrupted
        The run was stopped by an interrupt; the finished folds are kept.
    """
    if recipe.corpus is not None and corpus_of(table) not in (recipe.corpus, "synthetic"):
        raise UsageError(
            f"recipe {recipe.recipe} is for the corpus {recipe.corpus}, the table holds {corpus_of(table)}; "
            "take a recipe for any corpus, such as functionals"
        )
    for name, own in recipe.inputs.items():
        if (own.features or {}).get("path") == "":
            raise UsageError(
                f"recipe {recipe.recipe} reads its {name} from a file: set features.path=FILE "
                "(.csv, .npz, .safetensors or a folder of .npy, one array for each utterance id)"
            )
    if any(own.adapt for own in recipe.inputs.values()) and table["speaker"].null_count():
        raise DataError(
            f"{table['speaker'].null_count()} clips have no speaker, and recipe {recipe.recipe} adapts to "
            "speakers; name them in the table, or leave out inputs.NAME.adapt"
        )
    recipe, encoders = loaded(recipe.model_copy(update={"protocol": protocol.name}))
    numbers = _fold_numbers(protocol, only)
    check_validation(recipe, protocol)
    check_dialogues(recipe, table, protocol)
    target_of(table, recipe.target.classes, recipe.target.dimensions)
    if recipe.target.classes == "label":
        check_labels(table)
        check_classes(protocol, table)
    used = {i for fold in protocol.folds for part in fold for i in part}
    table = table.filter(pl.col("id").is_in(list(used)))
    folder = Path(out)
    try:
        with locked(folder):
            if is_run(folder) and has_work(folder) and not (resume or force):
                raise UsageError(f"{folder} holds a run; {ANOTHER}")
            data_hash = data_digest(table)
            _open(folder, recipe, protocol, table, data_hash, resume=resume, force=force, say=say)
            if strict:
                _stop_at_the_first_bad(recipe, table)
            if not (folder / "audit.json").is_file():
                certificate = _certificate(table, protocol, data_hash, jobs, staged(progress, "audit"))
                write_json(folder / "audit.json", certificate)
            shared: Any = {
                "encoders": encoders,
                "indexes": Indexes(folder / EXTRACTED),
                "progress": progress,
                "say": say,
            }
            try:
                prepared = read_inputs(recipe, table, jobs=jobs, **shared)
                _report_bad(folder, prepared.errors, len(table), max_bad)
                salience.prepare(recipe, table, protocol, numbers, prepared, **shared)
                del encoders, shared  # the memory of the weights is free for the folds
                failed = _fit(folder, recipe, numbers, jobs, progress)
            finally:
                shutil.rmtree(folder / EXTRACTED, ignore_errors=True)
            return _finish(folder, recipe, table, protocol, numbers, failed, ledger, decided)
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; --resume goes on in {folder} (resume=True in Python)") from None


def check_validation(recipe: Recipe, protocol: Protocol) -> None:
    """Refuse folds that train nobody, or lack validation clips that something needs, before any work."""
    if not all(fold.train for fold in protocol.folds):
        raise ProtocolError(
            f"{protocol.name} tests models that were trained elsewhere and trains nobody; score a bundle or "
            "predictions on it (`unheard score`)"
        )
    bare = [number for number, fold in enumerate(protocol.folds) if not fold.val]
    needs = [f"calibration: {recipe.calibration}"] if recipe.calibration != "none" else []
    needs += ["refit: val"] if recipe.refit == "val" else []
    # What has patience stops early, which it can do on validation speakers alone.
    own = [] if recipe.training is not None else [recipe.head, *recipe.head.get("of", ())]
    patient = [(f"head {head['name']}", head) for head in own]
    patient += [] if recipe.training is None else [("training", recipe.training)]
    needs += [name for name, settings in patient if settings.get("patience") is not None]
    if bare and needs:
        ways = ["--val speakers takes a fifth of the training speakers (validation='speakers' in Python)"]
        if len(protocol.folds) > 1:
            ways.append("--val next-fold (validation='next-fold') those whom the next fold tests")
        if needs == [f"calibration: {recipe.calibration}"]:
            ways.append("calibration: none (--set calibration=none) does without")
        raise ProtocolError(
            f"{protocol.name}: fold {first_five(bare)} has no validation clips, which {' and '.join(needs)} "
            f"needs; {', '.join(ways)}"
        )


def _stop_at_the_first_bad(recipe: Recipe, table: pl.DataFrame) -> None:
    for name, path, start, end in table.select("id", "path", "start", "end").iter_rows():
        try:
            clip = load(path, start, end, channel=recipe.channel, allow_truncated=recipe.allow_truncated)
            check_trainable(clip)
        except AudioError as error:
            raise DataError(f"{name}: {error} (strict: it stops at the first)") from error


def _certificate(
    table: pl.DataFrame, protocol: Protocol, data_hash: str, jobs: int, progress: Any
) -> dict[str, Any]:
    """Return the audit's certificate; the same data, folds and rules are not audited twice."""
    made_by = [RULES, __version__, np.__version__, VERSIONS]
    key = digest([data_hash, protocol.name, protocol.hash, made_by, sorted(table["path"])])
    place = cache_folder() / "audits" / f"{key}.json"
    with suppress(DataError):  # damaged or missing: it is made again
        kept = sealed_json.read(place)
        if kept["key"] == key:
            found: dict[str, Any] = kept["certificate"]
            return found
    certificate = audit(table, protocol, jobs=jobs, progress=progress).as_dict()
    with suppress(OSError):  # a cache that is read-only
        sealed_json.write(place, {"key": key, "certificate": certificate})
    return certificate


def _fit(
    folder: Path, recipe: Recipe, numbers: Sequence[int], jobs: int, progress: Progress | None
) -> dict[Task, str]:
    """Fit what is missing and return what failed; an interrupt raises."""
    tasks = [(number, seed) for number in numbers for seed in recipe.seeds]
    missing = [task for task in tasks if not (fold_folder(folder, *task) / "fold.json").is_file()]
    finished = len(tasks) - len(missing)

    def done(count: int, total: int) -> None:
        if progress is not None:
            progress("folds", finished + count, len(tasks))

    done(0, len(missing))
    if not missing:
        return {}
    try:
        outcome = fit_all(folder, missing, jobs=jobs, threads=recipe.threads, done=done)
    finally:
        sweep_folder(folder / FOLDS)  # of workers that were stopped while they wrote
    if outcome.interrupted:
        raise Interrupted(
            f"stopped; finished folds are kept. --resume goes on in {folder} (resume=True in Python)"
        )
    if outcome.machine is not None:
        raise MachineError(
            f"{outcome.machine}; finished folds are kept, and --resume goes on in {folder} (resume=True in Python)"
        )
    return outcome.failed


def _finish(
    folder: Path,
    recipe: Recipe,
    table: pl.DataFrame,
    protocol: Protocol,
    numbers: Sequence[int],
    failed: dict[Task, str],
    ledger: str | os.PathLike[str] | None,
    decided: str,
) -> Run:
    """Put the folds together and score them; whatever failed is said in the results and raised at the end."""
    made = Run(folder)
    records = [
        record for record in made.folds() if record["fold"] in numbers and record["seed"] in recipe.seeds
    ]
    if not records:
        raise DataError(f"no fold could be fitted; the first reason: {next(iter(failed.values()))}")
    predicted = pl.concat([made.fold_predictions(record) for record in records])
    write_predictions(predicted, folder / "predictions.parquet")
    not_run = [n for n in range(len(protocol.folds)) if n not in numbers]
    incomplete = [f"fold {n}: not asked for" for n in not_run]
    there = {(record["fold"], record["seed"]) for record in records}
    missing = [(n, s) for n in numbers for s in recipe.seeds if (n, s) not in there]
    incomplete += [f"fold {n}, seed {s}: {failed.get((n, s), 'not fitted')}" for n, s in missing]
    found = results(
        table,
        predicted,
        protocol,
        recipe=recipe.recipe,
        refit=recipe.refit,
        settings_hash=recipe.settings_hash,
        records=records,
        held_back=recipe.held_back,
        also=["RANDOM WEIGHTS"] if recipe.random_weights else [],
        incomplete=incomplete,
    )
    found["published"] = recipe.plain()["published"]
    if recipe.changed:
        found["changed"] = recipe.changes()
    enrolment = _enrolment(folder, predicted, records)
    if enrolment:
        found["enrolment"] = enrolment
    write_json(folder / "results.json", found)
    write_digests(folder, KEPT)
    if ledger is not None:
        looked = found["n_speakers"] if not not_run else f"{found['n_speakers']} (folds {_ranges(numbers)})"
        ledger_file.append(ledger, found, str(looked), decided)
    if missing:
        raise DataError(
            f"the run is incomplete: {first_five(incomplete)}; `--resume` (resume=True) tries these again"
        )
    return Run(folder)


def _enrolment(
    folder: Path, predicted: pl.DataFrame, records: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Put together what the folds predict knowing clips of the test speakers, and score it, where there is any."""
    files = [fold_folder(folder, record["fold"], record["seed"]) / ENROLMENT for record in records]
    parts = [read_predictions(file) for file in files if file.is_file()]
    if not parts:
        return []
    table = pl.concat(parts)
    write_predictions(table, folder / ENROLMENT)
    return enrolment_scores(pl.concat([predicted.filter(pl.col("part") == "test"), table]))


def _open(
    folder: Path,
    recipe: Recipe,
    protocol: Protocol,
    table: pl.DataFrame,
    data_hash: str,
    *,
    resume: bool,
    force: bool,
    say: Say | None,
) -> None:
    """Begin the folder, or check that it may be gone on with."""
    made_of = provenance(recipe, protocol, data_hash)
    whole = all((folder / name).is_file() for name in (MARK, "config.yaml", "table.parquet", "protocol.json"))
    if resume and whole and is_run(folder):
        before = Run(folder)
        for name in ("table.parquet", "protocol.json"):
            before.path(name)  # workers read these; the others are read here
        compared = ("protocol_hash", "data_hash", "settings_hash", "unheard", "packages")
        # As the recipe is read now: a field that came after the run began had its default in it.
        # What was changed of a named recipe decides nothing: the fields themselves are compared.
        then, now = (r.model_copy(update={"changed": {}}).plain() for r in (before.recipe, recipe))
        kept = {"config": then} | {key: before.provenance.get(key) for key in compared}
        other = _difference(kept, {"config": now} | {key: made_of[key] for key in compared})
        if other:
            raise UsageError(
                f"{folder} was begun with other settings and cannot be resumed: {first_five(other)}"
            )
        for inside in (folder, folder / FOLDS):
            sweep_folder(inside)
        _drop_damaged(before, say)
        return
    # A run that was killed while it began has nothing to go on with: it begins again.
    begin(folder, made_of, force=force or resume)
    write_text(folder / "config.yaml", yaml.safe_dump(recipe.plain(), sort_keys=False, allow_unicode=True))
    write_table(table, folder / "table.parquet")
    write_json(folder / "protocol.json", protocol.as_dict())
    write_digests(folder, KEPT)


def _drop_damaged(run: Run, say: Say | None) -> None:
    """Remove what was damaged and can be made again, and say what that is."""
    for name in REMADE:
        if (run.folder / name).is_dir():
            remove(run.folder / name)  # refused: no digest need say that it is no file
        try:
            check_files(run.folder, [name])
        except DataError as error:
            remove(run.folder / name)
            if say is not None:
                say(f"{error}; it is made again")
    damaged = run.damaged_folds()
    for inner, reason in damaged.items():
        clear_fold(inner)
        if say is not None:
            say(f"{reason}; it is fitted again")


def _difference(before: Any, now: Any, where: str = "") -> list[str]:
    """Return where two plain values differ, as ``field: old → new``."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted(before.keys() | now.keys())
        return [line for key in keys for line in _difference(before.get(key), now.get(key), f"{where}.{key}")]
    return [] if before == now else [f"{where.removeprefix('.config').removeprefix('.')}: {before} → {now}"]


def _report_bad(folder: Path, bad: Sequence[BadClip], total: int, max_bad: float) -> None:
    """Write ``errors.jsonl``; stop where too many recordings cannot be used."""
    rows = [{"id": clip.id, "path": str(clip.path), "reason": clip.reason} for clip in bad]
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    write_text(folder / "errors.jsonl", "".join(lines))
    refuse_too_many_bad(bad, total, max_bad, f"; all: {folder / 'errors.jsonl'}")


def _fold_numbers(protocol: Protocol, only: Sequence[int] | None) -> list[int]:
    every = range(len(protocol.folds))
    if only is None:
        return list(every)
    odd = [number for number in only if number not in every]
    if odd or not only:
        raise UsageError(
            f"{protocol.name} has the folds 0-{len(every) - 1}; asked for {first_five(odd) or 'none'}"
        )
    return sorted(set(only))


def _ranges(numbers: Sequence[int]) -> str:
    """Return numbers as ranges: 0, 1, 2, 5 give ``0-2,5``."""
    pieces: list[list[int]] = []
    for number in sorted(numbers):
        if pieces and number == pieces[-1][-1] + 1:
            pieces[-1].append(number)
        else:
            pieces.append([number])
    return ",".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else str(p[0]) for p in pieces)
