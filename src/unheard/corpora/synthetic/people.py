"""Who speaks and how: what all share of an emotion, each speaker's own way of it, and what never changes.

Three strengths scale three sources of difference. ``emotion``: the profiles below, common to all speakers.
``style``: offsets drawn once for every speaker and emotion, so that they tell the emotion only to who knows the
speaker. ``identity``: pitch, formants, voice quality and room of a speaker, the same in every emotion.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from unheard.corpora.synthetic.room import Room
from unheard.corpora.synthetic.voice import Manner, Voice

#: Fields of :class:`Manner` in order, which are the columns of the tables below.
DIMENSIONS = tuple(field.name for field in fields(Manner))

#: Offsets that all speakers share, at strength 1 between the two intensities.
EMOTIONS: dict[str, tuple[float, ...]] = {
    # pitch, span, rise, rate, energy, brightness, breath, roughness, opening, tremor
    "neutral": (0.0, 0.00, 0.0, 0.00, 0.0, 0.0, 0.0, 0.00, 0.00, 0.0),
    "calm": (-1.5, -0.55, 0.7, -0.13, -3.5, -2.0, 4.0, -0.40, -0.03, 0.0),
    "happy": (3.5, 0.70, 1.5, 0.07, 3.5, 2.0, -1.5, 0.00, 0.08, 0.0),
    "sad": (-1.5, -0.70, -1.5, -0.20, -5.5, -4.0, 5.5, 0.55, -0.06, 0.3),
    "angry": (3.0, 0.30, -3.0, 0.08, 7.0, 5.5, -5.5, 1.00, 0.11, 0.0),
    "fearful": (5.0, -0.30, 0.7, 0.20, 0.7, 0.7, 4.0, 0.70, 0.00, 0.7),
    "disgust": (-2.0, 0.30, -3.0, -0.14, 0.7, -1.5, 1.5, 1.25, -0.06, 0.0),
    "surprised": (5.0, 1.10, 5.5, -0.03, 2.0, 1.5, 1.5, -0.30, 0.06, 0.0),
}  # fmt: skip
#: Factor of the profile for the two intensities.
INTENSITY = {"normal": 0.8, "strong": 1.2}
#: Standard deviations: of a speaker's own way of an emotion, and from one take to the next.
STYLE = (1.45, 0.28, 1.2, 0.07, 1.8, 1.8, 1.8, 0.4, 0.032, 0.16)
TAKE = (0.85, 0.17, 0.85, 0.035, 1.1, 1.1, 1.1, 0.28, 0.02, 0.10)


@dataclass(frozen=True)
class Person:
    """A speaker: what is the same in every emotion, and offsets of manner by emotion."""

    voice: Voice
    room: Room
    style: dict[str, np.ndarray]


def person(actor: int, *, seed: int, identity: float, style: float) -> Person:
    """Draw a speaker; odd actors are men, even ones women. Equal arguments give equal people."""
    rng = np.random.default_rng([seed, 1, actor])
    man = -1.0 if actor % 2 else 1.0

    def drawn(spread: float) -> float:
        return identity * spread * float(np.clip(rng.standard_normal(), -2.5, 2.5))

    length = identity * 0.04 * man + drawn(0.015)  # of the vocal tract, on all formants
    voice = Voice(
        pitch=150.0 * float(np.exp(identity * 0.22 * man + drawn(0.06))),
        tract=tuple(1.08 * float(np.exp(length + drawn(0.015))) for _ in range(8)),
        openness=float(np.clip(0.6 + identity * 0.02 * man + drawn(0.03), 0.35, 0.85)),
        brightness=drawn(1.25),
        breath=-22.0 + identity * 0.75 * man + drawn(1.5),
        jitter=0.008 * float(np.exp(drawn(0.18))),
        shimmer=0.04 * float(np.exp(drawn(0.18))),
    )
    room = Room(
        gain=drawn(1.5),
        slope=drawn(0.35),
        low_cut=60.0 * float(np.exp(drawn(0.2))),
        peak=drawn(1.5),
        peak_at=1500.0 * float(np.exp(drawn(0.3))),
        reverberation=0.2 * float(np.exp(drawn(0.2))),
        echo=identity * float(rng.uniform(0.02, 0.2)),
        echo_seed=actor,
        noise=-70.0 + drawn(2.5),
        noise_slope=-3.0 + drawn(0.5),
    )
    own = np.random.default_rng([seed, 2, actor])
    styles = {label: style * np.array(STYLE) * own.standard_normal(len(STYLE)) for label in EMOTIONS}
    return Person(voice, room, styles)


def manner(who: Person, label: str, intensity: str, *, emotion: float, rng: np.random.Generator) -> Manner:
    """Draw how a speaker says one take."""
    shared = emotion * INTENSITY[intensity] * np.array(EMOTIONS[label])
    values = shared + who.style[label] + np.array(TAKE) * rng.standard_normal(len(TAKE))
    return Manner(**dict(zip(DIMENSIONS, values.tolist(), strict=True)))
