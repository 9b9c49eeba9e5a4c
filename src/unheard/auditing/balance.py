"""Whether classes, genders and speakers are balanced, and how much of them is not known."""

from __future__ import annotations

import polars as pl

from unheard.auditing.certificate import Finding, finding
from unheard.corpora.table import classes
from unheard.metrics.formatting import counted
from unheard.protocols.fold import Protocol

#: Ratio of the largest to the smallest class: an information from the first, a warning from the second.
CLASS_RATIOS = (1.5, 5.0)
#: Share of the rarer gender: an information below the first, a warning below the second.
GENDER_SHARES = (0.4, 0.2)
#: Number of speakers below which an interval is marked, and below which there is none.
SPEAKERS = (10, 4)


def check_balance(table: pl.DataFrame, protocol: Protocol | None) -> list[Finding]:
    """Return findings about classes, genders and speakers; with a protocol, only the clips in its folds count."""
    used = table
    if protocol is not None:
        ids = {name for parts in protocol.folds for ids in parts for name in ids}
        used = table.filter(pl.col("id").is_in(list(ids)))
    found = (
        _class_imbalance(used),
        _unlabelled(table),
        _gender_imbalance(used),
        _gender_conflict(table),
        _gender_unknown(table),
        _unknown_speakers(table),
        _few_speakers(used, protocol),
    )
    return [f for f in found if f is not None]


def _class_imbalance(table: pl.DataFrame) -> Finding | None:
    counts = {name: int((table["label"] == name).sum()) for name in classes(table)}
    present = {name: n for name, n in counts.items() if n}
    absent = [name for name, n in counts.items() if not n]
    if not present:
        return None
    ratio = max(present.values()) / min(present.values())
    if ratio < CLASS_RATIOS[0] and not absent:
        return None
    severity = "warning" if ratio >= CLASS_RATIOS[1] or absent else "information"
    message = (
        f"the largest class has {ratio:.1f} times the clips of the smallest"
        + (f", and {len(absent)} of {len(counts)} classes have none" if absent else "")
        + ": look at UAR as well as accuracy."
    )
    return Finding(
        "CLASS_IMBALANCE", severity, message, len(counts), tuple(f"{k}: {n}" for k, n in counts.items())
    )


def _unlabelled(table: pl.DataFrame) -> Finding | None:
    ids = table.filter(pl.col("label").is_null())["id"].to_list()
    if not ids:
        return None
    return finding("UNLABELLED", "information", f"{len(ids)} of {len(table)} clips have no label.", ids)


def _gender_imbalance(table: pl.DataFrame) -> Finding | None:
    counts = {g: int((table["gender"] == g).sum()) for g in ("female", "male")}
    known = sum(counts.values())
    if not known:
        return None
    share = min(counts.values()) / known
    if share >= GENDER_SHARES[0]:
        return None
    rarer = min(counts, key=lambda g: counts[g])
    message = f"{100 * share:.0f} % of the clips with a known gender are by {rarer} speakers."
    severity = "warning" if share < GENDER_SHARES[1] else "information"
    return Finding(
        "GENDER_IMBALANCE", severity, message, counts[rarer], tuple(f"{g}: {n}" for g, n in counts.items())
    )


def _gender_conflict(table: pl.DataFrame) -> Finding | None:
    """Find speakers with two genders; readers have set those to null, tables made by hand have not."""
    known = table.filter(pl.col("speaker").is_not_null() & pl.col("gender").is_not_null())
    both = known.group_by("speaker").agg(pl.col("gender").cast(pl.String).unique().sort())
    both = both.filter(pl.col("gender").list.len() > 1)
    if both.is_empty():
        return None
    cases = (f"{speaker}: {', '.join(genders)}" for speaker, genders in both.iter_rows())
    message = (
        f"{counted(len(both), 'speaker')} with two genders: one row is wrong, or two people share a name."
    )
    return finding("GENDER_CONFLICT", "warning", message, cases)


def _gender_unknown(table: pl.DataFrame) -> Finding | None:
    """Find speakers without gender where others have one; a corpus that says nothing of gender is left alone."""
    per_speaker = (
        table.filter(pl.col("speaker").is_not_null())
        .group_by("speaker")
        .agg(pl.col("gender").is_not_null().any().alias("known"))
    )
    blank = per_speaker.filter(~pl.col("known"))["speaker"].to_list()
    if not blank or len(blank) == len(per_speaker):
        return None
    message = (
        f"{counted(len(blank), 'speaker')} of unknown gender, who cannot be balanced or reported by gender."
    )
    return finding("GENDER_UNKNOWN", "information", message, blank)


def _unknown_speakers(table: pl.DataFrame) -> Finding | None:
    ids = table.filter(pl.col("speaker").is_null())["id"].to_list()
    if not ids:
        return None
    message = (
        f"the speaker of {len(ids)} of {len(table)} clips is not known: "
        "nobody can tell whether they are unheard people."
    )
    return finding("SPEAKER_UNKNOWN", "warning", message, ids)


def _few_speakers(table: pl.DataFrame, protocol: Protocol | None) -> Finding | None:
    if protocol is not None:
        tested = {name for parts in protocol.folds for name in parts.test}
        table = table.filter(pl.col("id").is_in(list(tested)))
    speakers = sorted(table["speaker"].drop_nulls().unique().to_list())
    if not speakers or len(speakers) >= SPEAKERS[0]:
        return None
    few = len(speakers) < SPEAKERS[1]
    message = f"{counted(len(speakers), 'known speaker')} {'tested' if protocol else 'in the table'}: " + (
        "too few for an interval." if few else "an interval over so few is rough, and is marked."
    )
    return finding("FEW_SPEAKERS", "warning" if few else "information", message, speakers)
