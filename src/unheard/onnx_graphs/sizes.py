"""How much memory and work a graph takes for given inputs, computed before anything is run.

Without loops and branches, and with exact shapes, both are known from the shapes of what is fed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from unheard.onnx_graphs.model_format import Message
from unheard.onnx_graphs.nodes import Node, Shape, Sized, of_tensor
from unheard.onnx_graphs.operators import RULES, node_of, work

#: The first operator set in which shapes of operands are broadcast as they are today.
OLDEST = 7
#: Nodes and constants that a graph may have.
MAX_NODES, MAX_CONSTANTS = 10_000, 20_000
#: Bytes of one tensor, of all that are made of constants, and of all tensors that may exist at once, at most; of
#: the last so many more for each number that is fed, up to a bound, since waveforms become hundreds of channels.
TENSOR, CONSTANT, ALIVE, ALIVE_FOR_EACH, ALIVE_MORE = 2**28, 2**28, 2**29, 2**11, 2**30
#: Inputs and files may be larger than that: so many times their bytes are allowed, where that is more.
TIMES_FED, TIMES_STORED = 16, 16
#: Multiply-adds that are allowed, and so many more for each number that is fed.
WORK, WORK_FOR_EACH = 5 * 10**10, 8 * 10**6


class Fed(NamedTuple):
    """What is fed into an input: its shape, and the bytes of a value."""

    shape: Shape
    item: int


class Step(NamedTuple):
    """What a node does: its place among the nodes, what it gives, and its work."""

    place: int
    outputs: list[Sized]
    work: int


class Sizes:
    """The nodes of a graph, and the sizes of all tensors for given inputs.

    Parameters
    ----------
    model
        ModelProto, as ``model_format.read_model`` returns it.
    stored
        Bytes of its file.

    Raises
    ------
    ValueError
        An operator or operator set that a graph may not use, too many nodes, or tensors of one name.
    """

    def __init__(self, model: Message, stored: int) -> None:
        check_operator_set(model)
        graph = model["graph"]
        nodes, tensors = graph.get("node", ()), graph.get("initializer", ())
        if len(nodes) > MAX_NODES or len(tensors) > MAX_CONSTANTS:
            raise ValueError(f"it has {len(nodes)} nodes and {len(tensors)} constants, more than it may")
        self._stored = stored
        self._nodes = [node_of(node) for node in nodes]
        self._constants = {tensor.get("name", ""): of_tensor(tensor) for tensor in tensors}
        self._declared = {
            value.get("name", ""): declared_shape(value)
            for value in graph.get("input", ())
            if value.get("name", "") not in self._constants
        }
        self._outputs = {value.get("name", "") for value in graph.get("output", ())}
        names = [
            *self._constants,
            *self._declared,
            *(name for node in self._nodes for name in node.outputs if name),
        ]
        if len(set(names)) < len(names) or len(self._constants) < len(tensors):
            raise ValueError("two of its tensors have one name")
        #: Places of the nodes that give the same whatever is fed, and of the others.
        self._fixed: list[int] = []
        self._free: list[int] = []
        constant = {"", *self._constants}
        for place, node in enumerate(self._nodes):
            if constant.issuperset(node.inputs):
                self._fixed.append(place)
                constant.update(node.outputs)
            else:
                self._free.append(place)

    def check(self, fed: Mapping[str, Fed]) -> None:
        """Refuse inputs for which the graph would take more memory or work than it may.

        Raises
        ------
        ValueError
            Inputs that the graph does not take, a shape that depends on what is computed or does not fit, or a
            bound that would be passed; the message says which.
        """
        self._check_declared(fed)
        given = sum(Sized(*each).bytes for each in fed.values())
        numbers = sum(Sized(*each).size for each in fed.values())
        most = max(TENSOR, TIMES_FED * given)
        alive = max(ALIVE + min(ALIVE_MORE, ALIVE_FOR_EACH * numbers), TIMES_FED * given)
        most_work = WORK + WORK_FOR_EACH * numbers
        fixed, free = self._unpacked[1], list(self._walk(self._free, self._known(fed)))
        spent = 0
        for place, outputs, steps in (*fixed, *free):
            for each in outputs:
                if each.bytes > most:
                    raise ValueError(
                        f"{_called(self._nodes[place])} gives a tensor of shape {each.shape}, more than "
                        f"{most / 2**20:.0f} MB"
                    )
            spent += steps
        constant = sum(each.bytes for step in fixed for each in step.outputs)
        if constant > max(CONSTANT, TIMES_STORED * self._stored):
            raise ValueError(
                f"its constants take {constant / 2**20:.0f} MB when they are unpacked, more than they may"
            )
        if spent > most_work:
            raise ValueError(f"it takes {spent:.1e} multiply-adds, more than {most_work:.1e}")
        made = [(step.place, each) for step in free for each in step.outputs]
        if sum(each.bytes for _, each in made) > alive and self._together(made) > alive:
            raise ValueError(f"its tensors take more than {alive / 2**20:.0f} MB together")

    def tensors(self, fed: Mapping[str, Fed]) -> dict[str, Sized]:
        """Return what is known of every tensor that a node gives, by name."""
        steps = (*self._unpacked[1], *self._walk(self._free, self._known(fed)))
        return {
            name: each
            for place, outputs, _ in steps
            for name, each in zip(self._nodes[place].outputs, outputs, strict=False)
            if name
        }

    def _check_declared(self, fed: Mapping[str, Fed]) -> None:
        if fed.keys() != self._declared.keys():
            raise ValueError(f"it takes {sorted(self._declared)}, and is fed {sorted(fed)}")
        for name, each in fed.items():
            declared = self._declared[name]
            if declared is not None and (
                len(declared) != len(each.shape)
                or any(
                    isinstance(size, int) and size != found
                    for size, found in zip(declared, each.shape, strict=True)
                )
            ):
                raise ValueError(f"its input {name!r} has the shape {declared}, and is fed {each.shape}")

    @cached_property
    def _unpacked(self) -> tuple[dict[str, Sized], list[Step]]:
        """What is known whatever is fed: all tensors that are made of constants, and the nodes that make them."""
        known = dict(self._constants)
        return known, list(self._walk(self._fixed, known))

    def _known(self, fed: Mapping[str, Fed]) -> dict[str, Sized]:
        return self._unpacked[0] | {name: Sized(*each) for name, each in fed.items()}

    def _walk(self, places: Iterable[int], known: dict[str, Sized]) -> Iterator[Step]:
        """Yield what nodes do, and add what they give to ``known``."""
        for place in places:
            node = self._nodes[place]
            try:
                inputs = [known[name] if name else None for name in node.inputs]
            except KeyError as missing:
                raise ValueError(
                    f"{_called(node)} takes {missing}, which nothing before it gives"
                ) from missing
            try:
                outputs = RULES[node.operator](node, inputs)
                steps = work(node, inputs, outputs)
            except (ArithmeticError, LookupError, TypeError, ValueError) as fault:
                raise ValueError(f"{_called(node)}: {fault}") from fault
            known.update(zip(node.outputs, outputs, strict=False))
            yield Step(place, outputs, steps)

    def _together(self, made: list[tuple[int, Sized]]) -> int:
        """Return an upper bound of the bytes of tensors that exist at once, in whatever order nodes are run.

        Tensors of a chain, each of which is surely read for the last time before the next is made, never exist
        together: of a chain its largest counts.
        """
        maker = {name: place for place, node in enumerate(self._nodes) for name in node.outputs}
        before: list[int] = []
        readers: dict[int, int] = {}
        for place, node in enumerate(self._nodes):
            sources = {maker[name] for name in node.inputs if name in maker}
            mask = 0
            for source in sources:
                mask |= before[source] | 1 << source
                readers[source] = readers.get(source, 0) | 1 << place
            before.append(mask)
        chains: list[tuple[int, int]] = []
        for place, each in made:
            given = not self._outputs.isdisjoint(self._nodes[place].outputs)
            last = -1 if given else readers.get(place, -1)
            free = [k for k, (read, _) in enumerate(chains) if read >= 0 and not read & ~before[place]]
            best = max(free, key=lambda k: chains[k][1], default=None)
            if best is None:
                chains.append((last, each.bytes))
            else:
                chains[best] = last, max(chains[best][1], each.bytes)
        return sum(size for _, size in chains)


def check_operator_set(model: Message) -> None:
    """Refuse a graph without ONNX's own operators, or with a set whose shapes went by other rules."""
    versions = [entry.get("version", 0) for entry in model.get("opset_import", ()) if is_standard(entry)]
    if len(versions) != 1 or versions[0] < OLDEST:
        raise ValueError(f"it is of the operator sets {versions}, expected one from {OLDEST} on")


def is_standard(entry: Message) -> bool:
    """Return whether an operator set is that of ONNX itself."""
    return entry.get("domain", "") in ("", "ai.onnx")


def declared_shape(value: Message) -> tuple[int | str | None, ...] | None:
    """Return the shape that a ValueInfoProto declares, if any; an axis of any length is a text or None."""
    shape = value.get("type", {}).get("tensor_type", {}).get("shape")
    if shape is None:
        return None
    return tuple(axis.get("dim_value", axis.get("dim_param")) for axis in shape.get("dim", ()))


def _called(node: Node) -> str:
    return f"{node.operator} ({', '.join(filter(None, node.outputs))[:60]})"
