"""Facial action units as OpenFace writes them: a folder with one CSV file a clip, one row a frame (and face).

Columns are found by name: ``AU01_r`` … (intensities, 0 to 5) and ``AU01_c`` … (presence, 0 or 1). Frames in which
no face was tracked (``success`` 0) are left out. Of several faces in a file, the one that was tracked in most
frames is taken, the surer one of two.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar, NoReturn

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, UsageError, first_five
from unheard.features.contract import Spec
from unheard.files import digest, file_digest, regular_file
from unheard.formats.numbers import number_in
from unheard.formats.separated import read_separated
from unheard.inputs import Source
from unheard.settings import CONTENT, PLACE

Array = NDArray[np.float32]
_UNIT = re.compile(r"AU\d\d_[rc]", re.ASCII)
#: Frames of a file: an hour and a half at 60 a second.
MAX_FRAMES = 400_000


@dataclass(frozen=True)
class OpenFace(Spec):
    """Action units looked up by utterance id, (frames, units).

    Parameters
    ----------
    path : folder of the CSV files, each called as its clip. Empty where it is still to be said, as in a recipe.
    sha256 : digest of their content. Filled in where it is left out.
    instead : beginning of an utterance id and what the file's name has in its place, such as ``[03-, 01-]`` for
        RAVDESS, whose tables are called as its videos.

    Raises
    ------
    UsageError
        Where the folder holds no such file, or is asked for before it is said.
    DataError
        Where the content is not that of ``sha256``, or a file is no table of OpenFace.
    """

    path: Annotated[str, PLACE]
    sha256: Annotated[str, CONTENT] = ""
    instead: tuple[str, ...] = ()

    name: ClassVar[str] = "openface"
    version: ClassVar[int] = 1
    medium: ClassVar[str] = "id"
    source: ClassVar[Source] = Source(
        "OpenFace, academic non-commercial research", "Baltrusaitis et al. 2018"
    )

    def __post_init__(self) -> None:
        if len(self.instead) not in (0, 2):
            raise UsageError(
                f"features.instead is {list(self.instead)}; give the beginning of an id and of a file's name"
            )
        if not self.path:
            return
        found = digest({name: file_digest(regular_file(file)) for name, file in _files(self.path).items()})
        if self.sha256 and self.sha256 != found:
            raise DataError(
                f"{self.path}: the content has changed: sha256 {found[:12]}…, expected {self.sha256[:12]}…; "
                "leave sha256 out to take what is there now"
            )
        object.__setattr__(self, "sha256", found)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the action units."""
        file = next(iter(_files(self.path).values()))
        return _units(file, read_separated(file)[0])

    @property
    def frames_per_second(self) -> float:
        """NaN: tables do not say it, and frames without a face are left out."""
        return float("nan")

    def extract(self, items: Sequence[str], layers: Sequence[int]) -> list[tuple[Array, ...]]:
        """Return the action units of utterances by their ids, (frames with a face, units) each."""
        return [(self.lookup(name),) * len(layers) for name in items]

    def lookup(self, name: str) -> Array:
        """Return the action units of an utterance, (frames with a face, units) float32.

        Raises
        ------
        DataError
            There is no such table, it has other units than the first, or no frame with a face.
        """
        files = _files(self.path)
        called = name
        if self.instead and name.startswith(self.instead[0]):
            called = self.instead[1] + name.removeprefix(self.instead[0])
        if called not in files:
            raise DataError(
                f"{self.path} has no table {called}.csv (tables are called as utterances); its {len(files)} are "
                f"called {first_five(sorted(files))}"
            )
        return _read(files[called], self.names)

    def compute(self, wave: Array) -> NoReturn:
        """Refuse: there is nothing to compute with.

        Raises
        ------
        UsageError
            Always.
        """
        raise UsageError("tables of OpenFace belong to utterance ids and cannot be computed from a recording")


@lru_cache(maxsize=4)
def _files(folder: str) -> dict[str, Path]:
    if not folder:
        raise UsageError(
            "these features are read from a folder that is not named yet: set features.path to it"
        )
    found = {path.stem: path for path in sorted(Path(folder).rglob("*.csv")) if not path.name.startswith(".")}
    if not found:
        raise UsageError(f"{folder}: holds no .csv file; expected a folder of OpenFace's tables, one a clip")
    return found


def _units(path: Path, header: Sequence[str]) -> tuple[str, ...]:
    units = tuple(name for name in header if _UNIT.fullmatch(name))
    if not units:
        raise DataError(
            f"{path}: expected columns such as AU01_r; found {first_five(header)}; let OpenFace write action units"
        )
    return units


def _read(path: Path, units: tuple[str, ...]) -> Array:
    header, rows = read_separated(path)
    if _units(path, header) != units:
        raise DataError(
            f"{path}: has other action units than the other tables: {first_five(_units(path, header))}"
        )
    place = {name: header.index(name) for name in header}
    faces: dict[str, list[list[float]]] = {}
    sure: dict[str, float] = {}
    for number, row in rows:
        if number > MAX_FRAMES:
            raise DataError(f"{path}: more than {MAX_FRAMES:,} rows")
        try:
            if "success" in place and number_in(row[place["success"]]) == 0:
                continue
            values = [number_in(row[place[name]]) for name in units]
            confidence = number_in(row[place["confidence"]]) if "confidence" in place else 0.0
        except ValueError as error:
            raise DataError(f"{path}: row {number}: {error}") from error
        face = row[place["face_id"]].strip() if "face_id" in place else ""
        faces.setdefault(face, []).append(values)
        sure[face] = sure.get(face, 0.0) + confidence
    if not faces:
        raise DataError(f"{path}: no frame in which a face was tracked")
    best = max(faces, key=lambda face: (len(faces[face]), sure[face]))
    return np.array(faces[best], dtype=np.float32)
