"""Linear heads: standardise, rotate into row space, choose C by inner grouped folds, fit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, UsageError, need, unknown
from unheard.heads.inner_folds import Floats, Labels, moments, row_space, scores
from unheard.heads.layers import candidates, check_form, check_same_width, pooled_matrix
from unheard.heads.rows import STATISTICS, check_dims, check_examples, check_pooled, matrix
from unheard.heads.settings import between, pack, settings_of, unpack
from unheard.training.examples import Examples, Features, with_variants

DECADES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
ARRAYS = ("mean_", "scale_", "coef_", "intercept_", "entries_")


@dataclass
class LinearHead(ABC):
    """A linear model on utterance features, on statistics over frames, or on the pooled entries of an encoder.

    Parameters
    ----------
    statistics
        Of frame features, over frames: ``mean`` or ``mean+sd``. Utterance features are taken as they are.
    grid
        Values of C among which inner folds choose; a single value is taken without choosing.
    folds
        Inner folds over groups (speakers); as many as there are groups where these are fewer.
    entries
        Of pooled entries (entries, 2, dims): ``chosen`` (one, together with C; the default, None), ``last``,
        ``average`` or ``concat``, the last of all or of named ones (``concat 2-5``, ``concat 1,3,5``).
    variants
        Whether variants of training clips (other speeds, in noise) are rows like the clips themselves, in choosing
        as in fitting. The default hears the clips alone.
    seed
        Without effect: nothing here is random.
    threads
        Threads of the linear algebra.
    """

    name: ClassVar[str]
    takes: ClassVar[str] = "pooled"

    statistics: str = "mean+sd"
    grid: tuple[float, ...] = DECADES
    folds: int = 5
    entries: str | None = None
    variants: bool = False
    seed: int = 0
    threads: int = 1
    chosen_: dict[str, Any] = field(init=False, repr=False)
    history_: list[dict[str, Any]] = field(init=False, repr=False)
    #: Of the training rows, shape (columns,) after the statistics; scale is 1 where a column is constant.
    mean_: Floats = field(init=False, repr=False)
    scale_: Floats = field(init=False, repr=False)
    #: Of standardised rows: logits = coef_ @ ((x - mean_) / scale_) + intercept_; (classes, columns), (classes,).
    coef_: Floats = field(init=False, repr=False)
    intercept_: Floats = field(init=False, repr=False)
    #: Numbers of the entries that the columns are made of; none where the features are not pooled entries.
    entries_: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.statistics not in STATISTICS:
            raise unknown("head.statistics", self.statistics, STATISTICS)
        if not all(C > 0 for C in self.grid) or len(set(self.grid)) < len(self.grid):
            raise UsageError(f"head.grid must hold different numbers above 0, found {list(self.grid)}")
        if self.entries is not None:
            check_form(self.entries)
        between(self, "folds", 2, 1000)
        between(self, "threads", 1, 64)

    @property
    def needs_entries_(self) -> int | None:
        """Highest entry that the fitted head looks at: an encoder may be cut there. None: not pooled entries."""
        return int(self.entries_.max()) if len(self.entries_) else None

    def fit(self, train: Examples, val: Examples | None = None) -> Self:
        """Choose C, and an entry where one is to be chosen, by UAR over inner folds; then fit on all rows.

        The folds are over the training groups. ``val`` is not used: its rows stay untouched for calibration.
        """
        check_examples(train)
        train = with_variants(train) if self.variants else train
        several = self._candidates(train.features)
        grid = sorted(self.grid)
        self.history_ = []
        with _limited(self.threads):
            if len(several) * len(grid) > 1:
                for numbers in several:
                    X = self._matrix(train.features, numbers)
                    X = X[:, _live(X)]
                    found = zip(grid, scores(self.solve, X, train, grid, self.folds), strict=True)
                    entry = self._entry(numbers)
                    self.history_ += [{**entry, "C": C, "uar": uar} for C, uar in found]
            alone = {**self._entry(several[0]), "C": grid[0]}
            self.chosen_ = _best(self.history_) if self.history_ else alone
            self._learn(train)
        return self

    def refit(self, rows: Examples) -> Self:
        """Return a new head fitted on ``rows`` with what was chosen."""
        check_examples(rows)
        head = copy(self)
        rows = with_variants(rows) if self.variants else rows
        head.chosen_, head.history_ = dict(self.chosen_), []
        with _limited(self.threads):
            head._learn(rows)
        return head

    def logits(self, features: Features) -> Floats:
        """Class scores, shape (n, classes).

        Pooled entries may be those of an encoder cut at ``needs_entries_``, and then be narrower.
        """
        if not hasattr(self, "coef_"):
            raise UsageError(f"the head {self.name!r} is not fitted")
        if not len(features):
            return np.zeros((0, len(self.intercept_)))
        X = self._columns(features)
        with _limited(self.threads):
            result: Floats = (X - self.mean_) / self.scale_ @ self.coef_.T + self.intercept_
        return result

    @staticmethod
    @abstractmethod
    def solve(Z: Floats, y: Labels, grid: Sequence[float]) -> Iterator[tuple[Floats, Floats]]:
        """Yield coefficients and intercepts for each C of an ascending grid (see ``inner_folds.Solver``)."""

    def settings(self) -> dict[str, Any]:
        """Plain values from which ``heads.build`` makes the same unfitted head."""
        plain = settings_of(self)
        if not self.variants:
            del plain["variants"]  # recipes from before it are to keep their hash
        return plain

    def state(self) -> dict[str, NDArray[Any]]:
        """All that was learned and set."""
        return {**pack(self), **{name: getattr(self, name) for name in ARRAYS}}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """Make the fitted head again."""
        head: Self = unpack(cls, state)
        for name in ARRAYS[:-1]:
            setattr(head, name, np.asarray(state[name], dtype=np.float64))
        # States of older heads, which knew no pooled entries, lack it.
        head.entries_ = np.asarray(state.get("entries_", ()), dtype=np.int64)
        return head

    def _candidates(self, features: Features) -> list[tuple[int, ...]]:
        """Sets of entries among which to choose; none, and of one set, where the features are not pooled."""
        first = features[0]
        if first.ndim != 3:
            if self.entries is not None:
                raise UsageError(
                    f"head.entries is {self.entries!r}, and these features are {first.shape} a clip: only the "
                    "pooled entries of an encoder (entries, 2, dims) have entries; leave it out"
                )
            return [()]
        check_pooled(features)
        if self.entries == "average":
            check_same_width(features)
        return candidates(self.entries or "chosen", len(first))

    def _entry(self, numbers: tuple[int, ...]) -> dict[str, int]:
        return {"entry": numbers[0]} if numbers and self.entries in (None, "chosen") else {}

    def _matrix(self, features: Features, numbers: tuple[int, ...]) -> Floats:
        if not numbers:
            return matrix(features, self.statistics)
        return pooled_matrix(features, numbers, self.statistics, average=self.entries == "average")

    def _columns(self, features: Features) -> Floats:
        """Rows for the fitted head; what a cut encoder's entries lack in width are zeros, as in training."""
        if not len(self.entries_):
            X = matrix(features, self.statistics)
            check_dims(X.shape[1], len(self.mean_))
            return X
        check_pooled(features)
        count, _, dims = features[0].shape
        if count <= self.entries_.max():
            raise DataError(
                f"the head was trained on entry {self.entries_.max()} of an encoder, and these features have "
                f"entries 0 … {count - 1}"
            )
        blocks = 1 if self.entries == "average" else len(self.entries_)
        blocks *= 2 if self.statistics == "mean+sd" else 1
        width = len(self.mean_) // blocks
        learned = np.vstack([self.mean_, self.coef_]).reshape(-1, blocks, width)
        if dims > width or learned[:, :, dims:].any():
            check_dims(dims, width)
        X = self._matrix(features, tuple(self.entries_.tolist())).reshape(-1, blocks, dims)
        return np.pad(X, ((0, 0), (0, 0), (0, width - dims))).reshape(len(X), -1)

    def _learn(self, rows: Examples) -> None:
        several = self._candidates(rows.features)
        numbers = several[0]
        if self._entry(numbers):
            numbers = (self.chosen_["entry"],)
            if numbers not in several:
                raise DataError(
                    f"entry {numbers[0]} was chosen, and these features have entries 0 … {len(several) - 1}"
                )
        self.entries_ = np.array(numbers, dtype=np.int64)
        X = self._matrix(rows.features, numbers)
        live = _live(X)
        width = X.shape[1]
        mean, scale = moments(X[:, live])
        Z, basis = row_space((X[:, live] - mean) / scale)
        # From zero, not from the inner folds' path: the result depends on rows and C alone.
        coef, self.intercept_ = next(self.solve(Z, rows.labels, [self.chosen_["C"]]))
        self.mean_, self.scale_ = np.zeros(width), np.ones(width)
        self.coef_ = np.zeros((len(coef), width))
        self.mean_[live], self.scale_[live] = mean, scale
        self.coef_[:, live] = coef if basis is None else coef @ basis.T


def _live(X: Floats) -> NDArray[np.bool_]:
    """True at the columns that say anything; those that are zero in every row need not be computed with."""
    live: NDArray[np.bool_] = (X != 0).any(axis=0)
    # One has to stay.
    live[0] |= not live.any()
    return live


def _best(history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What has the highest UAR; on a tie the smaller C, then the lower entry."""
    top = max(record["uar"] for record in history)
    equals = [record for record in history if record["uar"] >= top - 1e-12]
    best = min(equals, key=lambda record: (record["C"], record.get("entry", 0)))
    return {key: value for key, value in best.items() if key != "uar"}


def _limited(threads: int) -> AbstractContextManager[Any]:
    limits: AbstractContextManager[Any] = need("threadpoolctl", "eval").threadpool_limits(threads)
    return limits
