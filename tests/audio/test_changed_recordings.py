"""Rooms, codecs and levels: measured on what comes out, by other means than it was made."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import signals
import soundfile
from scipy import signal as scipy_signal

from unheard.audio import codecs, rooms
from unheard.audio.conditions import pink, realised_snr, recorded
from unheard.audio.levels import active_power
from unheard.audio.noise import KINDS, NOISES, TAKING, Change, Kind, Noise, noisy, under
from unheard.errors import AudioError, MachineError

RATE = signals.RATE
SPEECH = signals.voice(2.0)


def chance(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def level_of(kind: str) -> float:
    level = KINDS[kind]
    return 0.0 if level is None else {"room": 0.3, "speed": 0.8}.get(kind, min(level.high, 12.0))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "amr"])
def test_every_condition_keeps_the_length_and_repeats_itself(kind: str) -> None:
    others = [signals.voice(1.0, 90)] if kind in TAKING else []
    given = SPEECH.copy()
    first, again = (
        under(kind, given, RATE, chance(3), level=max(level_of(kind), 16 * (kind == "mp3")), others=others)
        for _ in range(2)
    )
    assert first.dtype == np.float32 and np.isfinite(first).all()
    assert len(first) == (round(len(SPEECH) / 0.8) if kind == "speed" else len(SPEECH))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(given, SPEECH)
    assert len(first) != len(SPEECH) or not np.allclose(first, SPEECH)


def test_what_training_draws_is_in_the_list_of_all_conditions() -> None:
    assert set(get_args(Kind)) <= set(NOISES)
    assert set(get_args(Change)) <= {kind for kind, level in KINDS.items() if level is not None}


def test_pink_noise_has_equal_power_in_every_octave() -> None:
    wave = signals.voice(8.0)
    noise = pink(wave, RATE, chance(), snr=0).astype(float) - wave
    hertz, power = scipy_signal.periodogram(noise, RATE)
    octaves = [
        power[(hertz >= low) & (hertz < 2 * low)].sum() for low in (62.5, 125, 250, 500, 1000, 2000, 4000)
    ]
    assert np.ptp(10 * np.log10(octaves)) < 1.5
    assert realised_snr(wave, pink(wave, RATE, chance(), snr=7), RATE) == pytest.approx(7, abs=0.01)


def test_recorded_noise_has_the_ratio_and_is_that_recording() -> None:
    tone = np.sin(2 * np.pi * 3000 * np.arange(RATE // 2) / RATE).astype(np.float32)
    heard = recorded(SPEECH, RATE, chance(), snr=5, noise=tone)
    assert realised_snr(SPEECH, heard, RATE) == pytest.approx(5, abs=0.01)
    hertz, power = scipy_signal.periodogram(heard.astype(float) - SPEECH, RATE)
    assert power[np.abs(hertz - 3000) < 30].sum() > 0.95 * power.sum()


@pytest.mark.parametrize("rt60", [0.3, 0.5])
def test_a_room_has_the_reverberation_time_and_its_direct_path_in_time(rt60: float) -> None:
    for number in range(2):
        response = rooms.impulse_response(rt60, RATE, number)
        level = 10 * np.log10(np.cumsum(response[::-1] ** 2)[::-1] / np.sum(response**2) + 1e-30)
        seconds = [np.argmax(level < fall) / RATE for fall in (-5, -35)]
        assert 2 * (seconds[1] - seconds[0]) == pytest.approx(rt60, rel=0.12)
        assert np.argmax(np.abs(response)) == 0
    wet = rooms.room(SPEECH, RATE, chance(), rt60=rt60)
    assert active_power(wet, RATE) == pytest.approx(active_power(SPEECH, RATE), rel=1e-4)


def test_rooms_of_training_are_other_rooms() -> None:
    tested, trained = (rooms.impulse_response(0.3, RATE, 0, training) for training in (False, True))
    assert len(tested) != len(trained) or not np.allclose(tested, trained)


def test_an_impulse_response_is_convolved_and_its_direct_path_becomes_time_0() -> None:
    response = np.zeros(200, np.float32)
    response[50], response[130] = 1.0, -0.5
    wet = rooms.with_response(SPEECH, RATE, response)
    by_hand = SPEECH.astype(float) - 0.5 * np.concatenate([np.zeros(80), SPEECH[:-80]])
    assert np.corrcoef(wet, by_hand)[0, 1] > 0.999999
    with pytest.raises(AudioError, match="response is silent"):
        rooms.with_response(SPEECH, RATE, np.zeros(10, np.float32))


def test_g711_gives_the_levels_of_the_standard() -> None:
    """Levels by the formula of ITU-T G.711, sign, segment and step decoded in plain Python."""

    def mu(code: int) -> int:
        code = ~code & 0xFF
        step = (((code & 15) << 3) + 132 << (code >> 4 & 7)) - 132
        return -step if code & 128 else step

    allowed = {mu(code) for code in range(256)}
    narrow = signals.voice(0.5)[::2]
    heard = codecs.g711(narrow, codecs.TELEPHONE, "mu")
    found = np.round(heard.astype(float) * 32768).astype(int)
    assert set(found.tolist()) <= allowed and len(set(found.tolist())) > 20
    given = narrow.astype(float) * 32768
    # Steps are a sixteenth of the level and its bias, and the standard codes 14 of the 16 bits.
    assert (np.abs(found - given) <= (np.abs(given) + 132) / 32 + 4).all()


@pytest.mark.parametrize("kind", ["telephone", "mu_law", "a_law"])
def test_a_telephone_has_nothing_above_4_khz(kind: str) -> None:
    loud = chance().standard_normal(2 * RATE).astype(np.float32) * np.float32(0.1)
    hertz, power = scipy_signal.periodogram(under(kind, loud, RATE, chance()), RATE)
    assert power[hertz > 4100].sum() < 1e-5 * power.sum()
    assert power[(hertz > 300) & (hertz < 3400)].sum() > 0.7 * power.sum()


@pytest.mark.parametrize(
    ("kind", "kbps", "alike"), [("mp3", 32.0, 0.8), ("opus", 16.0, 0.8), ("amr", 12.2, 0.4)]
)
def test_codecs_are_in_time_and_sound_like_the_recording(kind: str, kbps: float, alike: float) -> None:
    if kind == "amr":
        av = pytest.importorskip("av")
        try:
            av.codec.Codec(codecs.AMR, "w")
        except ValueError:
            pytest.skip("this FFmpeg codes no AMR")
    heard = under(kind, SPEECH, RATE, chance(), level=kbps)
    lags = scipy_signal.correlation_lags(len(heard), len(SPEECH))
    assert abs(lags[np.argmax(scipy_signal.correlate(heard, SPEECH))]) <= 1
    assert alike < np.corrcoef(heard, SPEECH)[0, 1] < 0.99999


def test_a_codec_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundfile, "check_format", lambda *_: False)
    with pytest.raises(MachineError, match="writes no MPEG_LAYER_III; leave that condition out"):
        codecs.mp3(SPEECH, RATE, 32)
    pytest.importorskip("av")
    monkeypatch.setattr(codecs, "AMR", "no_such_codec")
    with pytest.raises(MachineError, match="built without no_such_codec"):
        codecs.amr(SPEECH, RATE, 12.2)


def test_levels_are_what_they_say() -> None:
    loud = under("gain", SPEECH, RATE, chance(), level=6)
    assert active_power(loud, RATE) / active_power(SPEECH, RATE) == pytest.approx(10**0.6, rel=1e-4)
    cut = under("clip", SPEECH, RATE, chance(), level=10)
    assert np.mean(np.abs(cut) >= np.abs(cut).max() * (1 - 1e-6)) == pytest.approx(0.1, abs=0.002)
    soft = np.abs(SPEECH) < np.abs(cut).max()
    np.testing.assert_array_equal(cut[soft], SPEECH[soft])
    tone = np.sin(2 * np.pi * 400 * np.arange(RATE) / RATE).astype(np.float32)
    hertz, power = scipy_signal.periodogram(under("speed", tone, RATE, chance(), level=1.25), RATE)
    assert hertz[np.argmax(power)] == pytest.approx(500, abs=2)


def test_training_draws_levels_within_bounds_and_clips_to_full_scale() -> None:
    loud = noisy(SPEECH, RATE, Noise("gain", 30, 40), "a")
    assert np.abs(loud).max() == 1
    softer = [noisy(SPEECH, RATE, Noise("gain", -20, -10), clip) for clip in "abcdef"]
    levels = [10 * np.log10(active_power(wave, RATE) / active_power(SPEECH, RATE)) for wave in softer]
    assert all(-20.01 <= level <= -9.99 for level in levels) and np.ptp(levels) > 1
    assert codecs.in_time(np.concatenate([np.zeros(37, np.float32), SPEECH]), SPEECH) == pytest.approx(SPEECH)
