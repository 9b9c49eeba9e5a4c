"""What every metric must hold, asked of every metric that a walk of the room finds.

A metric is a public function whose first parameter is ``counts`` or ``probabilities`` (with ``labels``) and that
returns one number, or whose first parameter is ``predictions``. A new one is checked as soon as it exists.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose

import unheard.metrics
from unheard.metrics.categorical import confusion
from unheard.predictions.table import predictions

CLASSES = 4
#: The better, the larger.
OF_COUNTS = "counts"
#: The better, the smaller.
OF_PROBABILITIES = "probabilities"
OF_TABLES = "predictions"


def found() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public function of the room, with the name of its first parameter."""
    for module in pkgutil.iter_modules(unheard.metrics.__path__):
        loaded = importlib.import_module(f"unheard.metrics.{module.name}")
        for name, function in vars(loaded).items():
            if inspect.isfunction(function) and function.__module__ == loaded.__name__ and name[0] != "_":
                first = [*inspect.signature(function).parameters, "", ""][:2]
                yield (first[0] if first[0] != OF_PROBABILITIES or first[1] == "labels" else ""), function


def of(kind: str) -> list[Any]:
    functions = [f for first, f in found() if first == kind and not f.__name__.startswith("clip_")]
    return [pytest.param(f, id=f.__name__) for f in functions]


def numbers(result: Any) -> np.ndarray:
    """Flatten whatever a metric returns."""
    parts = vars(result).values() if hasattr(result, "__dict__") else [result]
    return np.concatenate([np.ravel(np.asarray(part, dtype=float)) for part in parts])


def draw(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(CLASSES, 0.7), n), rng.integers(0, CLASSES, n)


def counts_of(seed: int) -> np.ndarray:
    p, y = draw(seed)
    return confusion(y, np.where(p.max(axis=1) < 0.4, -1, p.argmax(axis=1)), CLASSES)


def test_the_walk_finds_the_metrics() -> None:
    names = {kind: {param.id for param in of(kind)} for kind in (OF_COUNTS, OF_PROBABILITIES, OF_TABLES)}
    assert names[OF_COUNTS] >= {"accuracy", "uar", "macro_f1", "weighted_f1", "per_class"}
    assert names[OF_PROBABILITIES] >= {"nll", "brier", "ece", "reliability"}
    assert names[OF_TABLES] >= {"estimate", "folds", "per_gender", "per_speaker", "variance_split"}


@pytest.mark.parametrize("metric", of(OF_COUNTS))
def test_counts_stay_as_they_are_and_scores_in_their_bounds(metric: Callable[..., Any]) -> None:
    counts = counts_of(0)
    before = counts.copy()
    result = metric(counts)
    assert_allclose(counts, before)
    if not hasattr(result, "__dict__"):
        assert 0 <= result <= 1
        assert metric(np.hstack([np.diag([3.0, 1, 4, 1]), np.zeros((4, 1))])) == 1
        assert metric(np.hstack([np.zeros((4, 4)), np.ones((4, 1))])) == 0


@pytest.mark.parametrize("metric", of(OF_COUNTS))
def test_counts_ten_times_over_are_the_same_score(metric: Callable[..., Any]) -> None:
    once, often = metric(counts_of(1)), metric(10 * counts_of(1))
    if not hasattr(once, "__dict__"):
        assert_allclose(often, once)


@pytest.mark.parametrize("metric", of(OF_COUNTS))
def test_counts_know_no_class_order(metric: Callable[..., Any]) -> None:
    counts, order = counts_of(2), [2, 0, 3, 1]
    renamed = counts[order][:, [*order, CLASSES]]
    assert_allclose(np.sort(numbers(metric(renamed))), np.sort(numbers(metric(counts))))


@pytest.mark.parametrize("metric", of(OF_COUNTS))
def test_counts_map_over_leading_axes(metric: Callable[..., Any]) -> None:
    stack = np.stack([[counts_of(i), counts_of(i + 3)] for i in range(3)])
    whole, one = metric(stack), metric(stack[1, 1])
    if hasattr(one, "__dict__"):
        for name, value in vars(whole).items():
            assert_allclose(value[1, 1], getattr(one, name))
    else:
        assert_allclose(whole[1, 1], one)


@pytest.mark.parametrize("metric", of(OF_PROBABILITIES))
def test_probabilities_stay_as_they_are_and_clips_have_no_order(metric: Callable[..., Any]) -> None:
    p, y = draw(3)
    p[:3] = np.nan
    before = p.copy()
    result = numbers(metric(p, y))
    assert_allclose(p, before)
    order = np.random.default_rng(0).permutation(len(y))
    shuffled = numbers(metric(p[order], y[order]))
    # is_right answers clip by clip, in the order of the clips.
    assert_allclose(shuffled, result[order] if len(result) == len(y) else result, rtol=1e-12)


@pytest.mark.parametrize("metric", [f for f in of(OF_PROBABILITIES) if f.id in ("nll", "brier", "ece")])
def test_certain_and_right_is_best(metric: Callable[..., Any]) -> None:
    p, y = draw(4)
    assert metric(np.eye(CLASSES)[y], y) == 0
    assert metric(p, y) > 0


def table(seeds: int = 2) -> pl.DataFrame:
    rng = np.random.default_rng(5)
    rows = [
        {
            "system": "toy",
            "protocol_hash": "h",
            "fold": s % 2,
            "seed": k,
            "id": f"{s}-{i}",
            "speaker": f"s{s}",
            "gender": ("female", "male")[s % 2],
            "label": "abcd"[i % 4],
            "probabilities": None if rng.random() < 0.05 else rng.dirichlet(np.ones(4)).tolist(),
        }
        for s in range(10)
        for k in range(seeds)
        for i in range(12)
    ]
    return predictions(pl.DataFrame(rows), tuple("abcd"))


def plain(result: Any) -> Any:
    return result.to_dicts() if isinstance(result, pl.DataFrame) else result


@pytest.mark.parametrize("metric", of(OF_TABLES))
def test_rows_of_a_table_have_no_order(metric: Callable[..., Any]) -> None:
    t = table()
    before = t.clone()
    result = plain(metric(t))
    assert t.equals(before)
    assert plain(metric(t.sample(fraction=1, shuffle=True, seed=1))) == result


@pytest.mark.parametrize("metric", of(OF_TABLES))
def test_validation_rows_of_a_table_count_nowhere(metric: Callable[..., Any]) -> None:
    t = table()
    val = t.with_columns(part=pl.lit("val", t.schema["part"]), fold=1 - pl.col("fold"))
    assert plain(metric(pl.concat([t, val]))) == plain(metric(t))
