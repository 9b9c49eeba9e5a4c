"""The pitch tracker finds planted pitch, no pitch in noise, and what librosa's pYIN finds in real speech."""

from __future__ import annotations

import itertools
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unheard.features.pitch import (
    JUMP_COST,
    OCTAVE_COST,
    VOICING_COST,
    VOICING_THRESHOLD,
    _best_path,
    follow,
    track,
)

RATE = 16_000


def voice(
    f0: np.ndarray | float, seconds: float = 0.6, *, harmonics: int = 60, lowest: int = 1
) -> np.ndarray:
    """Harmonics that fall by 12 dB an octave through three resonances, with the given F0 (one value a sample)."""
    n = round(seconds * RATE)
    track_hz = np.broadcast_to(np.asarray(f0, dtype=np.float64), (n,))
    phase = 2 * np.pi * np.cumsum(track_hz) / RATE
    out = np.zeros(n)
    for k in range(lowest, harmonics + 1):
        hertz = k * track_hz
        resonance = sum(1 / (1 + ((hertz - f) / b) ** 2) for f, b in ((600, 90), (1300, 120), (2600, 160)))
        out += np.where(hertz < 7800, (0.02 + resonance) / k * np.sin(k * phase), 0.0)
    return (0.3 * out / np.abs(out).max()).astype(np.float32)


def gross(found: np.ndarray, true: np.ndarray | float) -> float:
    """Share of voiced frames that are more than 20 % off."""
    voiced = found > 0
    return float((np.abs(found / true - 1)[voiced] > 0.2).mean())


@pytest.mark.parametrize("f0", [65, 80, 100, 125, 160, 200, 250, 320, 400, 500, 620])
@pytest.mark.parametrize("hop", [160, 320])
def test_steady_voices(f0: float, hop: int) -> None:
    found = track(voice(f0), hop=hop).f0[3:-3]
    assert len(found) == 9600 // hop - 6
    assert (found > 0).all()
    np.testing.assert_allclose(found, f0, rtol=0.005)


def test_gliding_voice() -> None:
    n = RATE
    true = 110.0 * 2 ** (1.5 * np.sin(np.arange(n) / n * 2 * np.pi) ** 2)
    found = track(voice(true, 1.0)).f0
    at_frames = true[np.minimum((np.arange(len(found)) * 160 + 80), n - 1)]
    assert (found[3:-3] > 0).all()
    assert np.abs(found / at_frames - 1)[3:-3].max() < 0.04


def test_a_missing_fundamental_is_still_heard() -> None:
    """A telephone line carries nothing below 300 Hz."""
    for f0 in (90, 140, 210):
        found = track(voice(f0, lowest=int(300 / f0) + 1)).f0
        assert gross(found, f0) == 0.0
        assert (found > 0).mean() > 0.9


@pytest.mark.parametrize("decibels", [20, 10])
def test_noise_beside_the_voice(decibels: float) -> None:
    rng = np.random.default_rng(1)
    for f0 in (85, 130, 190, 280, 420):
        clean = voice(f0)
        noise = rng.standard_normal(len(clean)) * clean.std() * 10 ** (-decibels / 20)
        found = track(clean + noise).f0
        assert (found > 0).mean() > 0.95
        assert gross(found, f0) == 0.0


def test_noise_and_silence_are_unvoiced() -> None:
    rng = np.random.default_rng(2)
    for gain in (1.0, 1e-3):
        assert track(gain * rng.standard_normal(3 * RATE)).voiced.mean() < 0.01
    silent = track(np.zeros(RATE))
    assert not silent.voiced.any()
    assert (silent.strength == 0).all()
    assert not track(np.full(RATE, 0.3)).voiced.any()
    np.testing.assert_allclose(silent.log_f0(), np.log(200.0))


def test_voicing_begins_and_ends_where_the_voice_does() -> None:
    rng = np.random.default_rng(3)
    pause = rng.standard_normal(4800) * 1e-3
    voiced = track(np.concatenate([pause, voice(150, 0.5), pause, voice(240, 0.4), pause])).voiced
    expected = np.repeat([False, True, False, True, False], [30, 50, 30, 40, 30])
    assert len(voiced) == len(expected)
    assert (voiced != expected).sum() <= 12  # up to three frames at each of the four edges


def test_gain_does_not_matter() -> None:
    samples = voice(170).astype(np.float64)
    one, other = track(samples), track(samples * 2.0**-9)
    np.testing.assert_allclose(one.f0, other.f0, rtol=1e-9)
    np.testing.assert_allclose(one.strength, other.strength, rtol=1e-9)


def test_hnr_follows_the_noise() -> None:
    """At equal bandwidth, r / (1 - r) is the ratio of powers (Boersma 1993, eq. 4)."""
    rng = np.random.default_rng(4)
    clean = voice(150, 2.0).astype(np.float64)
    noise = rng.standard_normal(len(clean)) * clean.std()
    for decibels in (0, 5, 10, 20):
        found = track(clean + noise * 10 ** (-decibels / 20))
        assert abs(np.median(found.hnr()) - decibels) < 1.5


def test_the_path_is_the_best_of_all_paths() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        octaves, score = rng.normal(7, 1, (5, 3)), rng.normal(0, 0.4, (5, 4))

        def worth(path: tuple[int, ...], octaves: np.ndarray = octaves, score: np.ndarray = score) -> float:
            total = sum(score[t, s] for t, s in enumerate(path))
            for t, (a, b) in enumerate(itertools.pairwise(path)):
                if a < 3 and b < 3:
                    total -= JUMP_COST * abs(octaves[t, a] - octaves[t + 1, b])
                elif a != b:
                    total -= VOICING_COST
            return total

        best = max(itertools.product(range(4), repeat=5), key=worth)
        assert tuple(_best_path(octaves, score)) == best


def test_paths_of_any_length() -> None:
    """Against Viterbi's algorithm, a frame after the other."""
    rng = np.random.default_rng(6)
    for frames in (1, 2, 3, 4, 7, 8, 9, 64, 101):
        octaves, score = rng.normal(7, 1, (frames, 4)), rng.normal(0, 0.4, (frames, 5))
        for scale in (1.0, 0.5):
            total, came_from = score[0], []
            for t in range(1, frames):
                cost = np.full((5, 5), VOICING_COST * scale)
                cost[:4, :4] = JUMP_COST * scale * np.abs(octaves[t - 1][:, None] - octaves[t][None, :])
                cost[4, 4] = 0.0
                through = total[:, None] - cost
                came_from.append(through.argmax(axis=0))
                total = through.max(axis=0) + score[t]
            path = [int(total.argmax())]
            for step in reversed(came_from):
                path.append(int(step[path[-1]]))
            assert list(_best_path(octaves, score, scale)) == path[::-1]


def test_hopeless_candidates_change_no_path() -> None:
    """``follow`` leaves out what cannot win; all candidates together give the same pitch."""
    rng = np.random.default_rng(7)
    for _ in range(20):
        period, height = rng.uniform(30, 250, (60, 8)), np.sort(rng.uniform(0, 0.6, (60, 8)))[:, ::-1]
        score = height - OCTAVE_COST * np.log2(period * (650.0 / RATE))
        chosen = _best_path(np.log2(RATE / period), np.c_[score, np.full(60, VOICING_THRESHOLD)])
        f0 = [RATE / period[t, c] if c < 8 else 0.0 for t, c in enumerate(chosen)]
        np.testing.assert_allclose(follow(period, height, np.ones(60)).f0, f0)


@settings(max_examples=40, deadline=None)
@given(arrays(np.float32, st.integers(0, 3000), elements=st.floats(-4.0, 4.0, width=32)))
def test_finite_whatever_the_wave(samples: np.ndarray) -> None:
    pitch = track(samples)
    assert len(pitch.f0) == max(1, (len(samples) + 80) // 160)
    for values in (pitch.f0, pitch.strength, pitch.log_f0(), pitch.hnr()):
        assert np.isfinite(values).all()
    assert ((pitch.f0 == 0) | ((pitch.f0 > 55) & (pitch.f0 < 700))).all()
    assert ((pitch.strength >= 0) & (pitch.strength <= 1)).all()


@pytest.mark.slow
@pytest.mark.data
def test_agrees_with_pyin_on_real_speech(data_folder: Path) -> None:
    """On frames that both call voiced, at most one in a hundred is more than 20 % away."""
    files = sorted((data_folder / "ravdess" / "speech").glob("*/*.flac"))[7::420]
    ours, theirs, both, agree, total = [], [], 0, 0, 0
    for file in files:
        samples, _ = soundfile.read(file, dtype="float32")
        f0, voiced, _ = librosa.pyin(samples, fmin=60, fmax=650, sr=RATE, frame_length=1024, hop_length=160)
        found = track(samples)
        n = min(len(found.f0), len(f0) - 1)
        # librosa's frames are centred on t·hop, ours half a hop later: take frames with both neighbours voiced.
        sure = voiced[:n] & voiced[1 : n + 1]
        mid = np.sqrt(np.nan_to_num(f0[:n], nan=1.0) * np.nan_to_num(f0[1 : n + 1], nan=1.0))
        shared = sure & found.voiced[:n]
        ours.append(found.f0[:n][shared])
        theirs.append(mid[shared])
        both += shared.sum()
        # pYIN calls much of the faint noise between words voiced: compare where there is sound.
        power = np.square(samples[: n * 160]).reshape(n, 160).mean(axis=1)
        loud = power > power.max() * 10**-2.5
        agree += (found.voiced[:n] == sure)[loud].sum()
        total += loud.sum()
    a, b = np.concatenate(ours), np.concatenate(theirs)
    assert both > 250
    assert (np.abs(a / b - 1) > 0.2).mean() < 0.01
    assert np.corrcoef(np.log(a), np.log(b))[0, 1] > 0.99
    assert agree / total > 0.9
