"""How the report writes stamps and names; numbers are written by :mod:`unheard.metrics.formatting`."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from unheard.comparison.compare import Comparison
from unheard.metrics import formatting

#: What each stamp means to a reader who knows none of them.
STAMPS = {
    "LEAKY": "the same speakers are in training and test, so the score says nothing about unheard people",
    "UNVERIFIED": "the speakers are unknown, so nobody can tell whether the test people were unheard",
    "CONTAMINATED": "a model in this system has met recordings or labels of test speakers before",
    "CROSS-FITTED": "a fusion or calibration was fitted on the test rows of other folds",
    "ENROLLED": "the system knew some clips of each test speaker",
    "FEW SPEAKERS": "there are too few test speakers for the interval to be trusted",
    "RANDOM WEIGHTS": "a control: the features come from a model with random weights",
    "SYNTHETIC": "the recordings are synthetic, so the score says nothing about real speech",
}


def meaning(stamp: str) -> str:
    """Return the plain words for a stamp (``ENROLLED 3`` is looked up without its number)."""
    return STAMPS.get(stamp, STAMPS.get(stamp.rpartition(" ")[0], ""))


def printable(text: object, length: int | None = None) -> str:
    """Return printable text without control or direction characters, cut in the middle to ``length``."""
    clean = "".join("\ufffd" if _unprintable(c) else c for c in str(text))
    if length is None or len(clean) <= length:
        return clean
    tail = (length - 1) // 3
    return f"{clean[: length - 1 - tail]}…{clean[len(clean) - tail :]}"


def _unprintable(character: str) -> bool:
    turns_text = "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069"
    return turns_text or unicodedata.category(character) in ("Cc", "Cs") or character in "\ufffe\uffff"


def points(value: float | None) -> str:
    """Return the difference of two fractions in percentage points, with its sign, a typographic minus."""
    return formatting.points(value, minus="−")


def gain(comparison: Comparison, value: float | None) -> str:
    """Return a difference of the metric that a comparison is about: in points, or as a plain number."""
    if comparison.metric == "accuracy" or value is None:
        return points(value)
    return formatting.signed(value, in_points=False).replace("-", "−")


def gain_interval(comparison: Comparison) -> str:
    """Return the interval of a comparison in the unit of :func:`gain`; a dash where there is none."""
    low, high = comparison.low, comparison.high
    if low is None or high is None:
        return formatting.NONE
    return f"[{gain(comparison, low)}, {gain(comparison, high)}]"


def listed(items: Iterable[object]) -> str:
    """Join words as in a sentence: ``a``, ``a and b``, ``a, b and c``."""
    words = [str(item) for item in items]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
