"""A run folder: its files by name, the lock that keeps two runs out of it, and how it is opened again."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
from numpy.typing import NDArray

from unheard.corpora.table import read_table
from unheard.errors import DataError, MachineError, UnheardError, UsageError, first_five
from unheard.files import write_json
from unheard.formats import arrays, yaml_text
from unheard.predictions.table import read_predictions
from unheard.protocols.fold import Protocol, fold, guarded
from unheard.recipes.old_recipe import modern_choice
from unheard.recipes.recipe import Recipe, validate
from unheard.runs import content, digests
from unheard.runs.content import understood
from unheard.temporary import sweep_folder

#: Predictions that know clips of the test speakers, of a run that adapts to them.
ENROLMENT = "enrolment.parquet"
#: Everything a run may write; ``--force`` removes these and nothing else.
FILES = (
    "config.yaml",
    "provenance.json",
    "audit.json",
    "table.parquet",
    "protocol.json",
    "predictions.parquet",
    ENROLMENT,
    "results.json",
    "errors.jsonl",
    "report.html",
    "noise.parquet",
    "noise.json",
    "noise.html",
    digests.NAME,
)
#: Those of which digests are kept, and among them those that ``--resume`` makes again.
KEPT = FILES[: FILES.index("report.html")]
REMADE = ("audit.json", "predictions.parquet", ENROLMENT, "results.json", "errors.jsonl")
FOLDS = "folds"
#: Where a long training keeps its state, and where workers find what was extracted; both are there during a run.
CHECKPOINTS, EXTRACTED = "checkpoints", "extracted"
#: Written first, so that a folder with it is known as ours.
MARK = "provenance.json"
#: What lies in the folder of a fold and seed; of a fusion or of others' predictions, the record alone.
FOLD_FILES = ("predictions.parquet", ENROLMENT, "model.npz", "fold.json")
LOCK = ".lock"
#: What to do where a run is in the way.
ANOTHER = "choose another --out, or give --resume or --force (out, resume=True or force=True in Python)"


@dataclass(frozen=True)
class Run:
    """A finished (or begun) run on disk; every table is read when it is first asked for."""

    folder: Path

    def path(self, name: str) -> Path:
        """Return the path of a file of the run, which is as it was written.

        Raises
        ------
        DataError
            It is not there, or was damaged; the message says what to do.
        """
        path = self.folder / name
        if not path.exists():
            raise DataError(
                f"{path}: no such file; is this a finished run? (`unheard run … --resume` goes on)"
            )
        try:
            digests.check_files(self.folder, [name])
        except DataError as error:
            remedy = (
                "`unheard run … --resume` makes it again"
                if name in REMADE
                else "copy it again from where the run was made, or run again into another folder"
            )
            raise DataError(f"{error}; {remedy}") from error
        return path

    @cached_property
    def config(self) -> dict[str, Any]:
        """The recipe as it was run, plain."""
        path = self.path("config.yaml")
        plain = yaml_text.read(path)
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
        path = self.path("config.yaml")
        try:
            with understood([self.folder]):
                return validate(self.config)
        except UnheardError as error:
            raise DataError(f"{path}: {error}") from error

    @cached_property
    def scores(self) -> dict[str, Any]:
        """Content of ``results.json``."""
        found = content.read(self.path("results.json"), content.Results)
        self._check_origin("results.json", [found["protocol_hash"]], [found["settings_hash"]])
        return found

    @cached_property
    def audit(self) -> dict[str, Any]:
        """The certificate stored with the run."""
        return content.read(self.path("audit.json"), content.Certificate)

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Versions, seeds, hardware and hashes."""
        return content.read(self.path(MARK), content.Provenance)

    @cached_property
    def predictions(self) -> pl.DataFrame:
        """The prediction table: validation and test rows of all folds and seeds."""
        with understood([self.folder / "predictions.parquet"]):
            table = read_predictions(self.path("predictions.parquet"))
            self._check_origin("predictions.parquet", table["protocol_hash"], table["settings_hash"])
            return table

    @cached_property
    def table(self) -> pl.DataFrame:
        """The utterances."""
        with understood([self.folder / "table.parquet"]):
            return read_table(self.path("table.parquet"))

    @cached_property
    def protocol(self) -> Protocol:
        """The folds, guarded again against the table of the run."""
        path = self.path("protocol.json")
        plain = content.read(path, content.Folds)
        with understood([path]):
            protocol = guarded(
                plain["name"],
                self.table,
                [fold(**parts) for parts in plain["folds"]],
                disjoint=plain["disjoint"],
                leaky=plain["leaky"],
                unverified="UNVERIFIED" in plain["stamps"],
                version=plain["version"],
            )
            if protocol.hash != plain["hash"]:
                raise DataError("was altered: its hash is not that of its folds")
        self._check_origin("protocol.json", [protocol.hash], [])
        return protocol

    def folds(self) -> list[dict[str, Any]]:
        """Return what each finished fold and seed recorded of itself (chosen values, curves), in order.

        Raises
        ------
        DataError
            A file of a fold was damaged, or is another's.
        """
        return list(self._records)

    @cached_property
    def _records(self) -> list[dict[str, Any]]:
        try:
            found = [self._record(inner) for inner in (self.folder / FOLDS).glob("fold*-seed*")]
        except DataError as error:
            raise DataError(f"{error}; `unheard run … --resume` fits this fold again") from error
        return sorted(found, key=lambda fold: (fold["fold"], fold["seed"]))

    def _record(self, inner: Path) -> dict[str, Any]:
        path = inner / "fold.json"
        digests.check_files(inner, FOLD_FILES)
        record = content.read(path, content.Record)
        self._check_origin(
            str(path.relative_to(self.folder)), [record["protocol_hash"]], [record.get("settings_hash")]
        )
        if fold_folder(self.folder, record["fold"], record["seed"]) != inner:
            raise DataError(f"{path}: says that it is fold {record['fold']} with seed {record['seed']}")
        with understood([path]):
            record["chosen"] = modern_choice(record.get("chosen", {}), self.config)
        return record

    def fold_predictions(self, record: Mapping[str, Any]) -> pl.DataFrame:
        """Return what a fold and seed predicted: a row for each of its validation and test clips.

        Raises
        ------
        DataError
            The table was damaged, or is another's.
        """
        inner = fold_folder(self.folder, record["fold"], record["seed"])
        path = inner / "predictions.parquet"
        with understood([path]):
            digests.check_files(inner, [path.name])
            table = read_predictions(path)
            self._check_origin(
                str(path.relative_to(self.folder)), table["protocol_hash"], table["settings_hash"]
            )
            parts = self.protocol.folds[record["fold"]]
            for part, ids in (("val", parts.val), ("test", parts.test)):
                if set(table.filter(pl.col("part") == part)["id"]) != set(ids):
                    raise DataError(f"holds other {part} clips than the fold")
            if set(table.select("fold", "seed").iter_rows()) != {(record["fold"], record["seed"])}:
                raise DataError(f"is not of fold {record['fold']} with seed {record['seed']}")
        return table

    def fold_state(self, record: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Return the arrays of the head that a fold and seed fitted.

        Raises
        ------
        DataError
            There are none, or they were damaged.
        """
        inner = fold_folder(self.folder, record["fold"], record["seed"])
        digests.check_files(inner, ["model.npz"])
        return arrays.read_archive(inner / "model.npz")

    def damaged_folds(self) -> dict[Path, str]:
        """Return the folders of folds of which something was damaged, with what it is."""
        found = {}
        for inner in sorted((self.folder / FOLDS).glob("fold*-seed*")):
            try:
                record = self._record(inner)
                self.fold_predictions(record)
                if not digests.read_digests(inner):  # the checksums of the archive say at least something
                    self.fold_state(record)
            except DataError as error:
                found[inner] = str(error)
        return found

    def _check_origin(self, name: str, protocols: Iterable[Any], settings: Iterable[Any]) -> None:
        """Check that a file is of this run: of its folds and its settings, as ``provenance.json`` names them."""
        for what, found in (("protocol_hash", protocols), ("settings_hash", settings)):
            known = self.provenance.get(what) if (self.folder / MARK).exists() else None
            strange = set(found) - {known}
            if known is not None and strange:
                raise DataError(
                    f"{self.folder / name}: is of another run: its {what} is {first_five(strange)}, and that in "
                    f"{MARK} is {known}"
                )


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open a run folder.

    Raises
    ------
    UsageError
        The folder does not exist or is none of a run.
    DataError
        A file of a fold was damaged after it was written.
    """
    folder = Path(path)
    if not (folder / "config.yaml").is_file():
        raise UsageError(f"{folder}: not a run folder (no config.yaml in it)")
    run = Run(folder)
    run.folds()
    return run


def fold_folder(folder: Path, number: int, seed: int) -> Path:
    """Return the folder of one fold and seed: its predictions, its model, what it chose."""
    return folder / FOLDS / f"fold{number:02d}-seed{seed}"


def begin(folder: Path, provenance: dict[str, Any], *, force: bool) -> None:
    """Make a folder ours and empty it of an earlier run.

    Raises
    ------
    UsageError
        It holds a run that is worth something (:func:`has_work`) and ``force`` is not given, or files that no run
        of ours wrote.
    """
    if is_run(folder):
        if not force and has_work(folder):
            raise UsageError(f"{folder} holds a run; {ANOTHER}")
    else:
        strange = [name for name in (*FILES, FOLDS) if (folder / name).exists()]
        if strange:
            raise UsageError(
                f"{folder} holds {first_five(strange)}, which no run wrote; choose another folder"
            )
    clear(folder)
    write_json(folder / MARK, provenance)


def is_run(folder: Path) -> bool:
    """Return whether a run of ours was begun in the folder.

    Raises
    ------
    DataError
        ``provenance.json`` is there and cannot be read.
    """
    if not (folder / MARK).exists():
        return False
    try:
        content.read(folder / MARK, content.Provenance)
    except DataError as error:
        raise DataError(
            f"{error}; so nobody can tell whether a run wrote what is in the folder: copy it again from where the "
            "run was made, or choose another folder"
        ) from error
    return True


def has_work(folder: Path) -> bool:
    """Return whether a run in the folder got as far as a fold, a checkpoint or results."""
    made = (*(folder / FOLDS).glob("fold*-seed*"), *(folder / CHECKPOINTS).glob("*"))
    return bool(made) or any((folder / name).exists() for name in ("predictions.parquet", "results.json"))


def remove(path: Path) -> None:
    """Remove a file that a run wrote, where it is there.

    Raises
    ------
    DataError
        A folder has its name, which no run made.
    """
    if path.is_dir() and not path.is_symlink():
        raise DataError(f"{path}: is a folder, expected a file of the run; move it away")
    path.unlink(missing_ok=True)


def clear_fold(inner: Path) -> None:
    """Remove what a run wrote of a fold and seed, and nothing else."""
    for name in (*FOLD_FILES, digests.NAME):
        remove(inner / name)
    with suppress(OSError):  # something else is in it
        inner.rmdir()


def clear(folder: Path) -> None:
    """Remove what a run wrote, and nothing else; the mark goes last."""
    for inside in (CHECKPOINTS, EXTRACTED):
        shutil.rmtree(folder / inside, ignore_errors=True)
    for unfinished in (folder, folder / FOLDS):
        sweep_folder(unfinished)
    for inner in sorted((folder / FOLDS).glob("fold*-seed*")):
        clear_fold(inner)
    if (folder / FOLDS).is_dir() and not any((folder / FOLDS).iterdir()):
        (folder / FOLDS).rmdir()
    for name in sorted(FILES, key=lambda name: name == MARK):
        remove(folder / name)


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
            message = f"{folder} is in use by process {owner}; wait for it or choose another folder"
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
