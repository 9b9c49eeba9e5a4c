"""Finds tensors of an ONNX graph whose values lie in other files, without the onnx package.

Walks the protobuf wire format (https://protobuf.dev/programming-guides/encoding) of ModelProto along the fields
that lead to tensors (onnx.proto, IR version 10).
"""

from __future__ import annotations

#: Message to its fields that hold messages on the way to a tensor.
_INSIDE = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse",
        23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14


def external_tensors(model: bytes) -> list[str]:
    """Return the names of the tensors that are stored outside the model's own bytes.

    Raises
    ------
    ValueError
        The bytes are no protobuf message.
    """
    view = memoryview(model)
    found = []
    waiting = [("model", 0, len(view))]
    while waiting:
        kind, place, end = waiting.pop()
        name, outside = "(unnamed)", False
        while place < end:
            key, place = _varint(view, place, end)
            field, wire = key >> 3, key & 7
            if wire == 0:
                value, place = _varint(view, place, end)
                outside |= kind == "tensor" and field == _DATA_LOCATION and value != 0
                continue
            if wire == 2:
                size, place = _varint(view, place, end)
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
            else:
                raise ValueError(f"wire type {wire}")
            if place + size > end:
                raise ValueError("a field is longer than its message")
            if wire == 2 and kind == "tensor" and field == _NAME:
                name = bytes(view[place : place + size]).decode("utf-8", "replace")
            outside |= wire == 2 and kind == "tensor" and field == _EXTERNAL_DATA
            if wire == 2 and field in _INSIDE[kind]:
                waiting.append((_INSIDE[kind][field], place, place + size))
            place += size
        if outside:
            found.append(name)
    return found


def _varint(view: memoryview, place: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while place < end and shift < 70:
        byte = view[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
    raise ValueError("a number does not end")
