"""Scores as lines of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from unheard.metrics.formatting import and_interval, difference, mean_and_interval, percent

if TYPE_CHECKING:
    from unheard.comparison.compare import Comparison


def score_lines(results: Mapping[str, Any]) -> list[str]:
    """Return headline, baselines and marks of ``results.json`` as lines."""
    from unheard.metrics.blocks import stored_metrics

    name = results["recipe"] + ("+val" if results["refit"] == "val" else "")
    trained, tested = results["n_train_speakers"], results["n_speakers"]
    training = f"{trained} training speakers, " if trained else ""
    lines = [f"{name} on {results['protocol']} ({training}{tested or 'unknown speakers'} tested)"]
    if results["stamps"]:
        lines.append(f"  {' · '.join(results['stamps'])}")
    for metric, label in (("accuracy", "accuracy"), ("uar", "UAR"), ("macro_f1", "macro-F1")):
        if metric in results["metrics"]:
            lines.append(f"  {label:10} {estimate(results['metrics'][metric])}")
    if "baselines" in results:
        chance, majority = (results["baselines"][name]["accuracy"] for name in ("chance", "majority"))
        lines.append(f"  {'chance':10} {percent(chance)} %, majority {percent(majority['mean'])} %")
    for other, value in stored_metrics({**results, "metrics": {}}):
        unit = " %" if other.percent else ""
        lines.append(f"  {other.label:21} {mean_and_interval(value, other.percent)}{unit}")
    lines.extend(_enrolment_lines(results.get("enrolment", ())))
    lines.extend(f"  incomplete: {reason}" for reason in results.get("incomplete", ()))
    return lines


def _enrolment_lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what knowing clips of a speaker brings; the scores above know none."""
    lines = []
    for row in found:
        if row["kind"] == "neutral" or row["clips"] not in (1, 8, None):
            continue
        known = {1: "one clip", 8: "8 clips"}.get(row["clips"], "all clips, which are scored too")
        gain = difference(*(row["difference"][end] for end in ("value", "low", "high")))
        lines.append(
            f"  knowing {known}: accuracy {percent(row['accuracy']['pooled'])} %, on the same {row['n_clips']} "
            f"clips with none {percent(row['before'])} %; {gain} points over speakers"
        )
    return lines


def fusion_lines(fusion: Mapping[str, Any]) -> list[str]:
    """Compare a fusion with its best run; ``fusion`` is what ``results.json`` holds under that name."""
    from unheard.comparison.compare import Comparison
    from unheard.comparison.wording import describe

    by = f"best by {fusion['chosen_by']}"
    held = f"{fusion['held']} of {fusion['of']} folds and seeds"
    lines = [f"  weights {fusion['weights']}; on test at least as good as its best run ({by}) in {held}"]
    lines += [f"  {line}" for line in describe(Comparison.from_dict(fusion["comparison"])).splitlines()[:2]]
    return lines


def estimate(value: Mapping[str, float | None]) -> str:
    """Return ``50.7 ± 5.1 % [47.8, 53.4]``: mean and spread over folds, interval over speakers."""
    sd = "" if value["sd"] is None else f" ± {percent(value['sd'])}"
    return f"{percent(value['mean'])}{sd} %{and_interval(value['low'], value['high'])}"


def premium_line(leaky: Mapping[str, Any], independent: Mapping[str, Any], found: Comparison) -> str:
    """Say in one line what a leak is worth."""
    gain = difference(found.difference, found.low, found.high)
    return (
        f"leakage gap of {independent['recipe']}: {gain} points on "
        f"{leaky['protocol']} over {independent['protocol']}, {found.n_clips} clips of {found.n_speakers} speakers"
    )
