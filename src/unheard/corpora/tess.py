"""TESS: two women say 200 words after "Say the word", seven emotions, names ``OAF_word_emotion``.

``OAF`` is the older speaker (64 years), ``YAF`` the younger (26). One file is named ``OA_bite_neutral``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unheard.corpora.folder import LeftOut, clips

NAME = "tess"
DESCRIPTION = "English, acted by two women, 200 words in one carrier phrase"
CITATION = (
    "Pichora-Fuller MK, Dupuis K (2020). Toronto emotional speech set (TESS). Borealis. "
    "https://doi.org/10.5683/SP2/E8H2MF"
)
LICENCE = "CC BY-NC-ND 4.0"
LABELS = ("angry", "disgust", "fear", "happy", "neutral", "pleasant surprise", "sad")
LANGUAGES = ("en",)

_EMOTIONS = {label: label for label in LABELS} | {"ps": "pleasant surprise"}
_AGES = {"OAF": 64.0, "YAF": 26.0}
_SCHEME = re.compile(r"(OAF?|YAF)_([a-z]+)_([a-z]+)", re.ASCII | re.IGNORECASE)


def scan(root: Path) -> Iterator[dict[str, Any] | LeftOut]:
    """Yield a row for every recording with an official name."""
    return clips(root, _fields)


def _fields(path: Path) -> dict[str, Any] | str:
    parts = _SCHEME.fullmatch(path.stem)
    if not parts:
        return "not an official name (like OAF_back_angry)"
    speaker, word, emotion = (part.lower() for part in parts.groups())
    if emotion not in _EMOTIONS:
        return f"emotion is {emotion}, expected one of {', '.join(_EMOTIONS)}"
    speaker = "YAF" if speaker == "yaf" else "OAF"
    return {
        "speaker": speaker,
        "gender": "female",
        "age": _AGES[speaker],
        "language": "en",
        "sentence": word,
        "text": f"Say the word {word}",
        "channel": "speech",
        "label": _EMOTIONS[emotion],
        "licence": LICENCE,
    }
