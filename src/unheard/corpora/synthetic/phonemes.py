"""The two sentences as targets of a vocal tract: which sound lasts how long, and what it asks of the articulators.

Formants are those of an average man in Hz (after Peterson and Barney 1952 for the vowels); levels are linear, 1
for an open vowel. Nothing here depends on who speaks or how.
"""

from __future__ import annotations

from typing import NamedTuple


class Sound(NamedTuple):
    """Targets of one sound; a stop is three of them (closure, burst, aspiration)."""

    seconds: float
    formants: tuple[float, float, float]
    voicing: float = 1.0
    aspiration: float = 0.0
    friction: float = 0.0
    friction_centre: float = 4000.0
    friction_width: float = 2000.0
    nasal: float = 0.0
    accent: float = 0.0  # pitch accent carried by this sound, 1 = the main one


def _vowel(seconds: float, f1: float, f2: float, f3: float, accent: float = 0.0) -> list[Sound]:
    return [Sound(seconds, (f1, f2, f3), accent=accent)]


def _stop(
    formants: tuple[float, float, float], centre: float, *, voiced: bool, closure: float = 0.05
) -> list[Sound]:
    closed = Sound(closure, formants, voicing=0.12 if voiced else 0.0)
    burst = Sound(
        0.012,
        formants,
        voicing=0.2 if voiced else 0.0,
        friction=0.7,
        friction_centre=centre,
        friction_width=1500.0,
    )
    breath = Sound(0.03, formants, voicing=0.0, aspiration=0.7)
    return [closed, burst] if voiced else [closed, burst, breath]


_K = _stop((300, 1900, 2400), 2200, voiced=False)
_T = _stop((300, 1750, 2650), 4300, voiced=False)
_D = _stop((280, 1700, 2650), 3800, voiced=True, closure=0.035)
_G = _stop((270, 1850, 2350), 2000, voiced=True)
_B = _stop((270, 850, 2250), 900, voiced=True)
_S = [Sound(0.09, (320, 1650, 2600), voicing=0.0, friction=0.55, friction_centre=6000, friction_width=2500)]
_Z = [Sound(0.07, (300, 1650, 2600), voicing=0.3, friction=0.3, friction_centre=5800, friction_width=2500)]
_DH = [Sound(0.04, (300, 1350, 2600), voicing=0.4, friction=0.06, friction_centre=4800, friction_width=4000)]
_NG = [Sound(0.08, (270, 1900, 2500), voicing=0.6, nasal=1.0)]
_R = [Sound(0.06, (370, 1180, 1620), voicing=0.8)]
_IH = _vowel(0.075, 400, 1950, 2550)
_AH = _vowel(0.055, 520, 1350, 2500)
_AY = [*_vowel(0.08, 730, 1150, 2480), *_vowel(0.07, 420, 1950, 2550)]
_DOOR = [*_D, *_vowel(0.15, 560, 850, 2410, accent=0.9), Sound(0.12, (430, 1150, 1700), voicing=0.8)]
_BY_THE_DOOR = [*_B, *_AY, *_DH, *_AH, *_DOOR]

#: Kids are talking by the door; Dogs are sitting by the door (the ids are RAVDESS').
SENTENCES: dict[str, list[Sound]] = {
    "01": [
        *_K, *_vowel(0.085, 400, 1950, 2550, accent=0.8), *_D, *_Z,
        *_vowel(0.085, 700, 1150, 2440), *_R,
        *_T, *_vowel(0.13, 580, 880, 2410, accent=1.0), *_K, *_IH, *_NG,
        *_BY_THE_DOOR,
    ],
    "02": [
        *_D, *_vowel(0.13, 600, 900, 2430, accent=0.8), *_G, *_Z,
        *_vowel(0.085, 700, 1150, 2440), *_R,
        *_S, *_vowel(0.08, 400, 1950, 2550, accent=1.0), *_T, *_IH, *_NG,
        *_BY_THE_DOOR,
    ],
}  # fmt: skip
