"""Several heads, each fitted by itself, whose predictions are averaged (docs/heads.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from unheard import heads
from unheard.errors import UsageError
from unheard.heads.state import pack, settings_of, unpack
from unheard.inputs import Features, Form
from unheard.settings import Made, Within, check
from unheard.training.examples import Examples


def _build(settings: Mapping[str, Any]) -> heads.Head:
    return heads.build(settings)


@dataclass(kw_only=True)
class Ensemble:
    """The mean of the heads' log probabilities (a product of experts with equal weights) and of their dimensions.

    Parameters
    ----------
    of
        Settings of each head; where there are several inputs each names its own with ``input``. On an input that
        another head takes as frames, a linear head takes statistics over the frames.
    seed
        Head k of m has the seed m · seed + k: no two heads, and no two ensembles, share one.
    threads
        Threads of each head.
    """

    name: ClassVar[str] = "ensemble"
    form: ClassVar[Form] = Form.FRAMES

    of: Annotated[tuple[dict[str, Any], ...], Made(_build)] = (
        {"name": "probe"},
        {"name": "convolutional"},
    )
    seed: Annotated[int, Within(0, 2**53)] = 0
    threads: Annotated[int, Within(1, 64)] = 1
    #: What each head chose, its number before the name (``1.C``, ``2.epochs``).
    chosen_: dict[str, Any] = field(init=False, repr=False)
    history_: list[dict[str, Any]] = field(init=False, repr=False)
    heads_: list[heads.Head] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check(self, "head")
        if len(self.of) < 2:
            raise UsageError(f"head.of must be two heads or more, found {len(self.of)}")
        whole = []
        for number, settings in enumerate(self.of, 1):
            head = heads.build(settings)
            if head.form is Form.LAYERS or head.name == self.name:
                raise UsageError(
                    f"head.of: number {number}, {head.name!r}, takes neither a row nor the frames of one layer"
                )
            whole.append(
                {key: value for key, value in head.settings().items() if key not in ("seed", "threads")}
            )
        self.of = tuple(whole)

    def check_target(self, of: str, dimensions: Sequence[str]) -> None:
        """Refuse a target that one of the heads cannot learn."""
        for head in self._unfitted():
            head.check_target(of, dimensions)

    def fit(self, train: Examples, val: Examples | None = None) -> Self:
        """Fit each head by itself, as it would be alone."""
        self.heads_ = [head.fit(train, val) for head in self._unfitted()]
        self._collect()
        return self

    def refit(self, rows: Examples) -> Self:
        """Return a new ensemble whose heads learned from ``rows`` with what each chose."""
        ensemble = copy(self)
        unfitted = self._unfitted()
        for number, head in enumerate(unfitted, 1):
            head.chosen_ = _of_head(number, self.chosen_)
        ensemble.heads_ = [head.refit(rows) for head in unfitted]
        ensemble._collect()
        return ensemble

    def outputs(self, inputs: Mapping[str, Features]) -> NDArray[np.float64]:
        """Return the mean of the heads' log probabilities and of their dimensions, (n, classes + dimensions)."""
        if not hasattr(self, "heads_"):
            raise UsageError(f"the head {self.name!r} is not fitted")
        mean: NDArray[np.float64] = np.mean(
            [_log_softmax(head.outputs(inputs), self.classes_) for head in self.heads_], axis=0
        )
        return mean

    @property
    def classes_(self) -> int:
        """Number of class scores; what follows them are dimensions."""
        return self.heads_[0].classes_

    def settings(self) -> dict[str, Any]:
        """Return plain values from which ``heads.build`` makes the same unfitted head."""
        return settings_of(self)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that was learned and set; a head's arrays under its number."""
        arrays = pack(self)
        for number, head in enumerate(self.heads_, 1):
            arrays |= {f"{number}.{name}": value for name, value in head.state().items()}
        return arrays

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """Make the fitted ensemble again."""
        ensemble: Self = unpack(cls, state)
        ensemble.heads_ = [
            type(head).from_state(_of_head(number, state))
            for number, head in enumerate(ensemble._unfitted(), 1)
        ]
        return ensemble

    def _unfitted(self) -> list[heads.Head]:
        count = len(self.of)
        return [
            heads.build({**settings, "seed": count * self.seed + number, "threads": self.threads})
            for number, settings in enumerate(self.of)
        ]

    def _collect(self) -> None:
        self.chosen_, self.history_ = {}, []
        for number, head in enumerate(self.heads_, 1):
            self.chosen_ |= {f"{number}.{key}": value for key, value in head.chosen_.items()}
            self.history_ += [{"head": number, **record} for record in head.history_]


def _of_head(number: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands under the number of a head, without the number."""
    own = f"{number}."
    return {key.removeprefix(own): value for key, value in values.items() if key.startswith(own)}


def _log_softmax(outputs: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """Return outputs with log probabilities in place of the first columns, the class scores."""
    if not classes:
        return outputs
    scores = outputs[:, :classes]
    shifted = scores - scores.max(axis=1, keepdims=True, initial=-np.inf)
    result = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return np.concatenate([result, outputs[:, classes:]], axis=1)
