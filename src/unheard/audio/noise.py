"""A recording in noise before it is encoded: the same noise whoever asks for it, and in whatever order.

All chance comes from the clip and the number of the noise. A clip is known here as it is in the store, by its
content: two ids of the same content share what is stored, and so its noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from unheard.audio.conditions import VOICES, Wave, active_power, babble, clipped, coloured, white
from unheard.errors import UsageError, unknown
from unheard.files import digest

VERSION = 1  # of what is added; what is stored knows it

#: Every kind of noise, in training and in tests alike.
Kind = Literal["white", "coloured", "babble"]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True)
class Voices:
    """Recordings of people for a babble.

    Parameters
    ----------
    name
        What is stored knows them by it: other recordings need another name.
    people, takes
        How many people there are (four or more), and recordings of each.
    take
        ``take(person, number, rate)`` gives a recording, at a rate in Hz.
    """

    name: str
    people: int
    takes: int
    take: Callable[[int, int, int], Wave]


@dataclass(frozen=True)
class Noise:
    """Noise at a ratio drawn uniformly from ``least`` to ``most`` dB; each ``number`` is another draw.

    Parameters
    ----------
    kind
        ``coloured``, or ``babble`` of one to four of the people in ``voices``.
    least, most, number
        See above.
    voices
        Who babbles; an encoder knows nobody.

    Raises
    ------
    UsageError
        A babble without voices, or voices without a babble.
    """

    kind: Kind
    least: float
    most: float
    number: int = 0
    voices: Voices | None = None

    def __post_init__(self) -> None:
        if (self.kind == "babble") != (self.voices is not None):
            raise UsageError(f"voices belong to babble and to no other noise; kind is {self.kind!r}")

    def key(self) -> dict[str, Any]:
        """Return what tells a clip in this noise from the clip as it was recorded, and from other noises."""
        said = [VERSION, self.kind, float(self.least), float(self.most), self.number]
        return {"noise": said if self.voices is None else [*said, self.voices.name]}


def noisy(wave: Wave, rate: int, noise: Noise, clip: str) -> Wave:
    """Return the waveform in noise, within full scale; a silent one, to which no noise has a ratio, as it is.

    Parameters
    ----------
    wave, rate : (n,) samples, and how many a second.
    noise : what to add.
    clip : key of the clip as it was recorded.
    """
    if active_power(wave, rate) <= 0:
        return wave
    rng = np.random.default_rng(int(digest([clip, noise.number, "noise"]), 16))
    snr = rng.uniform(noise.least, noise.most)
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
        Samples (n,), and how many a second.
    rng
        Where the noise comes from.
    snr
        Ratio in dB.
    voices
        Recordings of those who babble, at the same rate.
    """
    if kind == "white":
        return white(wave, rate, rng, snr=snr)
    if kind == "coloured":
        return coloured(wave, rate, rng, snr=snr)
    if kind == "babble":
        return babble(wave, rate, rng, snr=snr, voices=voices)
    raise unknown("kind of noise", kind, KINDS)


def _drawn(voices: Voices, rate: int, rng: np.random.Generator) -> list[Wave]:
    """Return one to four different people, each number as often, and a recording of each."""
    people = rng.choice(voices.people, rng.integers(1, VOICES + 1), replace=False)
    return [voices.take(int(one), int(rng.integers(voices.takes)), rate) for one in people]
