"""What small test bundles are made of, and how to damage a copy of one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unheard.bundle.manifest import write_manifest

CLASSES = ("angry", "happy", "sad")
FRAMES = {"name": "mfbf0", "average": 4}
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "probe": ({"name": "functionals", "trim": 40}, {"name": "probe", "grid": [0.01]}),
    "probe-frames": (FRAMES, {"name": "probe", "grid": [0.01]}),
    "probe-means": (FRAMES, {"name": "probe", "grid": [0.01], "statistics": "mean"}),
    "svm": (FRAMES, {"name": "svm", "grid": [0.01]}),
    "tcgru": (FRAMES, {"name": "tcgru", "hidden": 12, "epochs": 3, "learning_rate": 0.01}),
}
SCORES = {
    "recipe": "toy",
    "protocol": "loso",
    "protocol_hash": "a1b2c3d4e5f6a7b8",
    "labels": list(CLASSES),
    "stamps": ["FEW SPEAKERS", "SYNTHETIC"],
    "refit": "none",
    "n_train_speakers": 3,
    "n_speakers": 4,
    "metrics": {"accuracy": {"mean": 0.5, "sd": 0.1, "pooled": 0.52, "low": 0.4, "high": 0.6}},
    "folds": [{"fold": 0}],
    "groups": {"gender": {"female": {"n": 20, "uar": 0.61}, "male": {"n": 20, "uar": 0.39}}},
}


def sound(seed: int, seconds: float | None = None) -> np.ndarray:
    """Syllables of a buzz over noise, (n,) float32 at 16 kHz; seeds 0, 1, 2, 3, … are of three kinds in turn."""
    wave = buzz(seed, seconds)
    syllables = 0.02 + np.sin(np.pi * 5 * np.arange(len(wave)) / 16_000) ** 2
    return (wave * syllables).astype(np.float32)


def buzz(seed: int, seconds: float | None = None) -> np.ndarray:
    """The same held as one vowel, which nobody says."""
    rng = np.random.default_rng(seed)
    n = int(16_000 * (seconds or rng.uniform(0.5, 1.2)))
    t = np.arange(n) / 16_000
    pitch = (110, 180, 260)[seed % 3] * (1 + 0.1 * np.sin(2 * np.pi * 3 * t))
    vowel = sum(np.sin(h * 2 * np.pi * np.cumsum(pitch) / 16_000) / h for h in range(1, 12))
    return (0.1 * vowel + 0.01 * rng.standard_normal(n)).astype(np.float32)


@dataclass(frozen=True)
class Made:
    """A bundle with what it was made of."""

    folder: Path
    head: Any
    spec: Any
    settings: dict[str, Any]

    def options(self, **changes: Any) -> dict[str, Any]:
        """Arguments of ``export`` after features, classes and out."""
        return {
            "temperature": 1.5,
            "training_speakers": ["s1", "s0", "s2", "s3"],
            "corpus": "toy",
            "scores": SCORES,
            "recipe": {"recipe": "toy"},
            "licences": {"weights": ["CC BY 4.0"]},
            **changes,
        }


def named(arrays: list[np.ndarray]) -> list[dict[str, np.ndarray]]:
    """The arrays of clips as those of the only input."""
    return [{"voice": x} for x in arrays]


def seal(folder: Path) -> None:
    """Write the manifest over damaged files, so that what looks behind the hashes is reached."""
    write_manifest(folder)


def change(folder: Path, file: str = "bundle.json", /, **fields: Any) -> None:
    """Set fields of a JSON file of a bundle (``a__b`` is b inside a), and seal it."""
    path = folder / file
    plain = json.loads(path.read_text())
    for field, value in fields.items():
        *outer, last = field.split("__")
        inside = plain
        for key in outer:
            inside = inside[key]
        inside[last] = value
    path.write_text(json.dumps(plain))
    if file != "manifest.json":
        seal(folder)
