"""Made-up voices for the audit's tests, and tables without audio."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from unheard.corpora.table import utterances
from unheard.testing import toy_corpus

RATE = 16_000
Wave = np.ndarray[Any, Any]


@pytest.fixture(scope="session")
def voice() -> Callable[..., Wave]:
    return make_voice


def make_voice(seed: int, seconds: float = 2.0) -> Wave:
    """Harmonics of a wandering pitch under moving formants and syllables, a little noise: (n,) float32."""
    dice = np.random.default_rng(seed)
    n = int(seconds * RATE)
    pitch = np.exp(np.log(dice.uniform(90, 250)) + _wander(dice, n, 0.15))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    formants = [np.exp(np.log(f) + _wander(dice, n, 0.25)) for f in (550, 1500, 2600)]
    wave = np.zeros(n)
    for k in range(1, 25):
        gain = sum(1 / (1 + ((k * pitch - f) / 120) ** 2) for f in formants)
        wave += gain * np.sin(k * phase + dice.uniform(0, 6))
    syllables = np.clip(_wander(dice, n, 1.0, every=0.12), 0, None)
    wave = wave * syllables + 0.01 * dice.normal(size=n)
    return (0.3 * wave / np.abs(wave).max()).astype(np.float32)


def _wander(dice: np.random.Generator, n: int, size: float, every: float = 0.2) -> Wave:
    knots = np.arange(0, n + every * RATE, every * RATE)
    return np.interp(np.arange(n), knots, dice.normal(0, size, len(knots)))


@pytest.fixture(scope="session")
def rows_table() -> Callable[..., pl.DataFrame]:
    return make_table


def make_table(rows: Sequence[Mapping[str, Any]], labels: Sequence[str] = ("a", "b")) -> pl.DataFrame:
    """Table without audio; ids count up where none are given."""
    full = [{"id": f"c{k:03d}", "path": f"c{k:03d}.wav", **row} for k, row in enumerate(rows)]
    return utterances(full, corpus="made-up", labels=labels)


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """Four synthetic speakers, 64 clips on disk; not to be changed on disk."""
    return toy_corpus(Path(tmp_path_factory.mktemp("toy")) / "corpus", speakers=4)
