"""Is one system better than another? One primary test, fixed in advance, and others that decide nothing.

The unit is the speaker. Where clips have labels, d_s is the difference of the accuracies on the clips of speaker s
and T its mean over speakers. Without labels, T is the same mean of differences in KL where there are shares of
votes, else the difference of the pooled mean CCC over dimensions (:mod:`unheard.comparison.targets`). All
differences and intervals are fractions, or on the scale of the metric, A minus B.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

import polars as pl

from unheard.comparison.exchange import common
from unheard.comparison.labels import compare_labels
from unheard.comparison.outcome import Outcome, Resampling
from unheard.comparison.paired import LEVEL, MIN_SPEAKERS, holm
from unheard.comparison.targets import compare_targets, shared_blocks
from unheard.errors import UsageError
from unheard.metrics.intervals import DRAWS
from unheard.metrics.rows import rows_with_truth


@dataclass(frozen=True)
class Comparison(Outcome):
    """Outcome of :func:`compare`; :func:`unheard.comparison.wording.describe` says it in words.

    Parameters
    ----------
    a, b
        Names of the systems.
    protocol_a, protocol_b
        Names of their protocols (None: unknown).
    across
        The protocols are not the same one, or not known to be.
    p_holm
        ``p`` adjusted for the ``pairs`` compared together.
    supported
        ``p_holm`` < 0.05, the interval excludes 0, at least six speakers, all of them known.
    """

    a: str
    b: str
    protocol_a: str | None
    protocol_b: str | None
    across: bool
    p_holm: float
    pairs: int
    supported: bool

    def __str__(self) -> str:
        """Say what was found in words, the verdict first."""
        from unheard.comparison.wording import describe

        return describe(self)

    @property
    def a_is_better(self) -> bool:
        """Whether the difference speaks for A."""
        return (self.difference > 0) != (self.metric == "kl")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "marks": list(self.marks)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Comparison:
        """Make one of what :meth:`as_dict` gave."""
        return cls(**{"metric": "accuracy", **plain, "marks": tuple(plain["marks"])})


def compare(
    a: pl.DataFrame,
    b: pl.DataFrame,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    across: bool = False,
    answered_only: bool = False,
    names: tuple[str, str] | None = None,
) -> Comparison:
    """Compare two systems over speakers.

    Parameters
    ----------
    a, b
        Prediction tables, each of one system and condition.
    draws, seed
        Bootstrap draws of speakers, and the seed of all chance in here.
    across
        Compare although the protocols differ or are unknown.
    answered_only
        Leave out clips that a system gave no prediction to, instead of counting them as errors.
    names
        What to call the systems; their own names otherwise.

    Raises
    ------
    UsageError
        Different or unknown protocol hashes without ``across``.
    DataError
        See :func:`unheard.comparison.pairs.pair`.
    """
    return compare_all(
        [a, b], draws=draws, seed=seed, across=across, answered_only=answered_only, names=names
    )[0]


def compare_all(
    tables: Sequence[pl.DataFrame],
    *,
    draws: int = DRAWS,
    seed: int = 0,
    across: bool = False,
    answered_only: bool = False,
    names: Sequence[str] | None = None,
    skip_unlike: bool = False,
) -> list[Comparison]:
    """Compare every two of several systems, first against later ones, with Holm's adjustment over all pairs.

    Parameters as in :func:`compare`. The smallest difference of a pair is that of Holm's first step, 0.05
    over the number of pairs: what exceeds it is shown whatever the other pairs give. ``skip_unlike`` leaves out
    pairs that have no target in common, such as the dimensions of one and other dimensions of the other.
    """
    if len(tables) < 2:
        raise UsageError(f"a comparison needs two runs at least, found {len(tables)}")
    named = _names(tables) if names is None else list(names)
    pairs = [
        (i, j)
        for i, j in combinations(range(len(tables)), 2)
        if not skip_unlike or _alike(tables[i], tables[j])
    ]
    found = [
        _compare(tables[i], tables[j], (named[i], named[j]), len(pairs), draws, seed, across, answered_only)
        for i, j in pairs
    ]
    adjusted = holm([c.p for c in found])
    return [replace(c, p_holm=p, supported=_supported(c, p)) for c, p in zip(found, adjusted, strict=True)]


def leakage_gap(
    leaky: pl.DataFrame, independent: pl.DataFrame, *, draws: int = DRAWS, seed: int = 0
) -> Comparison:
    """Return the leakage gap: what the same recipe gains on a leaky protocol over the speaker-independent one.

    T of :func:`compare` on the clips that both tested, with its interval over speakers. Which table is
    which is the caller's to know.
    """
    if _hash(leaky) is not None and _hash(leaky) == _hash(independent):
        raise UsageError(
            "both runs are of one protocol; a leakage gap needs a leaky one and a speaker-independent one"
        )
    return compare(leaky, independent, draws=draws, seed=seed, across=True)


def _compare(
    a: pl.DataFrame,
    b: pl.DataFrame,
    names: tuple[str, str],
    pairs: int,
    draws: int,
    seed: int,
    across: bool,
    answered_only: bool,
) -> Comparison:
    same = _hash(a) is not None and _hash(a) == _hash(b)
    if not same and not across:
        raise UsageError(
            f"{names[0]} and {names[1]} are not of one protocol ({_protocol(a)} {_short(a)} against "
            f"{_protocol(b)} {_short(b)}); compare runs of one, or ask for it (--across, across=True in Python)"
        )
    how = Resampling(pairs, draws, seed)
    if _labelled(a) and _labelled(b):
        found = compare_labels(a, b, answered_only, how, same_folds=same)
    else:
        found = compare_targets(a, b, answered_only, how)
    return Comparison(
        **vars(found),
        a=names[0],
        b=names[1],
        protocol_a=_protocol(a),
        protocol_b=_protocol(b),
        across=not same,
        p_holm=found.p,
        pairs=pairs,
        supported=False,
    )


def _labelled(table: pl.DataFrame) -> bool:
    return bool((table["label"].is_not_null() & (table["part"] == "test")).any())


def _alike(a: pl.DataFrame, b: pl.DataFrame) -> bool:
    """Return whether both have labels, or some shares of votes or dimension in common."""
    if _labelled(a) and _labelled(b):
        return True
    return bool(shared_blocks(*common(rows_with_truth(a), rows_with_truth(b))))


def _supported(c: Comparison, p_holm: float) -> bool:
    if c.low is None or c.high is None or "UNVERIFIED" in c.marks:
        return False
    return p_holm < LEVEL and (c.low > 0 or c.high < 0) and c.n_speakers >= MIN_SPEAKERS


def _names(tables: Sequence[pl.DataFrame]) -> list[str]:
    """Return the system names, with the protocol where they do not tell the systems apart."""
    names = [next(iter(table["system"]), None) or f"system {i + 1}" for i, table in enumerate(tables)]
    if len(set(names)) < len(names):
        names = [
            f"{name} on {_protocol(table)}" if _protocol(table) else name
            for name, table in zip(names, tables, strict=True)
        ]
    if len(set(names)) < len(names):
        names = [f"{name} ({i + 1})" for i, name in enumerate(names)]
    return names


def _hash(table: pl.DataFrame) -> str | None:
    return next(iter(table["protocol_hash"]), None)


def _short(table: pl.DataFrame) -> str:
    return (_hash(table) or "without hash")[:12]


def _protocol(table: pl.DataFrame) -> str | None:
    return next(iter(table["protocol"]), None)
