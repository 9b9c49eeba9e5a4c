"""Encoder folders of strangers: opened and run in bounds, or refused by the folder's name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import mutate
import numpy as np
import onnx
import pytest
from oracle import Oracle, check
from structure import generic, onnx_graph, plain_json

from onnx_toys import write_onnx


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A graph over log-mels, the same with a normalisation, one at 32 kHz, one with its weights beside it."""
    place = tmp_path_factory.mktemp("healthy")
    write_onnx(place / "plain")
    file = write_onnx(place / "high", 32_000) / "encoder.json"
    file.write_text(file.read_text().replace('"random"', '"pretrained"'))
    folder = write_onnx(place / "normalised")
    content = json.loads((folder / "encoder.json").read_text())
    (folder / "encoder.json").write_text(json.dumps({**content, "normalise": "norm.mvn", "min_samples": 800}))
    row = " ".join(["0.5"] * 30)
    (folder / "norm.mvn").write_text(f"<AddShift> 30 30\n[ {row} ]\n<Rescale> 30 30\n[ {row} ]\n")
    folder = write_onnx(place / "beside")
    model = onnx.load(folder / "toy.onnx")
    onnx.save(model, folder / "toy.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    return sorted(place.iterdir())


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    with Oracle("model_calls:encoder") as made:
        yield made


def mutated(healthy: list[Path], folder: Path, seed: int, number: int) -> str:
    """Write a mutated encoder folder, and say how it was made."""
    rng = np.random.default_rng([seed, number])
    source = healthy[rng.integers(len(healthy))]
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    names = ["toy.onnx", "toy.onnx", "encoder.json", *sorted(file.name for file in folder.iterdir())]
    name = names[rng.integers(len(names))]
    data = (folder / name).read_bytes()
    if name.endswith(".onnx"):
        data = (onnx_graph if rng.integers(4) else generic)(data, rng)
    else:
        data = (plain_json if name.endswith(".json") else generic)(data, rng)
    (folder / name).write_bytes(data)
    return f"{source.name}, {name} (mutant {number} of seed {seed})"


def run(oracle: Oracle, healthy: list[Path], folder: Path, seed: int, count: int) -> dict[str, int]:
    counts = {"answer": 0, "refused": 0}
    failures = []
    for number in range(count):
        origin = mutated(healthy, folder, seed, number)
        outcome, again = oracle.twice(folder)
        try:
            check(outcome, again, folder, origin=origin, named=(str(folder), "encoder.json"))
            counts[outcome.kind] += 1
        except AssertionError as error:
            failures.append(str(error))
    assert not failures, f"{len(failures)} after {counts}:\n" + "\n".join(failures)
    return counts


def test_healthy_folders_answer(oracle: Oracle, healthy: list[Path]) -> None:
    for folder in healthy:
        outcome, again = oracle.twice(folder)
        assert outcome.kind == "answer", (folder, outcome)
        check(outcome, again, folder)


def test_mutated_encoder_folders(oracle: Oracle, healthy: list[Path], tmp_path: Path) -> None:
    counts = run(oracle, healthy, tmp_path / "folder", 0, 150)
    assert counts["refused"] > 50
    assert counts["answer"] > 5


@pytest.mark.fuzz
def test_many_mutated_encoder_folders(oracle: Oracle, healthy: list[Path], tmp_path: Path) -> None:
    print(run(oracle, healthy, tmp_path / "folder", mutate.seed(), mutate.count()))  # noqa: T201
