"""Is one system better than another? One primary test, fixed in advance, and others that decide nothing.

The unit is the speaker. Where clips have labels, d_s is the difference of the accuracies on the clips of speaker s
and T its mean over speakers. Without labels, T is the same mean of differences in KL where there are shares of
votes, else the difference of the pooled mean CCC over dimensions (:mod:`unheard.comparison.compare_targets`). All
differences and intervals are fractions, or on the scale of the metric, A minus B.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

import polars as pl

from unheard.comparison.compare_targets import compare_targets, exchanged, shared_blocks
from unheard.comparison.exchange import common
from unheard.comparison.paired import LEAST, LEVEL, bootstrap, holm, sign_flip, smallest_shown
from unheard.comparison.pairs import pair
from unheard.comparison.secondary import over_clips, over_folds, uar_difference
from unheard.errors import UsageError
from unheard.metrics.intervals import DRAWS
from unheard.metrics.rows import marks, rows_with_truth


@dataclass(frozen=True)
class Comparison:
    """Outcome of :func:`compare`; :func:`unheard.comparison.wording.describe` says it in words.

    Parameters
    ----------
    a, b
        Names of the systems.
    protocol_a, protocol_b
        Names of their protocols (None: unknown).
    across
        The protocols are not the same one, or not known to be.
    difference, low, high
        T and its 95 % interval over speakers (None below four).
    p, p_holm
        Of the sign flips; ``p_holm`` is adjusted for the ``pairs`` compared together.
    supported
        ``p_holm`` < 0.05, the interval excludes 0, at least six speakers, all of them known.
    smallest
        Smallest difference that these speakers could have shown (None: none could).
    n_speakers, n_clips
        Known speakers and clips that both tested. ``only_a``, ``only_b``, ``unanswered_a``,
        ``unanswered_b`` and ``dropped`` as in :class:`unheard.comparison.pairs.Pairs`.
    speakers
        d_s of each known speaker.
    secondary
        Never decisive. Of classes: ``uar`` (difference, low, high, p as above, of each speaker's UAR),
        ``corrected_t`` (difference, folds, t, p; None across protocols or with one fold) and ``mcnemar`` (only_a,
        only_b, p). Of other targets: ``exchange``, for each metric by its name what
        :func:`unheard.comparison.compare_targets.exchanged` returns.
    marks
        ``UNVERIFIED`` or ``FEW SPEAKERS`` where due.
    metric
        What T is the difference of: ``accuracy``, ``kl`` (smaller is better) or ``mean.ccc``.
    """

    a: str
    b: str
    protocol_a: str | None
    protocol_b: str | None
    across: bool
    difference: float
    low: float | None
    high: float | None
    p: float
    p_holm: float
    pairs: int
    supported: bool
    smallest: float | None
    n_speakers: int
    n_clips: int
    only_a: int
    only_b: int
    unanswered_a: int
    unanswered_b: int
    dropped: int
    speakers: dict[str, float]
    secondary: dict[str, Any]
    marks: tuple[str, ...]
    metric: str = "accuracy"

    @property
    def a_is_better(self) -> bool:
        """Whether the difference speaks for A."""
        return (self.difference > 0) != (self.metric == "kl")

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "marks": list(self.marks)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Comparison:
        """Make one of what :meth:`as_dict` gave."""
        return cls(**{**plain, "marks": tuple(plain["marks"])})


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
    """Leakage gap: what the same recipe gains on a leaky protocol over the speaker-independent one.

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
            f"{_protocol(b)} {_short(b)}); compare runs of one, or ask for it with --across"
        )
    if not (_labelled(a) and _labelled(b)):
        found = compare_targets(a, b, answered_only=answered_only, pairs=pairs, draws=draws, seed=seed)
        return Comparison(
            a=names[0],
            b=names[1],
            protocol_a=_protocol(a),
            protocol_b=_protocol(b),
            across=not same,
            p_holm=found.p,
            pairs=pairs,
            supported=False,
            **vars(found),
        )
    both = pair(a, b, answered_only)
    clips = both.clips.with_columns((pl.col("a") - pl.col("b")).alias("d"))
    by_unit = (
        clips.group_by("unit", maintain_order=True)
        .agg(pl.col("d").mean(), pl.col("speaker").first())
        .sort("unit")
    )
    d = by_unit["d"].to_numpy()
    interval = bootstrap(d, draws, seed)
    low, high = interval or (None, None)
    p = sign_flip(d, seed)
    known = by_unit.filter(pl.col("speaker").is_not_null())
    # With unknown speakers nothing can be shown, whatever the clips say.
    verified = len(known) == len(by_unit)
    smallest = smallest_shown(d, interval, LEVEL / pairs, seed) if interval and verified else None
    return Comparison(
        a=names[0],
        b=names[1],
        protocol_a=_protocol(a),
        protocol_b=_protocol(b),
        across=not same,
        difference=float(d.mean()),
        low=low,
        high=high,
        p=p,
        p_holm=p,
        pairs=pairs,
        supported=False,
        smallest=smallest,
        n_speakers=len(known),
        n_clips=len(clips),
        only_a=both.only_a,
        only_b=both.only_b,
        unanswered_a=both.unanswered_a,
        unanswered_b=both.unanswered_b,
        dropped=both.dropped,
        speakers=dict(zip(known["speaker"].to_list(), known["d"].to_list(), strict=True)),
        secondary={
            "uar": uar_difference(both, draws, seed),
            "corrected_t": over_folds(both, a, b) if same else None,
            "mcnemar": over_clips(both),
            **_other_targets(a, b, draws, seed),
        },
        marks=marks(by_unit["speaker"]),
    )


def _labelled(table: pl.DataFrame) -> bool:
    return bool((table["label"].is_not_null() & (table["part"] == "test")).any())


def _alike(a: pl.DataFrame, b: pl.DataFrame) -> bool:
    """Whether both have labels, or some shares of votes or dimension in common."""
    if _labelled(a) and _labelled(b):
        return True
    return bool(shared_blocks(*common(rows_with_truth(a), rows_with_truth(b))))


def _other_targets(a: pl.DataFrame, b: pl.DataFrame, draws: int, seed: int) -> dict[str, Any]:
    """Compare the shares and dimensions that two systems of labels have besides; empty without any."""
    rows_a, rows_b = common(rows_with_truth(a), rows_with_truth(b))
    shared = shared_blocks(rows_a, rows_b)
    return {"exchange": exchanged(shared, rows_a, rows_b, draws, seed)} if shared else {}


def _supported(c: Comparison, p_holm: float) -> bool:
    if c.low is None or c.high is None or "UNVERIFIED" in c.marks:
        return False
    return p_holm < LEVEL and (c.low > 0 or c.high < 0) and c.n_speakers >= LEAST


def _names(tables: Sequence[pl.DataFrame]) -> list[str]:
    """System names, with the protocol where they do not tell the systems apart."""
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
