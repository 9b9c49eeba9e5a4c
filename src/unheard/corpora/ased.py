"""ASED, the Amharic Speech Emotion Dataset: 2,474 recordings of 65 speakers, names ``xn-yy-aa-gg-bb``.

``x`` is the emotion's letter and ``n`` its folder, ``yy`` the sentence within the emotion, ``aa`` the repetition,
``gg`` the gender and ``bb`` the speaker. The recordings are those that at least five of eight judges accepted; who
voted how is not published. One file is written with a capital letter, and some speakers' files have two genders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unheard.corpora.folder import LeftOut, clips

NAME = "ased"
DESCRIPTION = "Amharic, acted, 65 speakers, five sentences an emotion and two common ones"
CITATION = (
    "Retta EA, Almekhlafi E, Sutcliffe R, Mhamed M, Ali H, Feng J (2022). A New Amharic Speech Emotion Dataset "
    "and Classification Benchmark. ACM Trans. Asian Low-Resour. Lang. Inf. Process. https://doi.org/10.1145/3529759"
)
LICENCE = "none stated"
LABELS = ("neutral", "fearful", "happy", "sad", "angry")
LANGUAGES = ("am",)

_EMOTIONS = {f"{label[0]}{number}": label for number, label in enumerate(LABELS, start=1)}
_SCHEME = re.compile(r"([a-z]\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)", re.ASCII | re.IGNORECASE)
_GENDERS = {"01": "female", "02": "male"}


def scan(root: Path) -> Iterator[dict[str, Any] | LeftOut]:
    """Yield a row for every recording under an official name."""
    return clips(root, _fields)


def _fields(path: Path) -> dict[str, Any] | str:
    name = _SCHEME.fullmatch(path.stem)
    if not name:
        return "not an official name (like a5-03-01-02-50)"
    emotion, sentence, take, gender, speaker = name.groups()
    emotion = emotion.lower()
    if emotion not in _EMOTIONS:
        return f"emotion is {emotion}, expected one of {', '.join(_EMOTIONS)}"
    if gender not in _GENDERS:
        return f"gender is {gender}, expected 01 or 02"
    label = _EMOTIONS[emotion]
    folder = re.fullmatch(r"0\d([A-Z][a-z]+)", path.parent.name)
    if folder and folder[1].lower() != label:
        return f"named for {label} but found in {path.parent.name}"
    return {
        "speaker": speaker,
        "gender": _GENDERS[gender],
        "language": "am",
        # Numbers begin anew with each emotion; which of them are the two common sentences is not said.
        "sentence": f"{emotion}-{sentence}",
        "take": take,
        "channel": "speech",
        "label": label,
        "licence": LICENCE,
    }
