"""A run folder: its files by name, the lock that keeps two runs out of it, and how it is opened again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from unheard.corpora.table import read_table
from unheard.errors import DataError, MachineError, UsageError
from unheard.experiment.recipe import Recipe, validate
from unheard.predictions.table import read_predictions
from unheard.protocols.fold import Protocol, fold, guarded

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
)
FOLDS = "folds"
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
        """The recipe as it was run."""
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
        return read_predictions(self.folder / "predictions.parquet")

    @cached_property
    def table(self) -> pl.DataFrame:
        """The utterances."""
        return read_table(self.folder / "table.parquet")

    @cached_property
    def protocol(self) -> Protocol:
        """The folds, guarded again against the table of the run."""
        plain = self._json("protocol.json")
        folds = [fold(**sides) for sides in plain["folds"]]
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


def clear(folder: Path) -> None:
    """Remove what a run wrote, and nothing else."""
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    for inner in sorted((folder / FOLDS).glob("fold*-seed*")):
        for name in FOLD_FILES:
            (inner / name).unlink(missing_ok=True)
        if not any(inner.iterdir()):
            inner.rmdir()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; a lock left by a process that is gone is taken over.

    Raises
    ------
    MachineError
        Another living process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / LOCK
    while True:
        try:
            handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            break
        except FileExistsError:
            owner = _owner(lock)
            if owner is not None and owner != os.getpid() and _alive(owner):
                raise MachineError(
                    f"{folder} is in use by process {owner}; wait for it or choose another --out"
                ) from None
            lock.unlink(missing_ok=True)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(str(os.getpid()))
        yield
    finally:
        lock.unlink(missing_ok=True)


def _owner(lock: Path) -> int | None:
    try:
        return int(lock.read_text())
    except (OSError, ValueError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
