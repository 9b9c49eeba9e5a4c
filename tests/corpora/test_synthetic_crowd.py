"""The synthetic people of a babble: the same everywhere, all different, at any rate."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from itertools import product

import numpy as np
import pytest

from unheard.audio.levels import active_power
from unheard.corpora.synthetic import crowd
from unheard.corpora.synthetic.people import person

DIGEST = """
import hashlib
from unheard.corpora.synthetic import crowd
for person, emotion in [(3, 1), (0, 0), (11, 7)]:
    print(hashlib.sha256(crowd.voice(person, emotion, 16_000).tobytes()).hexdigest())
"""


def test_every_take_is_another_recording_of_speech() -> None:
    pairs = list(product(range(crowd.PEOPLE), range(crowd.TAKES)))
    assert len(pairs) == 96
    waves = [crowd.voice(*pair, 16_000) for pair in pairs]
    assert len({wave.tobytes() for wave in waves}) == 96
    for wave in waves:
        assert wave.dtype == np.float32 and 0.8 < len(wave) / 16_000 < 6
        assert np.abs(wave).max() <= 0.98 + 1e-6 and active_power(wave, 16_000) > 1e-5


def test_the_same_voices_in_every_process_and_order() -> None:
    done = subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True)
    here = [hashlib.sha256(crowd.voice(*pair, 16_000).tobytes()) for pair in [(11, 7), (0, 0), (3, 1)]]
    assert done.stdout.split() == [one.hexdigest() for one in here[::-1]]


def test_voices_at_another_rate_last_as_long() -> None:
    slow, fast = crowd.voice(2, 3, 16_000), crowd.voice(2, 3, 32_000)
    assert len(fast) == 2 * len(slow)
    np.testing.assert_allclose(active_power(fast, 32_000), active_power(slow, 16_000), rtol=0.02)


def test_what_is_kept_cannot_be_changed_and_is_made_once() -> None:
    wave = crowd.voice(0, 0, 16_000)
    assert crowd.voice(0, 0, 16_000) is wave
    with pytest.raises(ValueError, match="read-only"):
        wave[0] = 1


def test_nobody_in_it_is_a_speaker_of_the_usual_corpora() -> None:
    mine = person(1, seed=crowd.SEED, identity=1.0, style=1.0).voice
    assert all(mine != person(1, seed=seed, identity=1.0, style=1.0).voice for seed in range(100))
