"""Seconds of one core that each feature set takes a clip, and as a ratio to eGeMAPS in the same run.

Clips are noise shaped like speech in level, 3.7 s long. The last line is one JSON object.
"""

from __future__ import annotations

import json
import time

import numpy as np

from unheard import features
from unheard.audio.resample import RATE
from unheard.features.spec import Spec

SETS = ("logmel", "mfbf0", "functionals", "egemaps", "compare")


def clips(count: int, seconds: float = 3.7) -> list[np.ndarray]:
    """Harmonic tones with noise whose level rises and falls as syllables do."""
    rng = np.random.default_rng(0)
    t = np.arange(int(seconds * RATE)) / RATE
    made = []
    for _ in range(count):
        pitch = rng.uniform(90, 250) * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * t))
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        voice = sum(np.sin(k * phase) / k for k in range(1, 12))
        level = np.clip(np.sin(2 * np.pi * 2 * t + rng.uniform(0, 6)), 0, 1)
        made.append((0.1 * level * voice + 0.003 * rng.normal(size=len(t))).astype(np.float32))
    return made


def seconds_a_clip(spec: Spec, waves: list[np.ndarray]) -> float:
    """Median CPU time of one clip, after one that warms up."""
    spec.compute(waves[0])
    spent = []
    for wave in waves:
        start = time.process_time()
        spec.compute(wave)
        spent.append(time.process_time() - start)
    return float(np.median(spent))


def main() -> None:
    """Measure every set on the same clips."""
    waves = clips(20)
    taken = {name: seconds_a_clip(features.build({"name": name}), waves) for name in SETS}
    for name, seconds in taken.items():
        print(f"{name:12} {1000 * seconds:7.1f} ms a clip, {seconds / taken['egemaps']:.2f} of eGeMAPS")
    ratios = {name: seconds / taken["egemaps"] for name, seconds in taken.items()}
    print(json.dumps({"seconds_a_clip": taken, "ratio_to_egemaps": ratios, "clip_seconds": 3.7}))


if __name__ == "__main__":
    main()
