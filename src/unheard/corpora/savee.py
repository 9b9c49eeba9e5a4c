"""SAVEE: four men, British English, 480 recordings; ``DC/a01.wav`` as the owner ships it, or ``DC_a01.wav``.

Letters before the number are the emotion: a, d, f, h, n, sa, su.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unheard.corpora.folder import LeftOut, clips

NAME = "savee"
DESCRIPTION = "British English, acted by four men, TIMIT sentences"
CITATION = (
    "Haq S, Jackson PJB (2010). Multimodal Emotion Recognition. In: Wang W (ed), Machine Audition: Principles, "
    "Algorithms and Systems, IGI Global, 398-423"
)
LICENCE = "research only, after registration"
LABELS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
LANGUAGES = ("en",)

SPEAKERS = ("DC", "JE", "JK", "KL")
_EMOTIONS = dict(zip(("a", "d", "f", "h", "n", "sa", "su"), LABELS, strict=True))
_SCHEME = re.compile(r"(?:([A-Za-z]{2})_)?([a-z]+)(\d\d)", re.ASCII)


def scan(root: Path) -> Iterator[dict[str, Any] | LeftOut]:
    """Yield a row for every recording; its id is ``SPEAKER_name`` in either layout."""
    return clips(root, _fields)


def _fields(path: Path) -> dict[str, Any] | str:
    parts = _SCHEME.fullmatch(path.stem)
    if not parts:
        return "not an official name (like DC/a01 or DC_a01)"
    speaker, emotion, number = parts.groups()
    speaker = speaker or path.parent.name
    if speaker not in SPEAKERS:
        return f"speaker is {speaker or 'in no folder'}, expected one of {', '.join(SPEAKERS)}"
    if path.parent.name in SPEAKERS and path.parent.name != speaker:
        return f"named for speaker {speaker} but found in {path.parent.name}"
    if emotion not in _EMOTIONS:
        return f"emotion is {emotion}, expected one of {', '.join(_EMOTIONS)}"
    if not 1 <= int(number) <= (30 if emotion == "n" else 15):
        return f"number is {number}, expected 01 to {30 if emotion == 'n' else 15}"
    return {
        "id": f"{speaker}_{emotion}{number}",
        "speaker": speaker,
        "gender": "male",
        "language": "en",
        "sentence": f"{emotion}{number}",
        "channel": "speech",
        "label": _EMOTIONS[emotion],
        "licence": LICENCE,
    }
