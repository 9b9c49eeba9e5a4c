"""Small bundles of every kind of head, made once; tests that damage one take a copy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bundle_parts import CLASSES, KINDS, Made, sound
from one_input import examples, export_features
from unheard import features, heads


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    kept: dict[str, Made] = {}

    def make(kind: str) -> Made:
        if kind not in kept:
            settings, head_settings = KINDS[kind]
            spec = features.build(settings)
            rows = examples(
                [spec.compute(sound(i)) for i in range(24)],
                np.arange(24) % 3,
                np.array([f"s{i % 4}" for i in range(24)]),
                3,
            )
            head = heads.build(head_settings).fit(rows, rows)
            folder = tmp_path_factory.mktemp("bundles") / kind
            one = Made(folder, head, spec, settings)
            export_features(head, settings, CLASSES, folder, **one.options())
            kept[kind] = one
        return kept[kind]

    return make


@pytest.fixture
def copied(made: Callable[[str], Made], tmp_path: Path) -> Callable[..., Path]:
    """Copy a bundle to where a test may damage it."""

    def copy(kind: str = "probe-means") -> Path:
        return Path(shutil.copytree(made(kind).folder, tmp_path / "copy"))

    return copy
