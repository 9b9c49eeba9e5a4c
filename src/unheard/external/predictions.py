"""Somebody else's predictions: joined with a table and folds, and scored as ours are; nothing is fitted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from unheard.corpora.table import classes, corpus_of, write_table
from unheard.corpora.tabular import read_texts
from unheard.errors import DataError, UsageError, about, first_five
from unheard.files import file_digest, write_json, write_text
from unheard.formats.numbers import number_in
from unheard.predictions.table import predictions, write_predictions
from unheard.protocols.fold import Protocol
from unheard.runs.digests import write_digests
from unheard.runs.folder import KEPT, begin, locked
from unheard.runs.scoring import results


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
) -> pl.DataFrame:
    """Return the prediction table of an external system on the test parts of a protocol.

    Parameters
    ----------
    frame
        Columns ``id``, ``p_CLASS`` (sum to 1) or ``logit_CLASS`` for every class, numbers or their text, and
        where given ``fold`` and ``label``, which must agree with the protocol and the table.
    table, protocol
        The utterances and the folds.
    system
        Name of the external system.
    ids
        Map of their ids to ours.

    Raises
    ------
    DataError
        Unknown, repeated or missing clips; a value that is empty or no finite number; classes that differ;
        labels or folds that contradict ours.
    """
    names = classes(table)
    kind = _kind(frame, names)
    if "id" not in frame.columns:
        raise DataError("the predictions lack the column 'id'")
    frame = _with_ids(frame)
    if ids:
        frame = frame.with_columns(pl.col("id").replace(ids))
    fold_of = {i: number for number, parts in enumerate(protocol.folds) for i in parts.test}
    strange = frame.filter(~pl.col("id").is_in(list(fold_of)))["id"]
    if len(strange):
        raise DataError(f"predictions for clips that {protocol.name} tests in no fold: {first_five(strange)}")
    double = frame.filter(pl.col("id").is_duplicated())["id"].unique().sort()
    if len(double):
        raise DataError(f"the same clip is predicted twice: {first_five(double)}")
    missing = sorted(set(fold_of) - set(frame["id"]))
    if missing:
        raise DataError(f"no prediction for {len(missing)} tested clips: {first_five(missing)}")
    frame = _with_numbers(frame, [f"{kind}_{name}" for name in names])
    values = pl.concat_list(f"{kind}_{name}" for name in names)
    ours = table.select("id", "speaker", "gender", "label")
    rows = frame.with_columns(values.alias("probabilities" if kind == "p" else "logits"))
    if kind == "p":
        rows = _sum_to_one(rows)
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


def _kind(frame: pl.DataFrame, names: tuple[str, ...]) -> str:
    """Return ``p`` or ``logit``: the columns that hold one number a class."""
    for kind in ("p", "logit"):
        there = {column.removeprefix(f"{kind}_") for column in frame.columns if column.startswith(f"{kind}_")}
        if not there:
            continue
        if there != set(names):
            raise DataError(
                f"the columns {kind}_CLASS name other classes than the table: "
                f"missing {first_five(sorted(set(names) - there)) or 'none'}, "
                f"unknown {first_five(sorted(there - set(names))) or 'none'}"
            )
        return kind
    raise DataError(
        f"expected one column a class, p_{names[0]} … or logit_{names[0]} …; found {', '.join(frame.columns)}"
    )


def _with_ids(frame: pl.DataFrame) -> pl.DataFrame:
    """Return ids as text; none may be empty."""
    frame = frame.with_columns(pl.col("id").cast(pl.String))
    empty = frame.with_row_index("place", offset=1).filter(pl.col("id").is_null() | (pl.col("id") == ""))
    if len(empty):
        raise DataError(f"column 'id' is empty in prediction {first_five(empty['place'])}")
    return frame


def _with_numbers(frame: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """Return the numbers of those columns; a clip without a prediction would be an error that nobody sees."""
    bad: list[str] = []
    for name in columns:
        numbers: list[float | None] = []
        for i, cell in frame.select("id", name).iter_rows():
            try:
                numbers.append(number_in(cell))
            except ValueError:
                numbers.append(None)
                bad.append(f"{i}: {name} is {'empty' if cell is None else repr(cell)[:60]}")
        frame = frame.with_columns(pl.Series(name, numbers, dtype=pl.Float64))
    if bad:
        raise DataError(
            f"expected a finite number (with a decimal point) for every clip and class: {first_five(bad)}"
        )
    return frame


def _sum_to_one(rows: pl.DataFrame) -> pl.DataFrame:
    """Take out the rounding of printed probabilities; what is further from 1 than 1e-3 is no distribution."""
    total = rows["probabilities"].list.sum()
    off = rows.filter((total - 1).abs() > 1e-3)["id"]
    if len(off):
        raise DataError(f"the probabilities of a clip must sum to 1: {first_five(off)}")
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
) -> dict[str, Any]:
    """Return the results of a file of external predictions; with ``out`` also leave a run folder.

    The folder has no folds and no models, but can be compared and reported like any other.
    """
    mapping = None if ids is None else _mapping(ids)
    with about(path):
        predicted = joined(read_external(path), table, protocol, system=system, ids=mapping)
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
