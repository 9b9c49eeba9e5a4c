"""Ours beside the published figures that a recipe quotes: they agree, they differ, or they cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unheard.report.system import System
from unheard.report.wording import NONE, interval, listed, percent, printable

_METRICS = {"accuracy": "accuracy", "uar": "UAR"}


@dataclass(frozen=True)
class Beside:
    """One published score and ours of the same kind; scores are fractions.

    ``obstacles`` says in words why the two cannot be compared; empty where they can. Ours is the pooled score,
    with its 95 % interval over speakers and its stamps.
    """

    system: str
    protocol: str
    training_speakers: int | None
    metric: str
    published: float
    source: str
    ours: float
    low: float | None
    high: float | None
    our_protocol: str
    our_training_speakers: int | None
    stamps: tuple[str, ...]
    obstacles: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """``agree``, ``differ`` or ``cannot be compared``."""
        if self.obstacles or self.low is None or self.high is None:
            return "cannot be compared"
        return "agree" if self.low <= self.published <= self.high else "differ"

    @property
    def words(self) -> str:
        """The verdict as a sentence or two."""
        ours = f"{percent(self.ours)} % {interval(self.low, self.high)}"
        said = f"{printable(self.system)}, {self.metric}: published {percent(self.published)} %, ours {ours}"
        if self.verdict == "cannot be compared":
            return f"{said}. They cannot be compared: {listed(self.obstacles)}."
        if self.stamps:
            said += f"; both are {listed(self.stamps)}, on the same folds"
        if self.verdict == "agree":
            return f"{said}. They agree: the published figure lies inside our 95 % interval."
        side = "below" if self.ours < self.published else "above"
        by = percent(abs(self.ours - self.published))
        return (
            f"{said}. They differ: ours is {by} points {side} the published figure, which lies outside our 95 % "
            "interval."
        )


def beside(system: System) -> list[Beside]:
    """Set each figure under ``published`` of the system's recipe beside ours; accuracy and UAR apart."""
    quoted = system.results.get("published") or system.config.get("published") or ()
    found = []
    for figure in quoted:
        for key, name in _METRICS.items():
            ours = system.metric(key)
            if figure.get(key) is None or ours is None:
                continue
            found.append(
                Beside(
                    system=str(figure.get("system", "")),
                    protocol=str(figure.get("protocol", "")),
                    training_speakers=figure.get("train_speakers"),
                    metric=name,
                    published=figure[key] / 100,
                    source=str(figure.get("source", "")),
                    ours=ours,
                    low=system.metric(key, "low"),
                    high=system.metric(key, "high"),
                    our_protocol=system.protocol,
                    our_training_speakers=system.results.get("n_train_speakers"),
                    stamps=tuple(printable(stamp) for stamp in system.stamps),
                    obstacles=tuple(_obstacles(system, figure, key)),
                )
            )
    return found


#: Columns of :func:`row`; ours and the published one never share one, since ours may be stamped.
COLUMNS = (
    "published system", "score", "published %", "training speakers", "protocol", "ours %", "our 95 % interval",
    "our stamps", "our training speakers", "our protocol", "verdict", "source",
)  # fmt: skip


def row(b: Beside) -> tuple[str, ...]:
    """Return a line of the table under :data:`COLUMNS`."""
    return (
        printable(b.system), b.metric, percent(b.published), _count(b.training_speakers), printable(b.protocol),
        percent(b.ours), interval(b.low, b.high), ", ".join(b.stamps) or NONE,
        _count(b.our_training_speakers), printable(b.our_protocol), b.verdict, printable(b.source),
    )  # fmt: skip


def _obstacles(system: System, figure: Mapping[str, Any], metric: str) -> list[str]:
    found = []
    same_protocol = figure.get("protocol") == system.protocol
    # On one leaky protocol both are LEAKY: they answer the same question, though not that of unheard people.
    stamps = [s for s in system.stamps if not (s == "LEAKY" and same_protocol)]
    if stamps:
        found.append(f"ours is stamped {listed(printable(s) for s in stamps)}")
    if not same_protocol:
        found.append(
            f"ours is on {printable(system.protocol) or 'an unknown protocol'}, the published figure on "
            f"{printable(figure.get('protocol')) or 'an unknown one'}"
        )
    theirs, ours = figure.get("train_speakers"), system.results.get("n_train_speakers")
    if theirs != ours or ours is None:
        found.append(f"ours has {_count(ours)} training speakers, the published figure {_count(theirs)}")
    if system.results.get("incomplete"):
        found.append("our run is incomplete")
    if not found and system.metric(metric, "low") is None:
        found.append("ours has no interval")
    return found


def _count(speakers: int | None) -> str:
    return NONE if speakers is None else str(speakers)
