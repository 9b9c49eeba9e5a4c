"""Published figures to compare ours with, as data: ``anchors.yaml``, and what a recipe itself quotes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from unheard.formats import yaml_text
from unheard.report.system import System


@dataclass(frozen=True)
class Anchor:
    """A figure that was published; scores and spreads are fractions.

    ``sd`` is the spread of the accuracy over folds, with ``ddof`` as published (None: not said); ``low`` and
    ``high`` are the published 95 % interval of the UAR. ``accuracy_range`` stands where a publication gives one.
    """

    system: str
    protocol: str
    source: str
    training_speakers: int | None = None
    accuracy: float | None = None
    uar: float | None = None
    sd: float | None = None
    ddof: int | None = None
    low: float | None = None
    high: float | None = None
    accuracy_range: tuple[float, float] | None = None
    leaky: bool = False
    recipe: str = ""


def anchors(systems: Iterable[System]) -> list[Anchor]:
    """Return the figures that belong on one page with these systems: same corpus, same number of classes.

    To those of the package come the ones that a system's own recipe quotes and the package does not hold.
    """
    found: dict[tuple[object, ...], Anchor] = {}
    for system in systems:
        stored = _stored().get(system.corpus, {})
        if stored.get("classes") == len(system.rows.classes) and "SYNTHETIC" not in system.stamps:
            for row in stored["rows"]:
                anchor = _anchor(row)
                found.setdefault(
                    (anchor.training_speakers, anchor.accuracy, anchor.uar, anchor.system), anchor
                )
    figures = {(a.training_speakers, a.accuracy, a.uar) for a in found.values()}
    for system in systems:
        for row in system.results.get("published") or system.config.get("published") or ():
            if row.get("accuracy") is None and row.get("uar") is None:
                continue
            known = {name: row[name] for name in Anchor.__dataclass_fields__ if name in row}
            anchor = _anchor({**known, "training_speakers": row.get("train_speakers")})
            if (anchor.training_speakers, anchor.accuracy, anchor.uar) not in figures:
                found.setdefault(
                    (anchor.training_speakers, anchor.accuracy, anchor.uar, anchor.system), anchor
                )
    return list(found.values())


@cache
def _stored() -> Mapping[str, Any]:
    text = files("unheard.report").joinpath("anchors.yaml").read_bytes()
    plain: Mapping[str, Any] = yaml_text.parse(text, "anchors.yaml")
    return plain


def _anchor(row: Mapping[str, Any]) -> Anchor:
    scores = {
        key: row[key] / 100 for key in ("accuracy", "uar", "sd", "low", "high") if row.get(key) is not None
    }
    span = row.get("accuracy_range")
    return Anchor(
        **{
            **row,
            **scores,
            "accuracy_range": None if span is None else (span[0] / 100, span[1] / 100),
        }
    )
