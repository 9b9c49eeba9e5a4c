"""The description of an ONNX graph of any origin: what goes in, what comes out and how often, and whose it is.

A JSON file with the fields of :class:`Description`; those that come with the package are named by their file
(``fsmn-vad``). Beside a model of one's own it is called ``encoder.json``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from unheard.encoders.contract import WEIGHTS
from unheard.encoders.old_names import description_today
from unheard.errors import DataError, UsageError, unknown
from unheard.features.frontends import build_frontend
from unheard.files import file_inside
from unheard.formats import json_text
from unheard.formats.printable import check_printable
from unheard.settings import Within, check, construct

#: Name of a description that lies in the folder of its model.
BESIDE = "encoder.json"
#: Samples or frames that a description may speak of, and layers.
MAX_SAMPLES, MAX_LAYERS = 1_000_000, 1000


@dataclass(frozen=True)
class Input:
    """The tensor that a clip enters by.

    Parameters
    ----------
    tensor
        Its name in the graph.
    axes
        What they are, in the graph's order: ``one`` (of length 1) and ``samples`` for a waveform; ``one``,
        ``frames`` and ``dims`` behind a frontend.
    """

    tensor: str
    axes: tuple[str, ...]


@dataclass(frozen=True)
class Output:
    """A tensor of the graph that is taken as a layer.

    Parameters
    ----------
    name, tensor
        Our name, and the graph's.
    axes
        What they are, in the graph's order: ``one``, ``frames``, ``dims``, or ``mean``, which is averaged over.
    stride, window
        For N input frames (samples, without a frontend) it has floor((N − window) / stride) + 1, at least one: 1
        and 1 for as many; ``window`` = ``stride`` where what is left over is dropped, 1 where it makes a frame.
    """

    name: str
    tensor: str
    axes: tuple[str, ...]
    stride: Annotated[int, Within(1, MAX_SAMPLES)] = 1
    window: Annotated[int, Within(0, MAX_SAMPLES)] = 1

    def __post_init__(self) -> None:
        check(self, f"layer {self.name!r}")

    def count(self, frames: int) -> int:
        """Return the number of frames of so many input frames or samples."""
        return max(1, (frames - self.window) // self.stride + 1)


@dataclass(frozen=True)
class Description:
    """All that an ONNX graph does not say about itself.

    Parameters
    ----------
    rate
        Hz of the waveform, full scale ±1.
    input, layers
        How a clip enters, and what is taken, lowest layer first.
    licence
        What its owners allow.
    about, attribution
        What it is; whom to name.
    frontend
        Settings of a frontend (``unheard.features.frontends``); None: the waveform itself enters.
    splice
        Number of neighbouring frames, the middle one's own, that stand side by side in a frame; the first and last
        frames are repeated at the ends. Odd; 1 for none.
    normalise
        A file in the model's folder in Kaldi's nnet format, whose ``AddShift`` and ``Rescale`` are applied to a
        (spliced) frame, x → (x + shift) · scale. None for none.
    model
        Name of the ONNX file in its folder, where that holds several.
    min_samples
        A shorter waveform is padded to so many samples with zeros at its end.
    trained_on
        Corpora, each with the speakers whose recordings made the weights; None where nobody says. A bundle lists
        them, so that scoring it on one of them is stamped.
    weights
        What the file's numbers are, one of ``WEIGHTS``. A file that was shuffled or drawn at random says so, and
        its scores are stamped.
    """

    rate: Annotated[int, Within(1_000, 192_000)]
    input: Input
    layers: tuple[Output, ...]
    licence: str
    about: str = ""
    attribution: str = ""
    frontend: dict[str, Any] | None = None
    splice: Annotated[int, Within(1, 101)] = 1
    normalise: str | None = None
    model: str | None = None
    min_samples: Annotated[int, Within(0, MAX_SAMPLES)] = 1
    trained_on: dict[str, list[str]] | None = None
    weights: str = "pretrained"

    def __post_init__(self) -> None:
        check(self, "description")


def described(description: str, folder: Path) -> tuple[Description, dict[str, Any]]:
    """Return the description that an encoder goes by, and its plain content in today's words.

    Parameters
    ----------
    description
        Name of one in the package, path of a JSON file, or empty for ``encoder.json`` in ``folder``.
    folder
        Where the model lies.

    Raises
    ------
    UsageError
        No such description.
    DataError
        A file that is not JSON, or does not say what it must.
    """
    known = names()
    if description in known:
        found = resources.files("unheard.encoders") / "descriptions" / f"{description}.json"
        where = f"description {description!r}"
        content = json_text.parse(found.read_bytes(), where)
    else:
        path = Path(description) if description else folder / BESIDE
        if not path.exists():
            if description and "/" not in description and not description.endswith(".json"):
                raise unknown("description of an ONNX encoder", description, known)
            raise UsageError(
                f"no description of the ONNX encoder at {path}: write one (docs/encoders.md), or name one of the "
                f"package as encoder.description: {', '.join(known)}"
            )
        place, where = path if description else file_inside(folder, BESIDE), str(path)
        content = json_text.read(place)
    content = description_today(content)
    return read(content, where), content


def names() -> list[str]:
    """Return the names of the descriptions in the package."""
    folder = resources.files("unheard.encoders") / "descriptions"
    return sorted(file.name[:-5] for file in folder.iterdir() if file.name.endswith(".json"))


def read(content: Any, where: str) -> Description:
    """Check the plain content of a description.

    Raises
    ------
    DataError
        A field that is missing, unknown or does not fit; ``where`` says which description.
    """
    if not isinstance(content, dict):
        raise DataError(f"{where}: expected an object with the fields of a description, found {content!r}")
    try:
        check_printable(content)
    except ValueError as fault:
        raise DataError(f"{where}: {fault}, which no text of it may hold") from fault
    if not isinstance(content.get("rate"), int):
        raise DataError(f"{where} declares no rate: give the Hz of the waveform as 'rate'")
    try:
        values = dict(content)
        values["input"] = construct(Input, _fields(content, "input"), "input")
        values["layers"] = tuple(
            construct(Output, layer, f"layers[{index}]")
            for index, layer in enumerate(_fields(content, "layers"))
        )
        made: Description = construct(Description, values, "description")
        if made.frontend is not None:
            build_frontend(made.frontend)
    except UsageError as error:
        raise DataError(str(error) if where in str(error) else f"{where}: {error}") from error
    _check(made, where)
    return made


def _fields(content: dict[str, Any], name: str) -> Any:
    wanted: Any = list if name == "layers" else dict
    found: Any = content.get(name)
    if not isinstance(found, wanted) or not found:
        raise UsageError(f"{name} is {found!r:.100}, expected a {wanted.__name__} that says something")
    if name == "layers" and not all(isinstance(layer, dict) for layer in found):
        raise UsageError(f"{name} is {found!r:.100}, expected an object for each layer")
    return found


def _check(made: Description, where: str) -> None:
    if made.weights not in WEIGHTS:
        raise DataError(f"{where}: weights are {made.weights!r}, expected one of {', '.join(WEIGHTS)}")
    kinds = ("samples",) if made.frontend is None else ("frames", "dims")
    if sorted(axis for axis in made.input.axes if axis != "one") != sorted(kinds):
        raise DataError(
            f"{where}: input.axes {list(made.input.axes)} must be 'one' and {' and '.join(kinds)}"
        )
    for layer in made.layers:
        rest = [axis for axis in layer.axes if axis not in ("one", "mean")]
        if sorted(rest) != ["dims", "frames"]:
            raise DataError(
                f"{where}: layer {layer.name!r} has axes {list(layer.axes)}; one must be 'frames', one 'dims', "
                "the others 'one' or 'mean'"
            )
    if len(made.layers) > MAX_LAYERS:
        raise DataError(f"{where}: {len(made.layers)} layers, expected at most {MAX_LAYERS}")
    for corpus, speakers in (made.trained_on or {}).items():
        if not isinstance(speakers, list) or not all(isinstance(speaker, str) for speaker in speakers):
            raise DataError(
                f"{where}: trained_on: {corpus!r} is {speakers!r:.100}, expected a list of speakers"
            )
    listed = [layer.name for layer in made.layers]
    if len(set(listed)) < len(listed):
        raise DataError(f"{where}: two layers have one name in {listed}")
    if made.splice % 2 == 0 or (made.splice > 1 and made.frontend is None):
        raise DataError(f"{where}: splice is {made.splice}; it must be odd, and needs a frontend")
    if made.normalise is not None and made.frontend is None:
        raise DataError(f"{where}: normalise needs a frontend")
    for name in (made.normalise, made.model):
        if name is not None and Path(name).name != name:
            raise DataError(
                f"{where}: {name!r} must be the name of a file in the model's folder, without a folder"
            )
    if made.frontend is not None and build_frontend(made.frontend).rate != made.rate:
        raise DataError(f"{where}: rate is {made.rate} Hz, and the frontend works at another")
