"""Writing and reading the synthetic corpus: official RAVDESS names, and a marker that says how it was made."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from unheard.corpora import ravdess
from unheard.corpora.folder import LeftOut, clips
from unheard.corpora.synthetic.people import Person, manner, person
from unheard.corpora.synthetic.phonemes import SENTENCES
from unheard.corpora.synthetic.room import recorded
from unheard.corpora.synthetic.voice import RATE, speak
from unheard.errors import DataError, UsageError, unknown
from unheard.files import write_json
from unheard.formats import json_text

NAME = "synthetic"
DESCRIPTION = "Our own source-filter speech in RAVDESS' shape: eight emotions in prosody, two sentences"
CITATION = "unheard, synthetic speech (no recordings of people)"
LICENCE = "CC0-1.0"
LABELS = ravdess.LABELS
LANGUAGES = ("en",)
MARKER = "synthetic.json"
UNFINISHED = "synthetic.unfinished.json"  # the same while clips are being written
VERSION = 1  # of the synthesiser: equal parameters and versions give equal clips

Progress = Callable[[int, int], None]


def write(
    folder: str | os.PathLike[str],
    *,
    speakers: int = 24,
    takes: int = 2,
    intensities: Sequence[str] = ("normal", "strong"),
    sentences: Sequence[str] = ("01", "02"),
    seed: int = 0,
    emotion: float = 1.0,
    style: float = 1.0,
    identity: float = 1.0,
    rate: int = RATE,
    progress: Progress | None = None,
) -> Path:
    """Write a corpus of synthetic speech as ``Actor_XX/03-01-EE-II-SS-RR-AA.wav``.

    Each clip depends on the seed, the strengths and its own name alone: fewer speakers or takes give a part of the
    same corpus.

    Parameters
    ----------
    folder
        A new or empty folder, or one in which writing the same corpus was interrupted.
    speakers, takes, intensities, sentences
        What to write: actors 1 to ``speakers`` (at most 99), one or two takes, ``normal`` and ``strong`` (neutral
        has no strong), sentences ``01`` and ``02``.
    seed
        Draws the people and their takes.
    emotion, style, identity
        Strengths, 0 or more: of what all speakers share in an emotion, of each speaker's own way of each emotion,
        and of pitch, formants, voice quality and room, which are the same in every emotion.
    rate
        Sampling rate in Hz; speech is made at 16 kHz and resampled.
    progress
        Function that is called with (clips written, all clips).

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UsageError
        A parameter is out of its range, or the folder holds something already.
    """
    names = _names(speakers, takes, intensities, sentences)
    strengths = {"emotion": emotion, "style": style, "identity": identity}
    for name, strength in strengths.items():
        if not (math.isfinite(strength) and strength >= 0):
            raise UsageError(f"{name} is {strength}, expected a strength of 0 or more (1 is the usual one)")
    if not 8_000 <= rate <= 192_000:
        raise UsageError(f"rate is {rate} Hz, expected 8000 to 192000")
    made = {
        "corpus": NAME, "version": VERSION, "speakers": speakers, "takes": takes, "intensities": list(intensities),
        "sentences": list(sentences), "seed": seed, **strengths, "rate": rate,
    }  # fmt: skip
    target = Path(folder)
    _begin(target, made)
    people: dict[int, Person] = {}
    for done, (actor, stem) in enumerate(names, start=1):
        if actor not in people:
            people[actor] = person(actor, seed=seed, identity=identity, style=style)
            (target / f"Actor_{actor:02d}").mkdir(parents=True, exist_ok=True)
        wave = take(stem, people[actor], seed, emotion)
        if rate != RATE:
            wave = soxr.resample(wave, RATE, rate)
        soundfile.write(str(target / f"Actor_{actor:02d}" / f"{stem}.wav"), wave, rate, subtype="PCM_16")
        if progress is not None:
            progress(done, len(names))
    (target / UNFINISHED).replace(target / MARKER)
    return target


def take(stem: str, who: Person, seed: int, emotion: float = 1.0) -> NDArray[np.float32]:
    """Synthesise one take at 16 kHz, whatever else the corpus holds; nothing is written.

    Parameters
    ----------
    stem : official name of the clip, ``03-01-EE-II-SS-RR-AA``.
    who : speaks.
    seed : draws the take.
    emotion : strength of what all speakers share in an emotion.
    """
    _, _, number, intensity, sentence, *_ = stem.split("-")
    rng = np.random.default_rng([seed, 3, *map(int, stem.split("-"))])
    how = manner(who, LABELS[int(number) - 1], ravdess.INTENSITIES[intensity], emotion=emotion, rng=rng)
    wave = recorded(speak(SENTENCES[sentence], who.voice, how, rng), RATE, who.room, rng)
    return np.asarray(wave * min(1.0, 0.98 / float(np.abs(wave).max())), dtype=np.float32)


def scan(root: Path) -> Iterator[dict[str, Any] | LeftOut]:
    """Yield a row for every clip of a folder that :func:`write` finished.

    Raises
    ------
    DataError
        The marker is missing or is not ours.
    """
    marker = root / MARKER
    if not marker.is_file():
        raise DataError(f"{marker}: no such file; a synthetic corpus has it once it is written to its end")
    try:
        corpus = json_text.read_object(marker).get("corpus")
    except DataError as error:
        raise DataError(f"{marker}: not the marker of a synthetic corpus ({error})") from error
    if corpus != NAME:
        raise DataError(f"{marker}: corpus is {corpus!r}, expected {NAME!r}")
    return clips(root, _fields)


def _begin(target: Path, made: dict[str, Any]) -> None:
    """Take a new or empty folder, or one in which writing the very same corpus was interrupted."""
    empty = not target.exists() or (target.is_dir() and not any(target.iterdir()))
    if not (empty or _says(target / UNFINISHED, made)):
        raise UsageError(f"{target} is not an empty folder; choose another one")
    write_json(target / UNFINISHED, made)


def _says(marker: Path, made: dict[str, Any]) -> bool:
    try:
        return bool(json_text.read(marker) == made)
    except DataError:
        return False


def _fields(path: Path) -> dict[str, Any] | str:
    fields = ravdess.by_name(path.stem, actors=99)
    return fields if isinstance(fields, str) else {**fields, "licence": LICENCE}


def _names(
    speakers: int, takes: int, intensities: Sequence[str], sentences: Sequence[str]
) -> list[tuple[int, str]]:
    """Return actor and official name of every clip."""
    if not 1 <= speakers <= 99:
        raise UsageError(f"speakers is {speakers}, expected 1 to 99")
    if not 1 <= takes <= 2:
        raise UsageError(f"takes is {takes}, expected 1 or 2")
    code = {name: number for number, name in ravdess.INTENSITIES.items()}
    for kind, chosen, known in (("intensity", intensities, code), ("sentence", sentences, SENTENCES)):
        if not chosen:
            raise UsageError(f"no {kind} given; choose from: {', '.join(known)}")
        for name in chosen:
            if name not in known:
                raise unknown(kind, name, known)
    return [
        (actor, f"03-01-{emotion:02d}-{code[intensity]}-{sentence}-{take:02d}-{actor:02d}")
        for actor, emotion, intensity, sentence, take in product(
            range(1, speakers + 1), range(1, len(LABELS) + 1), intensities, sentences, range(1, takes + 1)
        )
        if not (LABELS[emotion - 1] == "neutral" and intensity == "strong")
    ]
