"""Hugging Face datasets on disk: Parquet files that hold the sounds, or recordings in folders.

Recordings in folders are described by ``metadata.csv``, ``.jsonl`` or ``.parquet`` (``file_name`` and further
columns), or by the folder of their class. Folders and files named train, validation or test are splits. Columns
have the names that :mod:`unheard.corpora.generic` takes.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from unheard.corpora.class_folders import SPLIT, class_folders, short_ids, split_of
from unheard.corpora.columns import columns_of, remarks
from unheard.corpora.folder import LeftOut, Remark, recordings
from unheard.corpora.generic import rows_of
from unheard.corpora.tabular import read_rows
from unheard.errors import DataError
from unheard.files import read_bytes, write_bytes
from unheard.formats import json_text, yaml_text
from unheard.formats.parquet import read_notes, read_parquet, read_schema

NAME = "huggingface"
DESCRIPTION = "Any Hugging Face dataset on disk: Parquet with sounds, or a folder of recordings"
CITATION = "as the dataset's card says"
LICENCE = "as the dataset's card says"
LABELS: tuple[str, ...] = ()  # found in the data
LANGUAGES: tuple[str, ...] = ()
#: ``scan`` writes the sounds that Parquet files hold.
HOLDS_SOUNDS = True

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_SPLIT_OF_FILE = re.compile(rf"({SPLIT.pattern})(?![a-z])", re.ASCII | re.IGNORECASE)
#: First bytes of a sound -> its extension; whatever else begins a frame of MP3.
_BEGINNINGS = {
    b"RIFF": ".wav",
    b"RF64": ".wav",
    b"fLaC": ".flac",
    b"OggS": ".ogg",
    b"FORM": ".aiff",
    b".snd": ".au",
}
_MAX_BYTES = 2**22

Row = tuple[int, dict[str, Any]]


def scan(root: Path, sounds: Path) -> Iterator[dict[str, Any] | LeftOut | Remark]:
    """Yield a row for every row of the dataset.

    A sound that stands in a Parquet file is written to ``sounds`` under the SHA-256 of its bytes; what is there
    already is not written again.

    Raises
    ------
    DataError
        Nothing of the kinds above is there, or a table does not hold: names file, row and column.
    """
    if not root.exists():
        raise DataError(f"{root}: no such file or folder")
    files = (
        [root] if root.is_file() else [path for path in sorted(root.rglob("*")) if _is_visible(path, root)]
    )
    folder = root.parent if root.is_file() else root
    described = [path for path in files if path.name in METADATA]
    packed = [path for path in files if path.suffix == ".parquet" and path.name not in METADATA]
    if described:
        yield from _folder(folder, described)
    elif packed:
        yield from _packed(folder, packed, sounds, others_too=root.is_dir())
    elif any(path.suffix == ".arrow" for path in files):
        raise DataError(f"{root}: holds Arrow files; save the dataset as Parquet (Dataset.to_parquet)")
    else:
        yield from class_folders(root)


def is_dataset(source: Path) -> bool:
    """Tell whether a file or folder is a dataset by what lies there, at most two folders down.

    It is one if it has a metadata file with the column ``file_name``, or a Parquet file with sounds.
    """
    if source.is_file():
        return source.suffix == ".parquet" and any(map(_holds_sounds, read_schema(source).values()))
    places = [
        path for depth in ("*", "*/*", "*/*/*") for path in sorted(source.glob(depth)) if path.is_file()
    ]
    for path in places:
        if path.name in METADATA:
            if path.suffix == ".parquet":
                return "file_name" in read_schema(path)
            with path.open("rb") as file:
                return b"file_name" in file.readline(_MAX_BYTES)
    tables = [path for path in places if path.suffix == ".parquet"]
    return bool(tables) and is_dataset(tables[0])


def _folder(root: Path, described: list[Path]) -> Iterator[dict[str, Any] | LeftOut | Remark]:
    """Yield the recordings that metadata files describe; each file's paths are relative to its folder."""
    made: list[dict[str, Any]] = []
    named = False
    for table in described:
        inside = table.parent.relative_to(root)
        rows = read_rows(table, columns=("file_name",))
        found = list(rows[0][1])
        named |= "id" in found
        columns = {"id": "id", "split": "split"} | columns_of(table, found) | {"path": "file_name"}
        yield from _remarks(table.relative_to(root), rows, columns)
        made += rows_of(
            table, table.parent, columns, [(number, _named(inside, cells)) for number, cells in rows]
        )
    yield from made if named else short_ids(made)
    used = {row["path"] for row in made}
    for item in recordings(root):
        if isinstance(item, LeftOut):
            is_read = root / item.path in described
            yield LeftOut(item.path, "describes the recordings, and is none") if is_read else item
        elif str(root.absolute() / item) not in used:
            yield LeftOut(item.as_posix(), "in no metadata file")


def _named(inside: Path, cells: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cells of one row; id and split are taken from the recording's path where the row has none."""
    place = inside / str(cells["file_name"] or "")
    return {"id": place.with_suffix("").as_posix() if place.name else None, "split": split_of(place), **cells}


def _packed(
    folder: Path, packed: list[Path], sounds: Path, *, others_too: bool
) -> Iterator[dict[str, Any] | LeftOut | Remark]:
    """Yield the rows of Parquet files with a column that holds ``{bytes, path}``."""
    made: list[dict[str, Any]] = []
    own: list[str | None] = []  # name that the dataset gives a sound, within its split
    for file in packed:
        inside = file.relative_to(folder)
        held = [name for name, dtype in read_schema(file).items() if _holds_sounds(dtype)]
        if not held:
            yield LeftOut(inside.as_posix(), "has no column with sounds ({bytes, path})")
            continue
        audio = "audio" if "audio" in held else held[0]
        frame = read_parquet(file)
        others = [name for name in frame.columns if name != audio]
        columns = {"id": "id", "split": "split"} | columns_of(file, [*others, "path"]) | {"path": "path"}
        split = _split(inside)
        is_number = frame.schema[columns["label"]].is_integer()
        names = _class_names(folder, file, columns["label"]) if is_number else []
        rows: list[Row] = []
        for number, cells in enumerate(frame.iter_rows(named=True), start=1):
            where = f"{file}: row {number}"
            sound = cells.pop(audio)
            path = _sound(f"{where}, column {audio!r}", sound, file.parent, sounds)
            label = cells[columns["label"]]
            if names and isinstance(label, int):
                cells[columns["label"]] = _class(f"{where}, column {columns['label']!r}", names, label)
            stem = Path(sound.get("path") or "").stem if sound else ""
            own.append(f"{split or '.'}/{stem}" if stem and "id" not in frame.columns else None)
            numbered = inside.with_name(f"{inside.stem}-{number}").as_posix()
            rows.append((number, {"id": numbered, "split": split, **cells, "path": path}))
        yield from _remarks(inside, rows, columns)
        made += rows_of(file, file.parent, columns, rows)
    times = Counter(own)
    yield from short_ids(
        [
            row | ({"id": name} if name and times[name] == 1 else {})
            for row, name in zip(made, own, strict=True)
        ]
    )
    for item in recordings(folder) if others_too else ():
        if isinstance(item, Path):
            yield LeftOut(item.as_posix(), "in no Parquet file")
        elif folder / item.path not in packed:
            yield item


def _sound(where: str, sound: Mapping[str, Any] | None, folder: Path, sounds: Path) -> str:
    """Write a sound where it is not there yet, and return its path."""
    data = (sound or {}).get("bytes")
    if not data:
        path = (sound or {}).get("path")
        if not path:
            raise DataError(f"{where}: neither bytes nor a path")
        return str(folder.absolute() / path)
    file = sounds.absolute() / f"{hashlib.sha256(data).hexdigest()}{_BEGINNINGS.get(data[:4], '.mp3')}"
    if not file.is_file() or file.stat().st_size != len(data):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(file, data)
    return str(file)


def _class_names(folder: Path, file: Path, column: str) -> list[str]:
    """Names behind the numbers of a class column, by the Parquet file's own notes or the dataset's card."""
    notes = read_notes(file).get("huggingface")
    if notes is not None:
        info = json_text.parse_object(notes, f"{file}: notes of huggingface")
        names = _inside(info, "info", "features", column, "names")
        if isinstance(names, list):
            return [str(name) for name in names]
    card = folder / "README.md"
    if not card.is_file():
        return []
    text = read_bytes(card, _MAX_BYTES).decode("utf-8", "replace")
    front = re.match(r"\ufeff?---\r?\n(.*?)\r?\n---", text, re.DOTALL)
    header = yaml_text.parse(front[1], card, names_as_text=True) if front else None
    described = _inside(header, "dataset_info")
    for info in described if isinstance(described, list) else [described]:
        features = _inside(info, "features")
        for feature in features if isinstance(features, list) else ():
            names = _inside(feature, "dtype", "class_label", "names")
            if _inside(feature, "name") == column and isinstance(names, dict):
                return [str(names[number]) for number in sorted(names, key=lambda n: (len(n), n))]
    return []


def _inside(value: Any, *names: str) -> Any:
    """Return what lies inside mappings under these names; None where one of them is not there."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _class(where: str, names: list[str], number: int) -> str | None:
    if number == -1:  # Hugging Face's "no label"
        return None
    if not 0 <= number < len(names):
        raise DataError(f"{where}: its class is {number}, the dataset names {len(names)} classes")
    return names[number]


def _holds_sounds(dtype: pl.DataType) -> bool:
    parts = {part.name: part.dtype for part in dtype.fields} if isinstance(dtype, pl.Struct) else {}
    return parts.get("bytes") in (pl.Binary, pl.Null) and parts.get("path") in (pl.String, pl.Null)


def _split(file: Path) -> str | None:
    """Return the name of the split of a Parquet file, by its folders or by how its own name begins."""
    named = _SPLIT_OF_FILE.match(file.name)
    return split_of(file) or (named[1].lower() if named else None)


def _remarks(table: Path, rows: list[Row], columns: Mapping[str, str]) -> Iterator[Remark]:
    own = {name: column for name, column in columns.items() if name not in ("id", "path", "split")}
    known = {columns["path"], "id", "split"}
    found = dict.fromkeys(str(name) for _, cells in rows for name in cells if name not in known)
    yield from (Remark(f"{table.as_posix()}: {text}") for text in remarks(own, found))


def _is_visible(path: Path, root: Path) -> bool:
    return path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts)
