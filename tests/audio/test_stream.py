"""Blocks are the whole, windows cover the speech, and pieces are cut where they were asked for."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from unheard.audio import decode
from unheard.audio.stream import LONGEST, PAUSE, Blocks, apart, cut, plan
from unheard.errors import AudioError


@pytest.mark.parametrize(
    ("rate", "channels", "target"), [(16_000, 1, 16_000), (44_100, 2, 16_000), (8_000, 1, 16_000)]
)
@pytest.mark.parametrize("channel", [None, 0])
def test_blocks_are_the_waveform_of_load(rate, channels, target, channel, tmp_path):
    path = tmp_path / "long.wav"
    samples = 0.3 * np.random.default_rng(0).standard_normal((rate * 20, channels))
    soundfile.write(path, samples, rate)
    blocks = list(Blocks(path, channel=channel, rate=target))
    assert len(blocks) > 2
    np.testing.assert_array_equal(
        np.concatenate(blocks), decode.load(path, channel=channel, rate=target).wave
    )


def test_blocks_refuse_what_load_refuses(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(1000) + 0.1, 16_000)
    for refused, options in (("no channel 3", {"channel": 3}), ("no such file", {})):
        with pytest.raises(AudioError, match=refused):
            list(Blocks(path if options else tmp_path / "b.wav", **options))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(AudioError, match="truncated"):
        list(Blocks(path))
    cut_off = Blocks(path, allow_truncated=True)
    assert len(np.concatenate(list(cut_off))) == (1000 - 44) // 2
    assert cut_off.flags == ("constant", "too_short", "truncated")


def test_blocks_flag_what_they_hear(tmp_path):
    samples = np.full((300_000, 2), 0.25)
    samples[::2] *= -1
    samples[200_000] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, 16_000, subtype="FLOAT")
    blocks = Blocks(tmp_path / "nan.wav")
    assert np.isfinite(np.concatenate(list(blocks))).all()
    assert blocks.flags == ("non_finite", "several_channels")
    assert len(np.concatenate(list(blocks))) == 300_000  # as often as it is iterated


segments = st.lists(st.tuples(st.floats(0.01, 3.0), st.floats(0.1, 30.0)), max_size=8).map(
    lambda pairs: [
        (round(sum(map(sum, pairs[:k])) + gap, 2), round(sum(map(sum, pairs[:k])) + gap + length, 2))
        for k, (gap, length) in enumerate(pairs)
    ]
)


@settings(max_examples=100, deadline=None)
@given(spoken=segments)
def test_windows_cover_the_speech_and_no_long_pause(spoken):
    made = plan(spoken)
    assert all(end - start <= LONGEST + 1e-2 for start, end in made.times)
    assert made.times == sorted(made.times)
    heard = np.zeros(40_000, bool)
    for first, end in made.windows:
        for start, stop in made.steps[first:end]:
            heard[round(start * 100) : round(stop * 100)] = True
    expected = np.zeros(40_000, bool)
    for start, end in spoken:
        expected[round(start * 100) : round(end * 100)] = True
    assert (heard >= expected).all()
    silent = [(end, start) for (_, end), (start, _) in pairwise(spoken) if start - end > PAUSE + 0.02]
    for end, start in silent:
        assert not heard[round(end * 100) + 1 : round(start * 100) - 1].any()
    counted = np.zeros(len(made.steps), int)
    for first, end in made.windows:
        counted[first:end] += 1
    assert set(counted) <= {1, 2}
    assert all(b == a for (_, a), (b, _) in pairwise(made.steps) if b - a < 1e-3)


def test_a_plan_by_hand():
    made = plan([(1.0, 2.0), (2.3, 4.5), (6.0, 15.0)])
    assert made.steps[0] == (1.0, 4.5)
    assert made.steps[1:] == ((6.0, 7.8), (7.8, 9.6), (9.6, 11.4), (11.4, 13.2), (13.2, 15.0))
    assert made.times == [(1.0, 4.5), (6.0, 9.6), (7.8, 11.4), (9.6, 13.2), (11.4, 15.0)]
    assert plan([]).times == []


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 400), min_size=1, max_size=20),
    places=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 900)), max_size=8),
)
def test_pieces_are_those_of_the_whole(lengths, places):
    wave = np.arange(sum(lengths), dtype=np.float32)
    blocks = np.split(wave, np.cumsum(lengths)[:-1])
    times = [(first / 1000, (first + length) / 1000) for first, length in sorted(places)]
    found = list(cut(blocks, times, 1000))
    assert len(found) == len(times)
    for piece, (first, length) in zip(found, sorted(places), strict=True):
        np.testing.assert_array_equal(piece, wave[first : first + length])


def test_windows_that_do_not_overlap_are_kept_in_order() -> None:
    times = [(0.0, 2.0), (1.0, 3.0), (2.0, 4.0), (5.0, 6.0), (5.5, 7.0), (7.0, 8.0)]
    assert apart(times) == [(0.0, 2.0), (2.0, 4.0), (5.0, 6.0), (7.0, 8.0)]
    assert apart([]) == []
