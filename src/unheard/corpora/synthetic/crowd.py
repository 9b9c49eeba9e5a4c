"""Twelve synthetic people, a take of each in every emotion, for a babble: nobody's voice, and no data is needed.

Each take is synthesised when it is first asked for, and then kept: about 10 ms and 150 kB at 16 kHz.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import to_rate
from unheard.corpora.synthetic.corpus import LABELS, VERSION, take
from unheard.corpora.synthetic.people import Person, person
from unheard.corpora.synthetic.phonemes import SENTENCES
from unheard.corpora.synthetic.voice import RATE

PEOPLE, TAKES = 12, len(LABELS)  # a take of each person is one emotion
SEED = 1_000_001  # far from those that corpora are written with: a crowd holds none of their speakers
NAME = f"synthetic {VERSION}"  # equal names, equal voices


@cache
def voice(number: int, emotion: int, rate: int) -> NDArray[np.float32]:
    """Return a person's take in an emotion (normal intensity); the sentences take turns.

    Parameters
    ----------
    number, emotion : numbers from 0, below ``PEOPLE`` and ``TAKES``.
    rate : Hz.

    Returns
    -------
    (n,) float32, which cannot be written to: it is kept.
    """
    sentence = sorted(SENTENCES)[(number + emotion) % len(SENTENCES)]
    stem = f"03-01-{emotion + 1:02d}-01-{sentence}-01-{number + 1:02d}"
    # A waveform at its own rate is returned as it is, and would be the array that somebody else keeps.
    wave = np.array(to_rate(take(stem, _person(number), SEED), RATE, rate), dtype=np.float32)
    wave.flags.writeable = False
    return wave


@cache
def _person(number: int) -> Person:
    return person(number + 1, seed=SEED, identity=1.0, style=1.0)
