"""ONNX models as bytes: read strictly into plain dictionaries, and written from them again.

Only what a computation needs is known here (onnx.proto, IR version 13): comments, metadata and whatever else a
file holds is left out of what is read, so that it is not in what is written either. What would carry computation
past our checks is refused: graphs inside nodes (If, Loop, Scan), functions, training, sparse tensors, sequences.
onnxruntime and the onnx package are given what was written here, and never the bytes of a file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unheard.formats.printable import check_printable
from unheard.onnx_graphs import protobuf

#: Names of fields to values: int, float, bytes, str, a message; a list of these or an array where there are many.
Message = dict[str, Any]


class Field(NamedTuple):
    """A field of a message.

    Parameters
    ----------
    name
        As onnx.proto calls it.
    kind
        ``int``, ``int32``, ``float``, ``double``, ``bytes``, ``text``, ``refused``, or the name of a message.
    many
        Whether there may be several.
    """

    name: str
    kind: str
    many: bool = False


FORMAT: dict[str, dict[int, Field]] = {
    "ModelProto": {
        1: Field("ir_version", "int"),
        2: Field("producer_name", "text"),
        7: Field("graph", "GraphProto"),
        8: Field("opset_import", "OperatorSetIdProto", many=True),
        20: Field("training_info", "refused"),
        25: Field("functions", "refused"),
    },
    "OperatorSetIdProto": {1: Field("domain", "text"), 2: Field("version", "int")},
    "GraphProto": {
        1: Field("node", "NodeProto", many=True),
        2: Field("name", "text"),
        5: Field("initializer", "TensorProto", many=True),
        11: Field("input", "ValueInfoProto", many=True),
        12: Field("output", "ValueInfoProto", many=True),
        15: Field("sparse_initializer", "refused"),
    },
    "NodeProto": {
        1: Field("input", "text", many=True),
        2: Field("output", "text", many=True),
        3: Field("name", "text"),
        4: Field("op_type", "text"),
        5: Field("attribute", "AttributeProto", many=True),
        7: Field("domain", "text"),
        8: Field("overload", "refused"),
    },
    "AttributeProto": {
        1: Field("name", "text"),
        2: Field("f", "float"),
        3: Field("i", "int"),
        4: Field("s", "bytes"),
        5: Field("t", "TensorProto"),
        6: Field("g", "refused"),
        7: Field("floats", "float", many=True),
        8: Field("ints", "int", many=True),
        9: Field("strings", "bytes", many=True),
        10: Field("tensors", "refused"),
        11: Field("graphs", "refused"),
        14: Field("tp", "refused"),
        15: Field("type_protos", "refused"),
        20: Field("type", "int32"),
        21: Field("ref_attr_name", "refused"),
        22: Field("sparse_tensor", "refused"),
        23: Field("sparse_tensors", "refused"),
    },
    "TensorProto": {
        1: Field("dims", "int", many=True),
        2: Field("data_type", "int32"),
        3: Field("segment", "refused"),
        4: Field("float_data", "float", many=True),
        5: Field("int32_data", "int32", many=True),
        6: Field("string_data", "refused"),
        7: Field("int64_data", "int", many=True),
        8: Field("name", "text"),
        9: Field("raw_data", "bytes"),
        10: Field("double_data", "double", many=True),
        11: Field("uint64_data", "int", many=True),
        13: Field("external_data", "StringStringEntryProto", many=True),
        14: Field("data_location", "int32"),
    },
    "StringStringEntryProto": {1: Field("key", "text"), 2: Field("value", "text")},
    "ValueInfoProto": {1: Field("name", "text"), 2: Field("type", "TypeProto")},
    "TypeProto": {
        1: Field("tensor_type", "TypeProto.Tensor"),
        4: Field("sequence_type", "refused"),
        5: Field("map_type", "refused"),
        7: Field("opaque_type", "refused"),
        8: Field("sparse_tensor_type", "refused"),
        9: Field("optional_type", "refused"),
    },
    "TypeProto.Tensor": {1: Field("elem_type", "int32"), 2: Field("shape", "TensorShapeProto")},
    "TensorShapeProto": {1: Field("dim", "Dimension", many=True)},
    "Dimension": {1: Field("dim_value", "int"), 2: Field("dim_param", "text")},
}
_WIRES = {
    "int": protobuf.VARINT,
    "int32": protobuf.VARINT,
    "float": protobuf.FIXED32,
    "double": protobuf.FIXED64,
}
_FLOATS: dict[str, np.dtype[Any]] = {"float": np.dtype("<f4"), "double": np.dtype("<f8")}

#: TensorProto.DataType to numpy's type; text, complex numbers and types of less than 8 bits are not read.
TYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("u1"),
    3: np.dtype("i1"),
    4: np.dtype("<u2"),
    5: np.dtype("<i2"),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
    9: np.dtype("?"),
    10: np.dtype("<f2"),
    11: np.dtype("<f8"),
    12: np.dtype("<u4"),
    13: np.dtype("<u8"),
    16: np.dtype("<u2"),  # bfloat16
}
BFLOAT16 = 16
#: Field that holds the values of a type where they do not stand in raw_data.
_STORED = {1: "float_data", 7: "int64_data", 11: "double_data", 12: "uint64_data", 13: "uint64_data"}
_STORES = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data")
_EXTERNAL = 1
#: Fields that a model may have, and bytes of its packed whole numbers; weights are raw bytes, of any number.
MOST_FIELDS, MOST_PACKED = 500_000, 2**23


def read_model(data: bytes) -> Message:
    """Return the ModelProto in a file's bytes, each of its tensors holding what its shape says.

    Raises
    ------
    ValueError
        The bytes are not what a writer of ONNX writes, or hold what is refused.
    """
    model = _Reader().read("ModelProto", memoryview(data))
    if "graph" not in model:
        raise ValueError("it holds no graph")
    for tensor in tensors(model):
        _check(tensor)
    return model


def write_model(model: Message) -> bytes:
    """Return the bytes of a ModelProto."""
    return b"".join(_pieces("ModelProto", model)[0])


def tensors(model: Message) -> Iterator[Message]:
    """Yield every TensorProto: initializers, and attributes of nodes."""
    yield from model["graph"].get("initializer", ())
    for node in model["graph"].get("node", ()):
        for attribute in node.get("attribute", ()):
            if "t" in attribute:
                yield attribute["t"]


def external(model: Message) -> list[Message]:
    """Return the tensors whose values lie in other files."""
    return [tensor for tensor in tensors(model) if is_external(tensor)]


def is_external(tensor: Message) -> bool:
    """Return whether a tensor's values lie in another file."""
    return bool(tensor.get("data_location", 0)) or bool(tensor.get("external_data"))


def shape_of(tensor: Message) -> tuple[int, ...]:
    """Return the shape of a TensorProto."""
    return tuple(int(size) for size in tensor.get("dims", ()))


def values_of(tensor: Message) -> NDArray[Any]:
    """Return the values of a TensorProto that holds them, (its shape); bfloat16 as its 16 bits."""
    kind = TYPES[tensor["data_type"]]
    if "raw_data" in tensor:
        flat = np.frombuffer(tensor["raw_data"], dtype=kind)
    else:
        stored = tensor.get(_STORED.get(tensor["data_type"], "int32_data"), np.zeros(0, dtype=kind))
        # Types of 16 bits are stored as the bits of a number.
        flat = stored.astype(np.uint16).view(kind) if tensor["data_type"] == 10 else stored.astype(kind)
    return flat.reshape(shape_of(tensor))


def _check(tensor: Message) -> None:
    """Refuse a tensor of a type that is not read, or whose values are not as many as its shape says."""
    name, kind, shape = tensor.get("name", "(unnamed)"), tensor.get("data_type", 0), shape_of(tensor)
    if kind not in TYPES:
        raise ValueError(f"the tensor {name!r} has values of type {kind}")
    if len(shape) > 32 or any(size < 0 for size in shape):
        raise ValueError(f"the tensor {name!r} has the shape {shape}")
    held = [store for store in _STORES if len(tensor.get(store, ()))]
    if is_external(tensor):
        if held or tensor.get("data_location") != _EXTERNAL:
            raise ValueError(f"the tensor {name!r} has values both here and in another file")
        return
    count = prod(shape)
    store = "raw_data" if "raw_data" in held else _STORED.get(kind, "int32_data")
    found = len(tensor.get(store, ())) // (TYPES[kind].itemsize if store == "raw_data" else 1)
    whole = store != "raw_data" or len(tensor["raw_data"]) == count * TYPES[kind].itemsize
    if found != count or not whole or any(other != store for other in held):
        raise ValueError(f"the tensor {name!r} of shape {shape} holds other than its {count} values")


class _Reader:
    """Reads messages of no more fields and packed numbers than a graph has: each takes many times its bytes."""

    def __init__(self) -> None:
        self._fields, self._packed = MOST_FIELDS, MOST_PACKED

    def read(self, kind: str, data: memoryview) -> Message:
        """Return a message of a kind of ``FORMAT``."""
        known = FORMAT[kind]
        message: Message = {}
        for number, wire, value in protobuf.fields(data):
            self._fields -= 1
            if self._fields < 0:
                raise ValueError(f"it has more than {MOST_FIELDS:,} fields")
            if number not in known:
                continue
            field = known[number]
            if field.kind == "refused":
                raise ValueError(f"it uses {field.name} of {kind}, which is refused")
            found = self._value(kind, field, wire, value)
            if field.many:
                message.setdefault(field.name, []).append(found)
            elif field.name in message:
                raise ValueError(f"{field.name} of {kind} stands there twice")
            else:
                message[field.name] = found
        for field in known.values():
            if field.many and field.kind in _WIRES and field.name in message:
                message[field.name] = np.concatenate(message[field.name])
        return message

    def _value(self, kind: str, field: Field, wire: int, value: int | memoryview) -> Any:
        """Return what a field holds: an array where it is one of many numbers, which may be packed or not."""
        expected = _WIRES.get(field.kind, protobuf.BYTES)
        if wire != expected and not (field.many and field.kind in _WIRES and wire == protobuf.BYTES):
            raise ValueError(f"{field.name} of {kind} has the wire type {wire}")
        if isinstance(value, int):
            signed = value - 2**64 if value >= 2**63 else value
            if field.kind == "int32" and not -(2**31) <= signed < 2**31:
                raise ValueError(f"{field.name} of {kind} has more than 32 bits")
            return np.array([signed]) if field.many else signed
        if field.kind in ("int", "int32"):
            return self._whole_numbers(kind, field, value)
        if field.kind in _FLOATS:
            if len(value) % _FLOATS[field.kind].itemsize:
                raise ValueError(f"{field.name} of {kind} does not hold whole numbers of bytes")
            numbers = np.frombuffer(value, dtype=_FLOATS[field.kind])
            return numbers if field.many else float(numbers[0])
        if field.kind == "bytes":
            return value
        if field.kind == "text":
            text = str(value, "utf-8")
            check_printable(text)
            return text
        return self.read(field.kind, value)

    def _whole_numbers(self, kind: str, field: Field, packed: memoryview) -> NDArray[np.int64]:
        self._packed -= len(packed)
        if self._packed < 0:
            raise ValueError(
                f"its packed numbers take more than {MOST_PACKED:,} bytes; tensors hold raw_data"
            )
        found = protobuf.varints(packed).view(np.int64)
        if field.kind == "int32" and (found != found.astype(np.int32)).any():
            raise ValueError(f"{field.name} of {kind} has more than 32 bits")
        return found


def _pieces(kind: str, message: Message) -> tuple[list[bytes | memoryview], int]:
    """Return the bytes of a message in pieces, so that large tensors are copied once, and their number."""
    pieces: list[bytes | memoryview] = []
    whole = 0
    for number, field in FORMAT[kind].items():
        if field.name not in message:
            continue
        value = message[field.name]
        for one in value if field.many and field.kind not in _WIRES else [value]:
            wire, inner, size = _written(field, one)
            head = protobuf.varint(number << 3 | wire)
            if wire == protobuf.BYTES:
                head += protobuf.varint(size)
            pieces += [head, *inner]
            whole += len(head) + size
    return pieces, whole


def _written(field: Field, value: Any) -> tuple[int, list[bytes | memoryview], int]:
    """Return the wire type of a value, its bytes in pieces, and their number."""
    if field.kind in FORMAT:
        inner, size = _pieces(field.kind, value)
        return protobuf.BYTES, inner, size
    data: bytes | memoryview
    if field.many and field.kind in ("int", "int32"):
        data = protobuf.packed(value.view(np.uint64))
    elif field.many and field.kind in _FLOATS:
        data = value.tobytes()
    elif field.kind in ("int", "int32"):
        data = protobuf.varint(value % 2**64)
    elif field.kind in _FLOATS:
        data = struct.pack("<f" if field.kind == "float" else "<d", value)
    else:
        data = value.encode("utf-8") if field.kind == "text" else value
    wire = protobuf.BYTES if field.many else _WIRES.get(field.kind, protobuf.BYTES)
    return wire, [data], len(data)
