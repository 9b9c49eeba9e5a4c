"""URDU: 400 clips cut from Urdu talk shows, ``{Angry,Happy,Neutral,Sad}/S{M|F}ID_FNN_{A|H|N|S}NNN``.

Not acted. The owner names 38 speakers; the file names hold 29, and most of them show one or two emotions only, so
speaker and label are strongly tied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unheard.corpora.folder import LeftOut, clips

NAME = "urdu"
DESCRIPTION = "Urdu, talk shows, 29 speaker ids; speaker and emotion are strongly tied"
CITATION = (
    "Latif S, Qayyum A, Usman M, Qadir J (2018). Cross Lingual Speech Emotion Recognition: Urdu vs. Western "
    "Languages. https://arxiv.org/abs/1812.10411"
)
LICENCE = "research only (as its owner states)"
LABELS = ("angry", "happy", "neutral", "sad")
LANGUAGES = ("ur",)

_EMOTIONS = dict(zip("AHNS", LABELS, strict=True))
_SCHEME = re.compile(r"(S([MF])\d+)_F\d+_([A-Z])\d+", re.ASCII)


def scan(root: Path) -> Iterator[dict[str, Any] | LeftOut]:
    """Yield a row for every recording under an official name."""
    return clips(root, _fields)


def _fields(path: Path) -> dict[str, Any] | str:
    name = _SCHEME.fullmatch(path.stem)
    if not name:
        return "not an official name (like SM1_F10_A010)"
    speaker, gender, emotion = name.groups()
    if emotion not in _EMOTIONS:
        return f"emotion is {emotion}, expected one of {', '.join(_EMOTIONS)}"
    folder = path.parent.name.lower()
    if folder in LABELS and folder != _EMOTIONS[emotion]:
        return f"named for {_EMOTIONS[emotion]} but found in {path.parent.name}"
    return {
        "speaker": speaker,
        "gender": "male" if gender == "M" else "female",
        "language": "ur",
        "channel": "speech",
        "label": _EMOTIONS[emotion],
        "licence": LICENCE,
    }
