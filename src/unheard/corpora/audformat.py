"""Databases in audformat: ``db.yaml`` says what the tables ``db.TABLE.csv`` (or ``.parquet``) hold.

A table has a row a file (``file``) or a segment (``file``, ``start``, ``end``). Columns are found by their scheme,
or where they have none by their own name: ``emotion`` is the label, ``arousal``, ``valence`` and ``dominance`` the
dimensions, ``speaker``, ``gender``, ``age``, ``language``, ``transcription`` or ``text`` the rest. What a scheme
says of its labels (a speaker's gender and age, the words of a transcription) is read with them, from the header or
from a table of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unheard.corpora.folder import LeftOut, duration, piece, piece_name, recordings
from unheard.corpora.genders import WORDS
from unheard.corpora.tabular import need_columns, read_rows
from unheard.corpora.times import in_seconds
from unheard.errors import DataError, first_five
from unheard.formats import yaml_text
from unheard.formats.numbers import number_in

NAME = "audformat"
DESCRIPTION = "Any database in audformat, from its folder with db.yaml"
CITATION = "as the database says"
LICENCE = "as the database says"
LABELS: tuple[str, ...] = ()  # found in the data
LANGUAGES: tuple[str, ...] = ()

HEADER = "db.yaml"
#: Scheme or column -> our column.
COLUMNS = {
    "emotion": "label",
    "arousal": "activation",
    "activation": "activation",
    "valence": "valence",
    "dominance": "dominance",
    "speaker": "speaker",
    "gender": "gender",
    "sex": "gender",
    "age": "age",
    "language": "language",
    "transcription": "text",
    "text": "text",
}
_DIMENSIONS = ("activation", "valence", "dominance")
_OF_SPEAKERS = ("gender", "age", "language")
_PARTS = {"train": "train", "dev": "dev", "test": "test"}
#: Codes of three letters, as audformat has them, in two.
_LANGUAGES = {
    "ara": "ar", "cmn": "zh", "dan": "da", "deu": "de", "ell": "el", "eng": "en", "fas": "fa", "fra": "fr",
    "ita": "it", "jpn": "ja", "kor": "ko", "nld": "nl", "pol": "pl", "por": "pt", "rus": "ru", "spa": "es",
    "tur": "tr", "urd": "ur", "zho": "zh",
}  # fmt: skip
_MAX_BYTES = 2**22

#: File, start and end in seconds; None is the file's own begin or end.
Place = tuple[str, float | None, float | None]


@dataclass
class Known:
    """What the tables say of one place: values of our columns, and who judged it how."""

    values: dict[str, Any] = field(default_factory=dict)
    judged: list[tuple[str, str, Any]] = field(default_factory=list)  # (rater, our column, value)


def scan(root: Path) -> Iterator[dict[str, Any] | LeftOut]:
    """Yield a row for every file or segment that a table with an emotion or a dimension lists.

    Of several columns with an emotion, the one of the rater ``gold`` (or in a table or column named so) is the
    label; without one, all are votes, and the label is what most of them say, null where two tie. Dimensions are
    means, by the bounds of their scheme mapped to [0, 1]; one without bounds must lie there. Nothing is unpickled.

    Raises
    ------
    DataError
        There is no ``db.yaml``, a table of it is missing or kept in a pickle alone, or a value does not hold.
    """
    header_file = root / HEADER
    if not header_file.is_file():
        raise DataError(f"{root}: no {HEADER} there; give the folder of the database")
    header = yaml_text.read(header_file, most=_MAX_BYTES, names_as_text=True)
    if not isinstance(header, dict) or not isinstance(header.get("tables"), dict):
        raise DataError(f"{header_file}: expected the header of a database with its tables")
    database = _Database(root, header)
    places, of_files = database.places()
    if not places:
        raise DataError(
            f"{header_file}: no table has a column of the scheme emotion, arousal, valence or dominance"
        )
    left: set[str] = set()
    for item in recordings(root):
        if isinstance(item, LeftOut):
            yield item
        else:
            left.add(item.as_posix())
    ids = _ids(root, list(places))
    lengths: dict[str, float | None] = {}
    for place, known in places.items():
        file, start, end = place
        left.discard(Path(file).as_posix())
        if file not in lengths:
            lengths[file] = duration(root.absolute() / file)
        values = {**of_files.get(file, Known()).values, **known.values}
        yield {
            "corpus": database.name,
            "id": ids[place],
            "path": str(root.absolute() / file),
            "start": start,
            "end": end,
            "duration": piece(lengths[file], start, end),
            "channel": "speech",
            "licence": database.licence,
            **({"language": database.language} if database.language else {}),
            **values,
            **_judgement(known.judged),
        }
    for name in sorted(left):
        yield LeftOut(name, "in no table with an emotion or a dimension")


class _Database:
    """The header of a database, and its tables as they are asked for."""

    def __init__(self, root: Path, header: Mapping[str, Any]) -> None:
        self.root = root
        self.header = header
        self._described: dict[str, dict[str, Any]] = {}
        self.name = str(header.get("name") or NAME)
        self.licence = None if header.get("license") is None else str(header["license"])
        languages = header.get("languages") or []
        self.language = (
            _language(languages[0]) if isinstance(languages, list) and len(languages) == 1 else None
        )

    def places(self) -> tuple[dict[Place, Known], dict[str, Known]]:
        """Return what is judged, by place, and what else is known of whole files."""
        tables = {name: self._of(self.header["tables"], name) for name in self.header["tables"]}
        judged = [
            name
            for name in tables
            if any(ours in ("label", *_DIMENSIONS) for _, ours in self._wanted(tables[name]))
        ]
        places: dict[Place, Known] = {}
        files: dict[str, Known] = {}
        for name in (*judged, *(name for name in tables if name not in judged)):
            for place, cells in self._rows(name, tables[name]):
                if name in judged:
                    known = places.setdefault(place, Known())
                elif place in places:
                    known = places[place]
                elif place[1:] == (None, None):
                    known = files.setdefault(place[0], Known())
                else:
                    continue  # segments that nobody judged
                self._learn(known, name, tables[name], cells)
        return places, files

    def _learn(self, known: Known, name: str, table: Mapping[str, Any], cells: Mapping[str, Any]) -> None:
        """Add what one row of a table says."""
        part = self._part(table)
        if part is not None:
            known.values.setdefault("split", part)
        for column, ours in self._wanted(table):
            value = _cell(cells.get(column))
            if value is None:
                continue
            spec = self._of(table["columns"], column)
            scheme = self._scheme(spec)
            where = f"{self.root / HEADER}: table {name}, column {column!r}"
            more = self._more(scheme, str(value))
            if ours == "label" or ours in _DIMENSIONS:
                rater = str(spec.get("rater_id") or column)
                gold = any("gold" in text for text in (name, column, rater))
                judged = str(value) if ours == "label" else _dimension(where, scheme, value)
                known.judged.append(("gold" if gold else rater, ours, judged))
            elif ours == "speaker":
                known.values["speaker"] = str(value)
                known.values |= {
                    own: _fact(where, own, more[own]) for own in _OF_SPEAKERS if more.get(own) is not None
                }
            elif ours == "text":
                words = more.get("") or value
                known.values["text"] = str(words)
                if words != value:
                    known.values["sentence"] = str(value)
            else:
                known.values[ours] = _fact(where, ours, value)

    def _wanted(self, table: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return the columns of a table that are read, with our name for each."""
        columns = table.get("columns") or {}
        found = []
        for column in columns:
            scheme = str(self._of(columns, column).get("scheme_id") or column)
            if scheme in COLUMNS:
                found.append((column, COLUMNS[scheme]))
        return found

    def _rows(self, name: str, table: Mapping[str, Any]) -> Iterator[tuple[Place, dict[str, Any]]]:
        segmented = table.get("type") == "segmented"
        index = ("file", "start", "end") if segmented else ("file",)
        file, rows = self._read(name)
        need_columns(file, index, rows[0][1] if rows else index)
        for number, cells in rows:
            where = f"{file}: row {number}"
            path = str(cells["file"] or "").strip()
            if not path:
                raise DataError(f"{where}, column 'file': empty, expected the path of a recording")
            start, end = (_time(where, cells, column) if segmented else None for column in ("start", "end"))
            # From the beginning to the end is the whole file.
            yield (path, None if start == 0.0 and end is None else start, end), cells

    def _read(self, name: str) -> tuple[Path, list[tuple[int, dict[str, Any]]]]:
        for suffix in (".csv", ".parquet"):
            file = self.root / f"db.{name}{suffix}"
            if file.is_file():
                return file, read_rows(file)
        pickled = (self.root / f"db.{name}.pkl").is_file()
        raise DataError(
            f"{self.root}: the table {name!r} of {HEADER} "
            + (
                "is there as a pickle alone, which is not read; save the database with storage_format='csv'"
                if pickled
                else f"is not there (db.{name}.csv or .parquet)"
            )
        )

    def _scheme(self, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._of(self.header.get("schemes") or {}, spec.get("scheme_id"))

    def _more(self, scheme: Mapping[str, Any], label: str) -> Mapping[str, Any]:
        """Return what a scheme says of one of its labels: named facts, or a text under the empty name."""
        labels = scheme.get("labels")
        if isinstance(labels, str):
            labels = self._misc(labels)
        said = labels.get(label) if isinstance(labels, dict) else None
        return said if isinstance(said, dict) else {"": said}

    def _misc(self, name: str) -> dict[str, Any]:
        """Return the rows of a table that describes labels, by its first level; read once."""
        tables = self.header.get("misc_tables") or {}
        if name not in self._described:
            levels = list(self._of(tables, name).get("levels") or {})
            _, rows = self._read(name)
            self._described[name] = (
                {str(_cell(cells.get(levels[0]))): cells for _, cells in rows} if levels else {}
            )
        return self._described[name]

    def _part(self, table: Mapping[str, Any]) -> str | None:
        split = table.get("split_id")
        kind = self._of(self.header.get("splits") or {}, split).get("type", split)
        return _PARTS.get(str(kind))

    def _of(self, holder: Any, name: Any) -> Mapping[str, Any]:
        """Return a mapping inside the header; empty where there is none of that name."""
        found = holder.get(name) if isinstance(holder, dict) else None
        if found is not None and not isinstance(found, dict):
            raise DataError(
                f"{self.root / HEADER}: {name!r}: expected a mapping, found {type(found).__name__}"
            )
        return found or {}


def _judgement(judged: Sequence[tuple[str, str, Any]]) -> dict[str, Any]:
    """Return the label, dimensions and votes of one place."""
    made: dict[str, Any] = {"label": None}
    labels = [(rater, value) for rater, ours, value in judged if ours == "label"]
    gold = {value for rater, value in labels if rater == "gold"}
    counts = Counter(value for _, value in labels).most_common()
    if gold:
        made["label"] = gold.pop() if len(gold) == 1 else None
    elif counts and (len(counts) == 1 or counts[0][1] > counts[1][1]):
        made["label"] = counts[0][0]
    voters = [(rater, value) for rater, value in labels if rater != "gold"]
    if len(voters) > 1:
        made["votes"] = [
            {"grader": rater, "label": value, "weight": 1.0, "modality": None} for rater, value in voters
        ]
    for name in _DIMENSIONS:
        values = [(rater, value) for rater, ours, value in judged if ours == name]
        values = [pair for pair in values if pair[0] == "gold"] or values
        if values:
            made[name] = sum(value for _, value in values) / len(values)
    return made


def _dimension(where: str, scheme: Mapping[str, Any], value: Any) -> float:
    """Return a value on [0, 1] by the bounds of its scheme."""
    try:
        low, high = (
            number_in(scheme.get(bound, default)) for bound, default in (("minimum", 0), ("maximum", 1))
        )
        if low >= high:
            raise ValueError(f"its scheme goes from {low:g} to {high:g}")
        return (number_in(value, low, high) - low) / (high - low)
    except ValueError as error:
        raise DataError(f"{where}: {error}; the scheme says its minimum and maximum") from error


def _fact(where: str, ours: str, value: Any) -> Any:
    if ours == "age":
        try:
            return number_in(value, 0, 150)
        except ValueError as error:
            raise DataError(f"{where}: {error}") from error
    if ours == "language":
        return _language(value)
    if ours == "gender":
        return WORDS.get(str(value).casefold())
    return str(value)


def _language(code: Any) -> str:
    return _LANGUAGES.get(str(code), str(code))


def _time(where: str, cells: Mapping[str, Any], column: str) -> float | None:
    value = in_seconds(_cell(cells[column]))
    if value is None:
        return None
    try:
        return number_in(value, 0)
    except ValueError as error:
        raise DataError(f"{where}, column {column!r}: {error}") from error


def _cell(value: Any) -> Any:
    """Return what a cell holds; None where it is empty."""
    if isinstance(value, str):
        value = value.strip()
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of whole numbers with gaps, as pandas writes it
    return None if value == "" or value != value else value


def _ids(root: Path, places: Sequence[Place]) -> dict[Place, str]:
    """Return the name of the file where that is unique, else its path; segments of a file with their times."""
    files = {file for file, _, _ in places}
    stems = Counter(Path(file).stem for file in files)
    pieces = Counter(file for file, _, _ in places)
    names = {}
    for file, start, end in places:
        base = Path(file).stem if stems[Path(file).stem] == 1 else Path(file).with_suffix("").as_posix()
        names[file, start, end] = base if pieces[file] == 1 else piece_name(base, start, end)
    double = [name for name, count in Counter(names.values()).items() if count > 1]
    if double:
        raise DataError(f"{root}: the same name for several files or segments: {first_five(double)}")
    return names
