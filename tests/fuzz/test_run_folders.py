"""Damaged run folders are read, mended or refused by name, quietly and in bounds, whatever reads them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from mutate import count, seed
from oracle import SANE, Oracle, check
from run_folders import damaged

import unheard as ut
from unheard.predictions.table import probabilities
from unheard.runs.folder import Run
from unheard.testing import toy_corpus

#: Ways of reading, and how often each is tried with every test: some take seconds.
WAYS = {"report": 5, "compare": 15, "fuse": 10, "export": 8, "score": 15, "resume": 8}
#: What a way reads, where that is little of the folder.
READ = {"score": ("table.parquet", "protocol.json")}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a healthy run, another one, and predictions of another system."""
    place = tmp_path_factory.mktemp("runs")
    table = toy_corpus(place / "corpus", speakers=4)
    run = ut.run("functionals", table, ut.protocol("group-4", table), out=place / "healthy", jobs=2)
    fewer = {"head.grid": [0.01]}
    ut.run("functionals", table, ut.protocol("group-3", table), out=place / "other", jobs=2, changes=fewer)
    _external(run, place / "external.csv")
    return place


def _external(run: Run, path: Path) -> None:
    test = run.predictions.filter(part="test")
    names = test["label"].dtype.categories
    columns = {f"p_{name}": column for name, column in zip(names, probabilities(test).T, strict=True)}
    test.select("id").with_columns(**columns).write_csv(path)


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    with Oracle("run_calls:read", seconds=60) as oracle:
        yield oracle


def tried(oracle: Oracle, place: Path, way: str, tries: int, seed: int) -> dict[str, int]:
    """Damage the healthy run so many times and read it; return how many were answered and refused."""
    counts = {"answer": 0, "refused": 0}
    path = place / way / "mutated"
    path.parent.mkdir(exist_ok=True)
    failures = []
    for number in range(tries):
        what = (place / "healthy", place / "other", path, seed, number, READ.get(way, ()))
        origin = damaged(*what)
        outcome = again = oracle.ask(path)
        if outcome.kind in SANE:
            damaged(*what)  # resuming mends what it finds
            again = oracle.ask(path)
        try:
            # Folds that are whole and others do not fit the predictions, and these are named.
            check(outcome, again, path, origin=origin, named=(path.name, "external.csv"))
        except AssertionError as error:
            failures.append(str(error))
        else:
            counts[outcome.kind] += 1
    assert not failures, f"{len(failures)} of {tries}:\n" + "\n".join(failures)
    return counts


@pytest.mark.parametrize("way", WAYS)
def test_a_healthy_run_is_read(oracle: Oracle, place: Path, way: str) -> None:
    path = place / way / "mutated"
    shutil.copytree(place / "healthy", path)
    outcome, again = oracle.twice(path)
    check(outcome, again, path)
    assert outcome.kind == "answer", outcome.message


@pytest.mark.parametrize("way", WAYS)
def test_damaged_runs(oracle: Oracle, place: Path, way: str) -> None:
    counts = tried(oracle, place, way, WAYS[way], seed=0)
    if WAYS[way] >= 10:
        assert counts["refused"]  # damage that breaks nothing finds nothing


@pytest.mark.fuzz
@pytest.mark.parametrize("way", WAYS)
def test_many_damaged_runs(oracle: Oracle, place: Path, way: str) -> None:
    print(way, seed(), tried(oracle, place, way, count() // len(WAYS), seed()))  # noqa: T201 - with -s
