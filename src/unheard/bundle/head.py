"""The head's graph: checked against what its bundle says, and run on the inputs of clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unheard.bundle.schema import Description, Input
from unheard.errors import BundleError
from unheard.onnx_graphs.session import Session

#: A clip's array for each input, by name.
Inputs = Mapping[str, NDArray[np.float32]]


class Head(Protocol):
    """What turns the inputs of clips into outputs."""

    def outputs(self, clips: Sequence[Inputs]) -> NDArray[np.float64]:
        """Return class scores before softmax, and dimensions on [0, 1], (n, columns) for n clips, at least 1."""


class GraphHead:
    """Runs ``model.onnx`` on one thread.

    Parameters
    ----------
    model
        Bytes of the graph.
    description
        Description of its bundle.

    Raises
    ------
    BundleError
        Where the graph keeps data elsewhere, onnxruntime refuses it, or inputs and outputs are not those that the
        description says.
    """

    def __init__(self, model: bytes, description: Description) -> None:
        self.description = description
        self._session = Session(model, "model.onnx")
        check_graph(self._session, description.inputs, description.target.width)

    def outputs(self, clips: Sequence[Inputs]) -> NDArray[np.float64]:
        """Return class scores before softmax, and dimensions on [0, 1], (n, columns) for n clips, at least 1."""
        d = self.description
        feeds: dict[str, NDArray[Any]] = {}
        for name, each in d.inputs.items():
            check_shapes(name, each, [clip[name] for clip in clips], missing=d.missing)
            feeds |= fed(name, each, [clip[name] for clip in clips])
        return answered(self._session, "outputs", feeds, len(clips), d.target.width)


def answered(
    session: Session, output: str, feeds: Mapping[str, NDArray[Any]], clips: int, columns: int
) -> NDArray[np.float64]:
    """Run a head's graph and check the shape of its output."""
    (found,) = session.run([output], feeds)
    if np.shape(found) != (clips, columns):
        raise BundleError(
            f"{session.name} gives {output} of shape {np.shape(found)} for {clips} clips and {columns} columns"
        )
    return np.asarray(found, dtype=np.float64)


def fed(name: str, each: Input, arrays: Sequence[NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
    """Return the batch of an input; where clips have frames, padded with zeros to the longest, with lengths.

    One frame at least is there, so that no axis is empty where no clip of the batch has the input.
    """
    if not each.form.has_frames:
        return {name: np.stack(arrays).astype(np.float32)}
    first, lengths = arrays[0], np.array([x.shape[-2] for x in arrays], dtype=np.int64)
    batch = np.zeros(
        (len(arrays), *first.shape[:-2], max(1, lengths.max()), first.shape[-1]), dtype=np.float32
    )
    for row, x in zip(batch, arrays, strict=True):
        row[..., : x.shape[-2], :] = x
    return {name: batch, f"{name}.lengths": lengths}


def check_shapes(
    name: str, each: Input, arrays: Sequence[NDArray[np.float32]], *, missing: bool = False
) -> None:
    """Refuse arrays of another shape than the input has, and empty ones unless they may be missing."""
    for x in arrays:
        fits = len(x.shape) == len(each.shape) and all(
            size in ("frames", found) for size, found in zip(each.shape, x.shape, strict=True)
        )
        if not fits or not (x.size or missing):
            shown = str(each.shape).replace("'", "")
            raise BundleError(f"the input {name!r} has shape {x.shape}, and the bundle takes {shown}")


def check_graph(session: Session, inputs: Mapping[str, Input], columns: int) -> None:
    """Refuse a graph of other inputs or outputs than the description says."""
    expected: dict[str, tuple[int | str, ...]] = {}
    for name, each in inputs.items():
        expected[name] = ("batch", *each.shape)
        if each.form.has_frames:
            expected[f"{name}.lengths"] = ("batch",)
    check_tensors(session, expected, "outputs", columns)


def check_tensors(
    session: Session, expected: Mapping[str, tuple[int | str, ...]], output: str, columns: int
) -> None:
    """Refuse a graph that does not take tensors of these shapes, a text being any length, and give one output."""
    inputs, outputs = session.inputs, session.outputs
    fits = inputs.keys() == expected.keys() and all(
        len(inputs[name]) == len(axes)
        and all(
            isinstance(size, str) or found == size for size, found in zip(axes, inputs[name], strict=True)
        )
        for name, axes in expected.items()
    )
    if not fits or outputs.keys() != {output} or outputs[output][1:] != [columns]:
        shown = str(dict(expected)).replace("'", "")
        raise BundleError(
            f"{session.name} takes {inputs} and gives {outputs}; bundle.json says that it takes {shown} and gives "
            f"{output} of {columns} columns"
        )
