"""The figures of votes, dimensions and confidence: what they show, and where there is nothing to show."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest

from unheard.metrics.k_best import second_answers
from unheard.metrics.rows import Rows, rows_with_truth
from unheard.predictions.table import predictions
from unheard.report.figures.risk_coverage import risk_coverage_chart
from unheard.report.figures.scatter import MOST, scatter_chart
from unheard.report.figures.second_answers import second_answers_chart
from unheard.report.figures.votes import votes_chart

NAMES = ("calm", "happy", "sad")


def made(n: int = 12, answered: bool = True) -> Rows:
    rng = np.random.default_rng(4)
    shares = rng.multinomial(5, [1 / 3] * 3, n) / 5
    p = rng.dirichlet(np.ones(3), n)
    truth, said = rng.random((2, n))
    frame = pl.DataFrame(
        {
            "system": "toy", "fold": 0, "id": [f"c{i:04d}" for i in range(n)], "speaker": "s",
            "label": [NAMES[i % 3] for i in range(n)], "target": shares.tolist(),
            "probabilities": p.tolist() if answered else [None] * n,
            "valence_true": truth, "valence": said if answered else [None] * n,
        },
        schema_overrides={"probabilities": pl.List(pl.Float64), "valence": pl.Float64},
    )  # fmt: skip
    return rows_with_truth(predictions(frame, NAMES))


def test_clips_are_shown_from_the_best_to_the_worst() -> None:
    chart = votes_chart("v", made())
    assert chart is not None
    divergence = [float(row[1]) for row in chart.rows]
    assert len(divergence) == 6 and divergence == sorted(divergence)
    for row in chart.rows:
        assert sum(map(float, row[2::2])) == pytest.approx(100, abs=0.2)
        assert sum(map(float, row[3::2])) == pytest.approx(100, abs=0.2)
    assert chart.svg.count("KL ") >= 6


def test_every_clip_is_in_the_table_of_dimensions_and_some_in_the_drawing() -> None:
    chart = scatter_chart("s", made(MOST + 50))
    assert chart is not None and str(MOST) in chart.note
    assert sum(int(row[2]) for row in chart.rows) == MOST + 50
    assert len(re.findall("<use", chart.svg)) < MOST + 60
    few = scatter_chart("s", made(5))
    assert few is not None and not few.note


def test_answering_all_is_wrong_as_often_as_the_errors_say() -> None:
    rows = made(60)
    chart = risk_coverage_chart("r", rows, {"pooled": 0.5, "low": 0.4, "high": 0.6})
    assert chart is not None and "0.500 [0.400, 0.600]" in chart.note
    assert chart.rows[-1][0] == "100.0"
    assert float(chart.rows[-1][2]) == pytest.approx(100 * (rows.label != rows.predicted).mean(), abs=0.05)


def test_second_answers_are_shares_of_the_first() -> None:
    counts = np.array([[0.0, 3, 1], [0, 0, 0], [10, 0, 0]])
    chart = second_answers_chart("s", counts, NAMES, 1)
    assert chart is not None and "calm comes second, where sad is answered: 100 % of 10 answers" in chart.note
    assert chart.rows[0] == ("calm", "0 (0.0 %)", "3 (75.0 %)", "1 (25.0 %)")
    assert chart.rows[1] == ("happy", "0", "0", "0")
    assert ">75<" in chart.svg and ">first answer<" in chart.svg
    # Of two classes the second is the other one.
    assert second_answers_chart("s", counts[:2, :2], NAMES[:2], 1) is None


def test_without_predictions_there_is_no_figure() -> None:
    silent = made(answered=False)
    assert votes_chart("v", silent) is None
    assert scatter_chart("s", silent) is None
    assert risk_coverage_chart("r", silent, None) is None
    assert second_answers_chart("s", second_answers(silent), NAMES, 1) is None
