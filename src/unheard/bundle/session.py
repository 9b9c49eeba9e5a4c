"""A graph under onnxruntime: opened from bytes alone, checked against what its bundle says, and run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from unheard.bundle.external import external_tensors
from unheard.bundle.schema import Description
from unheard.errors import BundleError, first_five


class Session:
    """Runs a graph on the features of clips, on one thread.

    Raises
    ------
    BundleError
        Where the graph keeps data elsewhere, onnxruntime refuses it, or inputs and outputs are not those that the
        description says.
    """

    def __init__(self, model: bytes, description: Description) -> None:
        self.description = description
        self._session = _opened(model)
        _check_shapes(self._session, description)

    def logits(self, inputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
        """Scores (n, classes) of features, n at least 1: (dims,) or (frames, dims) each."""
        d = self.description
        axes = 1 if d.kind == "utterance" else 2
        for x in inputs:
            if x.ndim != axes or x.shape[-1] != d.dims or not x.size:
                expected = f"({d.dims},)" if axes == 1 else f"(frames, {d.dims})"
                raise BundleError(f"the features have shape {x.shape}, and the bundle takes {expected}")
        try:
            (answer,) = self._session.run(["logits"], _feeds(inputs, d))
        except Exception as error:
            raise BundleError(f"model.onnx cannot be run: {_first_line(error)}") from error
        if np.shape(answer) != (len(inputs), len(d.labels)):
            raise BundleError(
                f"model.onnx gives logits of shape {np.shape(answer)} for {len(inputs)} clips and "
                f"{len(d.labels)} labels"
            )
        return np.asarray(answer, dtype=np.float64)


def _feeds(inputs: Sequence[NDArray[np.float32]], description: Description) -> dict[str, NDArray[Any]]:
    if description.kind == "utterance":
        return {"features": np.stack(inputs).astype(np.float32)}
    lengths = np.array([len(x) for x in inputs], dtype=np.int64)
    frames = np.zeros((len(inputs), lengths.max(), description.dims), dtype=np.float32)
    for row, x in zip(frames, inputs, strict=True):
        row[: len(x)] = x
    return {"frames": frames, "lengths": lengths}


def _opened(model: bytes) -> Any:
    outside = external_tensors(model)
    if outside:
        raise BundleError(f"model.onnx keeps data in other files, which is refused: {first_five(outside)}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BundleError(f"onnxruntime refuses model.onnx: {_first_line(error)}") from error


def _check_shapes(session: Any, description: Description) -> None:
    dims, classes = description.dims, len(description.labels)
    expected: dict[str, tuple[int, int | None]] = (
        {"features": (2, dims)}
        if description.kind == "utterance"
        else {"frames": (3, dims), "lengths": (1, None)}
    )
    inputs = {entry.name: list(entry.shape) for entry in session.get_inputs()}
    outputs = {entry.name: list(entry.shape) for entry in session.get_outputs()}
    fits = inputs.keys() == expected.keys() and all(
        len(inputs[name]) == axes and (size is None or inputs[name][-1] == size)
        for name, (axes, size) in expected.items()
    )
    if not fits or outputs.keys() != {"logits"} or outputs["logits"][1:] != [classes]:
        raise BundleError(
            f"model.onnx takes {inputs} and gives {outputs}; bundle.json says {description.kind} of {dims} dims "
            f"and {classes} labels"
        )


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
