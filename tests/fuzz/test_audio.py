"""Broken recordings are answered or refused by name, quietly, in bounds, and without harm to their neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from audio_files import STRUCTURED, recordings
from mutate import count, mutants, seed
from oracle import Oracle, check, fuzz

WAYS = {"read": 250, "predict": 40, "command": 6}


@pytest.fixture(scope="module")
def seeds() -> dict[str, bytes]:
    return recordings()


@pytest.fixture(scope="module", params=sorted(WAYS))
def way(request: pytest.FixtureRequest) -> Iterator[tuple[str, Oracle]]:
    with Oracle(f"audio_calls:{request.param}") as oracle:
        yield request.param, oracle


def test_healthy_recordings_are_answered(seeds: dict[str, bytes], tmp_path: Path) -> None:
    assert len(seeds) > 35
    path = tmp_path / "recording"
    with Oracle("audio_calls:read") as oracle:
        for name, data in seeds.items():
            path.write_bytes(data)
            outcome, again = oracle.twice(path)
            check(outcome, again, path, origin=name)
            assert outcome.kind == "answer", f"{name}: {outcome.message}"


def test_mutated_recordings(way: tuple[str, Oracle], seeds: dict[str, bytes], tmp_path: Path) -> None:
    counts = fuzz(way[1], mutants(seeds, WAYS[way[0]], more=STRUCTURED), tmp_path / "recording")
    # Mutations that break everything, or nothing, find nothing. Few are too few to tell.
    assert WAYS[way[0]] < 20 or min(counts.values()) > 0.1 * WAYS[way[0]]


@pytest.mark.fuzz
def test_many_mutated_recordings(way: tuple[str, Oracle], seeds: dict[str, bytes], tmp_path: Path) -> None:
    share = {"read": 1.0, "predict": 0.2, "command": 0.02}[way[0]]
    made = mutants(seeds, round(count() * share), seed(), STRUCTURED)
    print(way[0], seed(), fuzz(way[1], made, tmp_path / "recording"))  # noqa: T201 - with -s
