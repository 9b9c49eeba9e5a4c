"""Heads that are networks over frames: what they share around their training.

torch is imported when a head fits or answers, so that its settings can be read and checked without.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, MachineError, UsageError, need, unknown
from unheard.heads.rows import check_dims, check_examples, check_frames
from unheard.heads.settings import between, pack, settings_of, unpack
from unheard.training.examples import Examples, Features

if TYPE_CHECKING:
    from unheard.training.loop import Plan

#: Least and greatest value of each setting that a network head may have.
BOUNDS: dict[str, tuple[float, float]] = {
    "hidden": (1, 8192),
    "channels": (1, 8192),
    "attention": (1, 8192),
    "dropout": (0, 0.95),
    "epochs": (1, 10_000),
    "patience": (1, 10_000),
    "batch": (1, 65_536),
    "learning_rate": (1e-8, 10),
    "weight_decay": (0, 10),
    "warmup": (0, 1),
    "clip": (1e-6, 1e6),
    "smoothing": (0, 0.95),
    "crop": (0.01, 1),
    "mixup": (0, 1),
    "level": (0, 10),
    "noise": (0, 10),
    "time_mask": (0, 1),
    "frequency_mask": (0, 1),
    "seed": (0, 2**63 - 1),
    "threads": (1, 64),
}


@dataclass(kw_only=True)
class NetworkHead(ABC):
    """A network over frames. It hands the training a plan, and is told how many epochs were best.

    Parameters
    ----------
    epochs, batch, learning_rate
        Of the training; ``epochs`` at most, where validation rows stop it sooner.
    device
        ``cpu`` or ``cuda``.
    seed
        Of initial weights, batches, dropout and augmentation. The same seed, threads, device and machine give the
        same logits.
    threads
        Of torch on the CPU.
    """

    name: ClassVar[str]
    takes: ClassVar[str]
    #: Of validation rows, by which the epoch is chosen (``uar``, ``macro_f1``); None: the last epoch is.
    metric: ClassVar[str | None]

    epochs: int = 1
    batch: int = 32
    learning_rate: float = 1e-3
    device: str = "cpu"
    seed: int = 0
    threads: int = 1
    chosen_: dict[str, Any] = field(init=False, repr=False)
    history_: list[dict[str, Any]] = field(init=False, repr=False)
    #: ``forward(frames, lengths) -> logits``; has ``dims`` and ``entries`` (1 for frames), and a layer ``output``.
    network_: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, (low, high) in BOUNDS.items():
            if hasattr(self, name):
                between(self, name, low, high)
        if self.device not in ("cpu", "cuda"):
            raise unknown("head.device", self.device, ("cpu", "cuda"))

    @abstractmethod
    def network(self, dims: int, classes: int, entries: int = 1) -> Any:
        """Make the untrained network; the caller has seeded torch."""

    @abstractmethod
    def plan(self) -> Plan:
        """How to train it."""

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
            self.history_ = self._learn(train, None, self.epochs)
            self.chosen_ = {"epochs": self.epochs}
            return self
        if val is None or not len(val):
            raise DataError(
                f"head {self.name!r} chooses its epoch on validation speakers, and this fold has none; "
                "add --val next-fold to the protocol"
            )
        self.history_ = self._learn(train, val, self.epochs)
        best = max(self.history_, key=lambda record: (record[f"val_{self.metric}"], -record["val_loss"]))
        self.chosen_ = {"epochs": best["epoch"] + 1}
        return self

    def refit(self, rows: Examples) -> Self:
        """Return a new head trained on ``rows`` for the chosen number of epochs."""
        head = copy(self)
        head.chosen_ = dict(self.chosen_)
        head.history_ = head._learn(rows, None, self.chosen_["epochs"])
        return head

    def logits(self, features: Features) -> NDArray[np.float64]:
        """Class scores, shape (n, classes)."""
        if not hasattr(self, "network_"):
            raise UsageError(f"the head {self.name!r} is not fitted")
        answers = np.zeros((len(features), self.network_.output.out_features))
        if not len(features):
            return answers
        lengths = self._check(features)
        check_dims(features[0].shape[-1], self.network_.dims)
        self._check_entries(features)
        import torch

        from unheard.training.batches import buckets, padded

        with seeded(self.threads, self.seed), torch.inference_mode():
            for numbers in buckets(lengths, self.batch, None):
                answers[numbers] = self.network_(*padded([features[i] for i in numbers])).numpy()
        return answers

    def settings(self) -> dict[str, Any]:
        """Plain values from which ``heads.build`` makes the same unfitted head."""
        return settings_of(self)

    def state(self) -> dict[str, NDArray[Any]]:
        """All that was learned and set; the network's arrays under ``network.``."""
        arrays = {f"network.{name}": value.numpy() for name, value in self.network_.state_dict().items()}
        return {**pack(self), **arrays}

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
        head.network_ = head.network(*cls.sizes(arrays))
        head.network_.load_state_dict(arrays)
        head.network_.eval()
        return head

    @staticmethod
    @abstractmethod
    def sizes(arrays: Mapping[str, Any]) -> tuple[int, int, int]:
        """Dims, classes and entries of the network with these arrays."""

    def prepare(self, network: Any, features: Features) -> None:  # noqa: B027
        """Give the network what it takes from the training features without learning."""

    def _check(self, features: Features) -> list[int]:
        return check_frames(features, layers=self.takes == "layers")

    def _check_entries(self, features: Features) -> None:
        found = len(features[0]) if self.takes == "layers" else 1
        if found != self.network_.entries:
            raise DataError(
                f"the head was trained on {self.network_.entries} entries of an encoder, and these features have "
                f"{found}"
            )

    def _learn(self, rows: Examples, val: Examples | None, epochs: int) -> list[dict[str, Any]]:
        check_examples(rows)
        lengths = self._check(rows.features)
        dims = rows.features[0].shape[-1]
        entries = len(rows.features[0]) if self.takes == "layers" else 1
        if val is not None:
            val_lengths = self._check(val.features)
            check_dims(val.features[0].shape[-1], dims)
        torch = need("torch", "train")
        need("lightning.pytorch", "train")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise MachineError("head.device is 'cuda' and torch finds no GPU here; take head.device=cpu")
        from unheard.training.batches import Batches
        from unheard.training.loop import train

        with seeded(self.threads, self.seed):
            self.network_ = self.network(dims, rows.classes, entries)
            self.prepare(self.network_, rows.features)
            rng = np.random.default_rng([self.seed, 1])
            held = None
            if val is not None:
                self._check_entries(val.features)
                held = Batches(val, val_lengths, self.batch, None)
            plan = self.plan()
            return train(
                self.network_, Batches(rows, lengths, self.batch, rng, plan.crop), held, plan, epochs
            )


@contextmanager
def seeded(threads: int, seed: int) -> Iterator[None]:
    """Torch seeded and with so many threads; everything as before afterwards."""
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
