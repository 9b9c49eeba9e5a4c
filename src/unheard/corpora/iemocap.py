"""IEMOCAP: ten actors in five sessions of two, improvised and scripted dialogues, 10,039 utterances.

``SessionN/dialog/EmoEvaluation/DIALOGUE.txt`` holds time, consensus and what every evaluator said of each
utterance, ``SessionN/dialog/transcriptions/DIALOGUE.txt`` the words, ``SessionN/sentences/wav`` the recordings.
The letter after the session's number says who wore the markers; who speaks is the letter of the last field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unheard.corpora.folder import LeftOut, listed
from unheard.corpora.table import DIMENSIONS
from unheard.corpora.tabular import read_legacy_text
from unheard.errors import DataError
from unheard.formats.numbers import number_in

NAME = "iemocap"
DESCRIPTION = "American English, ten actors in dyads, improvised and scripted, several evaluators"
CITATION = (
    "Busso C, Bulut M, Lee CC, Kazemzadeh A, Mower E, Kim S, Chang JN, Lee S, Narayanan SS (2008). IEMOCAP: "
    "interactive emotional dyadic motion capture database. Language Resources and Evaluation 42, 335-359. "
    "https://doi.org/10.1007/s10579-008-9076-6"
)
LICENCE = "academic licence, on request"
LABELS = (
    "angry",
    "happy",
    "excited",
    "sad",
    "neutral",
    "frustrated",
    "surprised",
    "fearful",
    "disgusted",
    "other",
)
LANGUAGES = ("en",)
#: Least and most of the evaluators' activation, valence and dominance.
SCALE = (1.0, 5.0)

_CODES = dict(
    zip(("ang", "hap", "exc", "sad", "neu", "fru", "sur", "fea", "dis", "oth"), LABELS, strict=True)
)
_NO_MAJORITY = "xxx"
#: What evaluators write, in lower case.
_WORDS = {
    "anger": "angry",
    "happiness": "happy",
    "excited": "excited",
    "sadness": "sad",
    "neutral": "neutral",
    "neutral state": "neutral",
    "frustration": "frustrated",
    "surprise": "surprised",
    "fear": "fearful",
    "disgust": "disgusted",
    "other": "other",
}
_UTTERANCE = re.compile(r"Ses(\d\d)[FM]_((impro|script)\w+)_([FM])\w*", re.ASCII)
_HEADER = re.compile(r"\[(\d+(?:\.\d+)?)\s*-\s*(\d+(?:\.\d+)?)\]\s+(\S+)\s+(\w{3})\s+\[([^]]*)\]", re.ASCII)
_CATEGORIES = re.compile(r"(C-E\d+):\s*([^()]*)", re.ASCII)
_ATTRIBUTES = re.compile(r"(A-E\d+):\s*([^()]*)", re.ASCII)
_GRADE = re.compile(r"(val|act|dom)\s+(\d+(?:\.\d+)?)", re.ASCII)
_SPOKEN = re.compile(r"(Ses\w+)\s*\[[^]]*\]:\s*(.*)", re.ASCII)
_SHORT = {"act": "activation", "val": "valence", "dom": "dominance"}


def scan(root: Path) -> Iterator[dict[str, Any] | LeftOut]:
    """Yield a row for every utterance of the label files.

    The label is the owner's consensus, null where there is none (``xxx``). Votes are the observers' (``C-E1``,
    ``A-E1`` and so on), never the actors' own; one who names several classes gives each an equal part. What is no
    category, or off the scale, is left out and said.

    Raises
    ------
    DataError
        There are no label files, or a line of one does not hold: names file and line.
    """
    files = sorted(path for path in root.rglob("EmoEvaluation/Ses*.txt") if not path.name.startswith("."))
    if not files:
        raise DataError(f"{root}: no SessionN/dialog/EmoEvaluation/SesNN….txt there or below")
    rows: list[dict[str, Any]] = []
    for file in files:
        text = _words(file.parent.parent / "transcriptions" / file.name)
        for row in dialogue(file):
            for wrong in (*row.pop("odd"), *_off_the_scale(row)):
                yield LeftOut(f"{row['id']}: {wrong}", "no category, or not from 1 to 5; null in the table")
            rows.append(row | {"text": text.get(row["id"]), "votes": row["votes"] or None})
    names = {row["recording"] for row in rows}

    def name_of(path: Path) -> str | None:
        return path.stem if path.stem in names else None

    yield from listed(root, rows, name_of, "the label files")


def dialogue(file: Path) -> list[dict[str, Any]]:
    """Return the rows of one label file, each with its place in the dialogue (``turn``, by start time).

    ``odd`` lists what evaluators wrote that is no category.
    """
    timed: list[tuple[float, dict[str, Any]]] = []
    for number, line in enumerate(read_legacy_text(file).splitlines(), start=1):
        where = f"{file}: line {number}"
        if line.startswith("["):
            header = _HEADER.match(line)
            if not header:
                raise DataError(f"{where}: expected [start - end] NAME CODE [V, A, D], found {line[:80]!r}")
            timed.append((float(header[1]), _row(where, file.stem, header)))
        elif timed and (found := _CATEGORIES.match(line)):
            votes, odd = _named(found[1], found[2])
            timed[-1][1]["votes"] += votes
            timed[-1][1]["odd"] += odd
        elif timed and (found := _ATTRIBUTES.match(line)):
            timed[-1][1]["votes"] += _graded(found[1], found[2])
    timed.sort(key=lambda pair: (pair[0], pair[1]["id"]))
    return [row | {"turn": str(turn)} for turn, (_, row) in enumerate(timed, start=1)]


def _row(where: str, name: str, header: re.Match[str]) -> dict[str, Any]:
    _, _, utterance, code, means = header.groups()
    parts = _UTTERANCE.fullmatch(utterance)
    if not parts:
        raise DataError(f"{where}: {utterance!r} is not an official name (like Ses01F_impro01_F000)")
    if code not in _CODES and code != _NO_MAJORITY:
        raise DataError(f"{where}: emotion is {code!r}, expected one of {', '.join((*_CODES, _NO_MAJORITY))}")
    try:
        valence, activation, dominance = (number_in(value) for value in means.split(","))
    except ValueError:
        raise DataError(f"{where}: [{means}], expected three numbers (V, A, D)") from None
    session, scene, kind, speaker = parts.groups()
    return {
        "id": utterance,
        "recording": utterance,
        "path": f"Session{int(session)}/sentences/wav/{name}/{utterance}.wav",
        "speaker": f"Ses{session}{speaker}",
        "gender": "female" if speaker == "F" else "male",
        "language": "en",
        "session": session,
        "dialogue": name,
        # Every session plays the same scripts; improvised lines are nobody else's.
        "sentence": scene if kind == "script" else None,
        "channel": "speech",
        "label": _CODES.get(code),
        "votes": [],
        "odd": [],
        "activation": activation,
        "valence": valence,
        "dominance": dominance,
        "licence": LICENCE,
    }


def _named(grader: str, said: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the votes of one evaluator, and what is no category."""
    words = [word.strip().lower() for word in said.split(";") if word.strip()]
    known = [_WORDS[word] for word in words if word in _WORDS]
    vote = {"grader": grader, "weight": 1 / max(len(known), 1), "modality": "audiovisual"}
    return [vote | {"label": label} for label in known], [repr(word) for word in words if word not in _WORDS]


def _graded(grader: str, said: str) -> list[dict[str, Any]]:
    """Return one vote of dimensions; a value that the evaluator left out is null."""
    grades = {_SHORT[name]: float(value) for name, value in _GRADE.findall(said)}
    vote = {"grader": grader, "label": None, "weight": 1.0, "modality": "audiovisual"}
    return [vote | grades] if grades else []


def _off_the_scale(row: dict[str, Any]) -> list[str]:
    """Make null, and name, the dimensions of a clip and its votes that are off the scale."""
    wrong = []
    for holder in (row, *row["votes"]):
        for name in DIMENSIONS:
            value = holder.get(name)
            if value is not None and not SCALE[0] <= value <= SCALE[1]:
                wrong.append(f"{name} {value:g}")
                holder[name] = None
    return wrong


def _words(file: Path) -> dict[str, str]:
    """Return the text of each utterance; turns without a label are in these files too."""
    if not file.is_file():
        return {}
    found = (_SPOKEN.match(line) for line in read_legacy_text(file).splitlines())
    return {line[1]: line[2].strip() for line in found if line}
