"""MSP-Podcast: turns cut from podcasts, several graders each, in the layout of releases 1.6 to 2.0.

``Labels/labels_consensus`` (CSV or JSON; ``labels_concensus`` in 1.6) holds consensus, speaker and part of each
turn, ``Labels/labels_detailed`` (CSV in either shape, or JSON) or ``labels.txt`` what every worker said,
``Transcripts/NAME.txt`` the words, ``Audios/NAME.wav`` the recordings. Parts that the consensus lacks are those of
``Partitions.txt``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from unheard.corpora.folder import LeftOut, listed
from unheard.corpora.tabular import need_columns, read_legacy_text, read_rows
from unheard.errors import DataError
from unheard.formats import json_text
from unheard.formats.numbers import number_in
from unheard.formats.separated import read_separated

NAME = "msp-podcast"
DESCRIPTION = "English, spontaneous, turns of podcasts, several graders, the owner's parts by release"
CITATION = (
    "Lotfian R, Busso C (2019). Building Naturalistic Emotionally Balanced Speech Corpus by Retrieving Emotional "
    "Speech from Existing Podcast Recordings. IEEE Trans. Affective Computing 10(4), 471-483. "
    "https://doi.org/10.1109/TAFFC.2017.2736999"
)
LICENCE = "academic licence, on request"
LABELS = ("angry", "sad", "happy", "surprise", "fear", "disgust", "contempt", "neutral", "other")
LANGUAGES = ("en",)
#: Least and most of activation, valence and dominance.
SCALE = (1.0, 7.0)

_LETTERS = dict(zip("ASHUFDCNO", LABELS, strict=True))
_NO_AGREEMENT = "X"
_GENDERS = {"female": "female", "male": "male"}
_DIMENSIONS = {"activation": "EmoAct", "valence": "EmoVal", "dominance": "EmoDom"}
_INITIALS = {"A": "activation", "V": "valence", "D": "dominance"}
_WORKER = ("worker", "workerid", "annotator", "annotatorid", "rater", "raterid", "grader")
#: Bytes of a label file in JSON: a release has some hundred thousand turns.
_MAX_BYTES = 2**29
_GRADE = re.compile(r"\s*([AVD])\s*:\s*([^;]*)", re.ASCII)

#: What one worker said of one turn: worker, primary class, dimensions as text.
Said = tuple[str | None, str, dict[str, str]]


def scan(root: Path) -> Iterator[dict[str, Any] | LeftOut]:
    """Yield a row for every turn of the consensus file.

    A vote is a worker's primary class; ``Other-…`` in the worker's own words is ``other``. Secondary classes are
    not read.

    Raises
    ------
    DataError
        There is no consensus file, or a value in one of the files does not hold: names file, turn and column.
    """
    consensus = _first(root, "labels_consensus", "labels_concensus")
    if consensus is None:
        raise DataError(
            f"{root}: no Labels/labels_consensus.csv (or .json) there; give the folder of the corpus"
        )
    votes, parts = _votes(root), _parts(root)
    transcripts = root / "Transcripts"
    rows, names = [], set()
    for name, cells in _consensus(consensus):
        row = _row(f"{consensus}: {name}", name, cells)
        spoken = transcripts / f"{name}.txt"
        row["text"] = read_legacy_text(spoken).strip() or None if spoken.is_file() else None
        row["votes"] = votes.get(name)
        row["split"] = row["split"] or parts.get(name)
        rows.append(row)
        names.add(name)
    for name in sorted(set(votes) - names):
        yield LeftOut(name, f"graded, but not in {consensus.name}")

    def name_of(path: Path) -> str | None:
        return path.stem if path.stem in names else None

    yield from listed(root, rows, name_of, consensus.name)


def _first(root: Path, *stems: str) -> Path | None:
    places = [
        folder / f"{stem}{suffix}"
        for folder in (root / "Labels", root / "labels", root)
        for stem in stems
        for suffix in (".csv", ".json")
    ]
    return next((place for place in places if place.is_file()), None)


def _consensus(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Return name and values of each turn; in JSON the values may stand in a list of one."""
    if file.suffix == ".json":
        for name, cells in json_text.read_object(file, most=_MAX_BYTES).items():
            inner = cells[0] if isinstance(cells, list) and len(cells) == 1 else cells
            if not isinstance(inner, dict):
                raise DataError(f"{file}: {name}: expected an object of values, found {type(inner).__name__}")
            yield _stem(name), {"EmoClass": inner.get("EmoClass_Major"), **inner}
        return
    for _, cells in read_rows(file, columns=("FileName", "EmoClass", *_DIMENSIONS.values())):
        yield _stem(cells["FileName"]), cells


def _row(where: str, name: str, cells: Mapping[str, Any]) -> dict[str, Any]:
    letter = _text(cells.get("EmoClass")) or _NO_AGREEMENT
    if letter not in _LETTERS and letter != _NO_AGREEMENT:
        raise DataError(
            f"{where}, column 'EmoClass': {letter!r}, expected one of {', '.join((*_LETTERS, _NO_AGREEMENT))}"
        )
    speaker = _text(cells.get("SpkrID"))
    gender = _text(cells.get("Gender")) or ""
    return {
        "id": name,
        "recording": name,
        "path": f"Audios/{name}.wav",
        "speaker": speaker if speaker is None or speaker.lower() != "unknown" else None,
        "gender": _GENDERS.get(gender.lower()),
        "language": "en",
        "channel": "speech",
        "label": _LETTERS.get(letter),
        **{ours: _grade(where, column, cells.get(column)) for ours, column in _DIMENSIONS.items()},
        "split": _text(cells.get("Split_Set")),
        "licence": LICENCE,
    }


def _parts(root: Path) -> dict[str, str]:
    """Part of each turn by ``Partitions.txt``, whose lines hold part and file in either order."""
    places = [root / name for name in ("Partitions.txt", "Partition.txt", "Labels/Partitions.txt")]
    file = next((place for place in places if place.is_file()), None)
    parts: dict[str, str] = {}
    for line in read_legacy_text(file).splitlines() if file else ():
        fields = [field.strip() for field in line.split(";") if field.strip()]
        clips = [field for field in fields if field.endswith(".wav")]
        others = [field for field in fields if not field.endswith(".wav")]
        if clips and others:
            parts[_stem(clips[0])] = others[0]
    return parts


def _votes(root: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the votes on each turn; none where the copy has no detailed labels."""
    detailed = _first(root, "labels_detailed")
    raw = [place for place in (root / "Labels" / "labels.txt", root / "labels.txt") if place.is_file()]
    if detailed is not None:
        said = _from_json(detailed) if detailed.suffix == ".json" else _from_csv(detailed)
    elif raw:
        detailed, said = raw[0], _from_text(raw[0])
    else:
        return {}
    found: dict[str, list[dict[str, Any]]] = {}
    for name, (worker, primary, grades) in said:
        where = f"{detailed}: {name}, {worker}"
        vote = {"grader": worker, "label": _primary(where, primary), "weight": 1.0, "modality": "audio"}
        vote |= {dimension: _grade(where, dimension, value) for dimension, value in grades.items()}
        found.setdefault(name, []).append(vote)
    return found


def _from_json(file: Path) -> Iterator[tuple[str, Said]]:
    for name, workers in json_text.read_object(file, most=_MAX_BYTES).items():
        if not isinstance(workers, dict):
            raise DataError(f"{file}: {name}: expected {{worker: values}}, found {type(workers).__name__}")
        for worker, cells in workers.items():
            if not isinstance(cells, dict) or "EmoClass_Major" not in cells:
                raise DataError(f"{file}: {name}, {worker}: lacks EmoClass_Major")
            yield _stem(name), (worker, str(cells["EmoClass_Major"]), _columns(cells))


def _from_csv(file: Path) -> Iterator[tuple[str, Said]]:
    """Read both shapes: columns for worker, class and dimensions, or one packed field next to the name."""
    header, rows = read_separated(file)
    if len(header) == 2:
        # A file without a header begins with a turn.
        first = [header] if header[0].endswith(".wav") else []
        for name, packed in chain(first, (cells for _, cells in rows)):
            yield _stem(name), _packed(f"{file}: {name}", packed)
        return
    need_columns(file, ("FileName", "EmoClass_Major"), header)
    workers = [column for column in header if re.sub(r"[^a-z]", "", column.lower()) in _WORKER]
    for _, values in rows:
        cells = dict(zip(header, values, strict=True))
        worker = _text(cells[workers[0]]) if workers else None
        yield _stem(cells["FileName"]), (worker, cells["EmoClass_Major"], _columns(cells))


def _from_text(file: Path) -> Iterator[tuple[str, Said]]:
    """Yield the blocks of ``labels.txt``: a line for the turn, then a line for each worker, then a blank line."""
    name = None
    for line in read_legacy_text(file).splitlines():
        if not line.strip():
            name = None
        elif name is None:
            name = _stem(line.split(";")[0])
        else:
            yield name, _packed(f"{file}: {name}", line)


def _packed(where: str, line: str) -> Said:
    """Return ``worker; primary; secondary; A:…; V:…; D:…;``, where the secondary classes may be left out."""
    fields = [field.strip() for field in line.strip().split(";")]
    if len(fields) < 2 or _GRADE.match(fields[1]):
        raise DataError(f"{where}: expected 'worker; class; …; A:…; V:…; D:…;', found {line[:80]!r}")
    grades = (_GRADE.fullmatch(field) for field in fields[2:])
    return fields[0], fields[1], {_INITIALS[grade[1]]: grade[2] for grade in grades if grade}


def _columns(cells: Mapping[str, Any]) -> dict[str, str]:
    return {ours: str(cells[column]) for ours, column in _DIMENSIONS.items() if column in cells}


def _primary(where: str, said: str) -> str:
    word = said.strip().lower()
    if word.startswith("other"):
        return "other"
    if word not in LABELS:
        raise DataError(f"{where}: class is {said!r}, expected one of {', '.join(LABELS)}, or Other-…")
    return word


def _grade(where: str, column: str, value: Any) -> float | None:
    text = _text(value)
    if text is None:
        return None
    try:
        return number_in(text, *SCALE)
    except ValueError as error:
        raise DataError(f"{where}, column {column!r}: {error}") from error


def _text(value: Any) -> str | None:
    return None if value is None else str(value).strip() or None


def _stem(name: Any) -> str:
    return str(name).strip().removesuffix(".wav")
