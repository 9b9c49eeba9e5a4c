"""Seeded damage to the folder of a run: its bytes, the values in its files, and which files lie where."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from mutate import GENERIC

from unheard.runs.digests import NAME, write_digests
from unheard.runs.folder import FOLD_FILES, KEPT

Rng = np.random.Generator

#: What a value of a JSON file becomes.
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 1e308, -1e308, 5e-324, "", "x", "\x1b[2J", "0", [], {},
    [[]], [None], {"": None}, [1, "x"], "x" * 10_000, list(range(5000)),
)  # fmt: skip


def damaged(
    healthy: Path, other: Path, target: Path, seed: int, number: int, only: Sequence[str] = ()
) -> str:
    """Copy a healthy run folder to ``target`` and damage it, or ``only`` some files; return what was done."""
    rng = np.random.default_rng([seed, number])
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(healthy, target)
    files = sorted(path for path in target.rglob("*") if path.is_file() and path.name != "report.html")
    files = [target / name for name in only] or files
    done = []
    for _ in range(rng.integers(1, 3)):
        path = files[rng.integers(len(files))]
        if not path.is_file() or path.is_symlink():
            continue
        ways: list[Callable[[Path, Path, Rng], object]] = [change_bytes, change_files(other, target)]
        ways += {".json": [change_json] * 3, ".parquet": [change_table] * 2, ".npz": [change_arrays]}.get(
            path.suffix, []
        )
        way = ways[rng.integers(len(ways))]
        done.append(f"{path.relative_to(target)}: {way(path, target, rng)}")
    digests = ("as they were", "none", "none", "right again")[rng.integers(4)]
    if digests != "as they were":
        for folder in (target, *(target / "folds").glob("*")):
            if (folder / NAME).is_dir() and not (folder / NAME).is_symlink():
                (folder / NAME).rmdir()
            (folder / NAME).unlink(missing_ok=True)
            if digests == "right again" and folder.is_dir():
                write_digests(folder, KEPT if folder == target else FOLD_FILES)
    return f"{'; '.join(done)}; digests {digests} (damage {number} of seed {seed})"


def change_bytes(path: Path, target: Path, rng: Rng) -> str:
    """Mutate the bytes of a file."""
    name = sorted(GENERIC)[rng.integers(len(GENERIC))]
    path.write_bytes(GENERIC[name](path.read_bytes(), rng))
    return name


def change_files(other: Path, root: Path) -> Callable[[Path, Path, Rng], str]:
    """Return a mutation that puts something else in the place of a file."""

    def change(path: Path, target: Path, rng: Rng) -> str:
        files = sorted(each for each in target.rglob("*") if each.is_file() and not each.is_symlink())
        second = files[rng.integers(len(files))]
        same = other / path.relative_to(root)
        way = ("remove", "empty", "folder", "pipe", "device", "swap", "another's", "extra")[rng.integers(8)]
        if way == "swap":
            first = path.read_bytes()
            path.write_bytes(second.read_bytes())
            second.write_bytes(first)
            return f"swapped with {second.relative_to(target)}"
        if way == "extra":
            (path.parent / "extra.json").write_text("{}")
            return way
        if way == "another's":
            path.write_bytes(same.read_bytes() if same.is_file() else b"")
            return way
        path.unlink()
        if way == "empty":
            path.touch()
        elif way == "folder":
            path.mkdir()
        elif way == "pipe":
            os.mkfifo(path)
        elif way == "device":
            path.symlink_to("/dev/zero")
        return way

    return change


def change_json(path: Path, target: Path, rng: Rng) -> str:
    """Change, remove or add a value of a JSON file."""
    try:
        value = json.loads(path.read_text())
    except ValueError:
        return "no JSON any more"
    places = list(_places(value))
    if not places:
        return "nothing in it"
    holder, key = places[rng.integers(len(places))]
    way = ("replace", "replace", "replace", "remove", "add")[rng.integers(5)]
    odd = ODD[rng.integers(len(ODD))]
    if way == "remove":
        del holder[key]
    elif way == "add" and isinstance(holder, dict):
        holder["added"] = odd
    else:
        holder[key] = odd
    path.write_text(json.dumps(value))
    return f"{way} {key!r} {str(odd)[:40]!r}"


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


def change_table(path: Path, target: Path, rng: Rng) -> str:
    """Change a column or the rows of a Parquet file."""
    try:
        table = pl.read_parquet(path)
    except Exception:
        return "no Parquet any more"
    name = table.columns[rng.integers(table.width)]
    way = ("drop", "null", "text", "rows", "twice", "none", "numbers", "reverse")[rng.integers(8)]
    if way == "drop":
        table = table.drop(name)
    elif way in ("null", "text", "numbers"):
        new = {"null": None, "text": "x", "numbers": 1e300}[way]
        table = table.with_columns(pl.lit(new).alias(name))
    elif way == "rows":
        table = table.slice(int(rng.integers(table.height + 1)), int(rng.integers(1, 9)))
    elif way == "twice":
        table = pl.concat([table, table])
    elif way == "none":
        table = table.clear()
    else:
        table = table.with_columns(pl.col(name).reverse())
    written = io.BytesIO()
    table.write_parquet(written)
    path.write_bytes(written.getvalue())
    return f"{way} {name}"


def change_arrays(path: Path, target: Path, rng: Rng) -> str:
    """Change an array of an npz file."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except Exception:
        return "no arrays any more"
    name = sorted(arrays)[rng.integers(len(arrays))]
    way = ("drop", "shape", "text", "nan", "empty", "large")[rng.integers(6)]
    if way == "drop":
        del arrays[name]
    else:
        array = arrays[name]
        arrays[name] = {
            "shape": array[None], "text": np.array("x"), "nan": np.full(array.shape, np.nan), "empty": np.zeros(0),
            "large": np.zeros((1000, 1000)),
        }[way]  # fmt: skip
    np.savez(path, **arrays)
    return f"{way} {name}"
