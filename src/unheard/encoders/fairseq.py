"""A checkpoint as fairseq writes it: settings of the model as plain values, and its tensors; nothing else is read.

The file is a pickle. It goes through the reader of torch that makes tensors alone; the few other classes that such
files hold (the command line's settings, the training's clocks and meters) become empty records without methods.
Whatever else a pickle names is refused before anything of it is made or called.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from unheard.errors import DataError, need
from unheard.files import regular_file

if TYPE_CHECKING:
    from torch import Tensor

#: Classes beside tensors in checkpoints of fairseq; what stands for them is a :class:`_Record`.
_RECORDS = (
    "argparse.Namespace",
    *(
        f"fairseq.{module}.{name}"
        for module in ("meters", "logging.meters")
        for name in ("AverageMeter", "TimeMeter", "StopwatchMeter")
    ),
)
#: Bounds of what a list of layers may say.
MAX_LAYERS, MAX_CHANNELS, MAX_KERNEL = 64, 8192, 1024


class Checkpoint(NamedTuple):
    """What is read of a file: settings of the model, and tensors by name (float32)."""

    settings: dict[str, Any]
    tensors: dict[str, Tensor]


class _Record:
    """Stands for an object of which attributes are wanted, or nothing."""


def read(path: Path) -> Checkpoint:
    """Read a checkpoint: ``model``, and the settings in ``args`` (until 2020) or ``cfg`` (since).

    Raises
    ------
    DataError
        No checkpoint, one without these parts, or one whose pickle names anything but tensors and records.
    """
    torch = need("torch", "train")
    regular_file(path)
    known = [(_Record, name) for name in _RECORDS]
    try:
        with torch.serialization.safe_globals(known):
            held = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # anything may come of a file that is no checkpoint
        said = str(error).partition("\n")[0]
        raise DataError(
            f"{path}: cannot be read as a checkpoint of tensors and plain settings, and nothing else is "
            f"unpickled: {type(error).__name__}: {said:.200}; take the file as its owners published it"
        ) from error
    if not isinstance(held, Mapping) or not isinstance(held.get("model"), Mapping):
        raise DataError(
            f"{path}: no checkpoint of fairseq: expected a mapping with 'model', found {_kind(held)}"
        )
    tensors = {
        name: value.float() for name, value in held["model"].items() if isinstance(value, torch.Tensor)
    }
    return Checkpoint(_settings(held, path), tensors)


def layers(text: Any, field: str) -> list[tuple[int, int, int]]:
    """Return channels, kernel and stride of each layer, of a text such as ``[(512, 10, 5)] + [(512, 4, 2)] * 3``.

    The owners' code evaluates the text as Python. Here it is parsed as literals: lists of three whole numbers,
    their sums, and products with a number.

    Raises
    ------
    DataError
        The text says anything else, or more than any such network has.
    """
    expected = "a list of (channels, kernel, stride), such as [(512, 10, 5), (512, 8, 4)]"
    try:
        if not isinstance(text, str) or len(text) > 10_000:
            raise ValueError("no text, or more than ten thousand letters")
        found = _list(ast.parse(text.strip(), mode="eval").body)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise DataError(f"{field} is {text!r:.200}, expected {expected}: {error}") from error
    if not found:
        raise DataError(f"{field} has no layer, expected {expected}")
    for channels, kernel, stride in found:
        if not (1 <= channels <= MAX_CHANNELS and 1 <= kernel <= MAX_KERNEL and 1 <= stride <= MAX_KERNEL):
            raise DataError(
                f"{field}: ({channels}, {kernel}, {stride}) is no layer: expected up to {MAX_CHANNELS} channels, "
                f"kernel and stride from 1 to {MAX_KERNEL}"
            )
    return found


def _list(node: ast.expr) -> list[tuple[int, int, int]]:
    """Return the layers that a literal, a sum or a product says."""
    match node:
        case ast.List(elts=items) | ast.Tuple(elts=items):
            found = [_layer(item) for item in items]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            found = _list(left) + _list(right)
        case ast.BinOp(left=left, op=ast.Mult(), right=ast.Constant(value=int(times))):
            if not 0 <= times <= MAX_LAYERS:
                raise ValueError(f"{times} times")
            found = _list(left) * times
        case _:
            raise ValueError(f"{type(node).__name__} is no list of layers")
    if len(found) > MAX_LAYERS:
        raise ValueError(f"more than {MAX_LAYERS} layers")
    return found


def _layer(node: ast.expr) -> tuple[int, int, int]:
    match node:
        case ast.Tuple(
            elts=[
                ast.Constant(value=int(channels)),
                ast.Constant(value=int(kernel)),
                ast.Constant(value=int(stride)),
            ]
        ):
            return channels, kernel, stride
    raise ValueError("a layer is three whole numbers in brackets")


def _settings(held: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the model's settings: attributes of ``args``, or ``model`` of ``cfg``."""
    args, config = held.get("args"), held.get("cfg")
    if isinstance(args, _Record):
        return dict(vars(args))
    if isinstance(config, Mapping) and isinstance(config.get("model"), Mapping):
        return dict(config["model"])
    if isinstance(config, Mapping) and isinstance(config.get("model"), _Record):
        return dict(vars(config["model"]))
    raise DataError(
        f"{path}: neither 'args' nor 'cfg' says how the model is made; take the file as its owners published it"
    )


def _kind(held: Any) -> str:
    if isinstance(held, Mapping):
        return "one with " + (", ".join(sorted(map(str, held))[:5]) or "nothing")
    return type(held).__name__
