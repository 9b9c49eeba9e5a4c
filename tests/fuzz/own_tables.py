"""Tables as people write them, with what they say: made of known rows by changes whose outcome is known.

A change either leaves what the table says as it is (other names, separators, forms of a value), or breaks it in a
known row and column. So nothing of the reader is needed to tell what must come out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import polars as pl

NAMES = {
    "path": ("path", "Path", "FILE", "file_name", "File Name", "filename", "wav", "audio-path", "Recording"),
    "label": ("label", "Label", "EMOTION", "emotion", "class", "Emotion Label", "emo"),
    "speaker": ("speaker", "Speaker ID", "speaker_id", "SPK", "actor", "Subject"),
    "gender": ("gender", "Sex", "SEX"),
    "age": ("age", "Age"),
    "start": ("start", "Start", "start_time"),
    "end": ("end", "END", "End Time"),
    "text": ("text", "Transcript", "transcription"),
    "split": ("split", "Partition"),
    "valence": ("valence", "Valence"),
    "activation": ("activation", "arousal", "Arousal"),
}
UNUSED = ("rater", "snr", "note", "corpus_url", "Kommentar")
ROW_NUMBERS = ("", "Unnamed: 0", "__index_level_0__")
NOTHING = ("", "nan", "None", "null")
TEXTS = (
    "Guten Tag",
    "weiß, nicht",
    'he said "no"',
    "日本語",
    "a;b",
    "it's",
    "tab\there",
    "ligne\ndeux",
    " x ",
)
FOLDERS = ("", "clips/", "a b/", "Ümläut/", "x,y/")
#: What no number column may hold.
NO_NUMBERS = ("12,5", "abc", "1_5", "inf", "١", "0x10", "1e999", "--3")


@dataclass
class Table:
    """Rows with the values of our columns as they must be read; ``wrong``: what an error must name, if any."""

    rows: list[dict[str, Any]]
    columns: list[str]
    name_of: dict[str, str]
    cells: list[dict[str, Any]] = field(default_factory=list)  # by our column, as written
    wrong: tuple[str, ...] = ()
    damage: str = ""  # of the text of a CSV
    file: Any = None


def own_table(rng: Random, folder: Path) -> Table:
    """Write a table, which may be broken in one way, and return what it says; ``file`` is a path or a frame."""
    optional = [
        name for name in NAMES if name not in ("path", "label", "start", "end") and rng.random() < 0.5
    ]
    pieces = ["start", "end"] if rng.random() < 0.4 else []
    columns = ["path", "label", *optional, *pieces]
    rng.shuffle(columns)
    made = Table([_row(rng, columns, k) for k in range(rng.randint(3, 7))], columns, {})
    made.name_of = {name: rng.choice(NAMES[name]) for name in columns}
    form = rng.choice(("csv", "csv", "csv", "tsv", "jsonl", "parquet", "pandas", "polars"))
    made.cells = [{name: _written(rng, name, row[name], form) for name in columns} for row in made.rows]
    fault = rng.choice(FAULTS) if rng.random() < 0.5 else None
    if fault is not None:
        fault(rng, made, form)
    header, rows = _grid(rng, made)
    writer = {"csv": _csv, "tsv": _csv, "jsonl": _jsonl, "parquet": _parquet}.get(form)
    if writer is None:
        frame = {name: [row[k] for row in rows] for k, name in enumerate(header)}
        made.file = pd.DataFrame(frame) if form == "pandas" else pl.DataFrame(frame, strict=False)
    else:
        made.file = folder / f"t.{form}"
        writer(rng, made, header, rows)
    return made


def _row(rng: Random, columns: list[str], number: int) -> dict[str, Any]:
    start = round(rng.uniform(0, 5), 3)
    drawn = {
        "path": f"{rng.choice(FOLDERS)}c{number}.wav",
        "label": rng.choice(("sad", "joy", "Ärger", "so so", None)) if number else "sad",
        "speaker": rng.choice(("7", "ann", "bob b", "ann", None)),
        "gender": rng.choice(("female", "male", "other", None)),
        "age": rng.choice((30.0, 4.5, 0.0, None)),
        "start": start,
        "end": rng.choice((round(start + rng.uniform(0.1, 5), 3), None)),
        "text": rng.choice((*TEXTS, None)),
        "split": rng.choice(("train", "test", None)),
        "valence": rng.choice((0.0, 0.25, 1.0, None)),
        "activation": rng.choice((0.5, 1.0, None)),
    }
    row = {name: drawn[name] for name in columns}
    if isinstance(row.get("text"), str):
        row["text"] = row["text"].strip()
    return row


def _written(rng: Random, name: str, value: Any, form: str) -> Any:
    """Return a value in one of the forms that mean it."""
    texts = form in ("csv", "tsv")
    if value is None:
        nobody = name in ("speaker", "label", "split")
        return rng.choice(NOTHING if nobody else ("",)) if texts or (nobody and rng.random() < 0.3) else None
    if name == "gender":
        return rng.choice(
            (value, value.upper(), value.title(), *({"female": "f", "male": "M"}.get(value, value),))
        )
    if name in ("start", "end") and rng.random() < 0.4:
        return f"0 days 00:00:0{value:.6f}" if value < 10 else f"0 days 00:00:{value:.6f}"
    if isinstance(value, float):
        whole = value.is_integer() and rng.random() < 0.5
        number: Any = int(value) if whole else value
        return str(number) if texts or rng.random() < 0.2 else number
    if name == "speaker" and value == "7" and not texts:
        return rng.choice((7, "7", *((7.0,) if form in ("jsonl", "pandas") else ())))
    return f" {value} " if rng.random() < 0.1 and name != "path" else value


# --- what breaks a table -----------------------------------------------------------------------------------


def _no_number(rng: Random, made: Table, form: str) -> None:
    numbers = [name for name in ("age", "start", "end", "valence", "activation") if name in made.columns]
    if numbers:
        _break(rng, made, form, rng.choice(numbers), rng.choice((*NO_NUMBERS, "-1", "1e9")))


def _no_gender(rng: Random, made: Table, form: str) -> None:
    if "gender" in made.columns:
        _break(rng, made, form, "gender", rng.choice(("2", "robot", "1")))


def _no_path(rng: Random, made: Table, form: str) -> None:
    _break(rng, made, form, "path", rng.choice(("", "  ")))


def _break(rng: Random, made: Table, form: str, column: str, cell: str) -> None:
    number = rng.randrange(len(made.cells))
    made.cells[number][column] = cell
    first = 2 if form in ("csv", "tsv") else 1
    made.wrong = (f"row {number + first}", repr(made.name_of[column]))


def _no_column(rng: Random, made: Table, form: str) -> None:
    column = rng.choice(("path", "label"))
    made.name_of[column] = "something"
    made.wrong = (f"lacks the column {column!r}",)


def _nearly_a_column(rng: Random, made: Table, form: str) -> None:
    if "speaker" in made.columns:
        made.name_of["speaker"] = rng.choice(("speakr", "Speeker", "speakerr"))
        made.wrong = (repr(made.name_of["speaker"]), "'speaker'")


def _one_column_twice(rng: Random, made: Table, form: str) -> None:
    made.name_of["label"] = "Emotion"
    made.columns.append("again")
    made.name_of["again"] = "EMOTION"
    for cells in made.cells:
        cells["again"] = "sad"
    made.wrong = ("'Emotion'", "'EMOTION'", "'label'")


def _one_clip_twice(rng: Random, made: Table, form: str) -> None:
    made.cells.append(dict(made.cells[0]))
    first = 2 if form in ("csv", "tsv") else 1
    made.wrong = ("the same id", f"row {first}", f"row {first + len(made.cells) - 1}")


def _damaged_text(rng: Random, made: Table, form: str) -> None:
    """Damage the text of a CSV: in its last row a cell too many or too few, a byte, a quote; or its encoding."""
    if form not in ("csv", "tsv"):
        return
    made.damage = rng.choice(("more", "fewer", "latin", "utf-16", "quote", "nul"))
    lines = any("\n" in str(cell) for cells in made.cells for cell in cells.values())
    row = f"row {len(made.cells) + 1}"
    made.wrong = {
        "more": (row, "fields, the header has"), "fewer": (row, "fields, the header has"), "quote": (row,),
        "latin": ("not UTF-8", *(() if lines else (row,))), "utf-16": ("UTF-16",),
        "nul": ("NUL", *(() if lines else (row,))),
    }[made.damage]  # fmt: skip


FAULTS = (
    _no_number, _no_number, _no_gender, _no_path, _no_column, _nearly_a_column, _one_column_twice, _one_clip_twice,
    _damaged_text, _damaged_text,
)  # fmt: skip


# --- the forms of a table ----------------------------------------------------------------------------------


def _grid(rng: Random, made: Table) -> tuple[list[str], list[list[Any]]]:
    header = [made.name_of[name] for name in made.columns]
    rows = [[cells[name] for name in made.columns] for cells in made.cells]
    for name in rng.sample(UNUSED, rng.randint(0, 2)):
        place = rng.randint(0, len(header))
        header.insert(place, name)
        for row in rows:
            row.insert(place, rng.choice(("x", "3", "")))
    if rng.random() < 0.2:
        header.insert(0, rng.choice(ROW_NUMBERS))
        for number, row in enumerate(rows):
            row.insert(0, str(number))
    return header, rows


def _csv(rng: Random, made: Table, header: list[str], rows: list[list[Any]]) -> None:
    mark = "\t" if made.file.suffix == ".tsv" else rng.choice(",;\t")
    stated = made.file.suffix == ".csv" and rng.random() < 0.15
    bom, end = rng.choice(("", "\ufeff")), rng.choice(("\n", "\r\n"))
    quotes = rng.random() < 0.3
    tail = [""] * (0 if made.damage else rng.choice((0, 0, 0, 2)))
    if stated:
        mark = rng.choice(",;|")
        made.wrong = tuple(_one_later(text) for text in made.wrong)

    def cell(value: Any) -> str:
        text = "" if value is None else str(value)
        needs = quotes or any(c in text for c in (",", ";", "\t", "|", '"', "\n"))
        return '"' + text.replace('"', '""') + '"' if needs else text

    lines = [f"sep={mark}"] if stated else []
    lines += [mark.join(map(cell, [*row, *tail])) for row in (header, *rows)]
    if made.damage == "more":
        lines[-1] += f"{mark}x"
    elif made.damage == "fewer":
        lines[-1] = mark.join(map(cell, rows[-1][:-1]))
    elif made.damage == "quote":
        lines[-1] = '"' + lines[-1].replace('"', "")
    elif made.damage in ("latin", "nul"):
        lines[-1] += "\0" if made.damage == "nul" else "Æ"
    lines += [""] * rng.choice((0, 1, 2))
    text = "".join(line + end for line in lines)
    if made.damage == "utf-16":
        made.file.write_bytes(text.encode("utf-16"))
    else:
        made.file.write_bytes((bom + text).encode().replace("Æ".encode(), b"\xc6"))


def _one_later(text: str) -> str:
    return f"row {int(text[4:]) + 1}" if text.startswith("row ") else text


def _jsonl(rng: Random, made: Table, header: list[str], rows: list[list[Any]]) -> None:
    sparse = rng.random() < 0.3 and not made.wrong
    lines = []
    for row in rows:
        cells = dict(zip(header, row, strict=True))
        kept = {name: cell for name, cell in cells.items() if not sparse or cell is not None}
        lines.append(json.dumps(kept, ensure_ascii=rng.random() < 0.5))
    made.file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _parquet(rng: Random, made: Table, header: list[str], rows: list[list[Any]]) -> None:
    columns = {}
    for k, name in enumerate(header):
        cells = [row[k] for row in rows]
        mixed = any(isinstance(cell, str) for cell in cells)
        columns[name] = [None if c is None else str(c) for c in cells] if mixed else cells
    pl.DataFrame(columns, strict=False).write_parquet(made.file)
