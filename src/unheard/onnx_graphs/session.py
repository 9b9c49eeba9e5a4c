"""Graphs under onnxruntime: opened from bytes alone, and run.

Stands on numpy and onnxruntime, as everything that predicts does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from unheard.errors import BundleError, UnheardError, first_five
from unheard.onnx_graphs.external_data import external_tensors


class Session:
    """An opened graph.

    Parameters
    ----------
    model
        Bytes of the graph, which must hold all of its data.
    name
        What errors call the graph, such as ``model.onnx``.
    threads
        Number of threads that a run takes; 0 takes one a core.
    error
        Kind of the errors raised.

    Raises
    ------
    UnheardError
        Of the kind ``error``, where the bytes are no graph, where it keeps data in other files, or where
        onnxruntime refuses it.
    """

    def __init__(
        self, model: bytes, name: str, *, threads: int = 1, error: type[UnheardError] = BundleError
    ) -> None:
        import onnxruntime

        self.name, self.error = name, error
        try:
            outside = external_tensors(model)
        except ValueError as fault:
            raise error(f"{name} is no ONNX graph: {fault}") from fault
        if outside:
            raise error(f"{name} keeps data in other files, which is refused: {first_five(outside)}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as fault:
            raise error(f"onnxruntime refuses {name}: {first_line(fault)}") from fault

    @property
    def inputs(self) -> dict[str, list[Any]]:
        """Shapes of the inputs by name; an axis of any length is a text or None."""
        return {value.name: list(value.shape) for value in self._session.get_inputs()}

    @property
    def outputs(self) -> dict[str, list[Any]]:
        """Shapes of the outputs by name."""
        return {value.name: list(value.shape) for value in self._session.get_outputs()}

    def run(self, outputs: Sequence[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the asked outputs for the inputs by name.

        Raises
        ------
        UnheardError
            Of the kind ``error``, where onnxruntime cannot run the graph on these inputs.
        """
        try:
            found: list[NDArray[Any]] = self._session.run(list(outputs), dict(feeds))
        except Exception as fault:
            raise self.error(f"{self.name} cannot be run: {first_line(fault)}") from fault
        return found


def first_line(fault: Exception) -> str:
    """Return what onnx or onnxruntime complains of, without its trace."""
    text = str(fault).strip() or type(fault).__name__
    return text.splitlines()[0][:300]
