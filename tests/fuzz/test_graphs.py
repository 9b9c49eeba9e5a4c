"""Random graphs: onnxruntime makes of each what was computed beforehand, and none brings it down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mutate
import numpy as np
import pytest
from mutate import Mutant
from oracle import Oracle, fuzz
from random_graphs import graph


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    with Oracle("random_graphs:run") as made:
        yield made


def graphs(seed: int, count: int) -> Iterator[Mutant]:
    for number in range(count):
        yield Mutant(graph(np.random.default_rng([seed, number])), f"graph {number} of seed {seed}")


def test_random_graphs(oracle: Oracle, tmp_path: Path) -> None:
    counts = fuzz(oracle, graphs(0, 250), tmp_path / "graph.onnx")
    assert counts["answer"] > 5


@pytest.mark.fuzz
def test_many_random_graphs(oracle: Oracle, tmp_path: Path) -> None:
    print(fuzz(oracle, graphs(mutate.seed(), mutate.count()), tmp_path / "graph.onnx"))  # noqa: T201
