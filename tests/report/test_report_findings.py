from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from unheard.comparison.compare import compare
from unheard.metrics.formatting import percent
from unheard.report.comparisons import compared, leakage_gaps
from unheard.report.findings import Finding, baseline, certificate_of, findings
from unheard.report.system import System
from unheard.report.wording import STAMPS, meaning, points, printable
from unheard.report.worst import most_confidently_wrong

Make = Callable[..., System]


def said(systems: list[System]) -> list[Finding]:
    return findings(systems, compared(systems), leakage_gaps(systems))


def with_results(system: System, **changes: Any) -> System:
    return replace(system, results={**system.results, **changes})


def test_the_first_sentence_holds_score_interval_chance_and_majority(system: System) -> None:
    score = next(f.text for f in said([system]) if f.kind == "score").replace("\u00a0", " ")
    accuracy, uar = (system.results["metrics"][m] for m in ("accuracy", "uar"))
    expected = (
        f"{100 * accuracy['pooled']:.1f} % of 1,440 clips by 24 speakers are predicted correctly (95 % interval "
        f"[{100 * accuracy['low']:.1f}, {100 * accuracy['high']:.1f}]); chance is 12.5 %, always giving the "
        f"commonest class 13.3 %. UAR is {100 * uar['pooled']:.1f} % "
        f"[{100 * uar['low']:.1f}, {100 * uar['high']:.1f}]."
    )
    assert score == expected


def test_women_and_men_are_those_of_the_results(system: System) -> None:
    gap = system.results["groups"]["gender"]["difference"]["accuracy"]
    text = next(f.text for f in said([system]) if f.kind == "gender").replace("\u00a0", " ")
    women = 100 * system.results["groups"]["gender"]["female"]["accuracy"]["pooled"]
    assert text.startswith(f"Women {women:.1f} %, men ")
    assert f"{100 * gap['pooled']:+.1f} points" in text
    assert ("which excludes 0" in text) == (gap["low"] > 0 or gap["high"] < 0)


@pytest.mark.parametrize("stamp", [*STAMPS, "ENROLLED 3"])
def test_every_stamp_is_explained_and_cannot_be_missed(system: System, stamp: str) -> None:
    found = [f for f in said([with_results(system, stamps=[stamp])]) if f.kind == "stamp"]
    assert [f.text for f in found] == [f"{stamp}: {meaning(stamp)}."]
    assert found[0].grave and len(meaning(stamp)) > 20


def test_no_certificate_and_a_failed_one_are_grave(system: System) -> None:
    none = replace(system, certificate=None)
    assert certificate_of(none) == "none"
    (audit,) = [f for f in said([none]) if f.kind == "audit"]
    assert audit.grave and "nothing has checked" in audit.text
    failed = replace(
        system,
        certificate={"passed": False, "findings": [{"code": "X_Y", "severity": "error", "count": 3}]},
    )
    (audit,) = [f for f in said([failed]) if f.kind == "audit"]
    assert audit.grave and "failed: X_Y (error, 3)" in audit.text
    (audit,) = [f for f in said([system]) if f.kind == "audit"]
    assert not audit.grave and "16 training speakers" in audit.text and "SENTENCE" not in audit.text


def test_results_that_do_not_follow_from_the_predictions_are_told(system: System) -> None:
    assert not [f for f in said([system]) if f.kind == "warning"]
    metrics = {**system.results["metrics"]}
    metrics["accuracy"] = {**metrics["accuracy"], "pooled": metrics["accuracy"]["pooled"] + 0.002}
    (warning,) = [f for f in said([with_results(system, metrics=metrics)]) if f.kind == "warning"]
    assert warning.grave and "do not fit the predictions" in warning.text


def test_results_over_several_seeds_follow_from_the_predictions(make: Make) -> None:
    assert not [f for f in said([make(clips=8, seeds=3)]) if f.kind == "warning"]


def test_incomplete_runs_and_stale_certificates_are_told(system: System) -> None:
    texts = [f.text for f in said([with_results(system, incomplete=["fold 3: not asked for"])]) if f.grave]
    assert texts == ["This run is incomplete: fold 3: not asked for."]
    texts = [f.text for f in said([with_results(system, stamps=["LEAKY"])]) if f.kind == "warning"]
    assert len(texts) == 1 and "out of date" in texts[0]


def test_the_part_looked_at_least_is_told(system: System) -> None:
    held = {"speakers": ["17", "18"], "metrics": {"accuracy": {"pooled": 0.4321, "low": 0.4, "high": 0.47}}}
    texts = [f.text for f in said([with_results(system, held_back=held)]) if f.kind == "score"]
    assert "On the 2 speakers" in texts[1] and "43.2\u00a0% [40.0, 47.0]" in texts[1]


def test_where_scores_vary_is_told_in_points(system: System) -> None:
    parts = {"speaker": 0.0064, "fold": 0.0, "seed": None, "residual": 0.01}
    texts = [f.text for f in said([with_results(system, variance=parts)]) if f.kind == "spread"]
    assert texts == ["Standard deviation of accuracy, in points: 8.0 between speakers and 0.0 between folds."]


def test_baselines_are_read_in_every_form(system: System) -> None:
    bare = with_results(system, baselines={"chance": 0.2, "majority": {"accuracy": {"pooled": 0.3}}})
    assert baseline(bare, "chance", "accuracy") == 0.2
    assert baseline(bare, "majority", "accuracy") == 0.3
    assert baseline(bare, "majority", "uar") is None
    none = with_results(system, baselines=None)
    assert baseline(none, "chance", "uar") == 1 / 8 and baseline(none, "majority", "accuracy") is None


def test_pairs_are_those_of_the_comparison_itself(make: Make) -> None:
    a, b = make("a", clips=16, seed=1), make("b", clips=16, seed=2, right=0.8)
    (group,) = compared([a, b])
    (pair,) = group.pairs
    expected = compare(a.predictions, b.predictions, names=("a", "b"))
    assert pair == expected
    text = next(f.text for f in said([a, b]) if f.kind == "comparison")
    assert "Supported: b is more accurate than a" in text


def test_a_gap_between_other_numbers_of_training_clips_says_so(make: Make) -> None:
    def gap(leaky: int, independent: int) -> str:
        systems = [
            make(name, clips=8, stamps=stamps, protocol=protocol,
                 fits=[{"fold": f, "seed": 0, "n_train_clips": n} for f in range(2)])
            for name, stamps, protocol, n in (
                ("l", ("LEAKY",), "ravdess-random6", leaky), ("f", (), "ravdess-balanced6", independent))
        ]  # fmt: skip
        (found,) = [f.text for f in findings(systems, [], leakage_gaps(systems)) if f.kind == "leakage"]
        return found

    assert "UNEQUAL TRAINING: a fold trains on 384 clips where it is leaky, on 240 where it is not" in gap(
        384, 240
    )
    assert "the independent side has more" in gap(240, 384)
    assert "UNEQUAL" not in gap(240, 238)


def test_other_protocols_settings_or_clips_give_no_leakage_gap(make: Make) -> None:
    fair = make("fair", clips=8)
    leaky = make("leaky", clips=8, stamps=("LEAKY",), protocol="ravdess-random6")
    assert [(c.a, c.b) for c in leakage_gaps([fair, leaky])] == [("leaky", "fair")]
    assert compared([fair, leaky]) == []
    assert not leakage_gaps([with_results(fair, settings_hash="other"), leaky])
    assert not leakage_gaps([with_results(fair, settings_hash=None), with_results(leaky, settings_hash=None)])
    assert not leakage_gaps([with_results(fair, stamps=["UNVERIFIED"]), leaky])
    elsewhere = fair.predictions.with_columns((pl.lit("x") + pl.col("id")).alias("id"))
    assert not leakage_gaps([replace(fair, predictions=elsewhere), leaky])


def test_many_pairs_are_counted_instead_of_listed(make: Make) -> None:
    systems = [make(str(i), clips=4, seed=i, right=0.2 + 0.15 * i) for i in range(5)]
    texts = [f.text for f in said(systems) if f.kind == "comparison"]
    (group,) = compared(systems)
    shown = sum(c.supported for c in group.pairs)
    assert 0 < shown < 10 and len(texts) == 1 + shown
    assert f"{shown} of 10 differences are supported" in texts[0]


def test_a_clip_stands_once_among_the_worst_and_gold_answers_never(make: Make) -> None:
    system = make(clips=10, seeds=4, right=0.3)
    worst = most_confidently_wrong(system, most=1000)
    assert len({w.id for w in worst}) == len(worst)
    assert all(w.truth != w.predicted and w.sure >= w.true_probability for w in worst)
    assert [w.sure for w in worst] == sorted((w.sure for w in worst), reverse=True)
    assert all(w.path.endswith(f"{w.id}.wav") for w in worst)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("plain", "plain"),
        ("a\nb\x00", "a\ufffdb\ufffd"),
        ("\u202egnp.wav", "\ufffdgnp.wav"),
        ("\ud800", "\ufffd"),
    ],
)
def test_characters_that_break_or_turn_text_are_replaced(written: str, shown: str) -> None:
    assert printable(written) == shown


def test_numbers_are_written_as_in_the_field() -> None:
    assert [percent(v) for v in (0.50694, 1.0, None, float("nan"))] == ["50.7", "100.0", "–", "–"]
    assert [points(v) for v in (0.05, -0.123, 0.0)] == ["+5.0", "−12.3", "+0.0"]
    assert printable("0123456789abcdef", 10) == "012345…def" and len(printable("x" * 99, 10)) == 10
