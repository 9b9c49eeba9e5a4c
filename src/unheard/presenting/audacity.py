"""A label track of Audacity: a line a span, ``start`` tab ``end`` tab text, times in seconds."""

from __future__ import annotations

from unheard.presenting.shown import Shown


def labels(shown: Shown) -> str:
    """Return the labels, which Audacity takes by File, Import, Labels."""
    lines = []
    for span in shown.spans:
        words = f" · {span.text}" if span.text else ""
        marks = f" ({', '.join(span.marks)})" if span.marks else ""
        lines.append(f"{span.start:.6f}\t{span.end:.6f}\t{span.line()}{marks}{words}\n")
    return "".join(lines)
