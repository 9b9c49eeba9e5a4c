"""Graphs under onnxruntime: opened from bytes alone, and run in bounded memory and time.

onnxruntime is given what ``model_format`` read and wrote again, and only once the sizes of all tensors are known
for what is fed (``sizes``). Stands on numpy and onnxruntime, as everything that predicts does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from unheard.errors import BundleError, UnheardError, first_five
from unheard.onnx_graphs.model_format import Message, external, read_model, write_model
from unheard.onnx_graphs.sizes import Fed, Sizes, declared_shape, is_standard

#: So many shapes of inputs are known to be within bounds before they are computed anew.
REMEMBERED = 4096


class Session:
    """A graph that can be run.

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
        Of the kind ``error``, where the bytes are no graph, where it keeps data in other files, or where it uses
        what is refused.
    """

    def __init__(
        self, model: bytes, name: str, *, threads: int = 1, error: type[UnheardError] = BundleError
    ) -> None:
        self.name, self.error, self._threads = name, error, threads
        try:
            read = read_model(model)
        except ValueError as fault:
            raise error(f"{name} is no ONNX graph: {fault}") from fault
        outside = external(read)
        if outside:
            names = first_five(tensor.get("name", "(unnamed)") for tensor in outside)
            raise error(f"{name} keeps data in other files, which is refused: {names}")
        try:
            self._sizes = Sizes(read, len(model))
        except ValueError as fault:
            raise error(f"{name} cannot be run: {fault}") from fault
        graph = read["graph"]
        held = {tensor.get("name", "") for tensor in graph.get("initializer", ())}
        self.inputs = {name: axes for name, axes in _axes(graph.get("input", ())).items() if name not in held}
        self.outputs = _axes(graph.get("output", ()))
        self._model: Message | None = read
        self._session: Any = None
        self._checked: set[tuple[tuple[str, Fed], ...]] = set()

    def run(self, outputs: Sequence[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the asked outputs for the inputs by name.

        Raises
        ------
        UnheardError
            Of the kind ``error``, where the graph would take too much memory or time for these inputs, or
            onnxruntime cannot run it on them.
        """
        fed = {name: Fed(array.shape, array.itemsize) for name, array in feeds.items()}
        shapes = tuple(sorted(fed.items()))
        if shapes not in self._checked:
            try:
                self._sizes.check(fed)
            except ValueError as fault:
                raise self.error(f"{self.name} cannot be run: {fault}") from fault
            if len(self._checked) >= REMEMBERED:
                self._checked.clear()
            self._checked.add(shapes)
        if self._session is None:
            self._open()
        try:
            found: list[NDArray[Any]] = self._session.run(list(outputs), dict(feeds))
        except Exception as fault:
            raise self.error(f"{self.name} cannot be run: {first_line(fault)}") from fault
        return found

    def _open(self) -> None:
        """Open the graph with onnxruntime, which computes already what its constants give."""
        import onnxruntime

        assert self._model is not None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # Threads that wait would otherwise turn in circles, and take the core from whoever has work for it.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                write_model(_for_onnxruntime(self._model)), options, providers=["CPUExecutionProvider"]
            )
        except Exception as fault:
            raise self.error(f"onnxruntime refuses {self.name}: {first_line(fault)}") from fault
        self._model = None


def _axes(values: Sequence[Message]) -> dict[str, list[Any]]:
    """Return declared shapes by name; an axis of any length is a text or None."""
    return {value.get("name", ""): list(declared_shape(value) or ()) for value in values}


def _for_onnxruntime(model: Message) -> Message:
    """Leave out the shapes of outputs, which onnxruntime would believe, and operators that nobody needs."""
    graph = model["graph"]
    outputs = []
    for value in graph.get("output", ()):
        kind = {
            key: each for key, each in value.get("type", {}).get("tensor_type", {}).items() if key != "shape"
        }
        outputs.append({**value, "type": {"tensor_type": kind}} if kind else {"name": value.get("name", "")})
    standard = [entry for entry in model["opset_import"] if is_standard(entry)]
    return {**model, "opset_import": standard, "graph": {**graph, "output": outputs}}


def first_line(fault: Exception) -> str:
    """Return what onnx or onnxruntime complains of, without its trace."""
    text = str(fault).strip() or type(fault).__name__
    return text.splitlines()[0][:300]
