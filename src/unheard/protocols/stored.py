"""Folds from a file: our own JSON, or a CSV with ``id,fold,part``."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import polars as pl

from unheard.errors import ProtocolError
from unheard.protocols.fold import PARTS, Protocol, fold, guarded


def from_file(path: str | os.PathLike[str], table: pl.DataFrame, *, declare_leaky: bool = False) -> Protocol:
    """Read folds and guard them.

    JSON: ``{"name", "disjoint", "leaky", "folds": [{"train", "val", "test"}]}`` (what ``protocol.json``
    of a run holds); CSV: one row per id, fold and part. Unknown speakers make it ``UNVERIFIED``.
    """
    source = Path(path)
    try:
        text = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ProtocolError(f"{source}: cannot be read as UTF-8 text ({error})") from error
    plain = _read_json(source, text) if source.suffix == ".json" else _read_csv(source, text)
    try:
        folds = [
            fold(**{part: [str(i) for i in parts.get(part, [])] for part in PARTS})
            for parts in plain["folds"]
        ]
        disjoint = [str(column) for column in plain.get("disjoint", ["speaker"])]
        name, leaky = str(plain.get("name", source.stem)), bool(plain.get("leaky", False))
    except (KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(
            f'{source}: expected {{"folds": [{{"train": […], "val": […], "test": […]}}]}}'
        ) from error
    unknown = [
        column for column in disjoint if column not in ("speaker", "sentence", "session", "text", "dialogue")
    ]
    if unknown:
        raise ProtocolError(
            f"{source}: cannot keep {unknown[0]!r} disjoint; choose speaker, sentence, session or text"
        )
    return guarded(name, table, folds, disjoint=disjoint, leaky=leaky or declare_leaky, unverified=True)


def _read_json(source: Path, text: str) -> dict[str, Any]:
    try:
        plain = json.loads(text)
    except json.JSONDecodeError as error:
        raise ProtocolError(f"{source}: not JSON ({error})") from error
    if not isinstance(plain, dict):
        raise ProtocolError(f"{source}: expected a JSON object with the key 'folds'")
    return plain


def _read_csv(source: Path, text: str) -> dict[str, Any]:
    lines = text.splitlines()
    first = lines[0] if lines else ""
    rows = csv.DictReader(lines, delimiter=max(",;\t", key=first.count))
    if not {"id", "fold", "part"} <= set(rows.fieldnames or ()):
        raise ProtocolError(f"{source}: expected the columns id, fold, part; found {first!r}")
    folds: dict[str, dict[str, list[str]]] = {}
    for number, row in enumerate(rows, start=2):
        part = {"validation": "val", "dev": "val", "valid": "val"}.get(str(row["part"]), row["part"])
        if part not in PARTS:
            raise ProtocolError(
                f"{source}, row {number}: part is {row['part']!r}, expected train, val or test"
            )
        folds.setdefault(str(row["fold"]), {p: [] for p in PARTS})[part].append(str(row["id"]))
    order = sorted(folds, key=lambda k: (not k.isdigit(), int(k) if k.isdigit() else 0, k))
    return {"folds": [folds[k] for k in order]}
