"""Folds from a file: our own JSON, or a CSV with ``id,fold,part``; or from a folder of EmoBox."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import polars as pl

from unheard.errors import ProtocolError, about, first_five
from unheard.formats import json_text
from unheard.formats.separated import read_json_lines, read_separated
from unheard.protocols.fold import PARTS, Protocol, fold, guarded

#: Bytes of a JSON file, in which a clip stands in every fold; and folds.
MAX_BYTES, MAX_FOLDS = 2**26, 10_000


def from_file(path: str | os.PathLike[str], table: pl.DataFrame, *, declare_leaky: bool = False) -> Protocol:
    """Read folds and guard them.

    JSON: ``{"name", "disjoint", "leaky", "folds": [{"train", "val", "test"}]}`` (what ``protocol.json``
    of a run holds); CSV: one row per id, fold and part. Unknown speakers make it ``UNVERIFIED``.
    """
    source = Path(path)
    if source.suffix == ".json":
        plain = json_text.read_object(source, ProtocolError, MAX_BYTES)
    else:
        plain = _read_csv(source)
    folds, disjoint = plain.get("folds"), plain.get("disjoint", ["speaker"])
    name, leaky = plain.get("name", source.stem), plain.get("leaky", False)
    if not isinstance(folds, list) or not all(_are_parts(parts) for parts in folds):
        raise ProtocolError(
            f'{source}: expected {{"folds": [{{"train": […], "val": […], "test": […]}}]}}, each a list of ids'
        )
    if len(folds) > MAX_FOLDS:
        raise ProtocolError(f"{source}: {len(folds):,} folds, at most {MAX_FOLDS:,} are read")
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


def from_emobox(
    path: str | os.PathLike[str], table: pl.DataFrame, *, declare_leaky: bool = False
) -> Protocol:
    """Read the folds of a set of EmoBox (``data/SET/fold_K/SET_train_fold_K.jsonl`` and so on), and guard them.

    A row is the clip that has its recording's name as id, or that name with the folders before it. Where EmoBox
    has a speaker in two splits, the folds are refused unless they are declared leaky.
    """
    source = Path(path)
    places = sorted(source.glob("fold_*"), key=lambda place: (len(place.name), place.name))
    if not places:
        raise ProtocolError(
            f"{source}: no fold_1 there; give a .json, a .csv, or the folder of a set of EmoBox"
        )
    known = set(table["id"])
    folds = []
    for place in places:
        ids: dict[str, list[str]] = {part: [] for part in PARTS}
        for part, theirs in zip(PARTS, ("train", "valid", "test"), strict=True):
            named = [file for file in place.glob("*.jsonl") if re.search(rf"_{theirs}_fold_?\d+$", file.stem)]
            # Some folders hold an older copy, whose number follows "fold" at once.
            for file in sorted(named, key=lambda file: "_fold_" not in file.stem)[:1]:
                ids[part] = [_clip(file, row, known) for row in read_json_lines(file, ProtocolError)]
        folds.append(fold(**ids))
    return guarded(f"emobox-{source.name}", table, folds, leaky=declare_leaky, unverified=True)


def _clip(file: Path, row: tuple[int, dict[str, Any]], known: set[str]) -> str:
    number, cells = row
    wav = Path(str(cells.get("wav") or ""))
    if not wav.name:
        raise ProtocolError(f"{file}: row {number}: no wav, expected the path of a recording")
    return wav.stem if wav.stem in known else wav.with_suffix("").as_posix()


def _are_parts(parts: Any) -> bool:
    """Return whether something is a fold: lists of ids, which may be numbers, by the name of the part."""
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
        if len(folds) == MAX_FOLDS and row["fold"] not in folds:
            raise ProtocolError(
                f"{source}, row {number}: more than {MAX_FOLDS:,} folds; at most as many are read"
            )
        folds.setdefault(row["fold"], {p: [] for p in PARTS})[part].append(row["id"])
    order = sorted(folds, key=lambda k: (not k.isdecimal(), k.rjust(30, "0") if k.isdecimal() else k))
    return {"folds": [folds[k] for k in order]}
