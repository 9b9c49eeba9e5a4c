"""Scores as text, the same wherever they are printed: percent with one digit, a dash where there is none.

What rounds to 0 is written without a minus.
"""

from __future__ import annotations

from collections.abc import Mapping

NONE = "–"


def percent(fraction: float | None, digits: int = 1) -> str:
    """Return a fraction as a percentage without its sign: ``0.5069 -> "50.7"``; a dash where there is none."""
    return NONE if _absent(fraction) else f"{100 * fraction:z.{digits}f}"  # type: ignore[operator]


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with fixed digits; a dash where there is none."""
    return NONE if _absent(value) else f"{value:z.{digits}f}"


def score(value: float | None, in_percent: bool) -> str:
    """Return a score as its metric is written: :func:`percent` or :func:`number`."""
    return percent(value) if in_percent else number(value)


def interval(low: float | None, high: float | None, in_percent: bool = True) -> str:
    """Return ``[47.8, 53.4]``: an interval of a score, or a dash where there is none."""
    if low is None or high is None:
        return NONE
    return f"[{score(low, in_percent)}, {score(high, in_percent)}]"


def and_interval(low: float | None, high: float | None, in_percent: bool = True) -> str:
    """Return `` [47.8, 53.4]``: an interval with the space before it; nothing where there is none."""
    return "" if low is None or high is None else f" {interval(low, high, in_percent)}"


def spread(mean: float | None, sd: float | None, in_percent: bool = True) -> str:
    """Return ``50.7 ± 5.1``: mean over folds and its standard deviation."""
    return score(mean, in_percent) + ("" if sd is None else f" ± {score(sd, in_percent)}")


def headline(value: Mapping[str, float | None], in_percent: bool = True) -> str:
    """Return ``50.6 [47.8, 53.4]``: the score over all test clips with its own interval.

    It is the number that stands first wherever an estimate is shown; the mean over folds has no interval.
    """
    ends = and_interval(value["low"], value["high"], in_percent)
    return score(value["pooled"], in_percent) + ends


def over_folds(value: Mapping[str, float | None], in_percent: bool = True) -> str:
    """Return ``50.7 ± 5.1``: mean over folds and its standard deviation."""
    return spread(value["mean"], value["sd"], in_percent)


def points(fraction: float | None, minus: str = "-") -> str:
    """Return ``+9.9``: a difference of two fractions in percentage points, with its sign."""
    return NONE if _absent(fraction) else f"{100 * fraction:+z.1f}".replace("-", minus)  # type: ignore[operator]


def signed(value: float, in_points: bool) -> str:
    """Return ``+9.9`` points, or ``+0.031``: a difference of two scores with its sign."""
    return points(value) if in_points else f"{value:+z.3f}"


def difference(value: float, low: float | None, high: float | None, in_points: bool = True) -> str:
    """Return ``+9.9 [+6.5, +13.3]``: a difference with its interval, in points or on the scale of its score."""
    ends = "" if low is None or high is None else f" [{signed(low, in_points)}, {signed(high, in_points)}]"
    return signed(value, in_points) + ends


def p_value(value: float) -> str:
    """Return the probability of a test, never rounded to 0: ``0.012``, ``< 0.001``."""
    return "< 0.001" if value < 0.001 else number(value)


def p_scientific(value: float) -> str:
    """Return the probability of a test to its first two digits where it is small: ``0.012``, ``4.0e-04``."""
    return number(value) if value >= 0.001 else f"{value:.1e}"


def counted(number: int, thing: str) -> str:
    """Return ``1 pair`` or ``2 pairs``."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def _absent(value: float | None) -> bool:
    return value is None or value != value
