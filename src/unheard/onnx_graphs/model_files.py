"""ONNX files and the files that hold their tensors, read within bounds and from one folder alone."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from unheard.errors import DataError, need
from unheard.files import file_inside, read_bytes
from unheard.onnx_graphs.model_format import (
    TYPES,
    Message,
    external,
    is_external,
    read_model,
    shape_of,
    tensors,
    write_model,
)
from unheard.onnx_graphs.sizes import Sizes

#: Bytes of a model, the largest protobuf message, and of all files with its tensors.
MAX_BYTES, MAX_BESIDE = 2**31 - 1, 2**32


class Piece(NamedTuple):
    """Where the values of a tensor lie: a file, and the bytes in it."""

    path: Path
    offset: int
    length: int


class ModelFile:
    """An ONNX file that was read, with the places of its external tensors.

    Parameters
    ----------
    path
        The file; what it names lies in its folder or below it.

    Raises
    ------
    DataError
        No regular file, no graph, one that uses what is refused, or external data that is not in the folder, no
        regular file, too large, or not as large as its tensors. Nothing of it is opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        data = read_bytes(path, MAX_BYTES)
        try:
            self._model = read_model(data)
            Sizes(self._model, len(data))
        except ValueError as fault:
            raise DataError(f"{path} is not an ONNX graph that is read: {fault}") from fault
        places: dict[str, Path] = {}
        self._pieces = [self._piece(tensor, places) for tensor in external(self._model)]
        #: Files that hold its tensors, in the order of their names.
        self.beside = [place for _, place in sorted(places.items())]
        there = sum(file.stat().st_size for file in self.beside)
        asked = sum(piece.length for piece in self._pieces)
        if there > MAX_BESIDE or asked > there:
            raise DataError(
                f"{path}: its tensors take {asked:,} bytes of {there:,} in the files beside it, of which at most "
                f"{MAX_BESIDE:,} are read"
            )

    def load(self) -> Any:
        """Return the ModelProto of the onnx package, which holds all tensors."""
        made = need("onnx", "eval").load_from_string(write_model(self._model))
        places = [place for place, tensor in enumerate(tensors(self._model)) if is_external(tensor)]
        all_tensors = list(_tensors(made))
        for place, piece in zip(places, self._pieces, strict=True):
            tensor = all_tensors[place]
            with piece.path.open("rb") as file:
                file.seek(piece.offset)
                tensor.raw_data = file.read(piece.length)
            if len(tensor.raw_data) != piece.length:
                raise DataError(f"{piece.path} became shorter while it was read")
            del tensor.external_data[:]
            tensor.ClearField("data_location")
        return made

    def _piece(self, tensor: Message, places: dict[str, Path]) -> Piece:
        """Return where the values of a tensor lie, and add the file to ``places`` under its name."""
        name = tensor.get("name", "(unnamed)")
        said = [(entry.get("key", ""), entry.get("value", "")) for entry in tensor.get("external_data", ())]
        entries = dict(said)
        if len(entries) < len(said) or not entries.get("location"):
            raise DataError(
                f"{self.path}: the tensor {name!r} does not say once in which file its values lie"
            )
        place = file_inside(self.path.parent, entries["location"])
        places[entries["location"]] = place
        size, length = place.stat().st_size, prod(shape_of(tensor)) * TYPES[tensor["data_type"]].itemsize
        offset, given = (
            _whole(entries.get(key, usual)) for key, usual in (("offset", "0"), ("length", str(length)))
        )
        if offset is None or offset + length > size or given != length:
            raise DataError(
                f"{self.path}: the tensor {name!r} takes {length:,} bytes from {entries.get('offset', 0)} on, of "
                f"{size:,} in {place.name}; its file says {entries.get('length', 'nothing')}"
            )
        return Piece(place, offset, length)


def loaded(data: bytes) -> Any:
    """Return the ModelProto of the onnx package of a graph that holds all of its tensors.

    Raises
    ------
    DataError
        No graph, or one that uses what is refused.
    """
    try:
        model = read_model(data)
        outside = external(model)
        Sizes(model, len(data))
    except ValueError as fault:
        raise DataError(f"no ONNX graph that is read: {fault}") from fault
    if outside:
        raise DataError("the ONNX graph keeps data in other files")
    return need("onnx", "eval").load_from_string(write_model(model))


def _tensors(model: Any) -> Any:
    """Yield the TensorProtos of the onnx package in the order of ``model_format.tensors``."""
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t


def _whole(text: str) -> int | None:
    """Return a number of bytes; None for what is no number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
