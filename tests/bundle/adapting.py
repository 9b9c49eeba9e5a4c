"""Small bundles that adapt to speakers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from encoder_parts import FAMILIES, MadeWithEncoder, fitted_on

from unheard import encoders, features, heads
from unheard.adaptation.profile import Priors
from unheard.exporting.export import ExportInput
from unheard.inputs import Form
from unheard.runs.adapted_head import AdaptedHead

PROBE = {"name": "probe", "grid": [0.01], "augmented": True}
ROWS = {"name": "functionals", "hop": 0.02, "trim": 40}
#: Head, inputs that it takes, and those of them that are standardised by speaker.
KINDS: dict[str, tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]] = {
    "rows": (PROBE, ("rows",), ("rows",)),
    "frames": ({"name": "tcgru", "hidden": 8, "epochs": 2}, ("frames",), ("frames",)),
    "a chosen layer": ({**PROBE, "layers": "chosen"}, ("pooled",), ("pooled",)),
    "layers and rows": (
        {"name": "ensemble", "of": [{**PROBE, "input": name} for name in ("pooled", "rows")]},
        ("pooled", "rows"),
        ("pooled", "rows"),
    ),
    "one of two": (
        {"name": "ensemble", "of": [{**PROBE, "input": name} for name in ("frames", "rows")]},
        ("frames", "rows"),
        ("rows",),
    ),
}


def make_adapting(kind: str, folder: Path) -> MadeWithEncoder:
    """Fit a head of a kind that adapts to speakers, and export it."""
    settings, names, adapted = KINDS[kind]
    given = {name: _input(name, folder) for name in names}
    head = AdaptedHead(heads.build(settings), {name: Priors() for name in adapted})
    return fitted_on(folder, head, given)


def _input(name: str, folder: Path) -> ExportInput:
    if name == "pooled":
        return ExportInput(encoders.load(FAMILIES["onnx"](folder / "weights")), Form.POOLED)
    if name == "frames":
        return ExportInput(features.build({"name": "mfbf0", "average": 8}), Form.FRAMES)
    return ExportInput(features.build(ROWS), Form.ROW)
