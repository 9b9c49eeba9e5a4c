"""Speakers, labels and ids that are written in two ways in one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from unheard.auditing.certificate import Finding, finding
from unheard.corpora.names import mistyped, nearly_equal, shown
from unheard.metrics.formatting import counted


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
    misspelled = mistyped(clips)
    if not groups and not misspelled:
        return None
    message = (
        f"{counted(len(groups) + len(misspelled), 'label')} written in more than one way, which are classes of "
        "their own: --labels merge makes one of each group, --labels OLD=NEW,… renames, OLD= drops."
    )
    meant = (
        f"{rare} ({counted(clips[rare], 'clip')}): did you mean {common} ({counted(clips[common], 'clip')})?"
        for rare, common in misspelled.items()
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


def _clips(names: pl.Series) -> dict[str, int]:
    return dict(names.drop_nulls().value_counts(sort=True).iter_rows())


def _cases(groups: Iterable[tuple[str, ...]], clips: Mapping[str, int]) -> list[str]:
    return [
        " = ".join(f"{shown(name)} ({counted(clips[name], 'clip')})" for name in group) for group in groups
    ]
