"""One system as the report takes it: plain data, whatever made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import Any

import polars as pl

from unheard.errors import DataError
from unheard.metrics.block import Metric
from unheard.metrics.blocks import stored_metrics
from unheard.metrics.rows import Rows, rows_with_truth
from unheard.predictions.table import clean


@dataclass(frozen=True)
class System:
    """A scored system.

    Parameters
    ----------
    name
        What the page calls it; unique on a page.
    results
        Content of ``results.json``: scores are fractions.
    predictions
        The prediction table; only clean test rows without enrolment are drawn.
    certificate
        Content of ``audit.json``, or None where nothing checked the split.
    config
        The recipe as it was run; empty for predictions of unknown making.
    table
        The utterances, for the paths of clips.
    folder
        Where the run lies, for the reader of the page.
    fits
        One record a fold and seed: ``fold``, ``seed``, ``history``, ``chosen``, ``temperature``.
    provenance
        Versions, hardware and hashes.
    """

    name: str
    results: Mapping[str, Any]
    predictions: pl.DataFrame
    certificate: Mapping[str, Any] | None
    config: Mapping[str, Any] = field(default_factory=dict)
    table: pl.DataFrame | None = None
    folder: str = ""
    fits: Sequence[Mapping[str, Any]] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stamps(self) -> tuple[str, ...]:
        """Stamps of the score, as stored."""
        return tuple(str(stamp) for stamp in self.results.get("stamps") or ())

    @property
    def protocol(self) -> str:
        """Return the name of the protocol."""
        return str(self.results.get("protocol", ""))

    @property
    def protocol_hash(self) -> str:
        """Hash of the protocol: scores of one hash may be compared."""
        return str(self.results.get("protocol_hash", ""))

    @property
    def corpus(self) -> str:
        """Corpus of the predictions; empty where unknown."""
        return str(self.predictions["corpus"][0] or "")

    @cached_property
    def clean(self) -> pl.DataFrame:
        """Predictions under clean conditions and without enrolment: those that the headline counts."""
        return clean(self.predictions)

    @cached_property
    def rows(self) -> Rows:
        """Test rows of :attr:`clean` that have some part of the truth, as arrays."""
        return rows_with_truth(self.clean)

    @cached_property
    def labelled(self) -> Rows:
        """Those of :attr:`rows` that have a label; none where the system predicts dimensions alone."""
        return self.rows.where(self.rows.label >= 0)

    @cached_property
    def metrics(self) -> list[tuple[Metric, Mapping[str, Any]]]:
        """Every metric of the results with its estimate, in the order of reports."""
        return list(stored_metrics(self.results))

    @property
    def training_clips(self) -> float | None:
        """Mean number of clips that the model of a fold was trained on; None where the records do not say."""
        counts = [fit.get("n_train_clips") for fit in self.fits]
        known = [count for count in counts if isinstance(count, int) and count > 0]
        return fmean(known) if known else None

    @property
    def other_weights(self) -> tuple[str, ...]:
        """Encoders that were run in the place of the recipe's own; see :func:`other_weights`."""
        return other_weights(self.config)

    @property
    def seeds(self) -> int:
        """Return the number of seeds among the test rows."""
        return self.rows.frame["seed"].n_unique()

    def metric(self, name: str, part: str = "pooled") -> float | None:
        """Return one number of the estimate of a metric, or None where it is absent."""
        estimates = {metric.name: estimate for metric, estimate in self.metrics}
        value = estimates.get(name, {}).get(part)
        return None if value is None else float(value)

    def headline(self) -> list[Metric]:
        """Return the metrics that speak first: of classes, else of dimensions, else of distributions."""
        found = {metric.name: metric for metric, _ in self.metrics}
        for names in (("accuracy", "uar"), ("mean.ccc", "mean.mae"), ("kl", "jensen_shannon")):
            if all(name in found for name in names):
                return [found[name] for name in names]
        return []


def other_weights(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the encoders that a recipe was run with in the place of its own, by the last part of their name.

    The same weights may lie in a folder of their name: ``openai/whisper-tiny`` and ``my/Whisper-tiny`` are one.
    """
    found = []
    changed = config.get("changed")
    for name, before in changed.items() if isinstance(changed, Mapping) else ():
        if name.endswith(".encoder.model") and before is not None:
            now: Any = config
            for part in name.split("."):
                now = now.get(part) if isinstance(now, Mapping) else None
            if _last(now).lower() != _last(before).lower():
                found.append(_last(now))
        elif name.endswith((".encoder", ".features")):
            found.append("other inputs")
    return tuple(found)


def _last(name: object) -> str:
    return str(name).replace("\\", "/").rstrip("/").rpartition("/")[2]


def checked(systems: Sequence[System]) -> list[System]:
    """Return the systems, or say why no page can be made of them.

    Raises
    ------
    DataError
        No system, a name twice, no test row with a truth, or results that lack the scores of it.
    """
    if not systems:
        raise DataError("a report needs at least one system")
    for system in systems:
        if [other.name for other in systems].count(system.name) > 1:
            raise DataError(f"two systems are called {system.name!r}; give each its own name")
        if len(system.labelled.label) and system.metric("accuracy") is None:
            raise DataError(
                f"{system.name}: the results hold no metrics.accuracy.pooled; score the run again"
            )
        if not system.headline():
            raise DataError(f"{system.name}: the results hold no score of any target; score the run again")
    return list(systems)
