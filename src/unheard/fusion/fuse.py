"""Late fusion of runs: their predictions become those of one system, in a run folder like any other.

Weights and temperatures are fitted for each fold and seed, on the validation rows of that fold alone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from unheard._version import __version__
from unheard.corpora.table import write_table
from unheard.decide.fusion_methods import METHODS
from unheard.errors import UsageError, first_five, unknown
from unheard.files import digest, file_digest, write_json, write_text
from unheard.fusion.aligned_runs import FACTS, KEYS, AlignedRuns, align
from unheard.fusion.fold import Fused, fuse_fold
from unheard.fusion.results import fusion_results
from unheard.predictions.table import classes, predictions, write_predictions
from unheard.runs import ledger as ledger_file
from unheard.runs.content import understood
from unheard.runs.digests import write_digests
from unheard.runs.folder import FOLD_FILES, KEPT, Run, begin, fold_folder, locked
from unheard.runs.provenance import code_digest
from unheard.runs.scoring import results

#: Methods whose answers are no weighted mean of the systems' calibrated probabilities.
NOT_OF_THE_MEAN = ("vector", "product", "stacking")
#: How weights are chosen, and the prefix of the name of such a system.
WEIGHTS = {"fitted": "fusion", "equal": "mean", "cross-fitted": "cross-fusion"}


def fuse(
    runs: Sequence[Run],
    out: str | os.PathLike[str],
    *,
    weights: str = "fitted",
    method: str = "mean",
    name: str | None = None,
    force: bool = False,
    ledger: str | os.PathLike[str] | None = None,
    decided: str = "",
    say: Callable[[str], None] | None = None,
) -> Run:
    """Fuse runs of one protocol into a run folder.

    Parameters
    ----------
    runs
        Two or more, in any order. Scored predictions of other systems have no validation rows and cannot be
        ``fitted``.
    out
        Folder to make.
    weights
        ``fitted`` on each fold's validation rows; ``equal``: the plain mean of the runs' own probabilities, fixed
        in advance; ``cross-fitted`` on the test rows of the other folds' speakers, which is stamped.
    method
        A name of :data:`unheard.decide.fusion_methods.METHODS`: the weighted mean, or another way that is
        fitted on the same rows.
    name
        Name of the fused system; default: made of the names of the runs.
    force
        Replace a run in that folder.
    ledger, decided
        File that gets a row for this test-set evaluation, and what was decided on it.
    say
        Function that is called with lines to show.

    Raises
    ------
    UsageError
        The runs cannot be fused, or not in that way; the folder holds a run.
    DataError
        The runs contradict each other.
    """
    if weights not in WEIGHTS:
        raise unknown("kind of weights", weights, WEIGHTS)
    if method not in METHODS:
        raise unknown("method of fusion", method, METHODS)
    if weights == "equal" and method != "mean":
        raise UsageError(f"the method {method} is fitted, and equal weights are not; leave one of them out")
    folder = Path(out)
    if folder.resolve() in {run.folder.resolve() for run in runs}:
        raise UsageError(f"{folder} is one of the runs to fuse; choose another folder")
    with understood([run.folder for run in runs]):
        aligned = align(runs, say)
        if weights == "fitted" and not aligned.has_validation:
            raise UsageError(
                "weights are fitted on validation rows, and not every run has some (scored predictions of other "
                "systems have none): weights 'equal' are fixed in advance, 'cross-fitted' ones use the labels of "
                "test speakers and are stamped"
            )
        system = name or "-".join([WEIGHTS[weights], *_other(method), *aligned.names]).replace(" ", "-")
        slots = aligned.rows.select("fold", "seed").unique().sort("fold", "seed").iter_rows()
        fused = [fuse_fold(aligned, fold, seed, weights, method) for fold, seed in slots]
        marks = _marks(aligned, weights, method)
        predicted = _predictions(aligned, fused, system, marks)
        about = fusion_results(aligned, fused, predicted, weights)
        about |= {"method": method} if method != "mean" else {}
        if say is not None:
            for run_name, clips in about["unanswered"].items():
                say(
                    f"{run_name} has no prediction for {clips} clips: there the others are fused by themselves"
                )
        records = _records(aligned, fused, about, marks)
        found = _scored(aligned, predicted, records, about)
    with locked(folder):
        _write(folder, aligned, predicted, records, found, force=force)
    if ledger is not None:
        missing = f" ({first_five(found['incomplete'])})" if "incomplete" in found else ""
        ledger_file.append(ledger, found, f"{found['n_speakers']}{missing}", decided)
    return Run(folder)


def _other(method: str) -> list[str]:
    """Return the name of a method that is not the published rule; older results know no other."""
    return [] if method == "mean" else [method]


def _marks(aligned: AlignedRuns, weights: str, method: str) -> dict[str, str | None]:
    """Return the hashes of what was fused and of its data; none where the origin of a run is unknown."""
    settings = sorted(str(run.scores["settings_hash"]) for run in aligned.runs)
    data = {digest for run in aligned.runs for digest in run.predictions["data_hash"].unique()}
    said = {"weights": weights, "members": settings} | ({} if method == "mean" else {"method": method})
    return {
        "settings_hash": None if "None" in settings else digest(said),
        "data_hash": data.pop() if len(data) == 1 else None,
    }


def _predictions(
    aligned: AlignedRuns, fused: Sequence[Fused], system: str, marks: dict[str, str | None]
) -> pl.DataFrame:
    """Return the probabilities of the fusion; it has no logits."""
    fused_rows: list[list[float] | None] = [None] * len(aligned.rows)
    for each in fused:
        for row, p in zip(np.flatnonzero(each.here), each.probabilities, strict=True):
            fused_rows[row] = None if np.isnan(p).any() else p.tolist()
    columns = {"system": system, "protocol": aligned.rows["protocol"][0], **marks}
    return predictions(
        aligned.rows.select(*KEYS, *FACTS).with_columns(
            pl.Series("probabilities", fused_rows, dtype=pl.List(pl.Float64)),
            **{column: pl.lit(value, pl.String) for column, value in columns.items()},
        ),
        classes(aligned.rows),
    )


def _records(
    aligned: AlignedRuns, fused: Sequence[Fused], about: dict[str, Any], marks: dict[str, str | None]
) -> list[dict[str, Any]]:
    """Return ``fold.json`` of each fold and seed: weights and temperatures by run, and the accuracies."""
    trained = _training_speakers(aligned)
    found = []
    for each, row in zip(fused, about["folds"], strict=True):
        mean = {"weights": dict(zip(aligned.names, each.weights, strict=True))}
        if each.temperatures is not None:
            mean["temperatures"] = dict(zip(aligned.names, each.temperatures, strict=True))
        # By another method the mean answers only what a system has no prediction for.
        chosen = (
            {"fallback": mean, **each.method}
            if about.get("method") in NOT_OF_THE_MEAN
            else mean | each.method
        )
        head = {
            "fold": each.fold,
            "seed": each.seed,
            **marks,
            "protocol_hash": aligned.rows["protocol_hash"][0],
        }
        found.append({**head, "chosen": chosen, "n_train_speakers": trained.get(each.fold), **row})
    return found


def _training_speakers(aligned: AlignedRuns) -> dict[int, int | None]:
    """Return the training speakers of each fold: the maximum over the runs; None where one does not say."""
    counts: dict[int, list[int | None]] = {}
    for run in aligned.runs:
        for fold in run.scores["folds"]:
            counts.setdefault(fold["fold"], []).append(fold["n_train_speakers"])
    stated = {fold: [n for n in each if n is not None] for fold, each in counts.items()}
    return {fold: max(known) if len(known) == len(aligned.runs) else None for fold, known in stated.items()}


def _scored(
    aligned: AlignedRuns, predicted: pl.DataFrame, records: list[dict[str, Any]], about: dict[str, Any]
) -> dict[str, Any]:
    """Return ``results.json``, with the stamps of the fused runs and what they lack."""
    scores = [run.scores for run in aligned.runs]
    refits = {found["refit"] for found in scores}
    source = _source(aligned)
    found = results(
        source.table,
        predicted,
        source.protocol,
        recipe=predicted["system"][0],
        refit=refits.pop() if len(refits) == 1 else "unknown",
        settings_hash=predicted["settings_hash"][0],
        records=records,
        held_back=_held_back(scores),
        incomplete=list(dict.fromkeys(line for each in scores for line in each.get("incomplete", ()))),
    )
    stamps = [*found["stamps"], *(stamp for each in scores for stamp in each["stamps"])]
    stamps += ["CROSS-FITTED"] if about["weights"] == "cross-fitted" else []
    return {**found, "stamps": list(dict.fromkeys(stamps)), "fusion": about}


def _held_back(scores: Sequence[dict[str, Any]]) -> list[str]:
    """Return the speakers on whom the development of every run that says so was evaluated least."""
    stated = [each["held_back"]["speakers"] for each in scores if "held_back" in each]
    return [speaker for speaker in stated[0] if all(speaker in each for each in stated)] if stated else []


def _source(aligned: AlignedRuns) -> Run:
    """Return the run that table, folds and certificate are taken from: the first one that was audited."""
    audited = [run for run in aligned.runs if (run.folder / "audit.json").is_file()]
    return (audited or list(aligned.runs))[0]


def _write(
    folder: Path,
    aligned: AlignedRuns,
    predicted: pl.DataFrame,
    records: Sequence[dict[str, Any]],
    found: dict[str, Any],
    *,
    force: bool,
) -> None:
    """Write the run folder; results last, since they say that it is whole."""
    source = _source(aligned)
    made_of = [
        {
            "recipe": run.scores["recipe"],
            "settings_hash": run.scores["settings_hash"],
            "predictions_sha256": file_digest(run.folder / "predictions.parquet"),
        }
        for run in aligned.runs
    ]
    about = {
        "unheard": __version__,
        "code_hash": code_digest(),
        "settings_hash": found["settings_hash"],
        "protocol_hash": found["protocol_hash"],
        "data_hash": predicted["data_hash"][0],
        "members": made_of,
    }
    begin(folder, about, force=force)
    stated = {
        "recipe": found["recipe"],
        "about": f"late fusion of {', '.join(aligned.names)}",
        "fusion": {
            key: found["fusion"][key] for key in ("weights", "method", "members") if key in found["fusion"]
        },
    }
    write_text(folder / "config.yaml", yaml.safe_dump(stated, sort_keys=False, allow_unicode=True))
    write_table(source.table, folder / "table.parquet")
    write_json(folder / "protocol.json", source.protocol.as_dict())
    if (source.folder / "audit.json").is_file():
        shutil.copyfile(source.folder / "audit.json", folder / "audit.json")
    for record in records:
        target = fold_folder(folder, record["fold"], record["seed"])
        target.mkdir(parents=True, exist_ok=True)
        write_json(target / "fold.json", record)
        write_digests(target, FOLD_FILES)
    write_predictions(predicted, folder / "predictions.parquet")
    write_json(folder / "results.json", found)
    write_digests(folder, KEPT)
