"""The oracle catches each fault that it is there for, when the fault is planted; mutations can be made again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from mutate import GENERIC, mutant, mutants
from oracle import Oracle, check, fuzz


@pytest.fixture(scope="module")
def planted() -> Iterator[Oracle]:
    with Oracle("planted:read", seconds=2.0, limit=50 << 20) as oracle:
        yield oracle


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("foreign", "foreign: builtins.OverflowError int too big"),
        ("panic", "foreign: planted.Panic a panic"),
        ("hang", "hang: no answer in time"),
        ("loop", "hang: no answer in time"),
        ("died", "died: the process ended with status -11"),
        ("touched", "memory: touched"),
        ("asked", "memory: .*MemoryError"),
        ("stdout", r"printed on stdout: 'by a C library\\n'"),
        ("stderr", r"printed on stderr: 'by a C library\\n'"),
        ("warning", "printed on stderr: .*by Python"),
        ("repeat", "answered otherwise when asked again"),
        ("nameless", "without the name of the file: something is wrong"),
    ],
)
def test_a_planted_fault_is_caught(planted: Oracle, tmp_path: Path, fault: str, said: str) -> None:
    path = tmp_path / "input"
    path.write_text(fault)
    with pytest.raises(AssertionError, match=said) as caught:
        check(*planted.twice(path), path, origin="planted")
    assert str(caught.value).startswith("planted: ")
    assert Path(str(caught.value).rpartition("kept as ")[2]).read_text() == fault


def test_answers_and_refusals_pass_also_after_a_death(planted: Oracle, tmp_path: Path) -> None:
    path = tmp_path / "input"
    for fault, kind in [("", "answer"), ("died", "died"), ("refused", "refused"), ("", "answer")]:
        path.write_text(fault)
        outcome, again = planted.twice(path)
        assert outcome.kind == kind
        if kind != "died":
            check(outcome, again, path)
            assert (outcome.stdout, outcome.stderr) == ("", "")


def test_failures_of_a_series_are_told_together(planted: Oracle, tmp_path: Path) -> None:
    class Each:
        def __init__(self, fault: str) -> None:
            self.data, self.origin = fault.encode(), f"mutant {fault}"

    with pytest.raises(AssertionError, match=r"mutant foreign: (.|\n)*mutant stdout: ") as caught:
        fuzz(planted, map(Each, ("", "foreign", "refused", "stdout")), tmp_path / "input")
    assert "{'answer': 1, 'refused': 1}" in str(caught.value)
    assert fuzz(planted, map(Each, ("", "refused")), tmp_path / "input") == {"answer": 1, "refused": 1}


def test_mutations_are_those_of_their_seed() -> None:
    seeds = {"a": bytes(range(256)) * 4, "b": b"short", "c": b""}
    made = list(mutants(seeds, 300, seed=3))
    assert made == list(mutants(seeds, 300, seed=3))
    assert made[17] == mutant(seeds, 3, 17)
    assert len({each.data for each in made}) > 200
    assert made != list(mutants(seeds, 300, seed=4))
    told = " ".join(each.origin for each in made)
    assert all(name in told for name in (*GENERIC, "splice"))
    for name, mutate in GENERIC.items():
        changed = [mutate(seeds["a"], np.random.default_rng(k)) for k in range(20)]
        assert any(data != seeds["a"] for data in changed), name
