"""Decode every clip of a table once: its exact hash, its fingerprint, or the reason why it cannot be used."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import polars as pl

from unheard.audio.decode import check_trainable, load
from unheard.audio.fingerprint import Fingerprint, band_wave, exact_hash, fingerprint
from unheard.auditing.certificate import Finding, finding
from unheard.errors import AudioError, escaped
from unheard.extraction.processes import Died, spread

#: Greatest share of unusable recordings that is a warning; a run refuses more as well.
MAX_BAD = 0.01


Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Recording:
    """A decoded clip: its hash and fingerprint, or else the reason why there are none; and where it is."""

    id: str
    piece: tuple[str, float | None, float | None]
    exact: str | None
    print: Fingerprint | None
    reason: str | None = None
    missing: bool = False


def read_recordings(
    table: pl.DataFrame, *, jobs: int = 1, progress: Callable[[int, int], None] | None = None
) -> list[Recording]:
    """Return one recording a row, in the table's order, whatever the number of processes."""
    pieces = list(table.select("id", "path", "start", "end").iter_rows())
    found: dict[str, Recording] = {}
    for piece, result in spread(_decoded, pieces, jobs):
        if isinstance(result, Died):
            result = Recording(piece[0], piece[1:], None, None, "the process that decoded it died")
        found[piece[0]] = result
        if progress is not None:
            progress(len(found), len(pieces))
    return [found[piece[0]] for piece in pieces]


def check_files(recordings: Sequence[Recording]) -> list[Finding]:
    """Return ``MISSING_FILE`` and ``BROKEN_FILE``: recordings that cannot be used."""
    kinds = {
        "MISSING_FILE": ([r for r in recordings if r.missing], "the file does not exist"),
        "BROKEN_FILE": (
            [r for r in recordings if r.reason and not r.missing],
            "the recording cannot be used",
        ),
    }
    findings = []
    for code, (bad, what) in kinds.items():
        if bad:
            share = len(bad) / len(recordings)
            findings.append(
                finding(
                    code,
                    "error" if share > MAX_BAD else "warning",
                    f"{len(bad)} of {len(recordings)} clips: {what}; they are left out of the other checks.",
                    (f"{r.id}: {r.reason}" for r in bad),
                )
            )
    return findings


def band_wave_of(recording: Recording) -> Array | None:
    """Return the band wave of a recording, which is decoded again; None where it has gone since."""
    try:
        return band_wave(load(*recording.piece).wave)
    except AudioError:
        return None


def _decoded(row: tuple[str, str, float | None, float | None]) -> Recording:
    name, path, start, end = row
    try:
        clip = load(path, start, end)
        check_trainable(clip)
    except AudioError as error:
        # A certificate is published and holds no paths of its owner's machine.
        reason = str(error).replace(escaped(path), escaped(Path(path).name))
        return Recording(name, row[1:], None, None, reason, missing=not os.path.exists(path))  # noqa: PTH110
    return Recording(name, row[1:], exact_hash(clip.wave), fingerprint(clip.wave))
