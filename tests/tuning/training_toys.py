"""What the tests of this room share: tones to tell apart, and models on tiny checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from one_input import examples
from unheard import tuning
from unheard.heads import Examples
from unheard.testing import toy_encoder
from unheard.tuning import FineTuned

#: Dropout draws from chance; without it, what must be equal is.
STILL = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "feat_proj_dropout": 0.0}


def tones(seed: int, n: int = 12, classes: int = 2) -> Examples:
    """Clips of 0.1-0.2 s, one kind of sound a class: a low tone, noise, a high tone; loudness and phase differ."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    features = []
    for label in labels:
        time = np.arange(int(rng.integers(1600, 3200))) / 16000
        tone = np.sin(2 * np.pi * ((217, 0, 2990)[label] * time + rng.random()))
        noise = rng.standard_normal(len(time))
        sound = noise if label == 1 else tone + 0.05 * noise
        features.append((0.2 * rng.uniform(0.5, 1) * sound).astype(np.float32))
    return examples(features, labels, np.array([f"s{i % 3}" for i in range(n)]), classes)


def model(
    folder: Path,
    family: str = "hubert",
    *,
    head: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    seed: int = 0,
    state: Path | None = None,
    **settings: Any,
) -> FineTuned:
    """Return an unfitted model on a tiny checkpoint, which is written where it is not there yet."""
    place = folder / family
    if not place.exists():
        toy_encoder(place, family, **(config or {}))
    given = {"epochs": 3, "batch": 4, "lr_head": 1e-2, "lr_backbone": 1e-3, **settings}
    head = head or {"name": "tcgru", "hidden": 8}
    return tuning.build(given, {"name": family, "model": str(place)}, head, seed=seed, folder=state)
