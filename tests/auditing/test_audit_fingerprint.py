"""The fingerprint finds a recording again, and nothing else."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from unheard.audio.fingerprint import THRESHOLD, Fingerprint, band_wave, exact_hash, fingerprint, similarity
from unheard.auditing.matching import candidates
from unheard.auditing.matching import near_duplicates as matched

RATE = 16_000


def near_duplicates(waves):
    return matched([fingerprint(w) for w in waves], lambda k: band_wave(waves[k]))


few = settings(max_examples=15, deadline=None)


def through(wave, form, kind, rate=RATE):
    file = io.BytesIO()
    soundfile.write(file, soxr.resample(wave, RATE, rate), rate, format=form, subtype=kind)
    file.seek(0)
    again, found = soundfile.read(file, dtype="float32")
    return soxr.resample(again, found, RATE)


def test_exact_hash_is_the_digest_of_16_bit_samples():
    samples = np.array([0, 1, -1, 32767, -32768, 12345], dtype="<i2")
    wave = samples.astype(np.float32) / 32768
    assert exact_hash(wave) == hashlib.sha256(samples.tobytes()).hexdigest()
    assert exact_hash(wave) != exact_hash(wave[::-1])
    assert exact_hash(np.array([1.5, -1.5], np.float32)) == exact_hash(np.array([1.0, -1.0], np.float32))


@few
@given(
    seed=st.integers(0, 50),
    gain=st.floats(0.01, 3.0),
    flip=st.booleans(),
    before=st.integers(-8000, 8000),
    after=st.integers(-8000, 8000),
)
def test_gain_and_shift_do_not_hide_a_recording(voice, seed, gain, flip, before, after):
    wave = voice(seed, 3.0)
    changed = gain * (-wave if flip else wave)
    changed = changed[max(0, -before) : len(wave) - max(0, -after)]
    changed = np.pad(changed, (max(0, before), max(0, after)))
    pair = [wave, changed.astype(np.float32)]
    (match,) = near_duplicates(pair)
    assert match[:2] == (0, 1)
    assert match.similarity > 0.85


@few
@given(a=st.integers(0, 40), b=st.integers(41, 80))
def test_two_recordings_are_not_one(voice, a, b):
    assert similarity(band_wave(voice(a)), band_wave(voice(b))) < THRESHOLD - 0.15


@few
@given(a=st.integers(0, 10), b=st.integers(0, 10), seconds=st.floats(0.3, 2.5))
def test_similarity_is_symmetric_and_at_most_one(voice, a, b, seconds):
    x, y = band_wave(voice(a)), band_wave(voice(b, seconds))
    assert similarity(x, y) == pytest.approx(similarity(y, x), abs=1e-4)
    assert 0 <= similarity(x, y) <= 1
    assert similarity(x, x) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("form", "kind", "rate"),
    [
        ("WAV", "PCM_16", 8000),
        ("WAV", "PCM_16", 22050),
        ("WAV", "PCM_24", 44100),
        ("WAV", "FLOAT", 48000),
        ("OGG", "OPUS", 8000),
        ("OGG", "OPUS", 48000),
        ("OGG", "VORBIS", 16000),
        ("MP3", "MPEG_LAYER_III", 22050),
        ("WAV", "IMA_ADPCM", 16000),
        ("WAV", "MS_ADPCM", 8000),
        ("WAV", "ULAW", 8000),
    ],
)
def test_formats_and_rates_do_not_hide_a_recording(voice, form, kind, rate):
    wave = voice(3)
    again = through(np.pad(0.4 * wave, (3333, 0))[:-5000], form, kind, rate)
    found = near_duplicates([voice(1), wave, again, voice(2)])
    assert [m[:2] for m in found] == [(1, 2)]


def test_an_equal_loud_click_does_not_make_two_recordings_one(voice):
    click = np.zeros(800, np.float32)
    click[100:160] = np.random.default_rng(0).uniform(-1, 1, 60)
    a, b = (np.concatenate([0.3 * voice(k), click, 0.3 * voice(k + 10, 0.2)]) for k in (1, 2))
    assert similarity(band_wave(a), band_wave(b)) < THRESHOLD


@pytest.mark.parametrize("seed", range(5))
def test_pieces_of_one_recording_that_overlap_by_two_thirds_are_found(voice, seed):
    wave = voice(seed, 4.0)
    found = near_duplicates([wave[: 3 * RATE], wave[RATE:]])
    assert len(found) == 1
    apart = near_duplicates([wave[: 2 * RATE], wave[2 * RATE :]])
    assert apart == []


def test_silence_and_scraps_have_fingerprints_that_match_nothing(voice):
    odd = [np.zeros(RATE), np.zeros(1), np.full(RATE, 1e-9), np.ones(3), np.zeros(0)]
    waves = [w.astype(np.float32) for w in (*odd, voice(1))]
    assert near_duplicates(waves) == []
    assert all(similarity(band_wave(w), band_wave(waves[-1])) == 0 for w in waves[:3])
    assert near_duplicates([]) == near_duplicates(waves[:1]) == []


def test_candidates_agree_with_counting_landmarks_one_by_one():
    dice = np.random.default_rng(4)
    prints = [
        Fingerprint(dice.integers(0, 60, n), np.sort(dice.integers(0, 40, n)))
        for n in dice.integers(0, 60, 30)
    ]
    expected = []
    for i, a in enumerate(prints):
        for j, b in enumerate(prints[:i]):
            shifts = [
                int(u) - int(t)
                for h, t in zip(a.hashes, a.times, strict=True)
                for g, u in zip(b.hashes, b.times, strict=True)
                if g == h
            ]
            votes = max((sum(s in (shift, shift + 1) for s in shifts) for shift in range(-60, 60)), default=0)
            if votes >= max(3, 0.03 * min(len(a.hashes), len(b.hashes))):
                expected.append((j, i))
    assert candidates(prints) == sorted(expected)
    assert 5 < len(expected) < 400


@few
@given(order=st.permutations(range(8)))
def test_the_order_of_recordings_does_not_matter(eight_waves, order):
    found = {
        tuple(sorted((order[a], order[b]))) for a, b, _ in near_duplicates([eight_waves[k] for k in order])
    }
    assert found == {(0, 6), (1, 7)}


@pytest.fixture(scope="module")
def eight_waves(voice):
    waves = [voice(k, 1.5) for k in range(6)]
    waves += [0.3 * waves[0][4000:], through(waves[1], "OGG", "OPUS")]
    return waves
