"""Linear heads: standardise, rotate into row space, choose C by inner grouped folds, fit.

With more dimensions than rows, an L2-penalised linear model has its weights in the span of the rows. QR of the
transposed rows gives an orthonormal basis Q of that span; fitting on the coordinates and multiplying by Q gives
exactly the model of the full space, at the cost of n dimensions (Hastie and Tibshirani 2004, "Efficient quadratic
regularization for expression arrays", section 2).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, UsageError, need, unknown
from unheard.heads.examples import Examples, Features
from unheard.heads.rows import STATISTICS, check_dims, check_examples, matrix, scale_of
from unheard.heads.settings import between, pack, settings_of, unpack

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
#: Takes rows (n, r), class numbers 0 … k - 1 that all occur, and ascending values of C; gives for each C the
#: coefficients (k, r) and intercepts (k,) of the model.
Solver = Callable[[Floats, Labels, Sequence[float]], Iterator[tuple[Floats, Floats]]]

DECADES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)


@dataclass
class LinearHead(ABC):
    """A linear model on utterance features, or on statistics over frames.

    Parameters
    ----------
    statistics
        Of frame features, over frames: ``mean`` or ``mean+sd``. Utterance features are taken as they are.
    grid
        Values of C among which inner folds choose; a single value is taken without choosing.
    folds
        Inner folds over groups (speakers); as many as there are groups where these are fewer.
    seed
        Without effect: nothing here is random.
    threads
        Threads of the linear algebra.
    """

    name: ClassVar[str]

    statistics: str = "mean+sd"
    grid: tuple[float, ...] = DECADES
    folds: int = 5
    seed: int = 0
    threads: int = 1
    chosen_: dict[str, Any] = field(init=False, repr=False)
    history_: list[dict[str, Any]] = field(init=False, repr=False)
    #: Of the training rows, shape (dims,) after the statistics; scale is 1 where a dimension is constant.
    mean_: Floats = field(init=False, repr=False)
    scale_: Floats = field(init=False, repr=False)
    #: Of standardised rows: logits = coef_ @ ((x - mean_) / scale_) + intercept_; (classes, dims), (classes,).
    coef_: Floats = field(init=False, repr=False)
    intercept_: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.statistics not in STATISTICS:
            raise unknown("head.statistics", self.statistics, STATISTICS)
        if not all(C > 0 for C in self.grid) or len(set(self.grid)) < len(self.grid):
            raise UsageError(f"head.grid must hold different numbers above 0, found {list(self.grid)}")
        between(self, "folds", 2, 1000)
        between(self, "threads", 1, 64)

    def fit(self, train: Examples, val: Examples | None = None) -> Self:
        """Choose C by UAR over inner folds of the training groups, then fit on all training rows.

        ``val`` is not used: validation rows stay untouched for calibration.
        """
        check_examples(train)
        X = matrix(train.features, self.statistics)
        with _limited(self.threads):
            self.history_ = _scores(self.solve, X, train, sorted(self.grid), self.folds)
            self.chosen_ = {"C": _best(self.history_) if self.history_ else self.grid[0]}
            self._learn(X, train)
        return self

    def refit(self, rows: Examples) -> Self:
        """Return a new head fitted on ``rows`` with the chosen C."""
        check_examples(rows)
        head = copy(self)
        head.chosen_, head.history_ = dict(self.chosen_), []
        with _limited(self.threads):
            head._learn(matrix(rows.features, self.statistics), rows)
        return head

    def logits(self, features: Features) -> Floats:
        """Class scores, shape (n, classes)."""
        if not hasattr(self, "coef_"):
            raise UsageError(f"the head {self.name!r} is not fitted")
        if not len(features):
            return np.zeros((0, len(self.intercept_)))
        X = matrix(features, self.statistics)
        check_dims(X.shape[1], len(self.mean_))
        with _limited(self.threads):
            result: Floats = (X - self.mean_) / self.scale_ @ self.coef_.T + self.intercept_
        return result

    @staticmethod
    @abstractmethod
    def solve(Z: Floats, y: Labels, grid: Sequence[float]) -> Iterator[tuple[Floats, Floats]]:
        """Yield coefficients and intercepts for each C of an ascending grid (see ``Solver``)."""

    def settings(self) -> dict[str, Any]:
        """Plain values from which ``heads.build`` makes the same unfitted head."""
        return settings_of(self)

    def state(self) -> dict[str, NDArray[Any]]:
        """All that was learned and set."""
        arrays = {name: getattr(self, name) for name in ("mean_", "scale_", "coef_", "intercept_")}
        return {**pack(self), **arrays}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """Make the fitted head again."""
        head: Self = unpack(cls, state)
        for name in ("mean_", "scale_", "coef_", "intercept_"):
            setattr(head, name, np.asarray(state[name], dtype=np.float64))
        return head

    def _learn(self, X: Floats, rows: Examples) -> None:
        self.mean_, self.scale_ = _moments(X)
        Z, basis = _row_space((X - self.mean_) / self.scale_)
        # From zero, not from the inner folds' path: the result depends on rows and C alone.
        coef, self.intercept_ = next(self.solve(Z, rows.labels, [self.chosen_["C"]]))
        self.coef_ = coef if basis is None else coef @ basis.T


def _scores(
    solve: Solver, X: Floats, rows: Examples, grid: Sequence[float], folds: int
) -> list[dict[str, Any]]:
    """UAR of each C over all rows, each answered by the model that has not seen its group; none for a single C."""
    if len(grid) == 1:
        return []
    groups = len(np.unique(rows.groups))
    if groups < 2:
        raise DataError(
            f"C is chosen over groups of training speakers, and all {len(rows)} rows are of one "
            f"({rows.groups[0]!r}); give one value, such as head.grid=[0.01]"
        )
    answers = np.zeros((len(grid), len(rows)), dtype=np.int64)
    splitter = need("sklearn.model_selection", "eval").GroupKFold(n_splits=min(folds, groups))
    for inner, held in splitter.split(X, groups=rows.groups):
        mean, scale = _moments(X[inner])
        Z, basis = _row_space((X[inner] - mean) / scale)
        Z_held = (X[held] - mean) / scale
        if basis is not None:
            Z_held = Z_held @ basis
        # An inner training part may lack a class; that class is then never answered.
        present, y = np.unique(rows.labels[inner], return_inverse=True)
        if len(present) == 1:
            answers[:, held] = present[0]
            continue
        for k, (coef, intercept) in enumerate(solve(Z, y, grid)):
            answers[k, held] = present[(Z_held @ coef.T + intercept).argmax(axis=1)]
    return [{"C": C, "uar": _uar(rows.labels, answer)} for C, answer in zip(grid, answers, strict=True)]


def _best(history: Sequence[Mapping[str, Any]]) -> float:
    """Return C with the highest UAR, the smallest of them on a tie."""
    top = max(record["uar"] for record in history)
    return float(min(record["C"] for record in history if record["uar"] >= top - 1e-12))


def _uar(true: Labels, answer: Labels) -> float:
    hit = true == answer
    return float(np.mean([hit[true == c].mean() for c in np.unique(true)]))


def _moments(X: Floats) -> tuple[Floats, Floats]:
    mean: Floats = X.mean(axis=0)
    return mean, scale_of(mean, X.std(axis=0))


def _row_space(Z: Floats) -> tuple[Floats, Floats | None]:
    """Coordinates of the rows in their own span, shape (n, n), and its orthonormal basis (dims, n).

    The rows themselves and None where they have no more dimensions than there are rows.
    """
    if Z.shape[1] <= Z.shape[0]:
        return Z, None
    basis, R = np.linalg.qr(Z.T)
    return np.ascontiguousarray(R.T), basis


def _limited(threads: int) -> AbstractContextManager[Any]:
    limits: AbstractContextManager[Any] = need("threadpoolctl", "eval").threadpool_limits(threads)
    return limits
