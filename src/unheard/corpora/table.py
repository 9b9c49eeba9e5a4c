"""The utterance table: one row a clip, a polars frame whose ``label`` column is an Enum in class order.

Readers fill what the corpus has; the rest is null, never guessed. Dimensions (activation, valence,
dominance) are in [0, 1]. Definitions: docs/tables.md.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from unheard.audio.extensions import VIDEO
from unheard.errors import DataError, about, first_five
from unheard.files import digest, write_bytes
from unheard.formats.parquet import read_notes, read_parquet
from unheard.inputs import Clip, Piece, Turn

DIMENSIONS = ("activation", "valence", "dominance")
#: What one grader said of a clip: a class, dimensions, or both. ``modality`` is what the grader was shown.
VOTE = pl.Struct(
    {"grader": pl.String, "label": pl.String, "weight": pl.Float64, "modality": pl.String}
    | dict.fromkeys(DIMENSIONS, pl.Float64)
)

#: A word that was recognised, when it begins and ends in seconds of its clip, and the recogniser's probability.
WORD = pl.Struct({"word": pl.String, "start": pl.Float64, "end": pl.Float64, "probability": pl.Float64})

#: Every column but ``label``, whose type holds the classes of the corpus in their order.
SCHEMA: dict[str, pl.DataType] = {
    "corpus": pl.String(),
    "id": pl.String(),
    "path": pl.String(),
    "video": pl.String(),
    "start": pl.Float64(),
    "end": pl.Float64(),
    "duration": pl.Float64(),
    "speaker": pl.String(),
    "gender": pl.Enum(["female", "male", "other"]),
    "age": pl.Float64(),
    "language": pl.String(),
    "session": pl.String(),
    "dialogue": pl.String(),
    "turn": pl.String(),
    "sentence": pl.String(),
    "text": pl.String(),
    "recognized": pl.String(),
    "words": pl.List(WORD),
    "recognizer": pl.String(),
    "take": pl.String(),
    "intensity": pl.String(),
    "channel": pl.Enum(["speech", "song"]),
    "label": pl.String(),
    "votes": pl.List(VOTE),
    "activation": pl.Float64(),
    "valence": pl.Float64(),
    "dominance": pl.Float64(),
    "split": pl.String(),
    "licence": pl.String(),
}
#: Columns that a speech recogniser fills (``unheard transcribe``).
RECOGNIZED = ("recognized", "words", "recognizer")
REQUIRED = ("corpus", "id", "path", "label")
LONGEST = 24 * 3600.0
_NOTE = "unheard."  # what the notes of a table begin with among those of a Parquet file
#: The smallest and the largest number of each column of numbers: seconds, years, and dimensions on [0, 1].
BOUNDS = {
    **dict.fromkeys(("start", "end", "duration"), (0.0, LONGEST)),
    "age": (0.0, 150.0),
    **dict.fromkeys(DIMENSIONS, (0.0, 1.0)),
}
#: The smallest and the largest weight of a vote.
WEIGHTS = (0.0, 1e6)


def utterances(
    rows: Iterable[Mapping[str, Any]],
    *,
    corpus: str,
    labels: Sequence[str],
    scale: tuple[float, float] = (0.0, 1.0),
) -> pl.DataFrame:
    """Make a checked utterance table from one mapping a clip, sorted by id.

    Parameters
    ----------
    rows
        Mappings with the columns of :data:`SCHEMA`; what is missing becomes null, and of a recording that is a
        video the picture is its own.
    corpus
        Name of the corpus.
    labels
        Its classes in order.
    scale
        Least and most of the rows' and the votes' dimensions; they are mapped to [0, 1] here and nowhere else.

    Raises
    ------
    DataError
        Where a row does not hold: see :func:`check`.
    """
    listed = [_with_picture(dict(row, corpus=corpus)) for row in rows]
    if not listed:
        raise DataError(f"no utterances found for {corpus!r}; is this the folder or file of that corpus?")
    extra = sorted({key for row in listed for key in row} - set(SCHEMA))
    if extra:
        raise DataError(f"unknown column {first_five(extra)}; known are: {', '.join(SCHEMA)}")
    odd = [f"{row.get('id')}: {row['label']!r}" for row in listed if row.get("label") not in (None, *labels)]
    if odd:
        raise DataError(f"label outside the classes ({', '.join(labels)}): {first_five(odd)}")
    try:
        # From text to Enum by a cast: the constructor makes null of a value outside the Enum.
        text = {name: pl.String() if isinstance(dtype, pl.Enum) else dtype for name, dtype in SCHEMA.items()}
        frame = pl.DataFrame(listed, schema=text, strict=True).cast(pl.Schema(_schema(labels)))
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise DataError(f"a value of {corpus!r} does not fit its column: {error}") from error
    low, high = scale
    if scale != (0.0, 1.0):
        votes = [(pl.field(name) - low) / (high - low) for name in DIMENSIONS]
        frame = frame.with_columns(
            *((pl.col(name) - low) / (high - low) for name in DIMENSIONS),
            pl.col("votes").list.eval(pl.element().struct.with_fields(votes)),
        )
    return check(frame.sort("id"))


def _with_picture(row: dict[str, Any]) -> dict[str, Any]:
    path = row.get("path")
    own = isinstance(path, str) and path.lower().endswith(VIDEO)
    return row | {"video": path} if own and row.get("video") is None else row


def _schema(labels: Sequence[str]) -> dict[str, pl.DataType]:
    return {**SCHEMA, "label": pl.Enum(list(labels))}


def check(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table if it holds, else raise a DataError that names the column and the first five rows.

    Checked: required columns and their types, ids present and unique, one corpus (or ids ``CORPUS/…``), ``start``
    before ``end``, numbers inside :data:`BOUNDS`, and the weights of votes.
    """
    missing = [name for name in REQUIRED if name not in table.columns]
    if missing:
        raise DataError(f"the utterance table lacks the column {first_five(missing)}")
    if table.is_empty():
        raise DataError("the utterance table is empty")
    for name, dtype in table.schema.items():
        if name == "label":
            if not isinstance(dtype, pl.Enum):
                raise DataError(f"column 'label' is {dtype}, expected an Enum of the classes in order")
        elif name not in SCHEMA:
            raise DataError(f"unknown column {name!r}; known are: {', '.join(SCHEMA)}")
        elif dtype != SCHEMA[name]:
            raise DataError(f"column {name!r} is {dtype}, expected {SCHEMA[name]}")
    for name in ("corpus", "id", "path"):
        empty = table.with_row_index("row").filter(pl.col(name).is_null() | (pl.col(name) == ""))["row"]
        if len(empty):
            raise DataError(f"column {name!r} is empty in row {first_five(empty)}")
    if table["corpus"].n_unique() != 1:
        own = pl.col("id").str.starts_with(pl.concat_str("corpus", pl.lit("/")))
        if len(table.filter(~own)):
            raise DataError(
                f"a table holds one corpus, or several with ids CORPUS/…; "
                f"found {first_five(table['corpus'].unique().sort())}"
            )
    double = table.filter(pl.col("id").is_duplicated())["id"].unique().sort()
    if len(double):
        raise DataError(f"column 'id': the same id stands in several rows: {first_five(double)}")
    if {"start", "end"} <= set(table.columns):
        bad = table.filter(pl.col("end") <= pl.col("start").fill_null(0.0))["id"]
        if len(bad):
            raise DataError(f"columns 'start', 'end': not a piece of time in seconds: {first_five(bad)}")
    for name, (low, high) in BOUNDS.items():
        if name in table.columns:
            bad = table.filter(~pl.col(name).is_between(low, high))["id"]
            if len(bad):
                raise DataError(f"column {name!r} is outside [{low:g}, {high:g}]: {first_five(bad)}")
    if "votes" in table.columns:
        for name in DIMENSIONS:
            graded = pl.element().struct.field(name)
            outside = (graded < 0) | (graded > 1) | graded.is_nan()
            bad = table.filter(pl.col("votes").list.eval(outside).list.any())["id"]
            if len(bad):
                raise DataError(f"column 'votes': {name} is outside [0, 1]: {first_five(bad)}")
        weights = pl.col("votes").list.eval(pl.element().struct.field("weight"))
        fit = weights.list.eval(pl.element().is_between(*WEIGHTS)).list.all() & (weights.list.sum() > 0)
        bad = table.filter(~fit)["id"]
        if len(bad):
            raise DataError(f"column 'votes': weights are not numbers from 0, or sum to 0: {first_five(bad)}")
    return table


def one_gender(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Set gender to null for every speaker to whom the rows give two; the audit reports GENDER_CONFLICT."""
    genders: dict[str, set[str]] = {}
    for row in rows:
        if row.get("speaker") is not None and row.get("gender") is not None:
            genders.setdefault(row["speaker"], set()).add(row["gender"])
    conflicting = {speaker for speaker, found in genders.items() if len(found) > 1}
    return [{**row, "gender": None} if row.get("speaker") in conflicting else dict(row) for row in rows]


def complete(table: pl.DataFrame) -> pl.DataFrame:
    """Add the missing optional columns as nulls and put all columns in the order of the schema."""
    return table.select(
        pl.col(name) if name in table.columns else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in SCHEMA.items()
    )


def counted(votes: Sequence[Mapping[str, Any]] | None) -> Sequence[Mapping[str, Any]]:
    """Return the votes of a clip that its distribution counts.

    Where graders also judged its sound alone (modality ``audio``), those votes; else all.
    """
    heard = [vote for vote in votes or () if vote["modality"] == "audio"]
    return heard or votes or ()


def classes(table: pl.DataFrame) -> tuple[str, ...]:
    """Return the classes of the table in order."""
    dtype = table.schema["label"]
    assert isinstance(dtype, pl.Enum)
    return tuple(dtype.categories)


def corpus_of(table: pl.DataFrame) -> str:
    """Return the name of the corpus that the table holds; of several the names in order, joined by ``+``."""
    return "+".join(table["corpus"].unique().sort().to_list())


def table_digest(table: pl.DataFrame) -> str:
    """Return the SHA-256 of the rows but for the paths of files: equal tables agree wherever these lie.

    What nobody recognised, and dimensions that a grader did not give, are left out: tables and votes without any
    keep the digest they had.
    """
    rows = complete(table).drop("path", "video").sort("id").to_dicts()
    for row in rows:
        for name in RECOGNIZED:
            if row[name] is None:
                del row[name]
        if row["votes"]:
            row["votes"] = [
                {key: value for key, value in vote.items() if key not in DIMENSIONS or value is not None}
                for vote in row["votes"]
            ]
    return digest({"classes": list(classes(table)), "rows": rows})


def clips(table: pl.DataFrame, channel: int | None = None, *, transcript: str = "owner") -> list[Clip]:
    """Return the clips of a table in its order, with the turns of their dialogues before them.

    Parameters
    ----------
    table
        Utterances; of columns that it lacks nothing is known.
    channel
        The channel of recordings to take, counted from 0; None for the mean of all.
    transcript
        What the clips' words are: the ``owner``'s text, or what was ``recognized``.
    """
    words = {"owner": "text", "recognized": "recognized"}[transcript]
    known = [
        name
        for name in ("id", "path", "video", "start", "end", "speaker", words, "dialogue", "turn")
        if name in table.columns
    ]
    rows = list(table.select(known).iter_rows(named=True))
    said = {row["id"]: Turn(row.get("speaker"), row[words]) for row in rows if row.get(words) is not None}
    dialogues: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row.get("dialogue") is not None and row.get("turn") is not None:
            dialogues.setdefault(row["dialogue"], []).append(row)
    before: dict[str, tuple[Turn, ...]] = {}
    for dialogue in dialogues.values():
        turns: list[Turn] = []
        for row in sorted(dialogue, key=lambda row: _turn_number(row["turn"])):
            before[row["id"]] = tuple(turns)
            turns += [said[row["id"]]] if row["id"] in said else []
    return [
        Clip(
            row["id"],
            Piece(row["path"], row["start"], row["end"], channel),
            None if row.get("video") is None else Piece(row["video"], row["start"], row["end"]),
            turn=said.get(row["id"]),
            context=before.get(row["id"], ()),
        )
        for row in rows
    ]


def _turn_number(turn: str) -> tuple[float, str]:
    try:
        return float(turn), turn
    except ValueError:
        return float("inf"), turn


def write_table(
    table: pl.DataFrame, path: str | os.PathLike[str], notes: Mapping[str, str] | None = None
) -> None:
    """Write a checked table as Parquet; ``notes`` say how it was made (:func:`notes_of` returns them)."""
    written = io.BytesIO()  # polars would hide from us why a file cannot be written
    named = {f"{_NOTE}{name}": text for name, text in (notes or {}).items()}
    complete(check(table)).write_parquet(written, metadata=named)
    write_bytes(path, written.getbuffer())


def read_table(path: str | os.PathLike[str]) -> pl.DataFrame:
    """Read a table that :func:`write_table` wrote, and check it."""
    source = Path(path)
    if not source.exists():
        raise DataError(f"{source}: no such file; `unheard prepare CORPUS FOLDER --out {source}` makes it")
    frame = read_parquet(source)
    with about(source):
        return check(_with_graded_dimensions(frame))


def notes_of(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return what :func:`write_table` was told of a table: in words, by ``labels`` and ``speakers``."""
    found = read_notes(path)
    return {name.removeprefix(_NOTE): text for name, text in found.items() if name.startswith(_NOTE)}


def _with_graded_dimensions(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table whose votes have places for dimensions, which older tables lack."""
    dtype = table.schema.get("votes")
    older = pl.List(pl.Struct([f for f in VOTE.fields if f.name not in DIMENSIONS]))
    return table.with_columns(pl.col("votes").cast(pl.List(VOTE))) if dtype == older else table


def to_polars(frame: Any) -> pl.DataFrame:
    """Accept polars, or pandas at the border."""
    if isinstance(frame, pl.DataFrame):
        return frame
    if type(frame).__module__.partition(".")[0] == "pandas":
        return pl.from_pandas(frame)
    raise DataError(f"expected a polars or pandas frame, found {type(frame).__name__}")
