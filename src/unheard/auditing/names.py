"""Speakers, labels and ids that are written in two ways in one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher

import polars as pl

from unheard.auditing.certificate import Finding, finding
from unheard.corpora.names import comparable, nearly_equal, shown
from unheard.metrics.formatting import counted

#: A label with at most this share of another's clips and at least this similarity of letters is taken for a
#: mistyped one.
RARE, ALIKE = 0.05, 0.85


def check_names(table: pl.DataFrame) -> list[Finding]:
    """Return ``NEARLY_EQUAL_SPEAKERS``, ``NEARLY_EQUAL_LABELS`` and ``NEARLY_EQUAL_IDS``."""
    findings = (_speakers(table), _labels(table), _ids(table))
    return [found for found in findings if found is not None]


def _speakers(table: pl.DataFrame) -> Finding | None:
    clips = _clips(table["speaker"])
    groups = nearly_equal(clips)
    if not groups:
        return None
    message = (
        f"{sum(map(len, groups))} names of speakers look like {counted(len(groups), 'person')} written in more "
        "than one way, whom folds take for different people: --speakers merge makes one of each group, "
        "--speakers OLD=NEW,… renames."
    )
    return finding("NEARLY_EQUAL_SPEAKERS", "error", message, _cases(groups, clips))


def _labels(table: pl.DataFrame) -> Finding | None:
    clips = _clips(table["label"].cast(pl.String))
    groups = nearly_equal(clips)
    mistyped = _mistyped(clips)
    if not groups and not mistyped:
        return None
    message = (
        f"{counted(len(groups) + len(mistyped), 'label')} written in more than one way, which are classes of "
        "their own: --labels OLD=NEW,… merges them, --labels OLD= drops one."
    )
    meant = (
        f"{rare} ({counted(clips[rare], 'clip')}): did you mean {common} ({counted(clips[common], 'clip')})?"
        for rare, common in mistyped.items()
    )
    return finding("NEARLY_EQUAL_LABELS", "error", message, [*_cases(groups, clips), *meant])


def _ids(table: pl.DataFrame) -> Finding | None:
    groups = nearly_equal(table["id"])
    if not groups:
        return None
    message = (
        f"{counted(len(groups), 'group')} of ids differ in case, zeros, blanks or Unicode form alone: "
        "predictions and labels of others may join the wrong one."
    )
    return finding("NEARLY_EQUAL_IDS", "warning", message, (" = ".join(map(shown, g)) for g in groups))


def _mistyped(clips: Mapping[str, int]) -> dict[str, str]:
    """Return the labels of few clips that look like one with many, by which one that is."""
    found: dict[str, str] = {}
    for rare in clips:
        near = {
            common: likeness
            for common in clips
            if clips[rare] <= RARE * clips[common] and (likeness := _alike(rare, common)) >= ALIKE
        }
        if near:
            found[rare] = max(near, key=lambda common: near[common])
    return found


def _alike(a: str, b: str) -> float:
    """Return how alike the letters of two names are; 0 where their digits differ, which tell classes apart."""
    a, b = comparable(a), comparable(b)
    if a == b or [c for c in a if c.isdecimal()] != [c for c in b if c.isdecimal()]:
        return 0.0
    return SequenceMatcher(None, a, b, autojunk=False).ratio()


def _clips(names: pl.Series) -> dict[str, int]:
    return dict(names.drop_nulls().value_counts(sort=True).iter_rows())


def _cases(groups: Iterable[tuple[str, ...]], clips: Mapping[str, int]) -> list[str]:
    return [
        " = ".join(f"{shown(name)} ({counted(clips[name], 'clip')})" for name in group) for group in groups
    ]
