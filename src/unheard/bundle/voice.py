"""A voice profile: what a bundle knows of one speaker, and the small file that keeps it.

A profile holds sums over the features of a speaker's clips, by which the bundle standardises its inputs
(:mod:`unheard.bundle.adaptation`). No sound, no text and no time of a recording is in it, but it is made of a
person's voice and is theirs: docs/adaptation.md tells of consent and deletion. The file is JSON with the digest of
itself (:mod:`unheard.formats.sealed_json`); a float is written so that it is read as the same.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from unheard.adaptation.profile import Moments
from unheard.errors import DataError
from unheard.files import new_output
from unheard.formats import sealed_json
from unheard.formats.printable import check_printable

FORMAT = "unheard voice profile"
#: major.minor of the file; a newer one is refused.
VERSION = "1.0"
#: Bytes of a file; clips; seconds; frames of all clips; axes of an input.
MAX_BYTES, MAX_CLIPS, MAX_SECONDS, MAX_FRAMES, MAX_AXES = 2**24, 1_000_000, 1e9, 1e12, 3
#: No sum lies further from zero.
MAX_SUM = 1e100

#: Fewer clips than this, or less speech in each on average (seconds), are warned of.
ENOUGH_CLIPS, ENOUGH_SPEECH = 4, 1.0

#: What a flag of a profile means to whoever is about to use it.
MEANINGS = {
    "few_clips": "the voice is known from few clips; more of them help",
    "short_clips": "the clips hold less than a second of speech each on average, which tells little of a voice",
    "one_expression": "nearly all clips sound like one expression to the model: if they are, add others",
}


@dataclass(frozen=True)
class VoiceProfile:
    """What a bundle knows of one speaker; ``Bundle.enrol`` makes one.

    Attributes
    ----------
    model
        Name of the bundle.
    fingerprint
        Digest of what computes and standardises its inputs: the profile fits bundles of the same one.
    clips
        Number of clips that it was made of.
    seconds, speech
        Length of these clips, and how long somebody speaks in them.
    sums
        By input, the sums over the clips.
    flags
        Short names of what to beware of (``MEANINGS``).
    left_out
        Why clips could not be used, one reason a clip; not kept in the file.
    """

    model: str
    fingerprint: str
    clips: int
    seconds: float
    speech: float
    sums: Mapping[str, Moments]
    flags: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of the sums of each input."""
        return {name: each.total.shape for name, each in self.sums.items()}

    @property
    def warnings(self) -> tuple[str, ...]:
        """The flags in words."""
        return tuple(MEANINGS.get(flag, flag) for flag in self.flags)

    def __add__(self, other: VoiceProfile) -> VoiceProfile:
        """Return the profile of the clips of both, which are of one speaker and made with one model.

        So a voice is known better as its clips arrive: ``profile += bundle.enrol([clip])``.

        Raises
        ------
        DataError
            They were made with different models.
        """
        if (other.fingerprint, other.shapes) != (self.fingerprint, self.shapes):
            raise DataError(
                f"two voice profiles of different models, {self.model!r} and {other.model!r}, cannot be added; "
                "enrol all clips with one model"
            )
        clips, speech = self.clips + other.clips, self.speech + other.speech
        alike = set(self.flags) & set(other.flags) & {"one_expression"}
        return VoiceProfile(
            self.model,
            self.fingerprint,
            clips,
            self.seconds + other.seconds,
            speech,
            {name: each + other.sums[name] for name, each in self.sums.items()},
            (*flags_of(clips, speech), *alike),
            (*self.left_out, *other.left_out),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return what can be said of it in plain values, for JSON, without the sums."""
        return {
            "model": self.model,
            "fingerprint": self.fingerprint,
            "clips": self.clips,
            "seconds": round(self.seconds, 3),
            "speech": round(self.speech, 3),
            "values": sum(each.total.size for each in self.sums.values()),
            "flags": list(self.flags),
            "warnings": list(self.warnings),
        }

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Write the profile to a file that only its owner may read; an existing one is refused without ``force``.

        Raises
        ------
        UsageError
            The file exists.
        """
        target = new_output(path, force)
        sealed_json.write(
            target,
            {
                "format": FORMAT,
                "version": VERSION,
                "model": self.model,
                "fingerprint": self.fingerprint,
                "clips": self.clips,
                "seconds": self.seconds,
                "speech": self.speech,
                "flags": list(self.flags),
                "inputs": {
                    name: {
                        "shape": list(each.total.shape),
                        "values": each.values,
                        "total": each.total.ravel().tolist(),
                        "squares": each.squares.ravel().tolist(),
                    }
                    for name, each in self.sums.items()
                },
            },
        )
        target.chmod(0o600)
        return target


def flags_of(clips: int, speech: float) -> tuple[str, ...]:
    """Return what to beware of in so many clips with so many seconds of speech in all."""
    due = {"few_clips": clips < ENOUGH_CLIPS, "short_clips": speech < ENOUGH_SPEECH * clips}
    return tuple(flag for flag, is_due in due.items() if is_due)


def read_voice(path: str | os.PathLike[str]) -> VoiceProfile:
    """Read a file that :meth:`VoiceProfile.save` wrote.

    Raises
    ------
    DataError
        No such file, one of more than 16 MB, no voice profile, a newer one, or one that was damaged.
    """
    plain = sealed_json.read(Path(path), MAX_BYTES)
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise DataError(f"{path}: not a voice profile; unheard enrol CLIPS --out FILE makes one")
    version = plain.get("version")
    if version != VERSION:
        raise DataError(
            f"{path}: a voice profile of version {version!r:.60}, and this version of unheard reads {VERSION}; "
            "update unheard, or enrol the clips again"
        )
    return _parsed(plain, path)


def _parsed(plain: Mapping[str, Any], path: object) -> VoiceProfile:
    fields = _Fields(plain, str(path))
    clips = int(fields.number("clips", 1, MAX_CLIPS, whole=True))
    inputs = plain.get("inputs")
    if not isinstance(inputs, dict) or not 1 <= len(inputs) <= 16:
        fields.refuse("inputs", inputs, "1 … 16 inputs by name")
    flags = plain.get("flags")
    if not isinstance(flags, list) or not all(flag in MEANINGS for flag in map(str, flags)):
        fields.refuse("flags", flags, f"some of {', '.join(MEANINGS)}")
    return VoiceProfile(
        model=fields.text("model"),
        fingerprint=fields.text("fingerprint"),
        clips=clips,
        seconds=fields.number("seconds", 0, MAX_SECONDS),
        speech=fields.number("speech", 0, MAX_SECONDS),
        sums={name: _moments(each, clips, f"{path}: inputs.{name:.60}") for name, each in inputs.items()},
        flags=tuple(map(str, flags)),
    )


def _moments(plain: Any, clips: int, where: str) -> Moments:
    fields = _Fields(plain if isinstance(plain, dict) else {}, where)
    shape = fields.fields.get("shape")
    if (
        not isinstance(shape, list)
        or not 1 <= len(shape) <= MAX_AXES
        or not all(type(size) is int and 0 < size <= MAX_BYTES for size in shape)
    ):
        fields.refuse("shape", shape, f"1 … {MAX_AXES} sizes")
    values = int(fields.number("values", clips, MAX_FRAMES, whole=True))
    total = fields.array("total", shape, -MAX_SUM)
    return Moments(clips, values, total, fields.array("squares", shape, 0.0))


class _Fields:
    """Fields of an object in a file, each refused by name where it is not what it must be."""

    def __init__(self, fields: Mapping[str, Any], where: str) -> None:
        self.fields, self.where = fields, where

    def refuse(self, name: str, found: object, expected: str) -> NoReturn:
        raise DataError(f"{self.where}: {name} is {found!r:.100}, expected {expected}; enrol the clips again")

    def text(self, name: str) -> str:
        found = self.fields.get(name)
        if not isinstance(found, str) or len(found) > 1000:
            self.refuse(name, found, "text")
        try:
            check_printable(found)
        except ValueError as fault:
            self.refuse(name, found, f"text that can be printed ({fault})")
        return found

    def number(self, name: str, low: float, high: float, *, whole: bool = False) -> float:
        found = self.fields.get(name)
        fits = isinstance(found, int | (int if whole else float)) and not isinstance(found, bool)
        if not fits or found is None or not low <= found <= high:
            self.refuse(name, found, f"a {'whole ' if whole else ''}number in {low:g} … {high:g}")
        return float(found)

    def array(self, name: str, shape: list[int], low: float) -> np.ndarray:
        found = self.fields.get(name)
        if not isinstance(found, list) or len(found) != math.prod(shape):
            self.refuse(name, type(found).__name__, f"a list of {math.prod(shape)} numbers")
        if not all(type(value) in (int, float) and low <= value <= MAX_SUM for value in found):
            self.refuse(name, "a list", f"numbers in {low:g} … {MAX_SUM:g}")
        return np.array(found, dtype=np.float64).reshape(shape)
