"""Sounds whose speech is known: voices that no one has, noise, tones; and mixtures of real clips with pauses."""

from __future__ import annotations

import numpy as np

RATE = 16_000


def voice(seconds: float, pitch: float = 140.0) -> np.ndarray:
    """Syllables at 4 Hz: harmonics of a gliding pitch that open and close, (n,) float32."""
    t = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * t))) / RATE
    buzz = sum(np.sin(h * phase) / h for h in range(1, 25))
    return (0.1 * buzz * (0.05 + 0.95 * np.sin(np.pi * 4 * t) ** 2)).astype(np.float32)


def noise(seconds: float, slope: float = 0.0, seed: int = 0) -> np.ndarray:
    """Noise whose power falls with frequency to the given power, root mean square 0.1, (n,) float32."""
    n = int(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    wave = np.fft.irfft(spectrum / np.maximum(1, np.arange(len(spectrum))) ** (slope / 2), n)
    return (0.1 * wave / np.sqrt(np.mean(wave**2))).astype(np.float32)


def tone(seconds: float, hertz: float, on: float = 1.0, off: float = 0.0) -> np.ndarray:
    """A sine that is switched on and off, (n,) float32."""
    t = np.arange(int(seconds * RATE)) / RATE
    return (0.1 * np.sin(2 * np.pi * hertz * t) * (t % (on + off) < on)).astype(np.float32)


def mixture(clips: list[np.ndarray], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Clips of one level, each after a pause of 0.6 to 2.5 s: samples (n,), and the truth of each 10 ms."""
    rng = np.random.default_rng(seed)
    waves, truth = [], []
    for clip in clips:
        pause = np.zeros(int(rng.uniform(60, 250)) * 160)
        whole = clip[: len(clip) // 160 * 160]
        waves += [pause, 0.05 * whole / np.sqrt(np.mean(whole**2))]
        truth += [np.zeros(len(pause) // 160, bool), np.ones(len(whole) // 160, bool)]
    return np.concatenate(waves).astype(np.float32), np.concatenate(truth)
