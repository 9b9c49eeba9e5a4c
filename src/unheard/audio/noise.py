"""Noise that is added to a recording before features are computed, independent of order and processes.

Everything random is drawn from the clip's key and the number of the noise. The key is that of the store, which
depends on the content: two ids with the same content share what is stored, and so the noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from unheard.audio.conditions import VOICES, Wave, active_power, babble, clipped, coloured, white
from unheard.errors import UsageError, unknown
from unheard.files import digest

VERSION = 1  # of the noise; it is a part of the keys of the store

#: Every kind of noise, in training and in tests alike.
Kind = Literal["white", "coloured", "babble"]
KINDS: tuple[str, ...] = get_args(Kind)


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
    """Noise at a ratio drawn uniformly from ``min_snr`` to ``max_snr`` dB; each ``number`` is another draw.

    Parameters
    ----------
    kind
        ``coloured``, or ``babble`` of one to four of the people in ``voices``.
    min_snr, max_snr, number
        Bounds of the ratio in dB, and the number of the draw.
    voices
        The people who babble; None for other noises.

    Raises
    ------
    UsageError
        Babble has no voices, or another noise has some.
    """

    kind: Kind
    min_snr: float
    max_snr: float
    number: int = 0
    voices: Voices | None = None

    def __post_init__(self) -> None:
        if (self.kind == "babble") != (self.voices is not None):
            raise UsageError(f"voices belong to babble and to no other noise; kind is {self.kind!r}")

    def key(self) -> dict[str, Any]:
        """Return what tells a clip in this noise from the clip as it was recorded, and from other noises."""
        said = [VERSION, self.kind, float(self.min_snr), float(self.max_snr), self.number]
        return {"noise": said if self.voices is None else [*said, self.voices.name]}


def noisy(wave: Wave, rate: int, noise: Noise, clip: str) -> Wave:
    """Return the waveform with noise, clipped to full scale; a silent one, which has no ratio, stays as it is.

    Parameters
    ----------
    wave, rate : samples (n,), and their number a second.
    noise : the noise to add.
    clip : key of the clip as it was recorded.
    """
    if active_power(wave, rate) <= 0:
        return wave
    rng = np.random.default_rng(int(digest([clip, noise.number, "noise"]), 16))
    snr = rng.uniform(noise.min_snr, noise.max_snr)
    voices = [] if noise.voices is None else _drawn(noise.voices, rate, rng)
    return clipped(added(noise.kind, wave, rate, rng, snr=snr, voices=voices))[0]


def added(
    kind: str, wave: Wave, rate: int, rng: np.random.Generator, *, snr: float, voices: Sequence[Wave] = ()
) -> Wave:
    """Return a waveform with noise of one kind, not clipped.

    Parameters
    ----------
    kind
        One of ``KINDS``: ``white``, ``coloured`` or ``babble`` (``unheard.audio.conditions``).
    wave, rate
        Samples (n,), and their number a second.
    rng
        Generator of the noise.
    snr
        Ratio in dB.
    voices
        Recordings of the people who babble, at the same rate.
    """
    if kind == "white":
        return white(wave, rate, rng, snr=snr)
    if kind == "coloured":
        return coloured(wave, rate, rng, snr=snr)
    if kind == "babble":
        return babble(wave, rate, rng, snr=snr, voices=voices)
    raise unknown("kind of noise", kind, KINDS)


def _drawn(voices: Voices, rate: int, rng: np.random.Generator) -> list[Wave]:
    """Draw a recording of one to four different people; every number of people is equally likely."""
    people = rng.choice(voices.people, rng.integers(1, VOICES + 1), replace=False)
    return [voices.take(int(one), int(rng.integers(voices.takes)), rate) for one in people]
