"""TC-GRU: convolution, GRU and embedding on frame features (arXiv 2503.22711; definitions in docs/heads.md).

torch is imported when the head fits or answers, so that its settings can be read and checked without.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, MachineError, UsageError, need, unknown
from unheard.heads.examples import Examples, Features
from unheard.heads.rows import check_dims, check_examples, check_frames, scale_of
from unheard.heads.settings import between, pack, settings_of, unpack

if TYPE_CHECKING:
    from unheard.heads.tcgru_network import TCGRUNetwork
    from unheard.heads.tcgru_training import Plan


@dataclass
class TCGRU:
    """A network over frames.

    Parameters
    ----------
    hidden
        Channels and units; 256 as published.
    dropout
        Before the embedding.
    epochs
        At most; early stopping ends sooner.
    patience
        Epochs without anything better on validation rows after which training stops.
    batch, learning_rate
        Of Adam.
    level, noise
        Augmentation in training: standard deviation of one shift for a whole clip, and of noise at every frame and
        dimension, in units of the standardised features. 0: off.
    time_mask, frequency_mask
        Largest share of a clip's frames, and of the dimensions, that a mask sets to the mean. 0: off.
    device
        ``cpu`` or ``cuda``.
    seed
        Of initial weights, batches, dropout and augmentation. The same seed, threads, device and machine give the
        same logits.
    threads
        Of torch on the CPU.
    """

    name: ClassVar[str] = "tcgru"
    takes: ClassVar[str] = "frames"

    hidden: int = 256
    dropout: float = 0.1
    epochs: int = 80
    patience: int = 10
    batch: int = 32
    learning_rate: float = 5e-4
    level: float = 0.1
    noise: float = 0.1
    time_mask: float = 0.1
    frequency_mask: float = 0.1
    device: str = "cpu"
    seed: int = 0
    threads: int = 1
    chosen_: dict[str, Any] = field(init=False, repr=False)
    history_: list[dict[str, Any]] = field(init=False, repr=False)
    network_: TCGRUNetwork = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, low, high in (
            ("hidden", 1, 8192),
            ("dropout", 0, 0.95),
            ("epochs", 1, 10_000),
            ("patience", 1, 10_000),
            ("batch", 1, 65_536),
            ("learning_rate", 1e-8, 10),
            ("level", 0, 10),
            ("noise", 0, 10),
            ("time_mask", 0, 1),
            ("frequency_mask", 0, 1),
            ("seed", 0, 2**63 - 1),
            ("threads", 1, 64),
        ):
            between(self, name, low, high)
        if self.device not in ("cpu", "cuda"):
            raise unknown("head.device", self.device, ("cpu", "cuda"))

    def fit(self, train: Examples, val: Examples | None = None) -> Self:
        """Train, stop early by the UAR of validation rows, and keep the best epoch.

        Raises
        ------
        DataError
            No validation rows, rows that do not fit, or a loss that is not finite (:class:`DivergenceError`).
        MachineError
            torch is missing, there is no GPU where one is asked for, or not enough memory.
        """
        if val is None or not len(val):
            raise DataError(
                "head 'tcgru' chooses its epoch on validation speakers, and this fold has none; "
                "add --val next-fold to the protocol"
            )
        check_frames(val.features)
        self.history_ = self._learn(train, val, self.epochs)
        best = max(self.history_, key=lambda record: (record["val_uar"], -record["val_loss"]))
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
            raise UsageError("the head 'tcgru' is not fitted")
        if not len(features):
            return np.zeros((0, self.network_.output.out_features))
        check_frames(features)
        check_dims(features[0].shape[1], self.network_.convolution.in_channels)
        import torch

        from unheard.heads.tcgru_network import buckets, padded

        answers = np.zeros((len(features), self.network_.output.out_features))
        with _torch(self.threads, self.seed), torch.inference_mode():
            for numbers in buckets([len(clip) for clip in features], self.batch, None):
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
        dims, classes = len(arrays["mean"]), len(arrays["output.bias"])
        head.network_ = head._network(dims, classes)
        head.network_.load_state_dict(arrays)
        head.network_.eval()
        return head

    def _learn(self, rows: Examples, val: Examples | None, epochs: int) -> list[dict[str, Any]]:
        check_examples(rows)
        check_frames(rows.features)
        dims = rows.features[0].shape[1]
        if val is not None:
            check_dims(val.features[0].shape[1], dims)
        torch = need("torch", "train")
        need("lightning.pytorch", "train")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise MachineError("head.device is 'cuda' and torch finds no GPU here; take head.device=cpu")
        from unheard.heads.tcgru_training import train

        with _torch(self.threads, self.seed):
            self.network_ = self._network(dims, rows.classes)
            mean, scale = _moments(rows.features)
            self.network_.mean.copy_(torch.from_numpy(mean))
            self.network_.scale.copy_(torch.from_numpy(scale))
            return train(self.network_, rows, val, self._plan(epochs))

    def _network(self, dims: int, classes: int) -> TCGRUNetwork:
        from unheard.heads.tcgru_network import TCGRUNetwork

        return TCGRUNetwork(dims, classes, self.hidden, self.dropout)

    def _plan(self, epochs: int) -> Plan:
        from unheard.heads.augmentation import Augmentation
        from unheard.heads.tcgru_training import Plan

        return Plan(
            epochs=epochs,
            patience=self.patience,
            batch=self.batch,
            learning_rate=self.learning_rate,
            augmentation=Augmentation(self.level, self.noise, self.time_mask, self.frequency_mask),
            device=self.device,
            seed=self.seed,
        )


def _moments(features: Features) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and scale over all frames of all clips."""
    count = sum(len(clip) for clip in features)
    mean = np.sum([np.sum(clip, axis=0, dtype=np.float64) for clip in features], axis=0) / count
    square = np.sum([np.sum((clip - mean) ** 2, axis=0) for clip in features], axis=0) / count
    return mean, scale_of(mean, np.sqrt(square))


@contextmanager
def _torch(threads: int, seed: int) -> Iterator[None]:
    """Seeded and with so many threads; everything as before afterwards."""
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
