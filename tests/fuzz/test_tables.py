"""Broken tables, predictions, folds, recipes and features are read or refused by name, quietly and in bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import table_files as files
from mutate import Mutator, count, mutants, seed
from oracle import Oracle, check, fuzz


@dataclass(frozen=True)
class Way:
    """A way of reading: the function, the name of the file, healthy files, mutations, and how many are tried."""

    call: str
    name: str
    seeds: Callable[[], dict[str, bytes]]
    more: Mapping[str, Mutator]
    tried: int = 100


WAYS = [
    Way("prepared", "table.csv", lambda: files.tables(".csv"), files.TEXT),
    Way("prepared", "table.jsonl", lambda: files.tables(".jsonl"), files.TEXT),
    Way("prepared", "table.parquet", lambda: files.tables(".parquet"), files.PARQUET, 200),
    Way("ours", "ours.parquet", files.our_tables, files.PARQUET, 150),
    Way("predicted", "predictions.parquet", files.our_predictions, files.PARQUET, 150),
    Way("scored", "theirs.csv", lambda: files.their_predictions(".csv"), files.TEXT),
    Way("scored", "theirs.jsonl", lambda: files.their_predictions(".jsonl"), files.TEXT),
    Way("folded", "folds.json", lambda: files.folds(".json"), files.TEXT),
    Way("folded", "folds.csv", lambda: files.folds(".csv"), files.TEXT),
    Way("loaded", "recipe.yaml", files.recipes, files.TEXT, 60),
    Way("mapped", "labels.yaml", files.mappings, files.TEXT, 60),
    Way("plain", "plain.json", lambda: files.folds(".json"), files.TEXT, 60),
    Way("plain", "plain.yaml", files.recipes, files.TEXT, 60),
    Way("looked_up", "arrays.npz", lambda: files.arrays(".npz"), files.ARCHIVE, 150),
    Way("looked_up", "arrays.csv", lambda: files.arrays(".csv"), files.TEXT),
    Way("looked_up", "arrays.safetensors", lambda: files.arrays(".safetensors"), files.SAFETENSORS),
]


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: way.name)
def way(request: pytest.FixtureRequest) -> Way:
    return request.param


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    with Oracle("table_calls:read") as oracle:
        yield oracle


@pytest.fixture
def path(way: Way, tmp_path: Path) -> Path:
    """Return where the file is written: its folder says how it is read."""
    (tmp_path / way.call).mkdir()
    return tmp_path / way.call / way.name


def test_healthy_files_are_read(way: Way, oracle: Oracle, path: Path) -> None:
    for name, data in way.seeds().items():
        path.write_bytes(data)
        outcome, again = oracle.twice(path)
        check(outcome, again, path, origin=name)
        assert outcome.kind == "answer", f"{name}: {outcome.message}"


def test_mutated_files(way: Way, oracle: Oracle, path: Path) -> None:
    counts = fuzz(oracle, mutants(way.seeds(), way.tried, more=way.more), path)
    assert counts["refused"] > 0.1 * way.tried  # mutations that break nothing find nothing


def test_pieces_of_time_that_contradict_each_other_name_the_table(oracle: Oracle, tmp_path: Path) -> None:
    """Found by mutant 217 of seed 101 of table.jsonl."""
    (tmp_path / "prepared").mkdir()
    path = tmp_path / "prepared" / "table.csv"
    path.write_text("path,label,start,end\na.wav,x,2,1\n")
    outcome, again = oracle.twice(path)
    check(outcome, again, path)
    assert outcome.kind == "refused"


@pytest.mark.fuzz
def test_many_mutated_files(way: Way, oracle: Oracle, path: Path) -> None:
    made = mutants(way.seeds(), count(), seed(), way.more)
    print(way.name, seed(), fuzz(oracle, made, path))  # noqa: T201 - with -s
