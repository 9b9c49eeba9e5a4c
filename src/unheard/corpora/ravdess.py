"""RAVDESS: 24 actors speak (1,440 clips) and sing (1,012 clips) two sentences, at any depth below the folder.

Names are ``MM-VV-EE-II-SS-RR-AA``: modality, vocal channel, emotion, intensity, sentence, repetition, actor. A
clip is called by its audio-only take (modality 03); its videos with and without sound (01, 02) are its picture,
and the one with sound is its recording where there is no audio-only take.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unheard.corpora.folder import LeftOut, clips, is_video

NAME = "ravdess"
DESCRIPTION = "North American English, acted speech and song of 24 professional actors, two sentences"
CITATION = (
    "Livingstone SR, Russo FA (2018). The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS): "
    "A dynamic, multimodal set of facial and vocal expressions in North American English. PLoS ONE 13(5): "
    "e0196391. https://doi.org/10.1371/journal.pone.0196391"
)
LICENCE = "CC BY-NC-SA 4.0"
LABELS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
LANGUAGES = ("en",)

SENTENCES = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
INTENSITIES = {"01": "normal", "02": "strong"}
_CHANNELS = {"01": "speech", "02": "song"}
_NOT_SUNG = ("disgust", "surprised")
_SCHEME = re.compile(r"\d\d(-\d\d){6}", re.ASCII)


def scan(root: Path) -> Iterator[dict[str, Any] | LeftOut]:
    """Yield a row for every take, speech and song."""
    return clips(root, _fields)


def _fields(path: Path) -> dict[str, Any] | str:
    name = path.stem
    if is_video(path) and name.startswith(("01-", "02-")):
        name = f"03-{name[3:]}"
    fields = by_name(name, actors=24)
    folder = re.fullmatch(r"Actor_(\d\d)", path.parent.name, re.IGNORECASE)
    if isinstance(fields, dict) and folder and folder[1] != fields["speaker"]:
        return f"named for actor {fields['speaker']} but found in {path.parent.name}"
    return fields if isinstance(fields, str) else {"id": name, **fields, "licence": LICENCE}


def by_name(stem: str, *, actors: int) -> dict[str, Any] | str:
    """Return the fields that an official name holds, or what is wrong with it.

    Parameters
    ----------
    stem
        Name without extension, such as ``03-01-05-02-01-01-12``.
    actors
        The highest actor number; odd actors are men, even ones women.
    """
    if not _SCHEME.fullmatch(stem):
        return "not an official name (MM-VV-EE-II-SS-RR-AA)"
    modality, channel, emotion, intensity, sentence, take, actor = stem.split("-")
    if modality in ("01", "02"):
        kind = "audio and video" if modality == "01" else "video only"
        return f"modality {modality} ({kind}), and no video; recordings are the audio-only takes 03-…"
    for field, value, known in (
        ("modality", modality, ("03",)),
        ("channel", channel, _CHANNELS),
        ("emotion", emotion, [f"{k:02d}" for k in range(1, 9)]),
        ("intensity", intensity, INTENSITIES),
        ("sentence", sentence, SENTENCES),
        ("repetition", take, ("01", "02")),
    ):
        if value not in known:
            return f"{field} is {value}, expected {' or '.join(known) if len(known) < 4 else '01 to 08'}"
    if not 1 <= int(actor) <= actors:
        return f"actor is {actor}, expected 01 to {actors:02d}"
    label = LABELS[int(emotion) - 1]
    if label == "neutral" and intensity == "02":
        return "neutral has no strong intensity"
    if channel == "02" and label in _NOT_SUNG:
        return f"there is no song with emotion {emotion} ({label})"
    return {
        "speaker": actor,
        "gender": "male" if int(actor) % 2 else "female",
        "language": "en",
        "sentence": sentence,
        "text": SENTENCES[sentence],
        "take": take,
        "intensity": INTENSITIES[intensity],
        "channel": _CHANNELS[channel],
        "label": label,
    }
