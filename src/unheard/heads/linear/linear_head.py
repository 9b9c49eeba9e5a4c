"""Linear heads: standardise, rotate into row space, choose the penalty by inner grouped folds, fit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, UsageError, need
from unheard.heads.linear import ridge
from unheard.heads.linear.inner_folds import Floats, Solver, cccs, moments, row_space, uars
from unheard.heads.linear.pooled_layers import candidates, check_form, check_same_width, pooled_matrix
from unheard.heads.one_input import input_of, name_of
from unheard.heads.rows import STATISTICS, check_dims, check_examples, check_pooled, matrix
from unheard.heads.state import pack, settings_of, unpack
from unheard.inputs import Features, Form
from unheard.settings import OneOf, Within, check
from unheard.training.examples import Examples

DECADES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
ARRAYS = ("mean_", "scale_", "coef_", "intercept_", "layers_")


@dataclass(frozen=True)
class _Rows:
    """What a linear model is fitted on: features (n clips), targets by part, and speakers (n,)."""

    features: Features
    shares: Floats
    dimensions: Floats
    speakers: NDArray[np.str_]

    @property
    def of_class(self) -> NDArray[np.bool_]:
        """Which rows have shares of the classes, shape (n,)."""
        return np.asarray(~np.isnan(self.shares).any(axis=1))

    @property
    def of_dimension(self) -> NDArray[np.bool_]:
        """Which rows have some dimension, shape (n,)."""
        return np.asarray(~np.isnan(self.dimensions).all(axis=1))


@dataclass
class LinearHead(ABC):
    """A linear model on utterance features, on statistics over frames, or on the pooled layers of an encoder.

    Parameters
    ----------
    statistics
        Statistics over the frames of frame features: ``mean`` or ``mean+sd``. Utterance features are taken as
        they are.
    grid
        Values of C among which inner folds choose; a single value is taken without choosing.
    folds
        Inner folds over groups (speakers); as many as there are groups where these are fewer.
    layers
        Which of pooled layers (layers, 2, dims) are used: ``chosen`` (one, together with C; the default, None),
        ``last``, ``average`` or ``concat``, the last of all or of named ones (``concat 2-5``, ``concat 1,3,5``).
    input
        Name of the input that it takes; None takes the only one.
    augmented
        Whether the augmentations of training clips (other speeds, noise) are rows like the clips themselves, in
        choosing as in fitting. By default it learns from the clips as they are.
    seed
        Without effect: nothing here is random.
    threads
        Threads of the linear algebra.
    """

    name: ClassVar[str]
    form: ClassVar[Form] = Form.POOLED

    statistics: Annotated[str, OneOf(*STATISTICS)] = "mean+sd"
    grid: tuple[float, ...] = DECADES
    folds: Annotated[int, Within(2, 1000)] = 5
    layers: str | None = None
    input: str | None = None
    augmented: bool = False
    seed: int = 0
    threads: Annotated[int, Within(1, 64)] = 1
    chosen_: dict[str, Any] = field(init=False, repr=False)
    history_: list[dict[str, Any]] = field(init=False, repr=False)
    #: Of the training rows, shape (columns,) after the statistics; scale is 1 where a column is constant.
    mean_: Floats = field(init=False, repr=False)
    scale_: Floats = field(init=False, repr=False)
    #: Of standardised rows: outputs = coef_ @ ((x - mean_) / scale_) + intercept_, (width, columns) and (width,);
    #: what comes after the first ``classes_`` outputs are dimensions, and these are clipped to [0, 1].
    coef_: Floats = field(init=False, repr=False)
    intercept_: Floats = field(init=False, repr=False)
    classes_: int = field(init=False, repr=False)
    #: Numbers of the layers that the columns are made of; none where the features are not pooled layers.
    layers_: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check(self, "head")
        if not self.grid or not all(C > 0 for C in self.grid) or len(set(self.grid)) < len(self.grid):
            raise UsageError(f"head.grid must hold different numbers above 0, found {list(self.grid)}")
        if self.layers is not None:
            check_form(self.layers)

    @property
    def needs_layers_(self) -> int | None:
        """Highest layer that the fitted head uses: an encoder may be cut there. None: no pooled layers."""
        return int(self.layers_.max()) if len(self.layers_) else None

    def fit(self, train: Examples, val: Examples | None = None) -> Self:
        """Choose what there is to choose over inner folds of the training speakers; then fit on all rows.

        C, and a layer where one is to be chosen, are chosen by UAR; the penalty α of dimensions, and without
        classes the layer, by the mean CCC. ``val`` is not used: its rows are left for calibration.
        """
        check_examples(train)
        self.check_target(train.target.of, train.target.dimensions)
        rows = self._rows(train)
        several = self._candidates(rows.features)
        with _limited(self.threads):
            self.chosen_, self.history_ = {}, []
            if train.classes:
                self._choose_penalty_of_classes(rows, several)
            if train.target.dimensions:
                self._choose_penalty_of_dimensions(
                    rows, self._chosen_layers(several) if self.chosen_ else several
                )
            self._learn(rows)
        return self

    def _choose_penalty_of_classes(self, rows: _Rows, several: list[tuple[int, ...]]) -> None:
        grid = sorted(self.grid)
        known = rows.of_class
        if len(several) * len(grid) == 1:
            self.chosen_ = {**self._layer(several[0]), "C": grid[0]}
            return
        records = []
        for numbers in several:
            X = self._matrix(rows.features, numbers)[known]
            X = X[:, _live(X)]
            found = uars(self.solver(), X, rows.shares[known], rows.speakers[known], grid, self.folds)
            layer = self._layer(numbers)
            records += [{**layer, "C": C, "uar": uar} for C, uar in zip(grid, found, strict=True)]
        self.chosen_ = _best(records, "C", "uar")
        self.history_ += records

    def _choose_penalty_of_dimensions(self, rows: _Rows, several: list[tuple[int, ...]]) -> None:
        known = rows.of_dimension
        records = []
        for numbers in several:
            X = self._matrix(rows.features, numbers)[known]
            X = X[:, _live(X)]
            found = cccs(X, rows.dimensions[known], rows.speakers[known], self.folds)
            layer = self._layer(numbers)
            records += [{**layer, "alpha": a, "ccc": ccc} for a, ccc in zip(ridge.ALPHAS, found, strict=True)]
        self.chosen_ |= _best(records, "alpha", "ccc")
        self.history_ += records

    def refit(self, rows: Examples) -> Self:
        """Return a new head fitted on ``rows`` with what was chosen."""
        check_examples(rows)
        self.check_target(rows.target.of, rows.target.dimensions)
        head = copy(self)
        head.chosen_, head.history_ = dict(self.chosen_), []
        with _limited(self.threads):
            head._learn(self._rows(rows))
        return head

    def outputs(self, inputs: Mapping[str, Features]) -> Floats:
        """Return class scores before softmax and dimensions on [0, 1], shape (n, classes + dimensions).

        Pooled layers may be those of an encoder cut at ``needs_layers_``, and then be narrower.
        """
        if not hasattr(self, "coef_"):
            raise UsageError(f"the head {self.name!r} is not fitted")
        features = input_of(inputs, self.input, self.name)
        if not len(features):
            return np.zeros((0, len(self.intercept_)))
        X = self._columns(features)
        with _limited(self.threads):
            result: Floats = (X - self.mean_) / self.scale_ @ self.coef_.T + self.intercept_
        # A ridge knows no bounds; the scale has them.
        np.clip(result[:, self.classes_ :], 0, 1, out=result[:, self.classes_ :])
        return result

    def check_target(self, of: str, dimensions: Sequence[str]) -> None:  # noqa: B027
        """Refuse a target that the head cannot learn; a linear head can learn every one."""

    @abstractmethod
    def solver(self) -> Solver:
        """Return what yields coefficients and intercepts of classes along an ascending grid of C."""

    def settings(self) -> dict[str, Any]:
        """Return plain values from which ``heads.build`` makes the same unfitted head."""
        return settings_of(self)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that was learned and set."""
        return {
            **pack(self),
            **{name: getattr(self, name) for name in ARRAYS},
            "classes_": np.array(self.classes_),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """Make the fitted head again."""
        head: Self = unpack(cls, state)
        for name in ARRAYS[:-1]:
            setattr(head, name, np.asarray(state[name], dtype=np.float64))
        head.layers_ = np.asarray(state["layers_"], dtype=np.int64)
        # Heads that were stored before there were dimensions have classes alone.
        head.classes_ = int(state.get("classes_", np.array(len(head.intercept_))))
        return head

    def _rows(self, given: Examples) -> _Rows:
        """Return the rows to learn from: the clips, followed by their augmentations where these are wanted."""
        name = name_of(given.inputs, self.input, self.name)
        several = [given.inputs[name], *(given.augmented.get(name, ()) if self.augmented else ())]
        return _Rows(
            several[0] if len(several) == 1 else [clip for features in several for clip in features],
            np.tile(given.targets[:, : given.classes], (len(several), 1)),
            np.tile(given.targets[:, given.classes :], (len(several), 1)),
            np.tile(given.speakers, len(several)),
        )

    def _candidates(self, features: Features) -> list[tuple[int, ...]]:
        """Return the sets of layers among which to choose; one without layers where features are not pooled."""
        first = features[0]
        if first.ndim != 3:
            if self.layers is not None:
                raise UsageError(
                    f"head.layers is {self.layers!r}, and these features are {first.shape} a clip: only the "
                    "pooled layers of an encoder (layers, 2, dims) have layers; leave it out"
                )
            return [()]
        check_pooled(features)
        if self.layers == "average":
            check_same_width(features)
        return candidates(self.layers or "chosen", len(first))

    def _layer(self, numbers: tuple[int, ...]) -> dict[str, int]:
        return {"layer": numbers[0]} if numbers and self.layers in (None, "chosen") else {}

    def _chosen_layers(self, several: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """Return the layer that was chosen, or the only set that there is."""
        return [(self.chosen_["layer"],)] if "layer" in self.chosen_ else several

    def _matrix(self, features: Features, numbers: tuple[int, ...]) -> Floats:
        if not numbers:
            return matrix(features, self.statistics)
        return pooled_matrix(features, numbers, self.statistics, average=self.layers == "average")

    def _columns(self, features: Features) -> Floats:
        """Return rows for the fitted head; layers that a cut encoder does not compute are zeros."""
        if not len(self.layers_):
            X = matrix(features, self.statistics)
            check_dims(X.shape[1], len(self.mean_))
            return X
        check_pooled(features)
        count, _, dims = features[0].shape
        if count <= self.layers_.max():
            raise DataError(
                f"the head was trained on layer {self.layers_.max()} of an encoder, and these features have "
                f"layers 0 … {count - 1}"
            )
        blocks = 1 if self.layers == "average" else len(self.layers_)
        blocks *= 2 if self.statistics == "mean+sd" else 1
        width = len(self.mean_) // blocks
        learned = np.vstack([self.mean_, self.coef_]).reshape(-1, blocks, width)
        if dims > width or learned[:, :, dims:].any():
            check_dims(dims, width)
        X = self._matrix(features, tuple(self.layers_.tolist())).reshape(-1, blocks, dims)
        return np.pad(X, ((0, 0), (0, 0), (0, width - dims))).reshape(len(X), -1)

    def _learn(self, rows: _Rows) -> None:
        several = self._candidates(rows.features)
        numbers = several[0]
        if self._layer(numbers):
            numbers = (self.chosen_["layer"],)
            if numbers not in several:
                raise DataError(
                    f"layer {numbers[0]} was chosen, and these features have layers 0 … {len(several) - 1}"
                )
        self.layers_, self.classes_ = np.array(numbers, dtype=np.int64), rows.shares.shape[1]
        X = self._matrix(rows.features, numbers)
        live = _live(X)
        width = X.shape[1]
        mean, scale = moments(X[:, live])
        Z, basis = row_space((X[:, live] - mean) / scale)
        models = []
        # From zero, not from the inner folds' path: the result depends on rows and penalty alone.
        if self.classes_:
            known = rows.of_class
            models.append(next(self.solver()(Z[known], rows.shares[known], [self.chosen_["C"]])))
        if rows.dimensions.shape[1]:
            models.append(next(ridge.path(Z, rows.dimensions, [self.chosen_["alpha"]])))
        coef = np.concatenate([of_part for of_part, _ in models])
        self.intercept_ = np.concatenate([of_part for _, of_part in models])
        self.mean_, self.scale_ = np.zeros(width), np.ones(width)
        self.coef_ = np.zeros((len(coef), width))
        self.mean_[live], self.scale_[live] = mean, scale
        self.coef_[:, live] = coef if basis is None else coef @ basis.T


def _live(X: Floats) -> NDArray[np.bool_]:
    """Return a mask of the columns that are not zero in every row; the others need no computing."""
    live: NDArray[np.bool_] = (X != 0).any(axis=0)
    # One has to stay.
    live[0] |= not live.any()
    return live


def _best(records: Sequence[Mapping[str, Any]], penalty: str, figure: str) -> dict[str, Any]:
    """Return what has the highest figure; on a tie the smaller C or α, then the lower layer."""
    top = max(record[figure] for record in records)
    equals = [record for record in records if record[figure] >= top - 1e-12]
    best = min(equals, key=lambda record: (record[penalty], record.get("layer", 0)))
    return {key: value for key, value in best.items() if key != figure}


def _limited(threads: int) -> AbstractContextManager[Any]:
    limits: AbstractContextManager[Any] = need("threadpoolctl", "eval").threadpool_limits(threads)
    return limits
