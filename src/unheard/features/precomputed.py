"""Features that somebody else computed: one array for each utterance, found by its id.

Four forms: a ``.npz`` file, a ``.safetensors`` file, a folder of ``.npy`` files, or a ``.csv`` file whose column
``id`` is followed by one column a dimension. Names are utterance ids; an id with ``/`` is a name with ``/``, in a
folder a file in a subfolder. Arrays are (dims,) or (frames, dims), all of one kind and one number of dims, and
become float32. Nothing is unpickled.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, NoReturn

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, UsageError, first_five, need
from unheard.features.contract import Spec
from unheard.files import digest, file_digest, regular_file
from unheard.formats.arrays import Archive, Head, read_array, read_head
from unheard.formats.numbers import number_in
from unheard.formats.separated import read_separated
from unheard.inputs import Source
from unheard.settings import CONTENT, PLACE

Array = NDArray[np.float32]
_Shapes = dict[str, tuple[str, tuple[int, ...]]]  # name of the type and shape by utterance id
_Read = Callable[[str], NDArray[Any]]
#: Rows of a table; each takes some hundred bytes besides its numbers.
MAX_ROWS = 1_000_000
_SAFE_TYPES = {"F64", "F32", "F16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8"}


@dataclass(frozen=True)
class Precomputed(Spec):
    """Features looked up by utterance id; they cannot be computed from a waveform.

    Parameters
    ----------
    path : the file or folder. Empty where it is still to be said, as in a recipe of the package: such features
        have settings, and nothing to look up.
    sha256 : digest of its content. Filled in where it is left out, so that settings say which features they mean.

    Raises
    ------
    UsageError
        Where the path is none of the four forms, or features are asked for before one is said.
    DataError
        Where the content is not that of ``sha256``, is not readable, or its arrays do not fit together.
    """

    path: Annotated[str, PLACE]
    sha256: Annotated[str, CONTENT] = ""

    name: ClassVar[str] = "precomputed"
    version: ClassVar[int] = 1
    medium: ClassVar[str] = "id"
    source: ClassVar[Source] = Source()

    def __post_init__(self) -> None:
        if not self.path:
            return
        found = _content(Path(self.path))
        if self.sha256 and self.sha256 != found:
            raise DataError(
                f"{self.path}: the content has changed: sha256 {found[:12]}…, expected {self.sha256[:12]}…; "
                "leave sha256 out to take what is there now"
            )
        object.__setattr__(self, "sha256", found)
        _opened(self.path, found)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the dimensions: their numbers."""
        shapes, _ = _opened(self.path, self.sha256)
        dims = next(iter(shapes.values()))[1][-1]
        return tuple(f"x{number}" for number in range(dims))

    @property
    def ids(self) -> tuple[str, ...]:
        """Utterance ids that have an array, sorted."""
        return tuple(sorted(_opened(self.path, self.sha256)[0]))

    def lookup(self, name: str) -> Array:
        """Return the array of an utterance, (dims,) or (frames, dims) float32.

        Raises
        ------
        DataError
            Where there is none, or it holds NaN or infinity.
        """
        shapes, read = _opened(self.path, self.sha256)
        if name not in shapes:
            raise DataError(
                f"{self.path} has no array named {name!r} (names are utterance ids); its {len(shapes)} are called "
                f"{first_five(sorted(shapes))}"
            )
        try:
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
                array = np.asarray(read(name)).astype(np.float32, copy=False)
        except (OSError, ValueError) as error:
            raise DataError(f"{self.path}: the array {name!r} cannot be read: {error}") from error
        bad = int((~np.isfinite(array)).sum())
        if bad:
            raise DataError(f"{self.path}: the array {name!r} holds {bad} values that are not finite")
        return array

    @property
    def frames_per_second(self) -> float | None:
        """None for rows; NaN for frames, whose rate nobody says."""
        shapes, _ = _opened(self.path, self.sha256)
        return None if len(next(iter(shapes.values()))[1]) == 1 else float("nan")

    def extract(self, items: Sequence[str], layers: Sequence[int]) -> list[tuple[Array, ...]]:
        """Return the arrays of utterances by their ids."""
        return [(self.lookup(name),) * len(layers) for name in items]

    def compute(self, wave: Array) -> NoReturn:
        """Refuse: there is nothing to compute with.

        Raises
        ------
        UsageError
            Always.
        """
        raise UsageError(
            "precomputed features belong to utterance ids and cannot be computed from a recording; a system that "
            "shall predict needs features with a name, such as 'functionals'"
        )


def _content(path: Path) -> str:
    """Return the digest of a file, or of all arrays of a folder with their names."""
    if path.is_dir():
        return digest({name: file_digest(regular_file(file)) for name, file in _files(path).items()})
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder; precomputed features need a path to one")
    return file_digest(regular_file(path, UsageError))


@lru_cache(maxsize=4)
def _opened(path: str, sha256: str) -> tuple[_Shapes, _Read]:
    """Return the checked shapes of all arrays and the function that reads one; ``sha256`` names their content."""
    if not path:
        raise UsageError("these features are read from a file that is not named yet: set features.path to it")
    place = Path(path)
    forms = {".npz": _npz, ".safetensors": _safetensors, ".csv": _csv}
    if not place.is_dir() and place.suffix not in forms:
        raise UsageError(f"{path}: expected a .npz, .safetensors or .csv file, or a folder of .npy files")
    try:
        shapes, read = _folder(place) if place.is_dir() else forms[place.suffix](place)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    _check(path, shapes)
    return shapes, read


def _check(path: str, shapes: _Shapes) -> None:
    if not shapes:
        raise DataError(f"{path} holds no arrays; expected one for each utterance, named by its id")
    odd = [f"{name} ({kind})" for name, (kind, _) in shapes.items() if kind not in _SAFE_TYPES]
    if odd:
        raise DataError(f"{path}: only arrays of real numbers are read; found {first_five(sorted(odd))}")
    odd = [f"{name} {shape}" for name, (_, shape) in shapes.items() if len(shape) not in (1, 2) or 0 in shape]
    if odd:
        raise DataError(
            f"{path}: arrays are (dims,) or (frames, dims), none empty; found {first_five(sorted(odd))}"
        )
    kinds = Counter((len(shape), shape[-1]) for _, shape in shapes.values())
    (axes, dims), count = kinds.most_common(1)[0]
    if count < len(shapes):
        odd = [
            f"{name} {shape}"
            for name, (_, shape) in shapes.items()
            if (len(shape), shape[-1]) != (axes, dims)
        ]
        form = f"({dims},)" if axes == 1 else f"(frames, {dims})"
        raise DataError(f"{path}: {count} arrays are {form}, but not {first_five(sorted(odd))}")


# --- the four forms --------------------------------------------------------------------------------------------


def _npz(path: Path) -> tuple[_Shapes, _Read]:
    archive = Archive(path)
    return {name: _shape(head) for name, head in archive.heads.items()}, archive.__getitem__


def _folder(path: Path) -> tuple[_Shapes, _Read]:
    files = _files(path)
    shapes = {name: _shape(read_head(place)) for name, place in files.items()}
    return shapes, lambda name: read_array(files[name])


def _shape(head: Head) -> tuple[str, tuple[int, ...]]:
    letter = {"f": "F", "i": "I", "u": "U"}.get(head.dtype.kind)
    return str(head.dtype) if letter is None else f"{letter}{8 * head.dtype.itemsize}", head.shape


def _safetensors(path: Path) -> tuple[_Shapes, _Read]:
    library = need("safetensors", "eval")
    try:
        archive = library.safe_open(path, framework="numpy")
        pieces = {name: archive.get_slice(name) for name in archive.keys()}  # noqa: SIM118 - not a mapping
    except library.SafetensorError as error:
        raise ValueError(error) from error
    shapes = {name: (str(piece.get_dtype()), tuple(piece.get_shape())) for name, piece in pieces.items()}
    return shapes, archive.get_tensor


def _csv(path: Path) -> tuple[_Shapes, _Read]:
    """Return one row of numbers an id; a cell that is empty or no number becomes NaN, which a lookup refuses."""
    header, rows = read_separated(path)
    if header[:1] != ["id"] or len(header) < 2:
        raise DataError(
            f"{path}: expected the column 'id' and then one a dimension; found {first_five(header)}"
        )
    place: dict[str, int] = {}
    numbers = array("d")
    for number, row in rows:
        if row[0] in place:
            raise DataError(f"{path}: row {number}: the id {row[0]!r} stands in an earlier row")
        if len(place) == MAX_ROWS:
            raise DataError(f"{path}: more than {MAX_ROWS:,} rows; at most as many are read")
        place[row[0]] = len(place)
        numbers.extend(_number(cell) for cell in row[1:])
    matrix = np.frombuffer(numbers).reshape(len(place), len(header) - 1) if place else np.zeros((0, 1))
    return dict.fromkeys(place, ("F64", matrix.shape[1:])), lambda name: matrix[place[name]]


def _number(cell: str) -> float:
    try:
        return number_in(cell)
    except ValueError:
        return float("nan")


def _files(folder: Path) -> dict[str, Path]:
    """Return files of arrays by utterance id; ids can only name what is listed here, so none leaves the folder."""
    return {
        path.relative_to(folder).as_posix().removesuffix(".npy"): path
        for path in sorted(folder.rglob("*.npy"))
    }
