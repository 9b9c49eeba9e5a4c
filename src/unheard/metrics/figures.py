"""Scores as text, the same wherever they are printed: percent with one digit, a dash where there is none."""

from __future__ import annotations

from collections.abc import Mapping


def percent(fraction: float | None) -> str:
    """``50.7``; a dash where there is none."""
    return "–" if fraction is None else f"{100 * fraction:.1f}"


def spread(value: Mapping[str, float | None]) -> str:
    """``50.7 ± 5.1 [47.8, 53.4]``: mean and standard deviation over folds, interval over speakers."""
    mean = percent(value["mean"])
    if value["sd"] is not None:
        mean += f" ± {percent(value['sd'])}"
    return mean + interval(value["low"], value["high"])


def points(difference: float, low: float | None, high: float | None) -> str:
    """``+9.9 [+6.5, +13.3]``: a difference with its interval, in points."""
    text = f"{100 * difference:+.1f}"
    return text if low is None or high is None else f"{text} [{100 * low:+.1f}, {100 * high:+.1f}]"


def interval(low: float | None, high: float | None) -> str:
    """`` [47.8, 53.4]``, with the space before it; nothing where there is none."""
    return "" if low is None or high is None else f" [{percent(low)}, {percent(high)}]"
