"""A run folder: its files by name, the lock that keeps two runs out of it, and how it is opened again."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from unheard.corpora.table import read_table
from unheard.errors import DataError, MachineError, UsageError, first_five
from unheard.files import write_json
from unheard.predictions.table import read_predictions
from unheard.protocols.fold import Protocol, fold, guarded
from unheard.recipes.old_recipe import modern_choice
from unheard.recipes.recipe import Recipe, validate
from unheard.temporary import sweep_folder

#: Everything a run may write; ``--force`` removes these and nothing else.
FILES = (
    "config.yaml",
    "provenance.json",
    "audit.json",
    "table.parquet",
    "protocol.json",
    "predictions.parquet",
    "results.json",
    "errors.jsonl",
    "report.html",
    "noise.parquet",
    "noise.json",
    "noise.html",
)
FOLDS = "folds"
#: Where a long training keeps its state, and where workers find what was extracted; both are there during a run.
CHECKPOINTS, EXTRACTED = "checkpoints", "extracted"
#: Written first, so that a folder with it is known as ours.
MARK = "provenance.json"
FOLD_FILES = ("predictions.parquet", "model.npz", "fold.json")
LOCK = ".lock"


@dataclass(frozen=True)
class Run:
    """A finished (or begun) run on disk; every table is read when it is first asked for."""

    folder: Path

    def _json(self, name: str) -> Any:
        path = self.folder / name
        if not path.is_file():
            raise DataError(
                f"{self.folder}: no {name}; is this a finished run? (`unheard run … --resume` goes on)"
            )
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{path}: not JSON ({error})") from error

    @cached_property
    def config(self) -> dict[str, Any]:
        """The recipe as it was run, plain."""
        path = self.folder / "config.yaml"
        if not path.is_file():
            raise DataError(f"{self.folder}: not a run folder (no config.yaml)")
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(plain, dict):
            raise DataError(f"{path}: expected a mapping of recipe fields")
        return plain

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe as it was run; a UsageError where none was, as in scored or fused predictions."""
        if "head" not in self.config:
            raise UsageError(
                f"{self.folder} holds predictions that were scored or fused, and no model of its own; take a "
                "run of `unheard run`"
            )
        return validate(self.config)

    @cached_property
    def scores(self) -> dict[str, Any]:
        """Content of ``results.json``."""
        found: dict[str, Any] = self._json("results.json")
        return found

    @cached_property
    def audit(self) -> dict[str, Any]:
        """The certificate stored with the run."""
        found: dict[str, Any] = self._json("audit.json")
        return found

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Versions, seeds, hardware and hashes."""
        found: dict[str, Any] = self._json("provenance.json")
        return found

    @cached_property
    def predictions(self) -> pl.DataFrame:
        """The prediction table: validation and test rows of all folds and seeds."""
        path = self.folder / "predictions.parquet"
        if not path.is_file():
            raise DataError(f"{self.folder}: no predictions; is this a finished run? (`--resume` goes on)")
        return read_predictions(path)

    @cached_property
    def table(self) -> pl.DataFrame:
        """The utterances."""
        return read_table(self.folder / "table.parquet")

    @cached_property
    def protocol(self) -> Protocol:
        """The folds, guarded again against the table of the run."""
        plain = self._json("protocol.json")
        folds = [fold(**parts) for parts in plain["folds"]]
        protocol = guarded(
            plain["name"],
            self.table,
            folds,
            disjoint=plain["disjoint"],
            leaky=plain["leaky"],
            unverified="UNVERIFIED" in plain["stamps"],
            version=plain["version"],
        )
        if protocol.hash != plain["hash"]:
            raise DataError(f"{self.folder}: protocol.json was altered: its hash is not that of its folds")
        return protocol

    def folds(self) -> list[dict[str, Any]]:
        """What each finished fold and seed recorded of itself (chosen values, curves), in order."""
        found = [json.loads(p.read_text(encoding="utf-8")) for p in (self.folder / FOLDS).glob("*/fold.json")]
        for record in found:
            record["chosen"] = modern_choice(record.get("chosen", {}), self.config)
        return sorted(found, key=lambda fold: (fold["fold"], fold["seed"]))


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open a run folder.

    Raises
    ------
    UsageError
        The folder does not exist or is none of a run.
    """
    folder = Path(path)
    if not (folder / "config.yaml").is_file():
        raise UsageError(f"{folder}: not a run folder (no config.yaml in it)")
    return Run(folder)


def fold_folder(folder: Path, number: int, seed: int) -> Path:
    """Folder of one fold and seed: its predictions, its model, what it chose."""
    return folder / FOLDS / f"fold{number:02d}-seed{seed}"


def begin(folder: Path, provenance: dict[str, Any], *, force: bool) -> None:
    """Make a folder ours and empty it of an earlier run.

    Raises
    ------
    UsageError
        It holds a run and ``force`` is not given, or files that no run of ours wrote.
    """
    if is_run(folder):
        if not force:
            raise UsageError(f"{folder} holds a run; choose another --out, or give --resume or --force")
    else:
        strange = [name for name in (*FILES, FOLDS) if (folder / name).exists()]
        if strange:
            raise UsageError(
                f"{folder} holds {first_five(strange)}, which no run wrote; choose another --out"
            )
    clear(folder)
    write_json(folder / MARK, provenance)


def is_run(folder: Path) -> bool:
    """Whether a run of ours was begun in the folder."""
    try:
        return "protocol_hash" in json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def clear(folder: Path) -> None:
    """Remove what a run wrote, and nothing else; the mark goes last."""
    for inside in (CHECKPOINTS, EXTRACTED):
        shutil.rmtree(folder / inside, ignore_errors=True)
    for unfinished in (folder, folder / FOLDS):
        sweep_folder(unfinished)
    for inner in sorted((folder / FOLDS).glob("fold*-seed*")):
        for name in FOLD_FILES:
            (inner / name).unlink(missing_ok=True)
        if not any(inner.iterdir()):
            inner.rmdir()
    if (folder / FOLDS).is_dir() and not any((folder / FOLDS).iterdir()):
        (folder / FOLDS).rmdir()
    for name in sorted(FILES, key=lambda name: name == MARK):
        (folder / name).unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; a process that ends, however it ends, holds it no longer.

    Raises
    ------
    MachineError
        Another process, or another run of this one, holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / LOCK
    while True:
        handle = os.open(lock, os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(handle, 20).decode(errors="replace")
            os.close(handle)
            message = f"{folder} is in use by process {owner}; wait for it or choose another --out"
            raise MachineError(message) from None
        # The owner before may have removed the file between opening and locking: then this locks nothing.
        if lock.exists() and lock.stat().st_ino == os.fstat(handle).st_ino:
            break
        os.close(handle)
    try:
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(handle)
