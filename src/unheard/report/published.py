"""Published figures that a recipe quotes, against ours: they agree, they differ, or cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unheard.metrics.block import Metric
from unheard.metrics.dimensional import MEAN
from unheard.metrics.formatting import NONE, interval, score
from unheard.report.system import System
from unheard.report.wording import listed, printable


@dataclass(frozen=True)
class Reference:
    """One published score and ours of the same metric; scores are fractions, or on the scale of the metric.

    ``obstacles`` says in words why the two cannot be compared; empty where they can. Ours is the pooled score,
    with its 95 % interval over speakers and its stamps.
    """

    system: str
    protocol: str
    training_speakers: int | None
    metric: Metric
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
    def interval(self) -> str:
        """Our 95 % interval as text."""
        return interval(self.low, self.high, self.metric.percent)

    @property
    def words(self) -> str:
        """Return the verdict as a sentence or two."""
        unit = " %" if self.metric.percent else ""
        published = f"{score(self.published, self.metric.percent)}{unit}"
        ours = f"{score(self.ours, self.metric.percent)}{unit} {self.interval}"
        said = f"{printable(self.system)}, {self.metric.label}: published {published}, ours {ours}"
        if self.verdict == "cannot be compared":
            return f"{said}. They cannot be compared: {listed(self.obstacles)}."
        if self.stamps:
            said += f"; both are {listed(self.stamps)}, on the same folds"
        if self.verdict == "agree":
            return f"{said}. They agree: the published figure lies inside our 95 % interval."
        side = "below" if self.ours < self.published else "above"
        by = score(abs(self.ours - self.published), self.metric.percent)
        by += " points" if self.metric.percent else ""
        return (
            f"{said}. They differ: ours is {by} {side} the published figure, which lies outside our 95 % "
            "interval."
        )


def references(system: System) -> list[Reference]:
    """Set each figure under ``published`` of the system's recipe against ours, each metric apart."""
    quoted = system.results.get("published") or system.config.get("published") or ()
    return [
        _reference(system, figure, metric, value)
        for figure in quoted
        for metric, _ in system.metrics
        if (value := figure.get(published_name(metric))) is not None
        and system.metric(metric.name) is not None
    ]


def published_name(metric: Metric) -> str:
    """Return what a recipe calls a metric: ``uar``, ``valence_ccc``, and ``ccc`` for the mean over dimensions."""
    return metric.name.removeprefix(f"{MEAN}.").replace(".", "_")


def _reference(system: System, figure: Mapping[str, Any], metric: Metric, value: float) -> Reference:
    return Reference(
        system=str(figure.get("system", "")),
        protocol=str(figure.get("protocol", "")),
        training_speakers=figure.get("train_speakers"),
        metric=metric,
        published=value / 100 if metric.percent else value,
        source=str(figure.get("source", "")),
        ours=system.metric(metric.name) or 0.0,
        low=system.metric(metric.name, "low"),
        high=system.metric(metric.name, "high"),
        our_protocol=system.protocol,
        our_training_speakers=system.results.get("n_train_speakers"),
        stamps=tuple(printable(stamp) for stamp in system.stamps),
        obstacles=tuple(_obstacles(system, figure, metric.name)),
    )


#: Columns of :func:`row`; ours and the published one never share one, since ours may be stamped.
COLUMNS = (
    "published system", "score", "published", "training speakers", "protocol", "ours", "our 95 % interval",
    "our stamps", "our training speakers", "our protocol", "verdict", "source",
)  # fmt: skip


def row(b: Reference) -> tuple[str, ...]:
    """Return a line of the table under :data:`COLUMNS`."""
    return (
        printable(b.system), b.metric.label + (" %" if b.metric.percent else ""),
        score(b.published, b.metric.percent), _count(b.training_speakers), printable(b.protocol),
        score(b.ours, b.metric.percent), b.interval, ", ".join(b.stamps) or NONE,
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
    if system.other_weights:
        found.append(
            f"ours ran with {listed(map(printable, system.other_weights))} in the place of its encoder"
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
