"""Label leakage: whether the speaker or the text alone tells the label.

Each clip's label is guessed as the commonest label of the *other* clips with its speaker (or text). Where speakers
show all classes equally often, leaving the clip out makes its own label the rarer one, so the guess is worse than
chance and nothing is reported. The *tie* is (accuracy − reference) / (1 − reference),
at most 1; the reference is the mean accuracy of the same guess after shuffling the labels over clips, or that
of always guessing the commonest label where that is higher. Nothing is fitted: this counts, over the whole
table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from unheard.auditing.certificate import Finding, finding
from unheard.auditing.splits import in_two_parts
from unheard.protocols.fold import Protocol

#: Ties from which on a warning and an error are reported; RAVDESS, EmoDB, nEMO and BAVED lie below 0.02, URDU's
#: speakers at 0.95.
WEAK, STRONG = 0.1, 0.5
SHUFFLES = 200
SEED = 0

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Tie:
    """How well labels are guessed from the group, and how well without it."""

    accuracy: float
    reference: float
    greatest_by_chance: float

    @property
    def strength(self) -> float:
        """The tie: 1 where the group determines the label, about 0 or below where it says nothing."""
        return (self.accuracy - self.reference) / max(1.0 - self.reference, 1e-12)

    @property
    def shown(self) -> bool:
        """Whether the tie is strong enough to matter, and stronger than in every shuffled table."""
        return self.strength >= WEAK and self.accuracy > self.greatest_by_chance


def check_label_leakage(table: pl.DataFrame, protocol: Protocol | None) -> list[Finding]:
    """Return ``SPEAKER_GIVES_LABEL`` and ``TEXT_GIVES_LABEL`` (by sentence where known, else by text)."""
    rows = table.filter(pl.col("label").is_not_null()).with_columns(
        said=pl.coalesce("sentence", pl.col("text").str.to_lowercase().str.strip_chars())
    )
    findings = []
    for code, what, column in (("SPEAKER", "speaker", "speaker"), ("TEXT", "text", "said")):
        known = rows.filter(pl.col(column).is_not_null())
        if known[column].n_unique() < 2 or known["label"].n_unique() < 2:
            continue
        tie = label_tie(known[column].to_numpy(), known["label"].cast(pl.String).to_numpy())
        if tie.shown:
            findings.append(_finding(f"{code}_GIVES_LABEL", what, column, tie, known, protocol))
    return findings


def label_tie(groups: Array, labels: Array) -> Tie:
    """Measure how well the group of a clip tells its label.

    Parameters
    ----------
    groups, labels
        Shape (n,), one value a clip, of any type that can be sorted.
    """
    group = np.unique(groups, return_inverse=True)[1]
    label = np.unique(labels, return_inverse=True)[1]
    counts = np.bincount(label)
    # The clips are sorted before shuffling, so that the order of rows does not matter.
    order = np.lexsort((label, group))
    group, label = group[order], label[order]
    rng = np.random.default_rng(SEED)
    shuffled = [_accuracy(group, rng.permutation(label), counts) for _ in range(SHUFFLES)]
    reference = max(float(np.mean(shuffled)), float(counts.max() / len(label)))
    return Tie(_accuracy(group, label, counts), reference, max(shuffled))


def _accuracy(group: Array, label: Array, counts: Array) -> float:
    """Return the share of clips whose label is the commonest of their group's other clips; ties by all counts."""
    seen = np.bincount(group * len(counts) + label, minlength=(group.max() + 1) * len(counts))
    others = seen.reshape(-1, len(counts))[group].astype(float)
    others[np.arange(len(label)), label] -= 1
    return float(np.mean(np.argmax(others + 0.5 * counts / (counts.sum() + 1), axis=1) == label))


def _finding(
    code: str, what: str, column: str, tie: Tie, known: pl.DataFrame, protocol: Protocol | None
) -> Finding:
    apart = protocol is not None and not in_two_parts(column, known, protocol)
    severity = "error" if tie.strength >= STRONG and not apart else "warning"
    counts = (
        known.group_by(column, "label").len().sort(column, "len", "label", descending=[False, True, False])
    )
    top = counts.group_by(column, maintain_order=True).agg(
        pl.first("label"), pl.first("len"), pl.sum("len").alias("of")
    )
    only = top.filter((pl.col("len") == pl.col("of")) & (pl.col("of") > 1))
    message = (
        f"knowing the {what} is enough to guess the label of {100 * tie.accuracy:.0f} % of clips "
        f"({100 * tie.reference:.0f} % without; tie {tie.strength:.2f} of 1); "
        f"{len(only)} of {len(top)} values of {what} have the same label in all of their clips."
    )
    cases = (
        f"{r[column]}: {r['label']} in {r['len']} of {r['of']} clips" for r in only.iter_rows(named=True)
    )
    return finding(code, severity, message, cases)
