"""What all figures share: the look, and how a drawing becomes an SVG that can stand inside an HTML page.

Units are points (1/72 inch), so a width of 360 is 360 user units of the SVG: text of 8 points stays readable
where the page is 400 pixels wide. Nothing is told by colour alone: markers, dashes or printed numbers differ too.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from unheard.errors import need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 360.0

#: Colours of Okabe and Ito (2008), which colour-blind people tell apart; INK and GREY for all that is no data.
BLUE, VERMILLION, INK, GREY, PALE = "#0072B2", "#D55E00", "#1f2328", "#6b7280", "#d0d7de"
#: Inside of hollow marks, and the lines of a grid.
PAPER, GRID = "#fffffe", "#e5e7eb"
#: A drawing takes these from the page, which has others in the dark; cells of a matrix keep their own.
_OF_PAGE = {
    BLUE: "blue",
    VERMILLION: "red",
    INK: "ink",
    GREY: "grey",
    PALE: "line",
    PAPER: "paper",
    GRID: "grid",
}

_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "text.color": INK,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "figure.constrained_layout.h_pad": 0.05,
    "figure.constrained_layout.w_pad": 0.05,
    "path.simplify": False,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
}


@dataclass(frozen=True)
class Chart:
    """A figure of the page: the drawing, words for who cannot see it, and its numbers as a table."""

    name: str
    title: str
    svg: str
    alt: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def svg(name: str, alt: str, height: float, paint: Callable[[Figure], None]) -> str:
    """Draw with matplotlib and return an ``<svg>`` element for use inside HTML.

    Parameters
    ----------
    name
        Unique on the page: the ids inside the drawing start with it.
    alt
        What the figure shows, in words.
    height
        In points.
    paint
        Fills an empty figure; it is called inside the report's style.
    """
    matplotlib = need("matplotlib", "eval")
    figures = need("matplotlib.figure", "eval")
    buffer = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # Names in scripts that the measuring font lacks are drawn by the browser's own font.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        figure = figures.Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")
        paint(figure)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return _inline(buffer.getvalue(), name, alt, WIDTH, height)


def score_axis(axis: Axes, label: str, *, vertical: bool = True, low: float = 0.0, high: float = 1.0) -> None:
    """Give an axis of fractions ticks in percent and a light grid."""
    ticks = [t / 10 for t in range(11) if low <= t / 10 <= high and (t % 2 == 0 or high - low < 0.7)]
    texts = [f"{100 * t:.0f}" for t in ticks]
    if vertical:
        axis.set_ylim(low, high)
        axis.set_yticks(ticks, texts)
        axis.set_ylabel(label)
    else:
        axis.set_xlim(low, high)
        axis.set_xticks(ticks, texts)
        axis.set_xlabel(label)
    axis.grid(axis="y" if vertical else "x")


def shade(value: float, most: float) -> tuple[tuple[float, float, float], str]:
    """Return the single-hue scale from white to dark blue, with the ink that is readable on it."""
    t = 0.0 if most <= 0 else min(max(value / most, 0.0), 1.0)
    light, dark = (1.0, 1.0, 1.0), (0.0, 0.27, 0.48)
    r, g, b = (a + (z - a) * t for a, z in zip(light, dark, strict=True))
    # Black and white contrast alike here, both by 4.5 to 1.
    return (r, g, b), "white" if t > 0.715 else "black"


def _inline(source: str, name: str, alt: str, width: float, height: float) -> str:
    """Make a matplotlib file an element: no namespaces, no style sheet, only the ids in use, all its own."""
    root = ElementTree.fromstring(source)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', source))
    for element in list(root.iter()):
        for child in list(element):
            if _local(child.tag) in ("metadata", "style"):
                element.remove(child)
        element.tag = _local(element.tag)
        element.attrib = {
            _local(key): _own(key, value, used, name)
            for key, value in element.attrib.items()
            if not (_local(key) == "id" and value not in used)
        }
        if element.tag != "tspan":
            element.tail = None
        if element.tag not in ("text", "tspan"):
            element.text = None
    root.attrib = {
        "viewBox": f"0 0 {width:g} {height:g}",
        "role": "img",
        "aria-label": alt,
        "stroke-linejoin": "round",
        "stroke-linecap": "butt",
    }
    return ElementTree.tostring(root, encoding="unicode")


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _own(key: str, value: str, used: set[str], name: str) -> str:
    key = _local(key)
    if key == "id" and value in used:
        return f"{name}-{value}"
    if key == "href":
        return value.replace("#", f"#{name}-", 1)
    if key == "clip-path":
        return value.replace("url(#", f"url(#{name}-")
    if key == "style":
        # The page's own font; matplotlib's list names fonts that the reader may not have.
        value = re.sub(r"font-family: [^;]*;?\s*", "", value)
        for colour, variable in _OF_PAGE.items():
            value = value.replace(colour.lower(), f"var(--{variable}, {colour.lower()})")
        return value.replace("url(#", f"url(#{name}-")
    if key == "d":
        return " ".join(value.split())
    return value
