"""CREMA-D: 91 actors, twelve sentences, 7,442 clips, judged by sound, by face, and by both.

Names are ``actor_sentence_emotion_level``. ``VideoDemographics.csv`` has age and sex,
``processedResults/tabulatedVotes.csv`` three rows a clip: the first digit of a row's id says what the raters were
shown (1 voice, 2 face, 3 both). The label is what most raters of the voice heard, null where two classes tie. In a
copy without the votes it is the emotion that the actor was asked for, and that is said.
"""

from __future__ import annotations

import gzip
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from unheard.corpora.folder import LeftOut, clips, listed
from unheard.corpora.tabular import read_rows
from unheard.errors import DataError
from unheard.formats.numbers import number_in

NAME = "crema-d"
DESCRIPTION = "American English, acted by 91 actors, twelve sentences, votes on voice, face and both"
CITATION = (
    "Cao H, Cooper DG, Keutmann MK, Gur RC, Nenkova A, Verma R (2014). CREMA-D: Crowd-sourced Emotional "
    "Multimodal Actors Dataset. IEEE Trans. Affective Computing 5(4), 377-390. https://doi.org/10.1109/TAFFC.2014.2336244"
)
LICENCE = "ODbL 1.0 (contents: DbCL 1.0)"
LABELS = ("anger", "disgust", "fear", "happy", "neutral", "sad")
LANGUAGES = ("en",)

SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
_EMOTIONS = dict(zip(("ANG", "DIS", "FEA", "HAP", "NEU", "SAD"), LABELS, strict=True))
#: ``XX`` is the owner's "unspecified".
_LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": None}
_VOTES = dict(zip("ADFHNS", LABELS, strict=True))
_SHOWN = {"1": "audio", "2": "video", "3": "audiovisual"}
_GENDERS = {"Male": "male", "Female": "female"}
_SCHEME = re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_([A-Z]{2})", re.ASCII)
_MOST_VOTES = 1_000.0
#: The table of votes unpacked; the owner's has 5 MB.
_MAX_BYTES = 64 * 2**20


def scan(root: Path) -> Iterator[dict[str, Any] | LeftOut]:
    """Yield a row for every clip of the table of votes, or without one for every recording.

    Raises
    ------
    DataError
        A table lacks a column, or holds a vote or a row id that is none.
    """
    people = _people(root / "VideoDemographics.csv")

    def fields(path: Path) -> dict[str, Any] | str:
        return by_name(path.stem, people)

    table = next((place for place in _tables(root) if place.is_file()), None)
    if table is None:
        found = list(clips(root, fields))
        yield from found
        if not all(isinstance(item, LeftOut) for item in found):
            yield LeftOut(
                "processedResults/tabulatedVotes.csv",
                "VOTES_MISSING: not there; labels are what the actors were asked for, not what was heard",
            )
        return
    voted = votes(table)
    rows = []
    for name, given in voted.items():
        row = by_name(name, people)
        if isinstance(row, str):
            yield LeftOut(name, row)
        else:
            rows.append(row | given | {"id": name, "recording": name, "path": f"AudioWAV/{name}.wav"})

    def name_of(path: Path) -> str | None:
        return path.stem if path.stem in voted else None

    yield from listed(root, rows, name_of, table.name)


def by_name(stem: str, people: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | str:
    """Return the fields that the name of a clip holds with those of its actor, or what is wrong with it."""
    parts = _SCHEME.fullmatch(stem)
    if not parts:
        return "not an official name (like 1001_DFA_ANG_XX)"
    actor, sentence, emotion, level = parts.groups()
    for field, value, known in (
        ("sentence", sentence, SENTENCES),
        ("emotion", emotion, _EMOTIONS),
        ("level", level, _LEVELS),
    ):
        if value not in known:
            return f"{field} is {value}, expected one of {', '.join(known)}"
    if not 1001 <= int(actor) <= 1091:
        return f"actor is {actor}, expected 1001 to 1091"
    return {
        "speaker": actor,
        **people.get(actor, {}),
        "language": "en",
        "sentence": sentence,
        "text": SENTENCES[sentence],
        "intensity": _LEVELS[level],
        "channel": "speech",
        "label": _EMOTIONS[emotion],
        "licence": LICENCE,
    }


def votes(table: Path) -> dict[str, dict[str, Any]]:
    """Return votes and label of each clip by its name, from ``tabulatedVotes.csv``, which may be gzipped."""
    of_clip: dict[str, list[dict[str, Any]]] = {}
    for number, row in _rows(table):
        where = f"{table}: row {number}"
        shown = _SHOWN.get(row[""][:1])
        if shown is None or len(row[""]) != 6:
            raise DataError(
                f"{where}, first column: {row['']!r}, expected six digits that begin with 1 (voice), 2 (face) or 3"
            )
        counts = {label: _count(where, row, letter) for letter, label in _VOTES.items()}
        given = of_clip.setdefault(row["fileName"], [])
        if shown in {vote["modality"] for vote in given}:
            raise DataError(f"{where}: {row['fileName']} has been judged by {shown} before")
        given += [
            {"grader": None, "label": label, "weight": count, "modality": shown}
            for label, count in counts.items()
            if count
        ]
    return {name: {"votes": given or None, "label": _winner(given)} for name, given in of_clip.items()}


def _winner(given: list[dict[str, Any]]) -> str | None:
    """Return the class that most raters of the voice chose; None where two tie or nobody judged the voice."""
    heard = {vote["label"]: vote["weight"] for vote in given if vote["modality"] == "audio"}
    best = [label for label, weight in heard.items() if weight == max(heard.values())]
    return str(best[0]) if len(best) == 1 else None


def _count(where: str, row: Mapping[str, str], column: str) -> float:
    try:
        return number_in(row[column], 0, _MOST_VOTES)
    except ValueError as error:
        raise DataError(f"{where}, column {column!r}: {error}") from error


def _tables(root: Path) -> Iterator[Path]:
    for folder in (root / "processedResults", root):
        yield folder / "tabulatedVotes.csv"
        yield folder / "tabulatedVotes.csv.gz"


def _rows(table: Path) -> list[tuple[int, dict[str, str]]]:
    columns = ("", "fileName", *_VOTES)
    if table.suffix != ".gz":
        return read_rows(table, columns=columns)
    try:
        with gzip.open(table) as file:
            data = file.read(_MAX_BYTES + 1)
    except (OSError, EOFError) as error:
        raise DataError(f"{table}: not a readable gzip file ({error})") from error
    if len(data) > _MAX_BYTES:
        raise DataError(
            f"{table}: holds more than {_MAX_BYTES:,} bytes, which is not the owner's table of votes"
        )
    with tempfile.TemporaryDirectory() as folder:
        unpacked = Path(folder) / table.stem
        unpacked.write_bytes(data)
        return read_rows(unpacked, columns=columns)


def _people(table: Path) -> dict[str, dict[str, Any]]:
    if not table.is_file():
        return {}
    return {
        row["ActorID"].strip(): {
            "age": float(row["Age"]) if re.fullmatch(r"\s*\d{1,3}\s*", row["Age"], re.ASCII) else None,
            "gender": _GENDERS.get(row["Sex"].strip()),
        }
        for _, row in read_rows(table, columns=("ActorID", "Age", "Sex"))
    }
