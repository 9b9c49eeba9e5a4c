"""The strip of probabilities over time under the waveform, drawn as SVG by hand: no package is needed for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from unheard.presenting.shown import Shown, Span, clock

#: Colours of classes by name, told apart with any colour vision as far as so many can be (after Okabe and Ito
#: 2008), on light and dark paper alike; others take what is left in turn.
NAMED = {
    "neutral": "#8b949e", "calm": "#56b4e9", "happy": "#e6b800", "happiness": "#e6b800", "joy": "#e6b800",
    "sad": "#0072b2", "sadness": "#0072b2", "angry": "#d55e00", "anger": "#d55e00", "fearful": "#8e5ea8",
    "fear": "#8e5ea8", "disgust": "#009e73", "disgusted": "#009e73", "surprised": "#cc79a7", "surprise": "#cc79a7",
}  # fmt: skip
OTHERS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#8e5ea8", "#a5673f")

_HATCH = (
    '<defs><pattern id="unsure" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><line class="hatch" y2="6" stroke-width="5"/></pattern></defs>'
)
_STYLE = """text{font:13px sans-serif}.paper{fill:#fffffe}.ink{fill:#1f2328}.wave{fill:#6b7280}.pause{fill:#eef0f3}
.grid{stroke:#d0d7de}.mark{fill:#b42318}.hatch{stroke:#fffffe}
@media(prefers-color-scheme:dark){.paper{fill:#14181d}.ink{fill:#e6e9ee}.wave{fill:#98a2b0}.pause{fill:#20262e}
.grid{stroke:#3b434e}.mark{fill:#ff9a8d}.hatch{stroke:#14181d}}"""

WIDTH = 1000  # of what is drawn of the whole recording, in units of the picture
WAVE, BAND, STRIP, GAP, NAME = 90, 14, 90, 8, 18  # heights; NAME of a speaker's name above the strip


def colours(names: Sequence[str]) -> dict[str, str]:
    """Return a colour for each class, or dimension."""
    left = [colour for colour in OTHERS if colour not in {NAMED.get(name) for name in names}]
    others = iter((left or list(OTHERS)) * (1 + len(names)))
    return {name: NAMED.get(name) or next(others) for name in names}


def svg(shown: Shown) -> str:
    """Return the picture with its title, its axis and what its colours mean."""
    found = colours(shown.classes or shown.dimensions)
    lanes = shown.lanes()
    below = 60 + lanes_height(lanes)
    height, left = below + 70, 20
    size = f"{WIDTH + left + 20} {height}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img" aria-labelledby="title">',
        f'<title id="title">{_text(spoken(shown))}</title>',
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{WIDTH + left + 20}" height="{height}"/>',
        f'<text class="ink" x="{left}" y="24" style="font-weight:600;font-size:15px">{_text(shown.title)}</text>',
        f'<text class="ink" x="{left}" y="44">{_text(spoken(shown, name=False))}</text>',
        f'<g transform="translate({left} 60)">{picture(shown, found)}</g>',
    ]
    for lane, top in lane_tops(lanes).items():
        if lane:
            parts.append(f'<text class="ink" x="{left}" y="{60 + top - 6}">{_text(lane)}</text>')
    for place in ticks(shown.seconds):
        x = left + WIDTH * place / max(shown.seconds, 1e-9)
        said = clock(place, decimals=0, hours=False)
        parts += [
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{below}" y2="{below + 5}"/>',
            f'<text class="ink" x="{x:.1f}" y="{below + 20}" text-anchor="middle">{said}</text>',
        ]
    x = float(left)
    for name, colour in found.items():
        parts.append(
            f'<rect x="{x:.0f}" y="{below + 36}" width="12" height="12" fill="{colour}"/>'
            f'<text class="ink" x="{x + 17:.0f}" y="{below + 47}">{_text(name)}</text>'
        )
        x += 34 + 7.5 * len(name)
    return "".join([*parts, "</svg>\n"])


def lane_tops(lanes: Iterable[str]) -> dict[str, int]:
    """Return how far below the top the strip of each speaker begins."""
    tops: dict[str, int] = {}
    for lane in lanes:
        before = max(tops.values(), default=WAVE - BAND - STRIP)
        tops[lane] = before + BAND + STRIP + GAP + (NAME if lane else 0)
    return tops


def lanes_height(lanes: Iterable[str]) -> int:
    """Return the height of the waveform and of a strip for each speaker."""
    return max(lane_tops(lanes).values()) + BAND + STRIP


def picture(shown: Shown, found: dict[str, str]) -> str:
    """Return waveform, bands of labels and strips as shapes, without words, ``WIDTH`` wide."""
    seconds = max(shown.seconds, 1e-9)
    parts = [_HATCH, _waveform(shown)]
    lanes = shown.lanes()
    for lane, top in lane_tops(lanes).items():
        parts.append(f'<rect class="pause" y="{top}" width="{WIDTH}" height="{BAND + STRIP}"/>')
        parts += _lane(lanes[lane], seconds, top, found)
    return "".join(parts)


def _waveform(shown: Shown) -> str:
    peaks = shown.envelope(WIDTH)
    middle, half = WAVE / 2, WAVE / 2 - 2
    upper = [f"{x} {middle - half * p:.1f}" for x, p in enumerate(peaks)]
    lower = [f"{x} {middle + half * p:.1f}" for x, p in reversed(list(enumerate(peaks)))]
    return f'<path class="wave" d="M{"L".join([*upper, *lower])}z"/>'


def _lane(spans: Sequence[Span], seconds: float, top: int, found: dict[str, str]) -> Iterable[str]:
    """Yield the band of labels, and below it the shares of probability, the first class at the top."""
    paths: dict[str, list[str]] = {name: [] for name in found}
    above: list[str] = []
    for span in spans:
        x, width = WIDTH * span.start / seconds, WIDTH * (span.end - span.start) / seconds
        y = float(top + BAND)
        for name, p in span.probabilities.items():
            paths[name].append(f"M{x:.2f} {y:.2f}h{width:.2f}v{STRIP * p:.2f}h{-width:.2f}z")
            y += STRIP * p
        if not span.probabilities:
            for name, value in span.dimensions.items():
                paths[name].append(
                    f"M{x:.2f} {top + BAND + (STRIP - 4) * (1 - value):.2f}h{width:.2f}v4h{-width:.2f}z"
                )
        best = max(span.probabilities, key=span.probabilities.__getitem__, default=None)
        if best is not None:
            paths[best].append(f"M{x:.2f} {top}h{width:.2f}v{BAND - 3}h{-width:.2f}z")
            if span.label is None:
                above.append(
                    f'<rect x="{x:.2f}" y="{top}" width="{width:.2f}" height="{BAND - 3}" fill="url(#unsure)"/>'
                )
        if span.marks:
            above.append(f'<path class="mark" d="M{x + width / 2 - 4:.2f} {top}h8l-4 7z"/>')
        told = f"{clock(span.start, decimals=1, hours=False)}: {span.line()}"
        told += f" ({', '.join(span.marks)})" if span.marks else ""
        above.append(
            f'<rect class="span" data-start="{span.start:.3f}" x="{x:.2f}" y="{top}" width="{width:.2f}" '
            f'height="{BAND + STRIP}" fill="transparent"><title>{_text(told)}</title></rect>'
        )
    yield from (f'<path fill="{found[name]}" d="{"".join(d)}"/>' for name, d in paths.items() if d)
    yield from above


def ticks(seconds: float) -> list[float]:
    """Return round places of the axis, at most ten of them."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
    step = next((each for each in steps if seconds / each <= 9), steps[-1])
    return [float(place) for place in range(0, int(seconds) + 1, step)]


def spoken(shown: Shown, *, name: bool = True) -> str:
    """Return in a sentence what the picture shows."""
    shares = sorted((shown.summary["shares"] or {}).items(), key=lambda item: -item[1])
    said = ", ".join(f"{label} {100 * share:.0f} %" for label, share in shares[:4])
    means = ", ".join(f"{each} {value:.2f}" for each, value in shown.summary.get("dimensions", {}).items())
    of = f"{clock(shown.summary['answered'], decimals=0, hours=False)} of "
    whole = f"{of}{clock(shown.seconds, decimals=0, hours=False)} answered"
    found = "; ".join(each for each in (said, means) if each) or "no prediction"
    return (f"{shown.title}: " if name else "") + f"{whole}: {found}"


def _text(text: str) -> str:
    """Return text for a picture; characters that no XML may hold are left out."""
    return escape("".join(c if c.isprintable() else " " for c in text))
