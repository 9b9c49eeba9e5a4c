"""The one list of conditions of training and of tests, and what training draws of it.

In training a condition changes a recording before features are computed, independent of order and processes.

Everything random is drawn from the clip's key and the number of the noise. The key is that of the store, which
depends on the content: two ids with the same content share what is stored, and so the noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from unheard.audio import codecs, levels, rooms
from unheard.audio.conditions import (
    RATIOS,
    VOICES,
    Wave,
    babble,
    clipped,
    coloured,
    pink,
    recorded,
    white,
)  # fmt: skip
from unheard.audio.levels import active_power
from unheard.errors import UsageError, unknown
from unheard.files import digest

VERSION = 1  # of the noise; it is a part of the keys of the store

#: Every kind of noise that a recipe can add in training, and tests can, too.
Kind = Literal["white", "pink", "coloured", "babble"]
#: What else a recipe can do to the recordings of training, drawing the value; ``speed`` has its own setting.
Change = Literal["room", "mp3", "opus", "amr", "clip", "gain"]
RATIO_UNIT = "dB"


@dataclass(frozen=True)
class Level:
    """What is said of a kind of condition beside its name: a number from ``low`` to ``high``, in a unit.

    Parameters
    ----------
    unit
        Unit, as it stands in the names of conditions: ``room_0.6s``.
    low, high
        Bounds of the number.
    noise
        Whether the number is the ratio of the recording to something that is added.
    """

    unit: str
    low: float
    high: float
    noise: bool = False


_RATIO = Level(RATIO_UNIT, *RATIOS, noise=True)
#: Every kind of condition, in training and in tests alike, with its level; None where it has none.
KINDS: dict[str, Level | None] = {
    "white": _RATIO,
    "pink": _RATIO,
    "coloured": _RATIO,
    "babble": _RATIO,
    "recorded": _RATIO,
    "room": Level("s", 0.1, 1.2),
    "impulse": None,
    "telephone": None,
    "mu_law": None,
    "a_law": None,
    "mp3": Level("kbps", 16, 128),
    "opus": Level("kbps", 8, 128),
    "amr": Level("kbps", 4.75, 12.2),
    "clip": Level("%", 0.1, 50),
    "gain": Level("dB", -60, 40),
    "speed": Level("x", 0.5, 2),
}
#: Kinds that take recordings of others: people who babble, noises, impulse responses.
TAKING = ("babble", "recorded", "impulse")
NOISES = tuple(kind for kind, level in KINDS.items() if level is not None and level.noise)


@dataclass(frozen=True)
class Voices:
    """The recordings of people for babble.

    Parameters
    ----------
    name
        Name of these recordings in the keys of the store; other recordings need another name.
    people, takes
        Number of people (four or more), and number of recordings of each.
    take
        ``take(person, number, rate)`` gives a recording, at a rate in Hz.
    """

    name: str
    people: int
    takes: int
    take: Callable[[int, int, int], Wave]


@dataclass(frozen=True)
class Noise:
    """A condition at a level drawn uniformly from ``min_level`` to ``max_level``; each ``number`` is another draw.

    Parameters
    ----------
    kind
        One of ``KINDS`` with a level; ``babble`` is of one to four of the people in ``voices``.
    min_level, max_level, number
        Bounds of the level (a ratio in dB, or what ``KINDS`` says), and the number of the draw.
    voices
        The people who babble; None for other noises.

    Raises
    ------
    UsageError
        Babble has no voices, or another noise has some.
    """

    kind: Kind | Change
    min_level: float
    max_level: float
    number: int = 0
    voices: Voices | None = None

    def __post_init__(self) -> None:
        if (self.kind == "babble") != (self.voices is not None):
            raise UsageError(f"voices belong to babble and to no other noise; kind is {self.kind!r}")

    def key(self) -> dict[str, Any]:
        """Return what tells a clip in this noise from the clip as it was recorded, and from other noises."""
        said = [VERSION, self.kind, float(self.min_level), float(self.max_level), self.number]
        return {"noise": said if self.voices is None else [*said, self.voices.name]}


def noisy(wave: Wave, rate: int, noise: Noise, clip: str) -> Wave:
    """Return the waveform under a condition, clipped to full scale; a silent one stays as it is.

    Parameters
    ----------
    wave, rate : samples (n,), and their number a second.
    noise : the condition.
    clip : key of the clip as it was recorded.
    """
    if active_power(wave, rate) <= 0:
        return wave
    rng = np.random.default_rng(int(digest([clip, noise.number, "noise"]), 16))
    level = rng.uniform(noise.min_level, noise.max_level)
    if noise.kind == "room":
        level = max(0.1, round(level, 1))  # so that a process simulates few rooms
    others = [] if noise.voices is None else _drawn(noise.voices, rate, rng)
    changed = under(noise.kind, wave, rate, rng, level=level, others=others, training=True)
    return clipped(changed)[0]


def under(
    kind: str,
    wave: Wave,
    rate: int,
    rng: np.random.Generator,
    *,
    level: float = 0.0,
    others: Sequence[Wave] = (),
    training: bool = False,
) -> Wave:
    """Return a waveform under one condition, not clipped to full scale.

    Parameters
    ----------
    kind
        One of ``KINDS``.
    wave, rate
        Samples (n,), and their number a second.
    rng
        Generator of everything random.
    level
        The number that ``KINDS`` asks for: a ratio in dB, a reverberation time in seconds, …
    others
        Recordings at the same rate: people for ``babble``, a noise for ``recorded``, a response for ``impulse``.
    training
        Whether the simulated rooms are those of training.

    Returns
    -------
    (n,) float32; with ``speed`` (round(n / level),).

    Raises
    ------
    AudioError
        The recording, or one of the others, is silent.
    MachineError
        This machine lacks a codec.
    """
    match kind:
        case "white":
            return white(wave, rate, rng, snr=level)
        case "pink":
            return pink(wave, rate, rng, snr=level)
        case "coloured":
            return coloured(wave, rate, rng, snr=level)
        case "babble":
            return babble(wave, rate, rng, snr=level, voices=others)
        case "recorded":
            return recorded(wave, rate, rng, snr=level, noise=others[0])
        case "room":
            return rooms.room(wave, rate, rng, rt60=level, training=training)
        case "impulse":
            return rooms.with_response(wave, rate, others[0])
        case "telephone":
            return codecs.telephone(wave, rate)
        case "mu_law" | "a_law":
            return codecs.g711(wave, rate, "mu" if kind == "mu_law" else "a")
        case "mp3":
            return codecs.mp3(wave, rate, level)
        case "opus":
            return codecs.opus(wave, rate, level)
        case "amr":
            return codecs.amr(wave, rate, level)
        case "clip":
            return levels.overdriven(wave, level)
        case "gain":
            return levels.gain(wave, level)
        case "speed":
            return levels.faster(wave, rate, level)
    raise unknown("kind of condition", kind, KINDS)


def _drawn(voices: Voices, rate: int, rng: np.random.Generator) -> list[Wave]:
    """Draw a recording of one to four different people; every number of people is equally likely."""
    people = rng.choice(voices.people, rng.integers(1, VOICES + 1), replace=False)
    return [voices.take(int(one), int(rng.integers(voices.takes)), rate) for one in people]
