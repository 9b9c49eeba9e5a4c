"""Log-mel spectrograms equal librosa's and Kaldi's, and hold for waveforms of any length."""

from __future__ import annotations

import math
from dataclasses import replace

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unheard.errors import AudioError, UsageError
from unheard.features.frames import BLOCK
from unheard.features.logmel import KALDI, LIBROSA, LogMel
from unheard.features.mel import from_mel, to_mel


def wave(seconds: float = 1.0, seed: int = 0) -> np.ndarray:
    """Coloured noise under a slow swell, with an offset."""
    rng = np.random.default_rng(seed)
    n = round(seconds * 16_000)
    noise = np.cumsum(rng.standard_normal(n)) * 0.002 + rng.standard_normal(n) * 0.01
    return (noise * np.sin(np.arange(n) / 4000.0) + 0.02).astype(np.float32)


def naive_kaldi(
    samples: np.ndarray, *, bands: int, window: str, snip: bool, low: float, high: float
) -> np.ndarray:
    """Kaldi's fbank by its documentation, one frame, bin and sample at a time (dither 0)."""
    length, hop, fft, rate = 400, 160, 512, 16_000.0
    ints = [float(v) * 32768.0 for v in samples]
    n = len(ints)
    count = 1 + (n - length) // hop if snip else (n + hop // 2) // hop
    rows = []
    for t in range(count):
        start = t * hop if snip else t * hop + hop // 2 - length // 2
        frame = []
        for i in range(start, start + length):
            while i < 0 or i >= n:
                i = -i - 1 if i < 0 else 2 * n - 1 - i
            frame.append(ints[i])
        mean = math.fsum(frame) / length
        frame = [v - mean for v in frame]
        frame = [frame[0] - 0.97 * frame[0]] + [frame[i] - 0.97 * frame[i - 1] for i in range(1, length)]
        for i in range(length):
            a = 2.0 * math.pi * i / (length - 1)
            frame[i] *= {
                "povey": (0.5 - 0.5 * math.cos(a)) ** 0.85,
                "hamming": 0.54 - 0.46 * math.cos(a),
                "hann": 0.5 - 0.5 * math.cos(a),
            }[window]
        power = np.abs(np.fft.fft(frame + [0.0] * (fft - length))) ** 2

        def mel(hertz: float) -> float:
            return 1127.0 * math.log(1.0 + hertz / 700.0)

        step = (mel(high) - mel(low)) / (bands + 1)
        row = []
        for b in range(bands):
            left, centre, right = (mel(low) + (b + k) * step for k in range(3))
            energy = 0.0
            for k in range(fft // 2):  # Kaldi leaves the last bin out
                m = mel(k * rate / fft)
                if left < m < right:
                    weight = (m - left) / (centre - left) if m <= centre else (right - m) / (right - centre)
                    energy += weight * float(power[k])
            row.append(math.log(max(energy, 1.1920928955078125e-07)))
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize(
    ("bands", "window", "snip", "low", "high"),
    [
        (80, "povey", True, 20.0, 8000.0),
        (40, "hamming", False, 20.0, 8000.0),
        (23, "hann", True, 64.0, 7600.0),
    ],
)
def test_equals_kaldis_definition(bands: int, window: str, snip: bool, low: float, high: float) -> None:
    samples = wave(0.2)
    spec = replace(KALDI, bands=bands, window=window, edges="snip" if snip else "mirror", low=low, high=high)
    expected = naive_kaldi(samples, bands=bands, window=window, snip=snip, low=low, high=high)
    np.testing.assert_allclose(spec.compute(samples), expected, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, {}),
        ({"bands": 40, "frame": 0.025, "hop": 0.01, "fft": 512},
         {"n_mels": 40, "win_length": 400, "hop_length": 160, "n_fft": 512}),
        ({"bands": 64, "scale": "htk", "norm": "none", "low": 50.0, "high": 7000.0, "power": 1.0},
         {"n_mels": 64, "htk": True, "norm": None, "fmin": 50.0, "fmax": 7000.0, "power": 1.0}),
    ],
)  # fmt: skip
def test_equals_librosa(changes: dict, options: dict) -> None:
    samples = wave(1.3)
    mel = librosa.feature.melspectrogram(y=samples.astype(np.float64), sr=16_000, **options).T
    np.testing.assert_allclose(
        replace(LIBROSA, **changes).compute(samples), 10 * np.log10(np.maximum(mel, 1e-10)), atol=2e-4
    )
    np.testing.assert_allclose(
        replace(LIBROSA, log="none", **changes).compute(samples), mel, rtol=1e-5, atol=1e-9
    )


def test_mel_scales_equal_librosas_and_turn_back() -> None:
    hertz = np.linspace(0.0, 8000.0, 200)
    for scale in ("htk", "slaney"):
        np.testing.assert_allclose(to_mel(hertz, scale), librosa.hz_to_mel(hertz, htk=scale == "htk"))
        np.testing.assert_allclose(from_mel(to_mel(hertz, scale), scale), hertz, atol=1e-9)


def test_frames_do_not_depend_on_the_block_that_computes_them() -> None:
    samples = wave((BLOCK + 40) / 100)
    whole = KALDI.compute(samples)
    assert len(whole) > BLOCK
    start = BLOCK - 5
    np.testing.assert_allclose(KALDI.compute(samples[start * 160 :]), whole[start:], atol=1e-5)


def test_counts_of_frames_and_a_single_one_for_the_shortest() -> None:
    for n in (0, 1, 100, 399, 400, 559, 560, 1600, 16_000):
        samples = np.full(n, 0.1, dtype=np.float32)
        for edges, expected in (
            ("snip", 1 + max(0, n - 400) // 160),
            ("mirror", max(1, round(n / 160 + 1e-9))),
            ("zeros", 1 + n // 160),
        ):
            out = LogMel(edges=edges).compute(samples)
            assert out.shape == (expected, 80)
            assert out.dtype == np.float32
            assert np.isfinite(out).all()


def test_gain_only_shifts() -> None:
    samples = wave()
    np.testing.assert_allclose(KALDI.compute(samples) + math.log(4.0), KALDI.compute(2 * samples), atol=1e-4)
    np.testing.assert_allclose(LIBROSA.compute(samples) + 20.0, LIBROSA.compute(10 * samples), atol=1e-3)


def test_an_offset_goes_where_dc_is_removed() -> None:
    samples = wave()
    np.testing.assert_allclose(KALDI.compute(samples + np.float32(0.25)), KALDI.compute(samples), atol=2e-2)
    kept = replace(KALDI, remove_dc=False, low=0.0)
    assert np.abs(kept.compute(samples + np.float32(0.25)) - kept.compute(samples)).max() > 1.0


def test_silence_is_the_floor() -> None:
    assert (
        KALDI.compute(np.zeros(1600, dtype=np.float32)) == np.float32(np.log(np.finfo(np.float32).eps))
    ).all()
    assert (LIBROSA.compute(np.zeros(1600, dtype=np.float32)) == -100.0).all()


@settings(max_examples=40, deadline=None)
@given(
    arrays(np.float32, st.integers(0, 2000), elements=st.floats(-4.0, 4.0, width=32)),
    st.sampled_from(["snip", "mirror", "zeros"]),
)
def test_finite_whatever_the_wave(samples: np.ndarray, edges: str) -> None:
    assert np.isfinite(LogMel(edges=edges).compute(samples)).all()


def test_what_is_no_waveform_is_refused() -> None:
    with pytest.raises(AudioError, match="2 samples that are not finite"):
        KALDI.compute(np.array([0.0, np.nan, np.inf], dtype=np.float32))
    with pytest.raises(AudioError, match="mono"):
        KALDI.compute(np.zeros((2, 1600), dtype=np.float32))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": "haming"}, "unknown logmel.window 'haming'; did you mean 'hamming'"),
        ({"edges": "cut"}, "unknown logmel.edges"),
        ({"bands": 0}, "bands"),
        ({"fft": 256}, "256 points are fewer than the 400"),
        ({"low": 9000.0}, "low < high"),
        ({"high": 9000.0}, "low < high"),
        ({"hop": 0.0}, "seconds"),
        ({"power": 0.0}, "above 0"),
        ({"power": 1000.0}, "power must be in 0 … 3"),
        ({"gain": 1e9}, "gain must be in 0 … 100000"),
        ({"preemphasis": 1e6}, "preemphasis must be in -1 … 1"),
        ({"fft": 10**9}, "fft must be in 1 … 65536"),
    ],
)
def test_settings_out_of_bounds_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LogMel(**settings)


def test_the_largest_settings_give_numbers() -> None:
    largest = replace(KALDI, power=3.0, gain=1e5, preemphasis=-1.0, log="none", fft=65_536, remove_dc=False)
    loud = np.sign(np.sin(np.arange(16_000))).astype(np.float32)
    with np.errstate(all="raise"):
        assert np.isfinite(largest.compute(loud)).all()


def test_names_and_rate() -> None:
    assert len(KALDI.names) == 80
    assert KALDI.names[0] == "mel00"
    assert KALDI.frames_per_second == 100.0
    assert LIBROSA.frames_per_second == 31.25
