"""Folds from a file: our own JSON, or a CSV with ``id,fold,part``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import polars as pl

from unheard.errors import ProtocolError, about, first_five
from unheard.formats import json_text
from unheard.formats.separated import read_separated
from unheard.protocols.fold import PARTS, Protocol, fold, guarded

#: Bytes of a JSON file: a clip stands in every fold.
MOST_BYTES = 2**28


def from_file(path: str | os.PathLike[str], table: pl.DataFrame, *, declare_leaky: bool = False) -> Protocol:
    """Read folds and guard them.

    JSON: ``{"name", "disjoint", "leaky", "folds": [{"train", "val", "test"}]}`` (what ``protocol.json``
    of a run holds); CSV: one row per id, fold and part. Unknown speakers make it ``UNVERIFIED``.
    """
    source = Path(path)
    if source.suffix == ".json":
        plain = json_text.read_object(source, ProtocolError, MOST_BYTES)
    else:
        plain = _read_csv(source)
    folds, disjoint = plain.get("folds"), plain.get("disjoint", ["speaker"])
    name, leaky = plain.get("name", source.stem), plain.get("leaky", False)
    if not isinstance(folds, list) or not all(_are_parts(parts) for parts in folds):
        raise ProtocolError(
            f'{source}: expected {{"folds": [{{"train": […], "val": […], "test": […]}}]}}, each a list of ids'
        )
    if not _are_names(disjoint) or not isinstance(name, str) or not isinstance(leaky, bool):
        raise ProtocolError(
            f"{source}: expected a text as name, true or false as leaky, and a list of columns as disjoint"
        )
    unknown = [
        column for column in disjoint if column not in ("speaker", "sentence", "session", "text", "dialogue")
    ]
    if unknown:
        raise ProtocolError(
            f"{source}: cannot keep {unknown[0]!r} disjoint; choose speaker, sentence, session or text"
        )
    made = [fold(**{part: map(str, parts.get(part, ())) for part in PARTS}) for parts in folds]
    with about(source):
        return guarded(name, table, made, disjoint=disjoint, leaky=leaky or declare_leaky, unverified=True)


def _are_parts(parts: Any) -> bool:
    """Whether something is a fold: lists of ids, which may be numbers, by the name of the part."""
    return isinstance(parts, dict) and all(_are_names(parts.get(part, []), int) for part in PARTS)


def _are_names(value: Any, *more: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, (str, *more)) for item in value)


def _read_csv(source: Path) -> dict[str, Any]:
    header, rows = read_separated(source, ProtocolError)
    if not {"id", "fold", "part"} <= set(header):
        raise ProtocolError(f"{source}: expected the columns id, fold, part; found {first_five(header)}")
    folds: dict[str, dict[str, list[str]]] = {}
    for number, cells in rows:
        row = dict(zip(header, cells, strict=True))
        part = {"validation": "val", "dev": "val", "valid": "val"}.get(row["part"], row["part"])
        if part not in PARTS:
            raise ProtocolError(
                f"{source}, row {number}: part is {row['part']!r}, expected train, val or test"
            )
        folds.setdefault(row["fold"], {p: [] for p in PARTS})[part].append(row["id"])
    order = sorted(folds, key=lambda k: (not k.isdecimal(), k.rjust(30, "0") if k.isdecimal() else k))
    return {"folds": [folds[k] for k in order]}
