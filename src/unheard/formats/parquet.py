"""Parquet files as polars frames: what a file promises is known before polars reads it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TypeVar

import polars as pl

from unheard.errors import DataError, UnheardError
from unheard.files import regular_file
from unheard.formats.parquet_structure import structure

#: Values, and bytes of unpacked pages, that any file may hold; larger files may hold this many a byte on the disk.
#: Numbers that were measured hardly get smaller when they are packed.
MAX_VALUES, MAX_UNPACKED, MAX_TIMES = 20_000_000, 2**28, 20
MAX_COLUMNS = 20_000

T = TypeVar("T")
_ALONE = Lock()


def read_parquet(
    path: str | os.PathLike[str], error: type[UnheardError] = DataError, most: int | None = None
) -> pl.DataFrame:
    """Return a Parquet file as a frame.

    Parameters
    ----------
    path
        A regular file.
    error
        The kind of error that is raised.
    most
        Values (rows times columns) that it may hold. None: :data:`MAX_VALUES`, or :data:`MAX_TIMES` the size of
        the file where that is more.

    Raises
    ------
    error
        No regular file, no Parquet file or a damaged one, or one that holds more than it may.
    """
    return _read(path, error, most, lambda place: pl.read_parquet(place, glob=False, hive_partitioning=False))


def read_schema(
    path: str | os.PathLike[str], error: type[UnheardError] = DataError
) -> dict[str, pl.DataType]:
    """Return the types of a Parquet file by column; errors are those of :func:`read_parquet`."""
    return dict(_read(path, error, None, pl.read_parquet_schema))


def read_notes(path: str | os.PathLike[str], error: type[UnheardError] = DataError) -> dict[str, str]:
    """Return the texts in the metadata of a Parquet file, by name.

    Errors are those of :func:`read_parquet`.
    """
    return dict(_read(path, error, None, pl.read_parquet_metadata))


def _read(
    path: str | os.PathLike[str], error: type[UnheardError], most: int | None, read: Callable[[Path], T]
) -> T:
    place = regular_file(path, error)
    try:
        _check(place, most)
        with _panics_unprinted():
            return read(place)
    except (OSError, ValueError, pl.exceptions.PolarsError) as reason:
        said = " ".join(str(reason).split())[:300]
        raise error(f"{place}: not a readable Parquet file: {said}") from reason
    except pl.exceptions.PanicException as reason:
        raise error(f"{place}: not a readable Parquet file: it is damaged") from reason


def _check(place: Path, most: int | None) -> None:
    found, size = structure(place), place.stat().st_size
    values = max(MAX_VALUES, MAX_TIMES * size) if most is None else most
    unpacked = max(MAX_UNPACKED, MAX_TIMES * size)
    if found.columns > MAX_COLUMNS or max(found.values, found.rows * found.columns) > values:
        raise ValueError(
            f"it holds {found.rows:,} rows of {found.columns:,} columns, {found.values:,} values in all; at most "
            f"{values:,} are read of such a file"
        )
    if found.unpacked > unpacked:
        raise ValueError(
            f"its {size:,} bytes unpack to {found.unpacked:,}; at most {unpacked:,} are read of such a file"
        )


@contextmanager
def _panics_unprinted() -> Iterator[None]:
    """Keep standard error closed to native code; where polars panics, Rust prints there and not to Python."""
    with _ALONE:
        try:
            real = os.dup(2)
        except OSError:  # nothing can be printed there anyway
            yield
            return
        try:
            with Path(os.devnull).open("wb") as nothing:
                os.dup2(nothing.fileno(), 2)
            yield
        finally:
            os.dup2(real, 2)
            os.close(real)
