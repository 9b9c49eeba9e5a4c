"""A comparison in plain words."""

from __future__ import annotations

from unheard.metrics.compare import Comparison
from unheard.metrics.paired import LEAST


def describe(comparison: Comparison) -> str:
    """Say what a comparison found, one statement a line, the verdict before the details.

    A comparison across protocols says so in its first line. Differences are in percentage points.
    """
    c = comparison
    lines = []
    if c.across:
        lines.append(
            f"Across protocols: {c.a} was tested on {c.protocol_a or 'an unknown protocol'}, "
            f"{c.b} on {c.protocol_b or 'an unknown protocol'}."
        )
    lines += [_verdict(c), _evidence(c), _clips(c)]
    lines += [_mark(c)] if c.marks else []
    lines += ["Secondary, and never decisive:", *(f"  {line}" for line in _secondary(c))]
    return "\n".join(lines)


def _verdict(c: Comparison) -> str:
    if c.supported:
        better, worse = (c.a, c.b) if c.difference > 0 else (c.b, c.a)
        return f"Supported: {better} is more accurate than {worse} by {abs(c.difference) * 100:.1f} points."
    line = f"Not shown: {c.a} and {c.b} differ by {abs(c.difference) * 100:.1f} points of accuracy."
    if "UNVERIFIED" in c.marks:
        return f"{line} Speakers are unknown, so no difference could have been shown."
    if c.smallest is None:
        need = f" (at least {LEAST} are needed)" if c.n_speakers < LEAST else ""
        return f"{line} With {_count(c.n_speakers, 'speaker')} no difference could have been shown{need}."
    return (
        f"{line} The smallest difference that these {c.n_speakers} speakers could have shown is "
        f"{c.smallest * 100:.1f} points."
    )


def _evidence(c: Comparison) -> str:
    units = "speakers" if "UNVERIFIED" not in c.marks else "clips"
    adjusted = f" (Holm over {c.pairs} pairs: {_p(c.p_holm)})" if c.pairs > 1 else ""
    return (
        f"Mean over {units} of {c.a} - {c.b}: {_points(c.difference)}{_interval(c.low, c.high)}, "
        f"sign flips {_p(c.p)}{adjusted}."
    )


def _clips(c: Comparison) -> str:
    parts = [f"{_count(c.n_clips, 'clip')} of {_count(c.n_speakers, 'known speaker')} that both tested"]
    parts += [f"{n} only in {name}, left out" for n, name in ((c.only_a, c.a), (c.only_b, c.b)) if n]
    parts += [
        f"{n} without an answer from {name}, counted as errors"
        for n, name in ((c.unanswered_a, c.a), (c.unanswered_b, c.b))
        if n
    ]
    parts += [f"{c.dropped} without an answer, left out"] if c.dropped else []
    return "; ".join(parts) + "."


def _mark(c: Comparison) -> str:
    if "UNVERIFIED" in c.marks:
        return (
            "UNVERIFIED: clips of unknown speakers are taken one by one, as if each had a speaker of its own."
        )
    return f"FEW SPEAKERS: intervals over {_count(c.n_speakers, 'speaker')} are too narrow."


def _secondary(c: Comparison) -> list[str]:
    uar, t, clips = (c.secondary[name] for name in ("uar", "corrected_t", "mcnemar"))
    lines = [
        f"UAR: {_points(uar['difference'])}{_interval(uar['low'], uar['high'])}, sign flips {_p(uar['p'])}."
    ]
    if t is not None:
        value = "without spread" if t["t"] is None else f"t = {t['t']:.2f}"
        lines.append(f"Corrected resampled t test over {t['folds']} folds: {value}, {_p(t['p'])}.")
    lines.append(
        f"McNemar over clips: {clips['only_a']} for {c.a}, {clips['only_b']} for {c.b}, {_p(clips['p'])}; "
        f"clips of a speaker are not independent, so this p is too small."
    )
    return lines


def _points(fraction: float) -> str:
    return f"{fraction * 100:+.1f}"


def _interval(low: float | None, high: float | None) -> str:
    return " (no interval)" if low is None or high is None else f" [{_points(low)}, {_points(high)}]"


def _p(value: float) -> str:
    return f"p = {value:.3f}" if value >= 0.001 else f"p = {value:.1e}"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("" if n == 1 else "s")
