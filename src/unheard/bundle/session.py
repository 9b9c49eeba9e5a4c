"""The head's graph: checked against what its bundle says, and run on the features of clips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.bundle.schema import Description
from unheard.errors import BundleError
from unheard.onnx_graphs.session import Session


class HeadSession:
    """Runs the graph of a head on the features of clips, on one thread.

    Raises
    ------
    BundleError
        Where the graph keeps data elsewhere, onnxruntime refuses it, or inputs and outputs are not those that the
        description says.
    """

    def __init__(self, model: bytes, description: Description) -> None:
        self.description = description
        self._session = Session(model, "model.onnx")
        _check_shapes(self._session, description)

    def logits(self, inputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
        """Scores (n, classes) of features of n clips, at least 1, in the form that the description says."""
        d = self.description
        expected = _shape(d)
        for x in inputs:
            fits = len(x.shape) == len(expected) and all(
                size in ("frames", found) for size, found in zip(expected, x.shape, strict=True)
            )
            if not fits or not x.size:
                shown = str(expected).replace("'", "")
                raise BundleError(f"the features have shape {x.shape}, and the bundle takes {shown}")
        (answer,) = self._session.run(["logits"], _feeds(inputs, d))
        if np.shape(answer) != (len(inputs), len(d.labels)):
            raise BundleError(
                f"model.onnx gives logits of shape {np.shape(answer)} for {len(inputs)} clips and "
                f"{len(d.labels)} labels"
            )
        return np.asarray(answer, dtype=np.float64)


def _shape(d: Description) -> tuple[int | str, ...]:
    """Shape of a clip's features; ``frames`` where it may be any."""
    return {
        "utterance": (d.dims,),
        "frames": ("frames", d.dims),
        "pooled": (d.entries, 2, d.dims),
        "layers": (d.entries, "frames", d.dims),
    }[d.kind]


def _feeds(inputs: Sequence[NDArray[np.float32]], description: Description) -> dict[str, NDArray[Any]]:
    """Batch of the clips; where they have frames, padded with zeros to the longest."""
    if description.kind in ("utterance", "pooled"):
        return {"features": np.stack(inputs).astype(np.float32)}
    lengths = np.array([x.shape[-2] for x in inputs], dtype=np.int64)
    first = inputs[0]
    frames = np.zeros((len(inputs), *first.shape[:-2], lengths.max(), first.shape[-1]), dtype=np.float32)
    for row, x in zip(frames, inputs, strict=True):
        row[..., : x.shape[-2], :] = x
    return {"frames": frames, "lengths": lengths}


def _check_shapes(session: Session, description: Description) -> None:
    shape, classes = _shape(description), len(description.labels)
    expected: dict[str, tuple[int | str, ...]] = {
        "frames" if "frames" in shape else "features": ("batch", *shape)
    }
    if "frames" in shape:
        expected["lengths"] = ("batch",)
    inputs, outputs = session.inputs, session.outputs
    fits = inputs.keys() == expected.keys() and all(
        len(inputs[name]) == len(axes)
        and all(
            isinstance(size, str) or found == size for size, found in zip(axes, inputs[name], strict=True)
        )
        for name, axes in expected.items()
    )
    if not fits or outputs.keys() != {"logits"} or outputs["logits"][1:] != [classes]:
        raise BundleError(
            f"model.onnx takes {inputs} and gives {outputs}; bundle.json says {description.kind} of "
            f"{description.dims} dims and {classes} labels"
        )
