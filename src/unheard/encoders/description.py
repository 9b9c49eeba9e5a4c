"""The description of a foreign ONNX graph: what goes in, which tensors come out, how often, and whose it is.

A JSON file with the fields of :class:`Description`; those that come with the package are named by their file
(``fsmn-vad``). Beside a model of one's own it is called ``encoder.json``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from unheard.encoders.contract import WEIGHTS
from unheard.errors import DataError, UsageError, unknown
from unheard.features.fronts import build_front
from unheard.settings import construct

#: Name of a description that lies beside its model.
BESIDE = "encoder.json"
#: What an axis of a tensor is; ``one`` has length 1, ``mean`` is averaged over.
INPUT_AXES = ("one", "samples", "frames", "dims")
OUTPUT_AXES = ("one", "frames", "dims", "mean")


@dataclass(frozen=True)
class Input:
    """The tensor that a clip enters by.

    Parameters
    ----------
    tensor : its name in the graph.
    axes : of ``INPUT_AXES``, in the graph's order: ``one`` and ``samples`` for a waveform; ``one``, ``frames`` and
        ``dims`` behind a front end.
    """

    tensor: str
    axes: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """A tensor of the graph that is taken as an entry.

    Parameters
    ----------
    entry, tensor : our name, and the graph's.
    axes : of ``OUTPUT_AXES``, in the graph's order.
    stride, window : of N input frames (samples, without a front end) it has floor((N − window) / stride) + 1, at
        least one: 1 and 1 for as many; ``window`` = ``stride`` where what is left over is dropped, 1 where it
        makes a frame.
    """

    entry: str
    tensor: str
    axes: tuple[str, ...]
    stride: int = 1
    window: int = 1

    def count(self, frames: int) -> int:
        """Return the number of frames of so many input frames or samples."""
        return max(1, (frames - self.window) // self.stride + 1)


@dataclass(frozen=True)
class Description:
    """All that an ONNX graph does not say about itself.

    Parameters
    ----------
    rate : Hz of the waveform, full scale ±1.
    input, entries : how a clip enters, and what is taken, lowest first.
    licence : what its owners allow.
    about, attribution : what it is; whom to name.
    front : settings of a front end (``unheard.features.fronts``); None: the waveform itself enters.
    splice : so many neighbouring frames, the middle one's own, stand side by side in a frame; the first and last
        frames are repeated at the ends. Odd; 1 for none.
    normalise : a file beside the model in Kaldi's nnet format, whose ``AddShift`` and ``Rescale`` are applied to a
        (spliced) frame, x → (x + shift) · scale. None for none.
    model : name of the ONNX file in its folder, where that holds several.
    least : samples; a shorter waveform is padded to them with zeros at its end.
    heard : corpora, each with the speakers, whose recordings made the weights; None where nobody says. A bundle
        lists them, so that scoring it on one of them is stamped.
    weights : what the file's numbers are, one of ``WEIGHTS``. A file that was shuffled or drawn at random says so,
        and its scores are stamped.
    """

    rate: int
    input: Input
    entries: tuple[Entry, ...]
    licence: str
    about: str = ""
    attribution: str = ""
    front: dict[str, Any] | None = None
    splice: int = 1
    normalise: str | None = None
    model: str | None = None
    least: int = 1
    heard: dict[str, list[str]] | None = None
    weights: str = "pretrained"


def described(description: str, folder: Path) -> tuple[Description, dict[str, Any]]:
    """Return the description that an encoder goes by, and its plain content.

    Parameters
    ----------
    description : name of one in the package, path of a JSON file, or empty for ``encoder.json`` in ``folder``.
    folder : where the model lies.

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
        text, where = found.read_text(encoding="utf-8"), f"description {description!r}"
    else:
        path = Path(description) if description else folder / BESIDE
        if not path.is_file():
            if description and "/" not in description and not description.endswith(".json"):
                raise unknown("description of an ONNX encoder", description, known)
            raise UsageError(
                f"no description of the ONNX encoder at {path}: write one (docs/encoders.md), or name one of the "
                f"package as encoder.description: {', '.join(known)}"
            )
        text, where = path.read_text(encoding="utf-8"), str(path)
    try:
        content = json.loads(text)
    except ValueError as error:
        raise DataError(f"{where} is not JSON: {error}") from error
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
    if not isinstance(content.get("rate"), int):
        raise DataError(f"{where} declares no rate: give the Hz of the waveform as 'rate'")
    try:
        values = dict(content)
        values["input"] = construct(Input, _fields(content, "input"), "input")
        values["entries"] = tuple(
            construct(Entry, entry, f"entries[{index}]")
            for index, entry in enumerate(_fields(content, "entries"))
        )
        made: Description = construct(Description, values, "description")
        if made.front is not None:
            build_front(made.front)
    except UsageError as error:
        raise DataError(str(error) if where in str(error) else f"{where}: {error}") from error
    _check(made, where)
    return made


def _fields(content: dict[str, Any], name: str) -> Any:
    wanted: type = list if name == "entries" else dict
    if not isinstance(content.get(name), wanted) or not content[name]:
        raise UsageError(f"{name} is {content.get(name)!r}, expected a {wanted.__name__} that says something")
    return content[name]


def _check(made: Description, where: str) -> None:
    if made.weights not in WEIGHTS:
        raise DataError(f"{where}: weights are {made.weights!r}, expected one of {', '.join(WEIGHTS)}")
    kinds = ("samples",) if made.front is None else ("frames", "dims")
    if sorted(axis for axis in made.input.axes if axis != "one") != sorted(kinds):
        raise DataError(
            f"{where}: input.axes {list(made.input.axes)} must be 'one' and {' and '.join(kinds)}"
        )
    for entry in made.entries:
        rest = [axis for axis in entry.axes if axis not in ("one", "mean")]
        if sorted(rest) != ["dims", "frames"]:
            raise DataError(
                f"{where}: entry {entry.entry!r} has axes {list(entry.axes)}; one must be 'frames', one 'dims', "
                "the others 'one' or 'mean'"
            )
        if entry.stride < 1 or entry.window < 0:
            raise DataError(
                f"{where}: entry {entry.entry!r}: stride must be at least 1, and window at least 0"
            )
    listed = [entry.entry for entry in made.entries]
    if len(set(listed)) < len(listed):
        raise DataError(f"{where}: two entries have one name in {listed}")
    if made.splice < 1 or made.splice % 2 == 0 or (made.splice > 1 and made.front is None):
        raise DataError(f"{where}: splice is {made.splice}; it must be odd, and needs a front end")
    if made.normalise is not None and made.front is None:
        raise DataError(f"{where}: normalise needs a front end")
    for name in (made.normalise, made.model):
        if name is not None and Path(name).name != name:
            raise DataError(
                f"{where}: {name!r} must be the name of a file beside the model, without a folder"
            )
    if made.front is not None and build_front(made.front).rate != made.rate:
        raise DataError(f"{where}: rate is {made.rate} Hz, and the front end works at another")
