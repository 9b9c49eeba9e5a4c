"""Scores as lines of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from unheard.metrics.formatting import and_interval, counted, difference, headline, over_folds, percent

if TYPE_CHECKING:
    from unheard.comparison.compare import Comparison
    from unheard.metrics.block import Metric


def brief_lines(results: Mapping[str, Any], name: str) -> list[str]:
    """Return the answer in two lines, and a third with its stamps where it has some.

    ``results`` is what ``results.json`` holds, or what :func:`unheard.external.score_bundle.score_bundle` returns.
    """
    from unheard.metrics.blocks import stored_metrics

    found = {metric.name: (metric, estimate) for metric, estimate in stored_metrics(results)}
    first = [f"{name} on {results['protocol']}" if "protocol" in results else name]
    for metric, estimate in _speaking(found):
        first.append(f"{metric.label} {headline_with_unit(metric, estimate)}")
    who = counted(results["n_speakers"], "speaker") if results["n_speakers"] else "unknown speakers"
    second = [f"{counted(results['n_clips'], 'clip')} of {who}", *_baselines(results)]
    lines = [f"{first[0]}: {', '.join(first[1:])}", "  " + ", ".join(second)]
    return lines + ([f"  {' · '.join(results['stamps'])}"] if results["stamps"] else [])


def _speaking(found: Mapping[str, Any]) -> list[Any]:
    """Return the metrics that speak first: of classes, else of dimensions, else of distributions."""
    groups = (("accuracy", "uar"), ("mean.ccc", "mean.mae"), ("kl", "jensen_shannon"))
    return next(([found[n] for n in names] for names in groups if all(n in found for n in names)), [])


def headline_with_unit(metric: Metric, estimate: Mapping[str, float | None]) -> str:
    """Return ``50.6 % [47.8, 53.4]`` for shares, ``0.412 [0.377, 0.449]`` for other scores."""
    if not metric.percent:
        return headline(estimate, in_percent=False)
    return f"{percent(estimate['pooled'])} %{and_interval(estimate['low'], estimate['high'])}"


def _baselines(results: Mapping[str, Any]) -> list[str]:
    """Say what guessing gives, and what always predicting the commonest class gives."""
    if "baselines" not in results:
        return []
    chance, majority = (results["baselines"][name]["accuracy"] for name in ("chance", "majority"))
    return [f"chance {percent(chance)} %", f"always the commonest class {percent(majority['pooled'])} %"]


def bundle_lines(made: Mapping[str, Any]) -> list[str]:
    """Return what else is known of a bundle's score: the other metrics, and what it did not answer."""
    from unheard.metrics.blocks import stored_metrics

    lines = [
        f"  {metric.label:11} {headline_with_unit(metric, estimate)}"
        for metric, estimate in stored_metrics(made)
        if metric.name not in ("accuracy", "uar", "ece")
    ]
    lines.append(f"  {'ECE':11} {made['metrics']['ece']['pooled']:.3f}")
    if made["n_unanswered"]:
        lines.append(
            f"  {counted(made['n_unanswered'], 'clip')} without a prediction, which counts as an error"
        )
    if made["n_unsure"]:
        selective = made["selective"]
        right = "" if selective["accuracy"] is None else f", right {percent(selective['accuracy'])} %"
        sure = percent(selective["coverage"], 0)
        lines.append(f"  predictions that are sure enough for this bundle: {sure} %{right}")
    return lines


def score_lines(results: Mapping[str, Any], calibration: bool = False) -> list[str]:
    """Return headline, baselines and marks of ``results.json`` as lines; with ECE, NLL and Brier on demand."""
    from unheard.metrics.blocks import stored_metrics

    name = results["recipe"] + ("+val" if results["refit"] == "val" else "")
    trained, tested = results["n_train_speakers"], results["n_speakers"]
    training = f"{counted(trained, 'training speaker')}, " if trained else ""
    lines = [f"{name} on {results['protocol']} ({training}{tested or 'unknown speakers'} tested)"]
    lines += [f"  with {text}" for text in results.get("changed", ())]
    lines += [f"  {' · '.join(results['stamps'])}"] if results["stamps"] else []
    # The other scores are in the report.
    known = ("accuracy", "uar", "macro_f1")
    rest = {*results["metrics"], *results.get("k_best", ())}
    rest |= {name for name in results.get("dimensions", ()) if name.endswith(".rmse")}
    rows = [
        (metric.label, estimate_with_folds(metric, estimate))
        for metric, estimate in stored_metrics(results)
        if metric.name in known or metric.name not in rest
    ]
    if "baselines" in results:
        chance, majority = (results["baselines"][which]["accuracy"] for which in ("chance", "majority"))
        where = next((i + 1 for i, row in enumerate(rows) if row[0] == "macro F1"), len(rows))
        rows[where:where] = [
            ("chance", f"{percent(chance)} %"),
            ("commonest class", f"{percent(majority['pooled'])} %"),
        ]
    if calibration and results["metrics"]:
        rows += [
            (label, f"{results['metrics'][label.lower()]['pooled']:.3f}") for label in ("ECE", "NLL", "Brier")
        ]
    width = max((len(label) for label, _ in rows), default=0)
    lines += [f"  {label:{width}}  {value}" for label, value in rows]
    lines.extend(enrolment_lines(results.get("enrolment", ())))
    lines.extend(f"  incomplete: {reason}" for reason in results.get("incomplete", ()))
    return lines


def estimate_with_folds(metric: Metric, value: Mapping[str, float | None]) -> str:
    """Return ``50.6 % [47.8, 53.4], over folds 50.7 ± 5.1``: over all test clips, then mean and spread over folds.

    The interval is that of the score over all test clips. Without folds the second half is left out.
    """
    folds = "" if value["sd"] is None else f", over folds {over_folds(value, metric.percent)}"
    return headline_with_unit(metric, value) + folds


def enrolment_lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what knowing clips of a speaker brings; the scores above know none."""
    lines = []
    for row in found:
        if row["kind"] == "neutral" or row["clips"] not in (1, 8, None):
            continue
        known = {1: "one clip", 8: "8 clips"}.get(row["clips"], "all clips, which are scored too")
        gain = difference(*(row["difference"][end] for end in ("value", "low", "high")))
        lines.append(
            f"  knowing {known}: accuracy {percent(row['accuracy']['pooled'])} %, on the same "
            f"{counted(row['n_clips'], 'clip')} with none {percent(row['before'])} %; {gain} points over speakers"
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


def premium_line(leaky: Mapping[str, Any], independent: Mapping[str, Any], found: Comparison) -> str:
    """Say in one line what a leak is worth."""
    gain = difference(found.difference, found.low, found.high)
    return (
        f"leakage gap of {independent['recipe']}: {gain} points on "
        f"{leaky['protocol']} over {independent['protocol']}, {counted(found.n_clips, 'clip')} of "
        f"{counted(found.n_speakers, 'speaker')}"
    )
