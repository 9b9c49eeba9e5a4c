"""BAVED: seven Arabic words at three levels of emotion, names ``speaker-gender-age-word-level-record``.

Labels are levels, not emotions: ``high`` puts joy, sadness and anger together. Speakers 46 and 53 are one person:
their 21 recordings are equal byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unheard.corpora.folder import LeftOut, clips

NAME = "baved"
DESCRIPTION = "Arabic, single words at three levels of emotion, 60 speaker ids"
CITATION = (
    "Basic Arabic Vocal Emotions Dataset. https://github.com/40uf411/Basic-Arabic-Vocal-Emotions-Dataset"
)
LICENCE = "none stated"
LABELS = ("low", "neutral", "high")
LANGUAGES = ("ar",)

#: The words in their owner's spelling.
WORDS = ("اعجبني", "لم يعجبني", "هذا", "الفيلم", "رائع", "مقول", "سيئ")
_SCHEME = re.compile(r"(\d+)-([mf])-(\d+)-(\d)-(\d)-(\d+)", re.ASCII)


def scan(root: Path) -> Iterator[dict[str, Any] | LeftOut]:
    """Yield a row for every recording under an official name."""
    return clips(root, _fields)


def _fields(path: Path) -> dict[str, Any] | str:
    name = _SCHEME.fullmatch(path.stem)
    if not name:
        return "not an official name (like 46-m-20-3-2-954)"
    speaker, gender, age, word, level, _ = name.groups()
    if int(word) >= len(WORDS):
        return f"word is {word}, expected 0 to {len(WORDS) - 1}"
    if int(level) >= len(LABELS):
        return f"level is {level}, expected 0 to {len(LABELS) - 1}"
    if path.parent.name.isdecimal() and path.parent.name != word:
        return f"named for word {word} but found in folder {path.parent.name}"
    return {
        "speaker": speaker,
        "gender": "male" if gender == "m" else "female",
        "age": float(age),
        "language": "ar",
        "sentence": word,
        "text": WORDS[int(word)],
        "channel": "speech",
        "label": LABELS[int(level)],
        "licence": LICENCE,
    }
