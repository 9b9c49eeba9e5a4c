"""What every metric must hold, asked of every metric that a walk of the room finds.

A metric belongs to a block, or it is a public function whose first parameter is ``counts`` or ``probabilities``
(with ``labels``) and that returns one number, or whose first parameter is ``predictions``. A new one is checked as
soon as it exists.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose

import unheard.metrics
from unheard.comparison.exchange import differences
from unheard.metrics.block import Block, Metric
from unheard.metrics.blocks import blocks
from unheard.metrics.categorical import confusion
from unheard.metrics.estimators import estimate_block
from unheard.metrics.rows import Rows, rows_with_truth
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
    # is_right predicted clip by clip, in the order of the clips.
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


def targets(skill: float, seed: int = 0, answered: float = 1.0) -> pl.DataFrame:
    """Twelve speakers with labels, votes and two dimensions; with a skill of 1 every predicted is the truth."""
    fixed, rng = np.random.default_rng(8), np.random.default_rng([9, seed])
    rows = []
    for s in range(12):
        for i in range(8):
            shares = fixed.multinomial(5, fixed.dirichlet(np.full(CLASSES, 0.5))) / 5
            # The winner has all votes where the label is known, so that certainty can be right.
            label = int(shares.argmax())
            shares = np.eye(CLASSES)[label] if i % 2 else shares
            dimensions = fixed.random(2)
            p = skill * shares + (1 - skill) * rng.dirichlet(np.full(CLASSES, 0.4))
            guesses = skill * dimensions + (1 - skill) * rng.random(2)
            silent = rng.random() >= answered
            rows.append(
                {
                    "system": "toy",
                    "fold": s % 3,
                    "id": f"{s:02d}-{i}",
                    "speaker": f"s{s}",
                    "label": "abcd"[label] if i % 2 else None,
                    "target": shares.tolist(),
                    "probabilities": None if silent else p.tolist(),
                    "activation_true": dimensions[0],
                    "valence_true": dimensions[1] if i else None,
                    "activation": None if silent else guesses[0],
                    "valence": None if silent else guesses[1],
                }
            )
    return predictions(pl.DataFrame(rows, infer_schema_length=None), tuple("abcd"))


ROWS = rows_with_truth(targets(0.05))
EVERY_BLOCK = [pytest.param(block, id=block.name) for block in blocks(ROWS)]
EVERY_METRIC = [pytest.param(block, m, id=m.name) for block in blocks(ROWS) for m in block.metrics]


def scored(block: Block, rows: Rows) -> dict[str, float]:
    return {name: float(value) for name, value in block.scores(block.columns(rows).sum(axis=0)).items()}


def test_every_block_of_the_room_is_listed() -> None:
    there = {
        thing
        for module in pkgutil.iter_modules(unheard.metrics.__path__)
        for thing in vars(importlib.import_module(f"unheard.metrics.{module.name}")).values()
        if inspect.isclass(thing)
        and {"known", "columns", "scores"} <= set(vars(thing))
        and thing is not Block
    }
    assert {type(param.values[0]) for param in EVERY_BLOCK} == there
    names = [metric.name for param in EVERY_BLOCK for metric in param.values[0].metrics]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("block", EVERY_BLOCK)
def test_a_block_scores_what_it_names(block: Block) -> None:
    assert list(scored(block, ROWS)) == [metric.name for metric in block.metrics]


@pytest.mark.parametrize("block", EVERY_BLOCK)
def test_rows_of_a_block_have_no_order_and_stay_as_they_are(block: Block) -> None:
    t = targets(0.5, answered=0.9)
    before = t.clone()
    found = scored(block, rows_with_truth(t))
    assert t.equals(before)
    assert scored(block, rows_with_truth(t.sample(fraction=1, shuffle=True, seed=1))) == found
    values = block.columns(ROWS)
    order = np.random.default_rng(0).permutation(len(values))
    assert_allclose(block.columns(ROWS.where(order >= 0))[order].sum(axis=0), values.sum(axis=0), atol=1e-12)


@pytest.mark.parametrize("block", EVERY_BLOCK)
def test_sums_of_speakers_add_up_to_the_score_of_all(block: Block) -> None:
    speakers = ROWS.frame["speaker"].to_numpy()
    each = np.stack([block.columns(ROWS.where(speakers == s)).sum(axis=0) for s in np.unique(speakers)])
    whole = scored(block, ROWS)
    for times in (1, 10):
        added = block.scores(times * each.sum(axis=0))
        assert {name: pytest.approx(float(value)) for name, value in added.items()} == whole
    # Draws and seeds are leading axes.
    stack = block.scores(np.stack([[each[0], each.sum(axis=0)], [each[1], each[2]]]))
    assert {name: pytest.approx(float(value[0, 1])) for name, value in stack.items()} == whole


@pytest.mark.parametrize("block", EVERY_BLOCK)
def test_without_clips_there_is_no_score_and_no_warning(block: Block) -> None:
    width = block.columns(ROWS).shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = block.scores(np.zeros((2, width)))
    assert all(np.isnan(value).all() and value.shape == (2,) for value in found.values())


@pytest.mark.parametrize("block", EVERY_BLOCK)
def test_rows_without_the_truth_of_a_block_count_nowhere(block: Block) -> None:
    known = block.known(ROWS)
    assert scored(block, ROWS.where(known)) == scored(block, ROWS)
    if not known.all():
        assert not block.columns(ROWS)[~known].any()


@pytest.mark.parametrize(("block", "metric"), EVERY_METRIC)
def test_the_truth_is_the_best_answer_and_no_answer_is_none(block: Block, metric: Metric) -> None:
    best = scored(block, rows_with_truth(targets(1.0)))[metric.name]
    others = [scored(block, rows_with_truth(targets(0.05, seed=n)))[metric.name] for n in range(10)]
    silent = scored(block, rows_with_truth(targets(1.0, answered=0.5)))[metric.name]
    assert len({np.sign(best - other) for other in (*others, silent)}) == 1
    assert best != silent


@pytest.mark.parametrize("block", EVERY_BLOCK)
def test_every_metric_has_spread_an_interval_and_a_paired_comparison(block: Block) -> None:
    found = estimate_block(block, ROWS, draws=200)
    other = differences(
        block, *(r.where(block.known(r)) for r in (ROWS, rows_with_truth(targets(0.02)))), draws=200
    )
    for metric in block.metrics:
        assert all(np.isfinite(found[metric.name][part]) for part in ("mean", "sd", "pooled", "low", "high"))
        assert found[metric.name]["low"] < found[metric.name]["high"]
        gap = other[metric.name]
        assert gap.low <= gap.difference <= gap.high and 2 / 2**12 <= gap.p <= 1
    alike = differences(block, ROWS.where(block.known(ROWS)), ROWS.where(block.known(ROWS)), draws=50)
    assert {(gap.difference, gap.p) for gap in alike.values()} == {(0.0, 1.0)}
