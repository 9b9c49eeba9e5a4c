"""The openSMILE adapter gives openSMILE's numbers, and our own functionals follow them on real speech."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unheard.errors import AudioError, MachineError
from unheard.features import build
from unheard.features.functionals import Functionals
from unheard.features.mfbf0 import MFBF0
from unheard.features.opensmile import EGeMAPS

opensmile = pytest.importorskip("opensmile")


def speechlike(seconds: float = 1.0) -> np.ndarray:
    t = np.arange(round(seconds * 16_000)) / 16_000
    buzz = sum(np.sin(2 * np.pi * 180 * k * t) / k for k in range(1, 20))
    noise = np.random.default_rng(0).standard_normal(len(t)) * 1e-3
    return (0.1 * buzz * (1 + np.sin(2 * np.pi * 3 * t)) + noise).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "set_name", "dims"), [("egemaps", "eGeMAPSv02", 88), ("compare", "ComParE_2016", 6373)]
)
def test_equals_opensmile_itself(name: str, set_name: str, dims: int) -> None:
    spec, samples = build({"name": name}), speechlike()
    smile = opensmile.Smile(opensmile.FeatureSet[set_name], opensmile.FeatureLevel.Functionals)
    values = spec.compute(samples)
    assert values.shape == (dims,)
    assert values.dtype == np.float32
    assert spec.names == tuple(smile.feature_names)
    np.testing.assert_array_equal(values, np.nan_to_num(smile.process_signal(samples, 16_000).to_numpy()[0]))
    np.testing.assert_array_equal(values, spec.compute(samples))


@pytest.mark.parametrize("set_name", ["egemaps", "compare"])
def test_short_and_silent_clips_are_finite(set_name: str) -> None:
    spec = build({"name": set_name})
    for n in (0, 1, 1600, 4000, 7999):
        assert np.isfinite(spec.compute(speechlike()[:n])).all()
    for samples in (np.zeros(16_000), np.full(16_000, 0.3)):
        assert np.isfinite(spec.compute(samples.astype(np.float32))).all()


def test_several_processes_give_the_same() -> None:
    spec, samples = EGeMAPS(), speechlike()
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(spec.compute, [samples] * 4))
    for values in found:
        np.testing.assert_array_equal(values, spec.compute(samples))


def test_faults() -> None:
    with pytest.raises(AudioError, match="not finite"):
        EGeMAPS().compute(np.full(16_000, np.nan, dtype=np.float32))


def test_without_opensmile_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opensmile", None)
    with pytest.raises(MachineError, match=r"unheard\[lld\]"):
        _ = EGeMAPS().version


@pytest.mark.data
def test_our_functionals_follow_egemaps_on_real_speech(data_folder: Path) -> None:
    """Over recordings, what both measure correlates; the two trackers and filters are independent."""
    files = sorted((data_folder / "ravdess" / "speech").glob("*/*.flac"))[5::47]
    ours, theirs = build({"name": "functionals", "trim": 40}), build({"name": "egemaps", "trim": 40})
    waves = [soundfile.read(file, dtype="float32")[0] for file in files]
    a, b = (np.stack([spec.compute(wave) for wave in waves]) for spec in (ours, theirs))
    for our_name, their_name, least in (
        ("pitch_mean", "F0semitoneFrom27.5Hz_sma3nz_amean", 0.93),
        ("pitch_p20", "F0semitoneFrom27.5Hz_sma3nz_percentile20.0", 0.93),
        ("loudest", "equivalentSoundLevel_dBp", 0.95),
        ("alpha_ratio_mean", "alphaRatioV_sma3nz_amean", 0.95),
        ("hammarberg_mean", "hammarbergIndexV_sma3nz_amean", 0.93),
        ("hnr_mean", "HNRdBACF_sma3nz_amean", 0.8),
        ("h1_a3_mean", "logRelF0-H1-A3_sma3nz_amean", 0.7),
        ("mfcc1_mean", "mfcc1V_sma3nz_amean", 0.95),
        ("mfcc2_mean", "mfcc2V_sma3nz_amean", 0.95),
        ("mfcc3_mean", "mfcc3V_sma3nz_amean", 0.93),
        ("mfcc4_mean", "mfcc4V_sma3nz_amean", 0.93),
        ("voiced_per_second", "VoicedSegmentsPerSec", 0.5),
    ):
        x = a[:, Functionals().names.index(our_name)]
        y = b[:, theirs.names.index(their_name)]
        assert np.corrcoef(x, y)[0, 1] > least, (our_name, their_name)


@pytest.mark.data
def test_frames_of_mfbf0_follow_egemaps_descriptors(data_folder: Path) -> None:
    """Frame by frame: pitch where both find a voice, and energy against openSMILE's loudness."""
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.LowLevelDescriptors)
    spec = MFBF0()
    for actor, take in (("01", "05-02-02-01"), ("12", "01-01-01-02"), ("20", "06-01-02-01")):
        file = data_folder / "ravdess" / "speech" / f"Actor_{actor}" / f"03-01-{take}-{actor}.flac"
        samples, _ = soundfile.read(file, dtype="float32")
        table = spec.compute(samples)
        lld = smile.process_signal(samples, 16_000)
        # openSMILE's frames begin at 0 where ours are centred at 5 ms; its F0 frames are 60 ms long.
        semitones = lld["F0semitoneFrom27.5Hz_sma3nz"].to_numpy()
        ours = (table[:, spec.names.index("log_f0")] - np.log(27.5)) * 12 / np.log(2)
        n = min(len(semitones) - 1, len(ours) - 2)
        both = (semitones[:n] > 0) & (table[2 : n + 2, spec.names.index("voiced")] == 1)
        distance = np.abs(ours[2 : n + 2] - semitones[:n])[both]
        assert both.sum() > 40
        assert np.median(distance) < 0.5
        assert (distance > 3).mean() < 0.2  # octaves that openSMILE's tracker jumps by, mostly
        loudness = np.log(lld["Loudness_sma3"].to_numpy()[:n] + 1e-3)
        assert np.corrcoef(loudness, table[1 : n + 1, spec.names.index("energy")])[0, 1] > 0.9
