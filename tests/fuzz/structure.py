"""Mutations that know a format: ONNX graphs, plain values of JSON, archives of arrays."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
import onnx
from mutate import GENERIC
from onnx import AttributeProto, TensorProto, helper, numpy_helper

#: Numbers at which shapes, axes, counts and offsets go wrong.
NUMBERS = [0, 1, -1, 2, 3, 7, 255, 65_535, 2**20, 10**9, 2**31 - 1, 2**31, 2**40, 2**62, -(2**31), -(2**63)]
#: Values of every kind where another was.
VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2,
        7,
        1000,
        10**6,
        10**9,
        2**63,
        -(2**63),
        0.5,
        -0.0,
        1e-300,
        1e300,
        1e308,
    ),
    *("", "x", "\x1b[2J", "a\nb", "\ud800", "../../etc/passwd", "/dev/zero", "x" * 5000, "\x00"),
    *([], {}, [[]], [1] * 2000, {"name": "logmel"}, {"name": "precomputed", "path": "/etc"}),
]
OPERATORS = (
    *(
        "Relu",
        "Shape",
        "ConstantOfShape",
        "Expand",
        "Tile",
        "Range",
        "Pad",
        "Concat",
        "Reshape",
        "MatMul",
        "Loop",
    ),
    *(
        "Transpose",
        "Gather",
        "Slice",
        "Resize",
        "Conv",
        "GRU",
        "Identity",
        "Cast",
        "Unsqueeze",
        "NonZero",
        "If",
    ),
    *(
        "ReduceSum",
        "Split",
        "OneHot",
        "RandomNormal",
        "Scan",
        "Einsum",
        "EyeLike",
        "Squeeze",
        "Add",
        "Explode",
    ),
)


def onnx_graph(data: bytes, rng: np.random.Generator) -> bytes:
    """Change the structure of a graph in one to three places; what cannot be parsed is changed byte by byte."""
    try:
        model = onnx.load_from_string(data)
    except Exception:
        return generic(data, rng)
    steps = (_number, _number, _size, _operator, _wiring, _node, _import, _outside, _type, _amplified, _names)
    for _ in range(rng.integers(1, 4)):
        steps[rng.integers(len(steps))](model, rng)
    changed: bytes = model.SerializeToString()
    return _wire(changed, rng) if rng.integers(6) == 0 else changed


def generic(data: bytes, rng: np.random.Generator) -> bytes:
    """Change bytes."""
    return GENERIC[sorted(GENERIC)[rng.integers(len(GENERIC))]](data, rng)


def plain_json(data: bytes, rng: np.random.Generator) -> bytes:
    """Change values, names or the text of a JSON file."""
    if rng.integers(5) == 0:
        return generic(data, rng)
    plain = json.loads(data)
    for _ in range(rng.integers(1, 4)):
        inside, key = _place(plain, rng)
        how = rng.integers(8)
        if how == 0 and isinstance(inside, dict):
            del inside[key]
        elif how == 1 and isinstance(inside, dict):
            inside[str(VALUES[rng.integers(len(VALUES))])] = inside.pop(key)
        elif how == 2 and isinstance(inside[key], int | float) and not isinstance(inside[key], bool):
            inside[key] = inside[key] * [2, 10, 1000, -1, 0.5, 1e6][rng.integers(6)]
        elif how == 3:
            for _ in range([1, 5, 100][rng.integers(3)]):
                inside[key] = [inside[key]]
        else:
            inside[key] = VALUES[rng.integers(len(VALUES))]
    text = json.dumps(plain)
    if rng.integers(8) == 0:  # a name that stands twice
        text = text.replace('"', '"name": 1, "', 1)
    return text.encode("utf-8", "surrogatepass")


def archive(data: bytes, rng: np.random.Generator) -> bytes:
    """Change arrays, their heads, or the bytes of an archive."""
    if rng.integers(3) == 0:
        return generic(data, rng)
    with np.load(io.BytesIO(data)) as stored:
        arrays = {name: stored[name] for name in stored.files}
    name = sorted(arrays)[rng.integers(len(arrays))]
    kinds = (np.float32, np.float64, np.int16, np.int8, ">i2", "U3", bool, np.complex64)
    shapes = ((), (0,), (1,), (3, 0), (1, 1, 1), (400_000, 44), (10**6,), (2, 2, 2, 2), (5, 7))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as written:
        for key, array in arrays.items():
            content = io.BytesIO()
            changed = array
            if key == name:
                how = rng.integers(4)
                if how == 0:
                    changed = np.zeros(shapes[rng.integers(len(shapes))], kinds[rng.integers(len(kinds))])
                elif how == 1:
                    changed = array.astype(kinds[rng.integers(len(kinds))])
                elif how == 2:
                    changed = array * np.array([np.nan, np.inf, 1e30, 0, -1][rng.integers(5)])
                else:
                    changed = np.repeat(array, [0, 2, 50][rng.integers(3)], axis=0)
            np.save(content, changed)
            text = content.getvalue()
            if key == name and rng.integers(3) == 0:
                text = generic(text[:128], rng) + text[128:]
            written.writestr(f"{key}.npy", text)
    return buffer.getvalue()


# --- plain values ------------------------------------------------------------------------------------------------


def _place(plain: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return an object or list inside plain values, and a name or place in it."""
    places: list[tuple[Any, Any]] = []
    waiting = [plain]
    while waiting:
        inside = waiting.pop()
        keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))[:20]
        places += [(inside, key) for key in keys]
        waiting += [inside[key] for key in keys if isinstance(inside[key], dict | list)]
    return places[rng.integers(len(places))] if places else ({"x": 1}, "x")


# --- graphs ------------------------------------------------------------------------------------------------------


def _one(items: Any, rng: np.random.Generator) -> Any:
    return items[rng.integers(len(items))] if len(items) else None


def _number(model: Any, rng: np.random.Generator) -> None:
    """Change a whole number in an attribute or a small constant."""
    places = [
        a for node in model.graph.node for a in node.attribute if a.ints or a.type == AttributeProto.INT
    ]
    tensors = [
        tensor
        for tensor in model.graph.initializer
        if tensor.data_type == TensorProto.INT64 and not tensor.external_data and not tensor.data_location
    ]
    number = int(NUMBERS[rng.integers(len(NUMBERS))])
    if rng.integers(2) and tensors:
        tensor = _one(tensors, rng)
        try:
            values = numpy_helper.to_array(tensor).copy()
        except ValueError:  # it was given another shape before
            return
        if values.size:
            values.reshape(-1)[rng.integers(values.size)] = number
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    elif places:
        attribute = _one(places, rng)
        if attribute.ints:
            attribute.ints[rng.integers(len(attribute.ints))] = number
        else:
            attribute.i = number


def _size(model: Any, rng: np.random.Generator) -> None:
    """Change a size of a constant or of an input or output, with its values or without."""
    number = int(NUMBERS[rng.integers(len(NUMBERS))])
    tensor = _one(model.graph.initializer, rng)
    if tensor is not None and tensor.dims and rng.integers(2):
        if rng.integers(2):
            tensor.dims[rng.integers(len(tensor.dims))] = number
        else:
            tensor.dims.append(1)
        return
    value = _one([*model.graph.input, *model.graph.output], rng)
    if value is not None and value.type.tensor_type.shape.dim:
        _one(value.type.tensor_type.shape.dim, rng).dim_value = number


def _operator(model: Any, rng: np.random.Generator) -> None:
    node = _one(model.graph.node, rng)
    if node is not None:
        node.op_type = OPERATORS[rng.integers(len(OPERATORS))]
        if rng.integers(2):
            del node.attribute[:]


def _wiring(model: Any, rng: np.random.Generator) -> None:
    """Let a node read another tensor."""
    names = [
        *(name for node in model.graph.node for name in node.output),
        *(t.name for t in model.graph.initializer),
    ]
    node = _one([node for node in model.graph.node if node.input], rng)
    if node is not None:
        node.input[rng.integers(len(node.input))] = names[rng.integers(len(names))] if rng.integers(4) else ""


def _node(model: Any, rng: np.random.Generator) -> None:
    """Leave a node out, or put it elsewhere or twice."""
    nodes = list(model.graph.node)
    if nodes:
        node = nodes.pop(rng.integers(len(nodes)))
        for _ in range(rng.integers(3)):
            nodes.insert(rng.integers(len(nodes) + 1), node)
        del model.graph.node[:]
        model.graph.node.extend(nodes)


def _import(model: Any, rng: np.random.Generator) -> None:
    number = int(NUMBERS[rng.integers(len(NUMBERS))])
    if rng.integers(2) or not model.opset_import:
        model.ir_version = number
    else:
        model.opset_import[0].version = number if rng.integers(2) else int(rng.integers(1, 27))


def _outside(model: Any, rng: np.random.Generator) -> None:
    """Keep a constant in another file."""
    tensor = _one(model.graph.initializer, rng)
    if tensor is not None:
        places = (
            "/dev/zero",
            "../../etc/passwd",
            "w.bin",
            "toy.onnx",
            "encoder.json",
            "",
            "model.onnx",
            "a\0b",
        )
        if rng.integers(2):
            tensor.ClearField("raw_data")
        tensor.data_location = int(rng.integers(3)) % 2
        for key, value in (
            ("location", places[rng.integers(len(places))]),
            ("offset", "0"),
            ("length", "-1"),
        ):
            if rng.integers(4):
                tensor.external_data.add(key=key, value=value)


def _type(model: Any, rng: np.random.Generator) -> None:
    tensor = _one(model.graph.initializer, rng)
    if tensor is not None and rng.integers(2):
        tensor.data_type = int(rng.integers(26))
    else:
        value = _one([*model.graph.input, *model.graph.output], rng)
        if value is not None:
            value.type.tensor_type.elem_type = int(rng.integers(26))


def _amplified(model: Any, rng: np.random.Generator) -> None:
    """Put nodes in front of one that make what it reads large, or endless, and then as small as it was."""
    nodes = list(model.graph.node)
    readers = [k for k, node in enumerate(nodes) if node.input and node.input[0]]
    if not readers:
        return
    place = readers[rng.integers(len(readers))]
    read, number = nodes[place].input[0], int(NUMBERS[rng.integers(len(NUMBERS))])
    many = numpy_helper.from_array(np.array([number, 3], np.int64), "fuzz.many")
    inner = helper.make_graph([], "inner", [], [])
    helped = {
        0: [helper.make_node("ConstantOfShape", ["fuzz.many"], ["fuzz.large"])],
        1: [helper.make_node("Expand", [read, "fuzz.many"], ["fuzz.large"])],
        2: [
            helper.make_node("Shape", [read], ["fuzz.shape"]),
            helper.make_node("ReduceProd", ["fuzz.shape"], ["fuzz.count"], keepdims=0),
            helper.make_node("Mul", ["fuzz.count", "fuzz.many"], ["fuzz.sizes"]),
            helper.make_node("ConstantOfShape", ["fuzz.sizes"], ["fuzz.large"]),
        ],
        3: [helper.make_node("Loop", ["", "", read], ["fuzz.large"], body=inner)],
        4: [
            *(helper.make_node("Concat", [f"fuzz.{k}"] * 2, [f"fuzz.{k + 1}"], axis=0) for k in range(30)),
            helper.make_node("Identity", ["fuzz.30"], ["fuzz.large"]),
        ],
        5: [
            helper.make_node("Cast", [read], ["fuzz.whole"], to=TensorProto.INT64),
            helper.make_node("ConstantOfShape", ["fuzz.whole"], ["fuzz.large"]),
        ],
        6: [
            helper.make_node("Unsqueeze", [read, "fuzz.axis"], ["fuzz.row"]),
            helper.make_node("Transpose", ["fuzz.row"], ["fuzz.column"]),
            helper.make_node("Add", ["fuzz.row", "fuzz.column"], ["fuzz.large"]),
        ],
    }[int(rng.integers(7))]
    if helped[0].output[0] == "fuzz.1":
        helped.insert(0, helper.make_node("Identity", [read], ["fuzz.0"]))
    added = [
        *helped,
        helper.make_node("ReduceMax", ["fuzz.large"], ["fuzz.least"], keepdims=0),
        helper.make_node("Cast", ["fuzz.least"], ["fuzz.cast"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["fuzz.cast", "fuzz.zero"], ["fuzz.nothing"]),
        helper.make_node("Add", [read, "fuzz.nothing"], ["fuzz.same"]),
    ]
    nodes[place].input[0] = "fuzz.same"
    nodes[place:place] = added
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.append(many)
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((), np.float32), "fuzz.zero"))
    model.graph.initializer.append(numpy_helper.from_array(np.array([0]), "fuzz.axis"))


def _names(model: Any, rng: np.random.Generator) -> None:
    texts = ("", "a\nb", "\x1b[2J", "outputs", "fuzz.same", "x" * 3000)
    item = _one([*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output], rng)
    if item is not None:
        item.name = texts[rng.integers(len(texts))]


def _wire(data: bytes, rng: np.random.Generator) -> bytes:
    """Add fields that no writer writes at the end of the model, where they are its own."""
    tails = (
        *(b"\xea\x80\x80\x80\x10\x00", b"\xed\x80\x80\x80\x10\x01", b"\x3a\x80\x00", b"\x3a\x82\x00\x0a\x00"),
        *(b"\x00\x00", b"\x0b\x0c", b"\x08\x08", b"\x38\x01", b"\x3a\xff\xff\xff\xff\x0f", b"\xc2\x01\x00"),
        *(
            b"\xba\x80\x80\x80\x80\x00\x00",
            b"\xfa\xff\xff\xff\x0f\x00",
            b"\xa2\x01\x00",
            b"\xca\x01\x02\x0a\x00",
        ),
    )
    return data + tails[rng.integers(len(tails))]
