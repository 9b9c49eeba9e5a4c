"""A TextGrid of Praat, in its long text form: a tier for each speaker, and one for the words if there are any."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from unheard.presenting.shown import Shown, Span


def text_grid(shown: Shown) -> str:
    """Return the TextGrid; intervals of a tier cover the whole recording, and are empty where nothing is said."""
    # A given piece may reach a little beyond the end, and all tiers end at one place.
    end = max([shown.seconds, *(span.end for span in shown.spans)])
    tiers: list[tuple[str, list[tuple[float, float, str]]]] = []
    for speaker, spans in shown.lanes().items():
        tiers.append((speaker or "emotion", _filled(spans, end, Span.caption)))
        if any(span.text for span in spans):
            tiers.append((f"{speaker or 'emotion'} words", _filled(spans, end, lambda span: span.text)))
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {_number(end)}",
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for number, (name, intervals) in enumerate(tiers, start=1):
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f"        name = {_quoted(name)}",
            "        xmin = 0",
            f"        xmax = {_number(end)}",
            f"        intervals: size = {len(intervals)}",
        ]
        for place, (first, last, text) in enumerate(intervals, start=1):
            lines += [
                f"        intervals [{place}]:",
                f"            xmin = {_number(first)}",
                f"            xmax = {_number(last)}",
                f"            text = {_quoted(text)}",
            ]
    return "\n".join(lines) + "\n"


def _filled(spans: Sequence[Span], end: float, text: Callable[[Span], str]) -> list[tuple[float, float, str]]:
    """Return intervals from 0 to ``end`` without gaps or overlaps; of two that overlap the later one is cut."""
    intervals: list[tuple[float, float, str]] = []
    place = 0.0
    for span in spans:
        start = max(span.start, place)
        if span.end <= start:
            continue
        if start > place:
            intervals.append((place, start, ""))
        intervals.append((start, span.end, text(span)))
        place = span.end
    if place < end or not intervals:
        intervals.append((place, end, ""))
    return intervals


def _number(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'
