"""Write ``functionals.npz``: a short synthetic wave and its functionals by the version that is installed."""

from pathlib import Path

import numpy as np

from unheard.features.functionals import Functionals

rng = np.random.default_rng(7)
t = np.arange(12_800) / 16_000
hertz = 140.0 * 2 ** (0.4 * np.sin(2 * np.pi * 1.5 * t))
phase = 2 * np.pi * np.cumsum(hertz) / 16_000
wave = sum(np.sin(k * phase) / k for k in range(1, 30)) * (0.55 - 0.45 * np.cos(2 * np.pi * 4 * t)) * 0.1
wave = np.round((wave + 1e-3 * rng.standard_normal(len(t))) * 32768).astype(np.float32) / np.float32(32768)
spec = Functionals()
np.savez_compressed(
    Path(__file__).with_name("functionals.npz"),
    wave=wave,
    values=spec.compute(wave),
    names=np.array(spec.names),
    version=spec.version,
)
