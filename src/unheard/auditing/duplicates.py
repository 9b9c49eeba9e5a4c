"""Recordings that are in the table twice: by which speakers, in which splits, and with which labels.

A pair is *exact* where the decoded audio is equal, and *near* where the fingerprints are similar (another rate,
format, gain or cut, or two pieces of one programme that overlap). Each pair is reported
once under a ``…DUPLICATE…`` code by its speakers, once under ``…DUPLICATE_ACROSS_SIDES`` where a fold has it in
two splits, and once under ``CONTRADICTING_LABELS`` where its labels differ.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from unheard.audio.fingerprint import Fingerprint
from unheard.auditing.certificate import Finding, finding
from unheard.auditing.matching import near_duplicates
from unheard.auditing.recordings import Recording, band_wave_of
from unheard.metrics.formatting import counted
from unheard.protocols.fold import Protocol


@dataclass(frozen=True)
class Pair:
    """A pair of ids in order; ``similarity`` is None where the audio is equal."""

    first: str
    second: str
    similarity: float | None

    def __str__(self) -> str:
        alike = "" if self.similarity is None else f" ({self.similarity:.2f})"
        return f"{self.first} = {self.second}{alike}"


def find_pairs(recordings: Sequence[Recording]) -> list[Pair]:
    """Return all pairs of equal and nearly equal recordings, sorted."""
    by_hash: dict[str, list[str]] = {}
    firsts: list[Recording] = []
    prints: list[Fingerprint] = []
    for recording in sorted(recordings, key=lambda each: each.id):
        if recording.exact is not None and recording.print is not None:
            if recording.exact not in by_hash:
                firsts.append(recording)
                prints.append(recording.print)
            by_hash.setdefault(recording.exact, []).append(recording.id)
    equal = [Pair(a, b, None) for ids in by_hash.values() for a, b in itertools.combinations(ids, 2)]
    # Equal audio has equal fingerprints: one recording of each kind is compared, and its matches hold for all.
    kinds = list(by_hash.values())
    near = [
        Pair(min(a, b), max(a, b), match.similarity)
        for match in near_duplicates(prints, lambda k: band_wave_of(firsts[k]))
        for a, b in itertools.product(kinds[match.first], kinds[match.second])
    ]
    return sorted(equal + near, key=lambda pair: (pair.first, pair.second))


def check_duplicates(pairs: Sequence[Pair], table: pl.DataFrame, protocol: Protocol | None) -> list[Finding]:
    """Return findings about pairs by speaker, by split and by label."""
    speaker, label = (dict(zip(table["id"], table[c].to_list(), strict=True)) for c in ("speaker", "label"))
    findings = []
    for prefix, kind, chosen in (
        ("", "equal", [p for p in pairs if p.similarity is None]),
        ("NEAR_", "nearly equal", [p for p in pairs if p.similarity is not None]),
    ):
        groups: dict[str, list[Pair]] = {}
        for pair in chosen:
            groups.setdefault(_whose(speaker[pair.first], speaker[pair.second]), []).append(pair)
        findings += [_by_speaker(prefix, kind, whose, group) for whose, group in groups.items()]
        findings += _across_splits(prefix, kind, chosen, protocol)
    return findings + _contradictions(pairs, label)


def _whose(first: str | None, second: str | None) -> str:
    if first is None or second is None:
        return "UNKNOWN_SPEAKER"
    return "WITHIN_SPEAKER" if first == second else "ACROSS_SPEAKERS"


def _by_speaker(prefix: str, kind: str, whose: str, pairs: Sequence[Pair]) -> Finding:
    text = {
        "ACROSS_SPEAKERS": "under two speakers: one person has two names, or a name is wrong",
        "WITHIN_SPEAKER": "of one speaker: such a clip counts twice",
        "UNKNOWN_SPEAKER": "whose speaker is not known: such a clip counts twice, perhaps in two splits",
    }[whose]
    severity = "error" if whose == "ACROSS_SPEAKERS" else "warning"
    message = f"{counted(len(pairs), 'pair')} of {kind} recordings {text}."
    return finding(f"{prefix}DUPLICATE_{whose}", severity, message, map(str, pairs))


def _across_splits(prefix: str, kind: str, pairs: Sequence[Pair], protocol: Protocol | None) -> list[Finding]:
    if protocol is None:
        return []
    part_of = [{name: part for part, ids in enumerate(fold) for name in ids} for fold in protocol.folds]
    found: dict[Pair, int] = {}
    for pair in pairs:
        places = [(fold.get(pair.first), fold.get(pair.second)) for fold in part_of]
        split = sum(a is not None and b is not None and a != b for a, b in places)
        if split:
            found[pair] = split
    if not found:
        return []
    message = (
        f"{counted(len(found), 'pair')} of {kind} recordings in two splits of a fold: "
        "a clip that is tested was trained on."
    )
    cases = (f"{pair} in {number} of {len(part_of)} folds" for pair, number in found.items())
    return [finding(f"{prefix}DUPLICATE_ACROSS_SIDES", "error", message, cases)]


def _contradictions(pairs: Sequence[Pair], label: dict[str, str | None]) -> list[Finding]:
    bad = [p for p in pairs if None not in (labels := {label[p.first], label[p.second]}) and len(labels) == 2]
    if not bad:
        return []
    # Overlapping pieces of one programme may rightly have different labels; equal recordings may not.
    severity = "error" if any(p.similarity is None for p in bad) else "warning"
    message = (
        f"{counted(len(bad), 'pair')} of equal or nearly equal recordings with two labels: one is wrong."
    )
    cases = (f"{p}: {label[p.first]}, {label[p.second]}" for p in bad)
    return [finding("CONTRADICTING_LABELS", severity, message, cases)]
