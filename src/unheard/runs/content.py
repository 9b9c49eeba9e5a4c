"""The JSON files of a run folder: the values that other code relies on, each of the kind that it expects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unheard.errors import DataError
from unheard.formats import json_text

#: Bytes that a JSON file of a run may have: a protocol names every clip once a fold.
MAX_BYTES = 2**28

Number = int | float | None
Hash = str | None


class Content(BaseModel):
    """A file of which these values are checked, and others are kept as they are."""

    model_config = ConfigDict(strict=True, extra="allow")


class Provenance(Content):
    """``provenance.json``."""

    protocol_hash: str
    settings_hash: Hash = None
    data_hash: Hash = None


class Parts(BaseModel):
    """A fold of ``protocol.json``: ids of clips."""

    model_config = ConfigDict(strict=True, extra="forbid")

    train: list[str]
    val: list[str]
    test: list[str]


class Folds(Content):
    """``protocol.json``."""

    name: str
    version: int
    leaky: bool
    hash: str
    disjoint: list[str]
    stamps: list[str]
    folds: list[Parts]


class Record(Content):
    """``fold.json`` of a fold and seed."""

    fold: int = Field(ge=0)
    seed: int
    protocol_hash: str
    settings_hash: Hash = None
    data_hash: Hash = None
    chosen: dict[str, Any] = {}
    n_train_speakers: int | None
    temperature: Number = None
    history: list[Any] | None = None


class Finding(Content):
    """A finding of the audit."""

    severity: str


class Certificate(Content):
    """``audit.json``."""

    passed: bool
    findings: list[Finding] = []


class FoldScores(Content):
    """Scores of one fold."""

    fold: int
    n_train_speakers: int | None


Estimates = dict[str, dict[str, Number]]


class Results(Content):
    """``results.json``."""

    recipe: str
    corpus: str
    protocol: str
    protocol_hash: str
    settings_hash: Hash
    labels: list[str]
    stamps: list[str]
    refit: str
    seeds: list[int]
    n_train_speakers: int | None
    n_speakers: int
    n_clips: int
    n_folds: int
    metrics: Estimates
    folds: list[FoldScores]
    per_class: dict[str, dict[str, Number]] = {}
    groups: dict[str, dict[str, dict[str, Any]]] = {}
    variance: dict[str, Number] = {}
    baselines: dict[str, dict[str, Any]] = {}
    incomplete: list[str] = []
    published: list[dict[str, Any]] = []
    fusion: dict[str, Any] = {}


def read(path: Path, content: type[Content]) -> dict[str, Any]:
    """Return the plain value in a JSON file of a run.

    Raises
    ------
    DataError
        It is no JSON, or a value that is relied on is missing or of another kind.
    """
    value = json_text.read_object(path, most=MAX_BYTES)
    try:
        content.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(
            f"{path}: {where}: {first['msg']}; it was damaged or written by another version"
        ) from error
    return value


#: What code raises that meets values which it does not expect.
_SURPRISES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
)


@contextmanager
def understood(folders: Sequence[Path]) -> Iterator[None]:
    """Name the run folders whose content surprised the code that reads it, or was refused without their names.

    Raises
    ------
    DataError
        The values of their files do not fit together.
    """
    named = " and ".join(map(str, folders))
    try:
        yield
    except DataError as error:
        if any(str(folder) in str(error) for folder in folders):
            raise
        raise type(error)(f"{named}: {error}") from error
    except _SURPRISES as error:
        said = f"{type(error).__name__}: {error}"
        raise DataError(
            f"{named}: the values in the files do not fit together ({said[:300]}); they were damaged or written "
            "by another version of unheard"
        ) from error
