"""A comparison in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from unheard.comparison.compare import Comparison
from unheard.comparison.paired import MIN_SPEAKERS
from unheard.errors import escaped
from unheard.metrics.dimensional import MEAN
from unheard.metrics.formatting import counted, number, p_scientific, percent, signed


def describe(comparison: Comparison) -> str:
    """Say what a comparison found, one statement a line, the verdict before the details.

    A comparison across protocols says so in its first line. Differences of shares are in percentage points.
    """
    c = replace(comparison, a=escaped(comparison.a), b=escaped(comparison.b))
    lines = []
    if c.across:
        lines.append(
            f"Across protocols: {c.a} was tested on {escaped(c.protocol_a or 'an unknown protocol')}, "
            f"{c.b} on {escaped(c.protocol_b or 'an unknown protocol')}."
        )
    lines += [_verdict(c), _evidence(c), _clips(c)]
    lines += [_mark(c)] if c.marks else []
    lines += ["Secondary, and never decisive:", *(f"  {line}" for line in _secondary(c))]
    return "\n".join(lines)


def verdict(comparison: Comparison) -> str:
    """Say in one statement whether a difference is supported, and with what."""
    return _verdict(replace(comparison, a=escaped(comparison.a), b=escaped(comparison.b)))


def brief(comparison: Comparison, *, alone: bool = True) -> str:
    """Say what a comparison found in three lines (verdict, evidence, clips); of one among several the verdict.

    A comparison across protocols says so in its first line, and too few speakers in the last.
    """
    lines = describe(comparison).partition("Secondary, and never decisive:")[0].rstrip().splitlines()
    return "\n".join(lines if alone else lines[: 2 if comparison.across else 1])


#: Numbers of training clips that differ by less than this share are alike.
_ALIKE = 0.05


def unequal_training(leaky: float | None, independent: float | None) -> str | None:
    """Say that the two sides of a leakage gap were trained on other numbers of clips; None where they were not.

    Parameters
    ----------
    leaky, independent
        Mean number of training clips of a fold; None where nobody knows.
    """
    if not leaky or not independent or abs(leaky - independent) <= _ALIKE * max(leaky, independent):
        return None
    more, less = ("leaky", "independent") if leaky > independent else ("independent", "leaky")
    return (
        f"UNEQUAL TRAINING: a fold trains on {leaky:,.0f} clips where it is leaky, on {independent:,.0f} where it "
        f"is not; part of the gap is that the {more} side has more to learn from than the {less} one."
    )


#: What the metrics that decide are called.
_CALLED = {"accuracy": "accuracy", "kl": "KL", f"{MEAN}.ccc": "mean CCC"}


def _verdict(c: Comparison) -> str:
    called = _CALLED[c.metric]
    if c.supported:
        better, worse = (c.a, c.b) if c.a_is_better else (c.b, c.a)
        how = "is more accurate than" if c.metric == "accuracy" else f"has the better {called} than"
        return f"Supported: {better} {how} {worse} by {_size(c, abs(c.difference))}."
    of = " of accuracy" if c.metric == "accuracy" else f" in {called}"
    line = f"Not shown: {c.a} and {c.b} differ by {_size(c, abs(c.difference))}{of}."
    if c.difference == 0 and c.speakers and not any(c.speakers.values()):
        return f"Not shown: {c.a} and {c.b} do not differ in {called}."
    if "UNVERIFIED" in c.marks:
        return f"{line} Speakers are unknown, so no difference could have been shown."
    if c.speakers and not any(c.speakers.values()):
        return line
    if c.n_speakers < MIN_SPEAKERS or (c.smallest is None and c.metric != f"{MEAN}.ccc"):
        need = f" (after Holm's correction over {c.pairs} pairs)" if c.pairs > 1 else ""
        need = f" (at least {MIN_SPEAKERS} are needed)" if c.n_speakers < MIN_SPEAKERS else need
        return f"{line} With {counted(c.n_speakers, 'speaker')} no difference could have been shown{need}."
    if c.smallest is None or _size(c, c.smallest) == _size(c, 0.0):
        return line
    return (
        f"{line} Only a difference of more than {_size(c, c.smallest)} could have been shown with these "
        f"{c.n_speakers} speakers."
    )


def _size(c: Comparison, value: float) -> str:
    return f"{percent(value)} points" if c.metric == "accuracy" else number(value)


def _evidence(c: Comparison) -> str:
    units = "speakers" if "UNVERIFIED" not in c.marks else "clips"
    adjusted = f" (Holm over {c.pairs} pairs: p = {p_scientific(c.p_holm)})" if c.pairs > 1 else ""
    if c.metric == f"{MEAN}.ccc":
        what, test = "Pooled mean CCC", "exchange within speakers"
    else:
        what, test = f"Mean over {units}", "sign flips"
    return (
        f"{what} of {c.a} - {c.b}: {_gain(vars(c), c.metric == 'accuracy')}, "
        f"{test} p = {p_scientific(c.p)}{adjusted}."
    )


def _clips(c: Comparison) -> str:
    parts = [f"{counted(c.n_clips, 'clip')} of {counted(c.n_speakers, 'known speaker')} that both tested"]
    parts += [f"{n} only in {name}, left out" for n, name in ((c.only_a, c.a), (c.only_b, c.b)) if n]
    parts += [
        f"{n} without a prediction from {name}, counted as errors"
        for n, name in ((c.unanswered_a, c.a), (c.unanswered_b, c.b))
        if n
    ]
    parts += [f"{c.dropped} without a prediction, left out"] if c.dropped else []
    return "; ".join(parts) + "."


def _mark(c: Comparison) -> str:
    if "UNVERIFIED" in c.marks:
        return (
            "UNVERIFIED: clips of unknown speakers are taken one by one, as if each had a speaker of its own."
        )
    return f"FEW SPEAKERS: intervals over {counted(c.n_speakers, 'speaker')} are too narrow."


def _secondary(c: Comparison) -> list[str]:
    lines = _of_classes(c) if "uar" in c.secondary else []
    for name, found in c.secondary.get("exchange", {}).items():
        if name != c.metric:
            gain, p = _gain(found, found["percent"]), p_scientific(found["p"])
            lines.append(f"{found['label']}: {gain}, exchange within speakers p = {p}.")
    return lines


def _of_classes(c: Comparison) -> list[str]:
    uar, t, clips = (c.secondary[name] for name in ("uar", "corrected_t", "mcnemar"))
    lines = [f"UAR: {_gain(uar, True)}, sign flips p = {p_scientific(uar['p'])}."]
    if t is not None:
        value = "without spread" if t["t"] is None else f"t = {t['t']:.2f}"
        lines.append(
            f"Corrected resampled t test over {t['folds']} folds: {value}, p = {p_scientific(t['p'])}."
        )
    lines.append(
        f"McNemar over clips: {clips['only_a']} for {c.a}, {clips['only_b']} for {c.b}, "
        f"p = {p_scientific(clips['p'])}; clips of a speaker are not independent, so this p is too small."
    )
    return lines


def _gain(found: Mapping[str, Any], in_points: bool) -> str:
    """Return a difference with its sign and its interval."""
    parts = [found[part] for part in ("difference", "low", "high")]
    value, low, high = (None if part is None else signed(part, in_points) for part in parts)
    return f"{value} (no interval)" if low is None or high is None else f"{value} [{low}, {high}]"
