"""EmoTale: 800 recordings of 18 speakers in Danish and English, names ``{DK|EN}_speaker_emotion_sentence``.

``speaker_info.csv`` has gender and age, ``annotations.csv`` what three raters heard: a category and activation,
valence and dominance from 1 to 5. The label is the enacted emotion; categories are votes. The tables name ``.wav``
files; any audio extension is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from unheard.corpora.folder import LeftOut, clips
from unheard.corpora.tabular import read_rows
from unheard.errors import DataError
from unheard.formats.numbers import number_in

NAME = "emotale"
DESCRIPTION = "Danish and English, acted, 18 speakers, five sentences, three raters"
CITATION = "EmoTale: An Enacted Speech-emotion Dataset in Danish. Proc. ASRU 2025. https://github.com/snehadas/EmoTale"
LICENCE = "none stated; asks to be cited"
LABELS = ("anger", "boredom", "happiness", "neutral", "sadness")
LANGUAGES = ("da", "en")
#: Least and most of the raters' activation, valence and dominance.
SCALE = (1.0, 5.0)

#: Sentences 1 to 5 as the owner's page gives them, but for its "frigde".
SENTENCES = {
    "DK": (
        "Dugen ligger på køleskabet.",
        "Det sorte ark papir er placeret deroppe ved siden af tømmerstykket.",
        "De bar det bare ovenpå og nu skal de ned igen.",
        "Det vil være på det sted, hvor vi altid opbevarer det.",
        "Om syv timer er det morgen.",
    ),
    "EN": (
        "The tablecloth is lying on the fridge.",
        "The black sheet of paper is located up there besides the piece of timber.",
        "They just carried it upstairs and now they are going down again.",
        "It will be in the place where we always store it.",
        "In seven hours it will be morning.",
    ),
}
_LANGUAGES = dict(zip(SENTENCES, LANGUAGES, strict=True))
_EMOTIONS = dict(zip("ABHNS", LABELS, strict=True))
_GENDERS = {"F": "female", "M": "male"}
_RATERS = ("a1", "a2", "a3")
_DIMENSIONS = {"activation": "A", "valence": "V", "dominance": "D"}
_SCHEME = re.compile(r"([A-Z]{2})_(\d{3})_([A-Z])_(\d)", re.ASCII)


def scan(root: Path) -> Iterator[dict[str, Any] | LeftOut]:
    """Yield a row for every recording that ``annotations.csv`` lists and the folder holds.

    Dimensions are means over the raters on the scale ``SCALE``.

    Raises
    ------
    DataError
        One of the two tables is not there, lacks a column, or holds a rating that is none.
    """
    people = {
        row["speaker"]: row for _, row in _rows(root / "speaker_info.csv", ("speaker", "gender", "age"))
    }
    columns = [f"{rater}_{value}" for rater in _RATERS for value in (*_DIMENSIONS.values(), "cat")]
    annotations = root / "annotations.csv"
    rated = {
        Path(row["file"]).stem: (number, row)
        for number, row in _rows(annotations, ("file", *columns, "gt_emotion"))
    }

    def fields(path: Path) -> dict[str, Any] | str:
        named = _named(path.stem, people)
        if isinstance(named, str):
            return named
        if path.stem not in rated:
            return "not in annotations.csv"
        number, row = rated[path.stem]
        if _EMOTIONS.get(row["gt_emotion"]) != named["label"]:
            return f"its name contradicts annotations.csv ({row['gt_emotion']})"
        return {**named, **_ratings(f"{annotations}: row {number}", row)}

    missing = set(rated)
    for item in clips(root, fields):
        if not isinstance(item, LeftOut):
            missing.discard(item["id"])
        yield item
    for name in sorted(missing):
        yield LeftOut(name, "in annotations.csv but not in the folder")


def _rows(table: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    if not table.is_file():
        raise DataError(
            f"{table}: no such file; give the folder that holds annotations.csv, speaker_info.csv and wav/"
        )
    rows = read_rows(table, columns=columns)
    return [(number, {key: str(value).strip() for key, value in row.items()}) for number, row in rows]


def _named(name: str, people: Mapping[str, Mapping[str, str]]) -> dict[str, Any] | str:
    """Return the fields that the name of a recording holds, with those of its speaker."""
    parts = _SCHEME.fullmatch(name)
    if not parts:
        return "not an official name (like DK_004_A_5)"
    language, speaker, emotion, sentence = parts.groups()
    if language not in SENTENCES:
        return f"language is {language}, expected one of {', '.join(SENTENCES)}"
    if emotion not in _EMOTIONS:
        return f"emotion is {emotion}, expected one of {', '.join(_EMOTIONS)}"
    if not 1 <= int(sentence) <= len(SENTENCES[language]):
        return f"sentence is {sentence}, expected 1 to {len(SENTENCES[language])}"
    person = people.get(speaker, {})
    age = person.get("age", "")
    return {
        "speaker": speaker,
        "gender": _GENDERS.get(person.get("gender", "")),
        "age": float(age) if age.isascii() and age.isdecimal() and len(age) < 4 else None,
        "language": _LANGUAGES[language],
        "sentence": f"{language}_{sentence}",
        "text": SENTENCES[language][int(sentence) - 1],
        "channel": "speech",
        "label": _EMOTIONS[emotion],
        "licence": LICENCE,
    }


def _ratings(where: str, row: Mapping[str, str]) -> dict[str, Any]:
    """Return the votes, and means over raters on their scale; ratings that are not on it are refused."""
    votes: list[dict[str, Any]] = []
    for rater in _RATERS:
        if row[f"{rater}_cat"] not in _EMOTIONS:
            raise DataError(
                f"{where}, column '{rater}_cat': {row[f'{rater}_cat']!r}, expected one of {', '.join(_EMOTIONS)}"
            )
        label = _EMOTIONS[row[f"{rater}_cat"]]
        graded = {name: _rating(where, row, f"{rater}_{letter}") for name, letter in _DIMENSIONS.items()}
        votes.append({"grader": rater, "label": label, "weight": 1.0, "modality": None, **graded})
    means = {name: sum(vote[name] for vote in votes) / len(votes) for name in _DIMENSIONS}
    return {"votes": votes, **means}


def _rating(where: str, row: Mapping[str, str], column: str) -> float:
    try:
        return number_in(row[column], *SCALE)
    except ValueError as error:
        raise DataError(f"{where}, column {column!r}: {error}") from error
