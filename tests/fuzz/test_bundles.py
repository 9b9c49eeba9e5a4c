"""Bundles of strangers: whatever stands in them, they are opened and run in bounds, or refused by the file's name.

The hashes of a manifest are made right after a mutation, so that what looks behind them is reached.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import mutate
import numpy as np
import pytest
from oracle import Oracle, check
from structure import archive, generic, onnx_graph, plain_json

import unheard
from small_bundle import make_bundle
from unheard.adaptation.profile import Priors
from unheard.bundle.manifest import FILES, MANIFEST, OPTIONAL, write_manifest
from unheard.bundle.runtime import load
from unheard.exporting.compact import compact

OLD = Path(__file__).parents[1] / "bundle" / "schema1"
DEFAULT = Path(unheard.__file__).parent / "models" / "default"
#: A refusal names one of these.
NAMED = (*FILES, *OPTIONAL, MANIFEST, ".onnx")


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Small bundles of schema 1 and 2 with features and with encoders, one that adapts, and the default model."""
    place = tmp_path_factory.mktemp("healthy")
    for file in sorted(OLD.glob("*.zip")):
        with zipfile.ZipFile(file) as packed:
            packed.extractall(place / file.stem)
        if load(place / file.stem).description.weights == "float32":
            compact(place / file.stem, place / f"{file.stem}-int8", "int8")
    make_bundle(place / "adapting", Priors())
    shutil.copytree(DEFAULT, place / "default")
    return sorted(place.iterdir())


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    with Oracle("model_calls:bundle") as made:
        yield made


def mutated(healthy: list[Path], folder: Path, seed: int, number: int) -> str:
    """Write a mutated bundle into a folder, and say how it was made."""
    rng = np.random.default_rng([seed, number])
    small = [one for one in healthy if one.name != "default"]
    source = small[rng.integers(len(small))] if rng.integers(20) else healthy[0].parent / "default"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    names = sorted(file.name for file in folder.iterdir())
    graphs = [name for name in names if name.endswith(".onnx")]
    arrays = [name for name in names if name.endswith(".npz")]
    pools = (graphs, graphs, graphs, ["bundle.json"], ["bundle.json"], arrays, names)
    pool = pools[rng.integers(len(pools))]
    name = pool[rng.integers(len(pool))]
    data = (folder / name).read_bytes()
    if name.endswith(".onnx"):
        data = (onnx_graph if rng.integers(4) else generic)(data, rng)
    elif name.endswith(".json"):
        data = plain_json(data, rng)
    else:
        data = (archive if name.endswith(".npz") else generic)(data, rng)
    (folder / name).write_bytes(data)
    if name != MANIFEST:
        write_manifest(folder)
    return f"{source.name}, {name} (mutant {number} of seed {seed})"


def run(oracle: Oracle, healthy: list[Path], folder: Path, seed: int, count: int) -> dict[str, int]:
    counts = {"answer": 0, "refused": 0}
    failures = []
    for number in range(count):
        origin = mutated(healthy, folder, seed, number)
        outcome, again = oracle.twice(folder)
        try:
            check(outcome, again, folder, origin=origin, named=(*NAMED, folder.name))
            counts[outcome.kind] += 1
        except AssertionError as error:
            failures.append(str(error))
    assert not failures, f"{len(failures)} after {counts}:\n" + "\n".join(failures)
    return counts


def test_healthy_bundles_answer(oracle: Oracle, healthy: list[Path]) -> None:
    for folder in healthy:
        outcome, again = oracle.twice(folder)
        assert outcome.kind == "answer", (folder, outcome)
        check(outcome, again, folder)


def test_mutated_bundles(oracle: Oracle, healthy: list[Path], tmp_path: Path) -> None:
    counts = run(oracle, healthy, tmp_path / "bundle", 0, 150)
    assert counts["refused"] > 50
    assert counts["answer"] > 5


@pytest.mark.fuzz
def test_many_mutated_bundles(oracle: Oracle, healthy: list[Path], tmp_path: Path) -> None:
    print(run(oracle, healthy, tmp_path / "bundle", mutate.seed(), mutate.count()))  # noqa: T201
