"""Which systems of a page may be compared, and what came of it: pairs of one protocol, and leakage gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from unheard.comparison.compare import Comparison, compare_all, leakage_gap
from unheard.report.system import System


@dataclass(frozen=True)
class Compared:
    """All pairs among the systems of one protocol hash, adjusted together."""

    protocol: str
    protocol_hash: str
    pairs: tuple[Comparison, ...]


def compared(systems: Sequence[System]) -> list[Compared]:
    """Compare every two systems that share a protocol hash and a target; others are never compared.

    Systems of dimensions are compared in those that both have.
    """
    groups: dict[tuple[str, str], list[System]] = {}
    for system in systems:
        if system.protocol_hash:
            target = system.headline()[0].name
            groups.setdefault((system.protocol_hash, target), []).append(system)
    found = []
    for (protocol_hash, _), those in groups.items():
        if len(those) > 1:
            tables, names = [s.clean for s in those], [s.name for s in those]
            pairs = compare_all(tables, names=names, skip_unlike=True)
            found += [Compared(those[0].protocol, protocol_hash, tuple(pairs))] if pairs else []
    return found


def leakage_gaps(systems: Sequence[System]) -> list[Comparison]:
    """Return the leakage gap of every leaky run whose recipe has a speaker-independent run on the page, too.

    The recipe is the same where the settings hash is; names and folds are no part of it.
    """
    leaky = [s for s in systems if "LEAKY" in s.stamps]
    fair = [s for s in systems if not {"LEAKY", "UNVERIFIED"} & set(s.stamps)]
    return [
        replace(leakage_gap(a.clean, b.clean), a=a.name, b=b.name)
        for a in leaky
        for b in fair
        if a.results.get("settings_hash")
        and a.results["settings_hash"] == b.results.get("settings_hash")
        and a.corpus == b.corpus
        and a.protocol_hash != b.protocol_hash
        and not set(a.rows.frame["id"]).isdisjoint(b.rows.frame["id"])
    ]
