"""Heads that are networks over frames: what they share around their training.

torch is imported when a head fits or predicts, so that its settings can be read and checked without.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, MachineError, UsageError, need
from unheard.files import canonical_json
from unheard.formats import json_text
from unheard.heads.one_input import name_of
from unheard.heads.rows import check_dims, check_examples, check_frames
from unheard.heads.state import pack, settings_of, unpack
from unheard.inputs import Features, Form
from unheard.settings import OneOf, Within, check
from unheard.targets import Floats
from unheard.training.examples import Examples
from unheard.training.objective import Objective, objective_of

if TYPE_CHECKING:
    from unheard.training.checkpoint import Progress
    from unheard.training.stored import Plan


class Size(NamedTuple):
    """What a network must know of an input: values of a frame or row, and number of layers (1 for one layer)."""

    dims: int
    layers: int


@dataclass(kw_only=True)
class NetworkHead(ABC):
    """A network over named inputs. It hands the training a plan, and is told how many epochs were best.

    Parameters
    ----------
    epochs, batch, learning_rate
        Largest number of passes over the training rows (validation rows may stop it sooner), clips in a step, and
        peak learning rate.
    input
        Name of the input that it takes; None takes the only one.
    objective
        Which loss classes and dimensions have: ``{classes: cross_entropy | ccc, dimensions: ccc | mse}``
        (:class:`~unheard.training.objective.Objective`).
    device
        ``cpu`` or ``cuda``.
    seed
        Seed of initial weights, batches, dropout and augmentation. The same seed, threads, device and machine
        give the same logits.
    threads
        Number of threads that torch uses on the CPU.
    """

    name: ClassVar[str]
    form: ClassVar[Form]
    #: Metric of validation rows by which the epoch is chosen (``uar``, ``macro_f1``); None keeps the last epoch.
    metric: ClassVar[str | None]

    epochs: Annotated[int, Within(1, 10_000)] = 1
    batch: Annotated[int, Within(1, 65_536)] = 32
    learning_rate: Annotated[float, Within(1e-8, 10)] = 1e-3
    input: str | None = None
    objective: dict[str, str] = field(default_factory=lambda: asdict(Objective()))
    device: Annotated[str, OneOf("cpu", "cuda")] = "cpu"
    seed: Annotated[int, Within(0, 2**63 - 1)] = 0
    threads: Annotated[int, Within(1, 64)] = 1
    chosen_: dict[str, Any] = field(init=False, repr=False)
    history_: list[dict[str, Any]] = field(init=False, repr=False)
    #: ``forward({name: tensor}, {name: lengths}) -> (B, width)``.
    network_: Any = field(init=False, repr=False)
    #: Sizes of the inputs that it was trained on, and the numbers of its class scores and its dimensions.
    sizes_: dict[str, Size] = field(init=False, repr=False)
    classes_: int = field(init=False, repr=False)
    dimensions_: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check(self, "head")
        self.objective = asdict(objective_of(self.objective))

    @abstractmethod
    def network(self, sizes: Mapping[str, Size], classes: int, dimensions: int = 0) -> Any:
        """Make the untrained network for inputs of these sizes; the caller has seeded torch.

        Its outputs are class scores, then dimensions on [0, 1].
        """

    def plan(self) -> Plan:
        """Return how to train: a setting that the plan knows by the same name goes into it."""
        from unheard.training.stored import Plan

        own = {item.name: getattr(self, item.name) for item in fields(Plan) if hasattr(self, item.name)}
        return Plan(**{**own, "objective": objective_of(self.objective)})

    def fit(self, train: Examples, val: Examples | None = None) -> Self:
        """Train; where the head has a metric, stop early by it on validation rows, and keep the best epoch.

        Raises
        ------
        DataError
            No validation rows where they choose, rows that do not fit, or a loss that is not finite
            (:class:`DivergenceError`).
        MachineError
            torch is missing, there is no GPU where one is asked for, or not enough memory.
        """
        if self.metric is None:
            self._learn(train, None, self.epochs)
            self.chosen_ = {"epochs": self.epochs}
            return self
        if val is None or not len(val):
            raise DataError(
                f"head {self.name!r} chooses its epoch on validation speakers, and this fold has none; "
                "make the protocol with some (--val speakers, validation='speakers' in Python)"
            )
        best = self._learn(train, val, self.epochs).best
        assert best is not None
        self.chosen_ = {"epochs": best + 1}
        return self

    def refit(self, rows: Examples) -> Self:
        """Return a new head trained on ``rows`` for the chosen number of epochs."""
        head = copy(self)
        head.chosen_ = dict(self.chosen_)
        head._learn(rows, None, self.chosen_["epochs"])
        return head

    def outputs(self, inputs: Mapping[str, Features]) -> Floats:
        """Return class scores before softmax and dimensions on [0, 1], shape (n, classes + dimensions)."""
        if not hasattr(self, "network_"):
            raise UsageError(f"the head {self.name!r} is not fitted")
        taken = self._taken(inputs)
        count = len(next(iter(taken.values())))
        outputs = np.zeros((count, self.classes_ + self.dimensions_))
        if not count:
            return outputs
        lengths = {name: self._check(features) for name, features in taken.items()}
        self._check_sizes(taken)
        import torch

        from unheard.training.batches import buckets, padded

        total = np.sum(list(lengths.values()), axis=0)
        with seeded(self.threads, self.seed), torch.inference_mode():
            for numbers in buckets(total, self.batch, None):
                batch = {name: padded([features[i] for i in numbers]) for name, features in taken.items()}
                tensors = {name: tensor for name, (tensor, _) in batch.items()}
                valid = {name: count for name, (_, count) in batch.items()}
                outputs[numbers] = self.network_(tensors, valid).numpy()
        return outputs

    def settings(self) -> dict[str, Any]:
        """Return plain values from which ``heads.build`` makes the same unfitted head."""
        return settings_of(self)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that was learned and set; the network's arrays under ``network.``."""
        arrays = {f"network.{name}": value.numpy() for name, value in self.network_.state_dict().items()}
        sizes = canonical_json(
            {"inputs": self.sizes_, "classes": self.classes_, "dimensions": self.dimensions_}
        )
        return {**pack(self), "sizes": np.array(sizes), **arrays}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """Make the fitted head again."""
        torch = need("torch", "train")
        head: Self = unpack(cls, state)
        arrays = {
            name.removeprefix("network."): torch.from_numpy(np.array(value))
            for name, value in state.items()
            if name.startswith("network.")
        }
        try:
            sizes = json_text.parse_object(str(state["sizes"]), "sizes")
            head.sizes_ = {name: Size(*size) for name, size in sizes["inputs"].items()}
            head.classes_, head.dimensions_ = int(sizes["classes"]), int(sizes["dimensions"])
        except (KeyError, ValueError, TypeError, DataError) as error:
            raise DataError(f"not the state of a head {cls.name!r} of this version: {error}") from error
        head.network_ = head.network(head.sizes_, head.classes_, head.dimensions_)
        head.network_.load_state_dict(arrays)
        head.network_.eval()
        return head

    def check_target(self, of: str, dimensions: Sequence[str]) -> None:  # noqa: B027
        """Refuse a target that the head cannot learn; a network can learn every one."""

    def examples(self, rows: Examples) -> Examples:
        """Return the rows as batches take them."""
        return rows

    def prepare(self, network: Any, inputs: Mapping[str, Features]) -> None:  # noqa: B027
        """Give the network what it takes from the training features without learning."""

    def _names(self, inputs: Mapping[str, Features]) -> tuple[str, ...]:
        """Return the names of the inputs that the head takes."""
        return (name_of(inputs, self.input, self.name),)

    def _taken(self, inputs: Mapping[str, Features]) -> dict[str, Features]:
        return {name: inputs[name] for name in self._names(inputs)}

    def _check(self, features: Features) -> list[int]:
        return check_frames(features, layers=self.form is Form.LAYERS)

    def _size(self, features: Features) -> Size:
        first = features[0]
        return Size(first.shape[-1], len(first) if first.ndim == Form.LAYERS.axes else 1)

    def _check_sizes(self, taken: Mapping[str, Features]) -> None:
        for name, features in taken.items():
            found, own = self._size(features), self.sizes_[name]
            check_dims(found.dims, own.dims)
            if found.layers != own.layers:
                raise DataError(
                    f"the head was trained on {own.layers} layers of an encoder, and these features have "
                    f"{found.layers}"
                )

    def _learn(self, rows: Examples, val: Examples | None, epochs: int) -> Progress:
        """Train a new network, set what was learned, and return how that went."""
        check_examples(rows)
        rows = self.examples(rows)
        taken = self._taken(rows.inputs)
        lengths = {name: self._check(features) for name, features in taken.items()}
        self.sizes_ = {name: self._size(features) for name, features in taken.items()}
        self.classes_, self.dimensions_ = rows.classes, len(rows.target.dimensions)
        if val is not None:
            val = self.examples(val)
            held_out = self._taken(val.inputs)
            val_lengths = {name: self._check(features) for name, features in held_out.items()}
            self._check_sizes(held_out)
        torch = need("torch", "train")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise MachineError("head.device is 'cuda' and torch finds no GPU here; take head.device=cpu")
        from unheard.training.batches import Batches
        from unheard.training.stored import train

        with seeded(self.threads, self.seed):
            self.network_ = self.network(self.sizes_, self.classes_, self.dimensions_)
            self.prepare(self.network_, taken)
            rng = np.random.default_rng([self.seed, 1])
            held = None if val is None else Batches(val, tuple(taken), val_lengths, self.batch, None)
            plan = self.plan()
            batches = Batches(rows, tuple(taken), lengths, self.batch, rng, plan.crop)
            progress = train(self.network_, batches, held, plan, epochs)
        self.history_ = progress.history
        return progress


@contextmanager
def seeded(threads: int, seed: int) -> Iterator[None]:
    """Seed torch and set its number of threads; restore both afterwards."""
    import torch

    before = torch.get_num_threads(), torch.backends.cudnn.deterministic
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = True
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.backends.cudnn.deterministic = before[1]
