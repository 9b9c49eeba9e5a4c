"""A bundle that takes a moment to make, and may adapt to speakers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bundle_parts import SCORES, sound
from one_input import NAME, examples, export_features
from unheard import features, heads
from unheard.adaptation.profile import Priors
from unheard.runs.adapted_head import AdaptedHead

SPEC = {"name": "mfbf0", "average": 8}
CLASSES = ("high", "low", "middle")


def make_bundle(folder: Path, priors: Priors | None = None) -> Path:
    """Fit a probe on twelve sounds, which adapts to speakers where priors are given, and export it."""
    spec = features.build(SPEC)
    rows = examples(
        [spec.compute(sound(k)) for k in range(12)],
        np.arange(12) % 3,
        np.array([f"s{k // 6}" for k in range(12)]),
        3,
    )
    head: Any = heads.build({"name": "probe", "grid": [0.01], "augmented": True})
    head = AdaptedHead(head, {NAME: priors}) if priors else head
    return export_features(
        head.fit(rows),
        SPEC,
        CLASSES,
        folder,
        temperature=1.0,
        training_speakers=["s0"],
        corpus="noise",
        scores=SCORES,
        recipe={"recipe": folder.name},
        licences={"weights": ["CC0-1.0"]},
    )
