"""EmoDB, the Berlin database of emotional speech: 535 recordings of ten actors, names like ``03a01Fa``.

Positions 1-2 speaker, 3-5 sentence, 6 emotion (first letter of the German word), 7 version. The public 535 are
those that at least 80 % of 20 listeners recognised and 60 % found natural.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unheard.corpora.folder import LeftOut, clips

NAME = "emodb"
DESCRIPTION = "German, acted, ten actors, ten everyday sentences"
CITATION = (
    "Burkhardt F, Paeschke A, Rolfes M, Sendlmeier WF, Weiss B (2005). A Database of German Emotional Speech. "
    "Proc. Interspeech 2005, Lisbon, 1517-1520."
)
LICENCE = "CC0-1.0 (as stated by its audformat publication)"
LABELS = ("anger", "boredom", "disgust", "fear", "happiness", "sadness", "neutral")
LANGUAGES = ("de",)

#: Gender and age (years) as the owner's page states them.
SPEAKERS = {
    "03": ("male", 31),
    "08": ("female", 34),
    "09": ("female", 21),
    "10": ("male", 32),
    "11": ("male", 26),
    "12": ("male", 30),
    "13": ("female", 32),
    "14": ("female", 35),
    "15": ("male", 25),
    "16": ("female", 31),
}
SENTENCES = ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")
#: Wut, Langeweile, Ekel, Angst, Freude, Trauer, neutral.
_EMOTIONS = dict(zip("WLEAFTN", LABELS, strict=True))
_SCHEME = re.compile(r"(\d\d)([ab]\d\d)([A-Z])([a-z])")


def scan(root: Path) -> Iterator[dict[str, Any] | LeftOut]:
    """Yield a row for every recording under an official name."""
    return clips(root, _fields)


def _fields(path: Path) -> dict[str, Any] | str:
    name = _SCHEME.fullmatch(path.stem)
    if not name:
        return "not an official name (like 03a01Fa)"
    speaker, sentence, emotion, version = name.groups()
    if speaker not in SPEAKERS:
        return f"speaker is {speaker}, expected one of {', '.join(SPEAKERS)}"
    if sentence not in SENTENCES:
        return f"sentence is {sentence}, expected one of {', '.join(SENTENCES)}"
    if emotion not in _EMOTIONS:
        return f"emotion is {emotion}, expected one of {', '.join(_EMOTIONS)}"
    gender, age = SPEAKERS[speaker]
    return {
        "speaker": speaker,
        "gender": gender,
        "age": float(age),
        "language": "de",
        "sentence": sentence,
        "take": version,
        "channel": "speech",
        "label": _EMOTIONS[emotion],
        "licence": LICENCE,
    }
