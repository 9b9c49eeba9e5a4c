"""Somebody else's predictions: joined with a table and folds, and scored as ours are; nothing is fitted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from unheard.corpora.table import classes, corpus_of, write_table
from unheard.corpora.tabular import read_texts
from unheard.errors import DataError, UsageError, about, first_five
from unheard.external.reading import Say, with_ids, with_numbers_a_class
from unheard.files import file_digest, write_json, write_text
from unheard.formats.numbers import number_in
from unheard.predictions.table import predictions, write_predictions
from unheard.protocols.fold import Protocol, check_labels
from unheard.runs.digests import write_digests
from unheard.runs.folder import KEPT, begin, locked
from unheard.runs.scoring import results

#: What the sum of probabilities may be off by for each class: the rounding of two decimals.
ROUNDING = 0.005


def read_external(path: str | os.PathLike[str]) -> pl.DataFrame:
    """Read ``id``, ``fold``, ``label`` and ``p_CLASS…`` or ``logit_CLASS…`` of a CSV, TSV, JSONL or Parquet file.

    Every column is text, as it stands in the file.
    """
    source = Path(path)
    if not os.path.isfile(source):  # noqa: PTH113 - Path.is_file raises where a name is too long
        raise UsageError(f"{source}: no such file")
    return pl.DataFrame(read_texts(source), infer_schema_length=None)


def joined(
    frame: pl.DataFrame,
    table: pl.DataFrame,
    protocol: Protocol,
    *,
    system: str,
    ids: dict[str, str] | None = None,
    say: Say = lambda line: None,
) -> pl.DataFrame:
    """Return the prediction table of an external system on the test parts of a protocol.

    What ``unheard predict --csv`` wrote is read as it is: its ``label`` is what was predicted, and recordings
    without an answer are clips without a prediction, which count as errors.

    Parameters
    ----------
    frame
        Column ``id`` (or the path of the file), and for every class ``p_CLASS`` (or the class alone; they sum to 1
        within 0.005 a class, the rounding of two decimals) or ``logit_CLASS``, numbers or their text; or the
        predicted classes as ``prediction``. Where given, ``fold`` and ``label`` must agree with the protocol and
        the table.
    table, protocol
        The utterances and the folds.
    system
        Name of the external system.
    ids
        Map of their ids to ours.
    say
        Function that is called with lines on what was taken for what.

    Raises
    ------
    DataError
        Unknown, repeated or missing clips; a value that is empty or no finite number; classes that differ;
        labels or folds that contradict ours.
    """
    names = classes(table)
    fold_of = {i: number for number, parts in enumerate(protocol.folds) for i in parts.test}
    answers = {"flags", "error"} <= set(frame.columns)  # of `unheard predict --csv`
    if answers:
        frame = frame.drop("label", strict=False)
    if ids:
        frame = frame.with_columns(pl.col("id").cast(pl.String).replace(ids))
    frame = with_ids(frame, table, fold_of, say)
    frame, kind = with_numbers_a_class(frame, names, say)
    strange = frame.filter(~pl.col("id").is_in(list(fold_of)))["id"]
    if len(strange):
        raise DataError(f"predictions for clips that {protocol.name} tests in no fold: {first_five(strange)}")
    double = frame.filter(pl.col("id").is_duplicated())["id"].unique().sort()
    if len(double):
        raise DataError(f"the same clip is predicted twice: {first_five(double)}")
    missing = sorted(set(fold_of) - set(frame["id"]))
    if missing:
        raise DataError(f"no prediction for {len(missing)} tested clips: {first_five(missing)}")
    columns = [f"{kind}_{name}" for name in names]
    frame = _with_numbers(frame, columns, gaps=answers)
    answered = pl.all_horizontal(pl.col(column).is_not_null() for column in columns)
    values = pl.when(answered).then(pl.concat_list(columns))
    ours = table.select("id", "speaker", "gender", "label")
    rows = frame.with_columns(values.alias("probabilities" if kind == "p" else "logits"))
    if kind == "p":
        rows = _sum_to_one(rows, say)
    rows = rows.select(pl.exclude("label", "speaker", "gender")).join(ours, on="id", maintain_order="left")
    if "label" in frame.columns:
        stated = frame.select("id", stated=pl.col("label").cast(pl.String))
        other = rows.join(stated, on="id").filter(pl.col("stated") != pl.col("label").cast(pl.String))
        if len(other):
            listed = (
                f"{i}: {theirs}, ours {mine}"
                for i, theirs, mine in other.select("id", "stated", "label").iter_rows()
            )
            raise DataError(f"labels differ from the table: {first_five(listed)}")
    number = rows["id"].replace_strict(fold_of, return_dtype=pl.Int64)
    if "fold" in frame.columns:
        _same_folds(rows["fold"].cast(pl.String).to_list(), number.to_list(), protocol)
    kept = rows.select("id", "speaker", "gender", "label", "probabilities" if kind == "p" else "logits")
    return predictions(
        kept.with_columns(
            fold=number,
            part=pl.lit("test"),
            system=pl.lit(system),
            corpus=pl.lit(corpus_of(table)),
            protocol=pl.lit(protocol.name),
            protocol_hash=pl.lit(protocol.hash),
        ),
        names,
    )


def _with_numbers(frame: pl.DataFrame, columns: list[str], *, gaps: bool) -> pl.DataFrame:
    """Return the numbers of those columns.

    A clip without any would be an error that nobody sees, and is refused but where ``gaps`` are known to be meant.
    """
    bad: list[str] = []
    blank = pl.all_horizontal(pl.col(name).is_null() for name in columns)
    none = set(frame.filter(blank)["id"]) if gaps else set()
    for name in columns:
        numbers: list[float | None] = []
        for i, cell in frame.select("id", name).iter_rows():
            try:
                numbers.append(number_in(cell))
            except ValueError:
                numbers.append(None)
                if i in none:
                    continue
                bad.append(f"{i}: {name} is {'empty' if cell is None else repr(cell)[:60]}")
        frame = frame.with_columns(pl.Series(name, numbers, dtype=pl.Float64))
    if bad:
        raise DataError(
            f"expected a finite number (with a decimal point) for every clip and class: {first_five(bad)}"
        )
    return frame


def _sum_to_one(rows: pl.DataFrame, say: Say) -> pl.DataFrame:
    """Take out the rounding of printed probabilities; what is further from 1 is no distribution."""
    given = rows["probabilities"].drop_nulls().to_list()
    totals = np.array([sum(shares) for shares in given] or [1.0])
    tolerance = max(1e-3, ROUNDING * max(map(len, given), default=0)) + 1e-9
    bad = (np.abs(totals - 1) > tolerance) | np.array([min(shares) < 0 for shares in given] or [False])
    if bad.any():
        off = rows.filter(pl.col("probabilities").is_not_null())["id"].filter(pl.Series(bad))
        raise DataError(
            f"the probabilities of a clip must sum to 1 within {tolerance:.3f} and not be below 0: "
            f"{first_five(off)}; scores of another kind are called logit_CLASS"
        )
    if np.abs(totals - 1).max() > 1e-3:
        say(f"probabilities sum to {totals.min():.3f} … {totals.max():.3f}, and were scaled to 1")
    return rows.with_columns(pl.col("probabilities").list.eval(pl.element() / pl.element().sum()))


def _same_folds(theirs: list[str], ours: list[int], protocol: Protocol) -> None:
    """Check that both have the same folds; names may differ, clips may not."""
    pairs = set(zip(theirs, ours, strict=True))
    if len(pairs) != len(set(theirs)) or len(pairs) != len(set(ours)):
        raise DataError(
            f"the column 'fold' groups the clips otherwise than the test parts of {protocol.name}"
        )


def _mapping(path: str | os.PathLike[str]) -> dict[str, str]:
    """Map their ids to ours, from a table of two columns."""
    pairs = read_external(path)
    if pairs.width != 2:
        raise DataError(
            f"{path}: expected two columns, their id and our id; found {', '.join(pairs.columns)}"
        )
    theirs, ours = pairs.columns
    gaps = pairs.filter(pl.any_horizontal(pl.all().is_null()))
    if len(gaps):
        there = (" → ".join(str(i or "nothing") for i in row) for row in gaps.iter_rows())
        raise DataError(f"{path}: an id is empty: {first_five(there)}")
    double = pairs.filter(pl.col(theirs).is_duplicated())[theirs].unique().sort()
    if len(double):
        raise DataError(
            f"{path}: column {theirs!r}: the same id stands in several rows: {first_five(double)}"
        )
    return dict(zip(pairs[theirs], pairs[ours], strict=True))


def score(
    path: str | os.PathLike[str],
    table: pl.DataFrame,
    protocol: Protocol,
    *,
    system: str,
    ids: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    say: Say = lambda line: None,
) -> dict[str, Any]:
    """Return the results of a file of external predictions; with ``out`` also leave a run folder.

    The folder has no folds and no models, but can be compared and reported like any other.
    """
    mapping = None if ids is None else _mapping(ids)
    check_labels(table)
    with about(path):
        predicted = joined(read_external(path), table, protocol, system=system, ids=mapping, say=say)
    tested = table.filter(
        pl.col("id").is_in(list({i for parts in protocol.folds for ids in parts for i in ids}))
    )
    found = results(
        tested, predicted, protocol, recipe=system, refit="unknown", settings_hash=None, records=[]
    )
    if out is None:
        return found
    folder = Path(out)
    with locked(folder):
        begin(folder, {"predictions_sha256": file_digest(path), "protocol_hash": protocol.hash}, force=force)
        stated = {"recipe": system, "about": "predictions of another system", "predictions": Path(path).name}
        write_text(folder / "config.yaml", yaml.safe_dump(stated, sort_keys=False))
        write_table(tested, folder / "table.parquet")
        write_json(folder / "protocol.json", protocol.as_dict())
        write_predictions(predicted, folder / "predictions.parquet")
        write_json(folder / "results.json", found)
        write_digests(folder, KEPT)
    return found
