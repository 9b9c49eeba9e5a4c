"""Draw the system in one picture, ``docs/images/system.svg``: its lanes, and where they meet.

The picture is light or dark as its reader's system is.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

TARGET = Path(__file__).parents[1] / "docs" / "images" / "system.svg"
WIDTH, HEIGHT = 1200, 440
#: Size of a box.
BOX = (190, 70)
#: Where columns and rows of boxes begin.
COLUMNS, ROWS = (20, 255, 490, 745, 990), (20, 125, 230, 350)
STYLE = """
  svg { --ink: #1f2328; --dim: #57606a; --paper: #ffffff; --rule: #8c959f;
        --voice: #0072b2; --words: #b35a00; --face: #00795c; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e6edf3; --dim: #9da7b3; --paper: #15181c; --rule: #6e7681;
          --voice: #56b4e9; --words: #f0a04b; --face: #2bbf96; }
  }
  .paper { fill: var(--paper); }
  text { font: 14px system-ui, sans-serif; fill: var(--ink); }
  .name { font-weight: 600; } .dim { font-size: 12px; fill: var(--dim); }
  rect.box { fill: var(--paper); stroke: var(--rule); stroke-width: 1.5; }
  path { fill: none; stroke: var(--rule); stroke-width: 1.5; }
  .head { fill: var(--rule); }
  .voice.box, .voice.line { stroke: var(--voice); } .words.box, .words.line { stroke: var(--words); }
  .face.box, .face.line { stroke: var(--face); }
  .meet.box { stroke: var(--ink); stroke-width: 2.5; }
"""


@dataclass(frozen=True)
class Box:
    """A box: column and row (0.5: between two), what stands in it, and its lane."""

    column: int
    row: float
    name: str
    lines: tuple[str, ...] = ()
    lane: str = ""

    @property
    def place(self) -> tuple[float, float]:
        """Left and top."""
        whole = int(self.row)
        below = ROWS[min(whole + 1, len(ROWS) - 1)]
        return COLUMNS[self.column], ROWS[whole] + (self.row - whole) * (below - ROWS[whole])


LANES = (
    (
        "voice",
        "Voice",
        "waveform,",
        "where somebody speaks",
        "Whisper, WavLM,",
        "functionals; the voice known",
    ),
    (
        "words",
        "Words",
        "turns of speech,",
        "given or recognised",
        "text encoders, terms;",
        "turns before as context",
    ),
    ("face", "Face", "video,", "the largest face in it", "blendshapes, action units,", "frame by frame"),
)


def boxes() -> dict[str, Box]:
    """Return what is drawn, by name."""
    found = {}
    for row, (lane, title, *words) in enumerate(LANES):
        found[f"{lane} medium"] = Box(1, row, title, (words[0], words[1]), lane)
        found[f"{lane} features"] = Box(2, row, "Features", (words[2], words[3]), lane)
    found["corpus"] = Box(0, 1, "Corpus", ("clips, labels or votes,", "speakers"))
    found["head"] = Box(3, 0.5, "One head", ("over one input or several", "(cross-attention, …)"), "meet")
    found["fusion"] = Box(3, 2, "Late fusion", ("calibrated probabilities", "of several heads"), "meet")
    found["answer"] = Box(4, 0.5, "Answer", ("calibrated, or unsure:", "bundle, server, demo"))
    found["protocol"] = Box(
        1, 3, "Protocol and audit", ("who is tested was never", "trained on; leaks are found")
    )
    found["score"] = Box(3, 3, "Score and report", ("intervals over speakers,", "stamps, comparisons"))
    return found


ARROWS = (
    *(("corpus", f"{lane[0]} medium", lane[0]) for lane in LANES),
    *((f"{lane[0]} medium", f"{lane[0]} features", lane[0]) for lane in LANES),
    *((f"{lane[0]} features", "head", lane[0]) for lane in LANES),
    ("head", "fusion", "down"),
    ("head", "answer", ""),
    ("fusion", "score", "down"),
    ("protocol", "score", ""),
    ("corpus", "protocol", "corner"),
)


TITLE = "The lanes of voice, words and face, and where they meet"
ABOUT = (
    "A corpus gives waveform, turns of speech and video. Features of each go to one head, or to heads of their "
    "own whose probabilities are fused late. An answer is calibrated. Protocol and audit see to it that who is "
    "tested was never trained on, and a score has an interval over speakers."
)
MARKER = (
    '<marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="head" style="stroke: none" d="M0 0 L8 4 L0 8 z"/></marker>'
)


def drawing() -> str:
    """Return the picture."""
    found = boxes()
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"',
            ' aria-labelledby="title about">',
            f'<title id="title">{TITLE}</title><desc id="about">{ABOUT}</desc>',
            f"<style>{STYLE}</style><defs>{MARKER}</defs>",
            f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="12"/>',
            *(arrow(found[start], found[end], kind) for start, end, kind in ARROWS),
            *map(box, found.values()),
            "</svg>\n",
        )
    )


def box(each: Box) -> str:
    """Return a box with its words."""
    left, top = each.place
    frame = f'<rect class="box {each.lane}" x="{left}" y="{top}" width="{BOX[0]}" height="{BOX[1]}" rx="8"/>'
    words = [f'<text class="name" x="{left + 12}" y="{top + 22}">{escape(each.name)}</text>']
    for number, line in enumerate(each.lines):
        words.append(f'<text class="dim" x="{left + 12}" y="{top + 41 + 17 * number}">{escape(line)}</text>')
    return frame + "".join(words)


def arrow(start: Box, end: Box, kind: str) -> str:
    """Return an arrow: from the right of a box to the left of the next, straight down, or around a corner."""
    (x, y), (to_x, to_y) = start.place, end.place
    width, height = BOX
    if kind == "down":
        way = f"M{x + width / 2} {y + height} L{to_x + width / 2} {to_y - 2}"
    elif kind == "corner":
        way = f"M{x + width / 2} {y + height} V{to_y + height / 2} H{to_x - 2}"
    else:
        a, b = y + height / 2, to_y + height / 2
        middle = (x + width + to_x) / 2
        way = f"M{x + width} {a} C{middle} {a} {middle} {b} {to_x - 2} {b}"
    return f'<path class="line {kind}" d="{way}" marker-end="url(#end)"/>'


if __name__ == "__main__":
    TARGET.write_text(drawing(), encoding="utf-8")
