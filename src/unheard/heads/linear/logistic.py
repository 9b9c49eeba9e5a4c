"""Multinomial logistic regression with an L2 penalty: the exact minimum, along a grid of C.

For rows z with shares q of the classes (one-hot where each has one class) and weights w of the classes (balanced:
w_c = 1 / (classes · Σ q_c), of the classes that have some share; or 1 / n for all), W and b minimise

    Σ Σ_c w_c q_c (logsumexp(W z + b) - (W z + b)_c) + 1 / (2 C n) |W|²,

b without penalty, by Newton's method with conjugate gradients (Nocedal and Wright 2006, "Numerical optimization",
section 7.1). What makes it fast where n and dims are near a thousand: the penalty's null direction (the same added
to every class) is left out of the coordinates; directions of the rows and of the classes are rotated so that the
preconditioner is diagonal (it is the Hessian as if every row had the mean's uncertainty); products with the
Hessian, which need not be exact, are in float32 and pass over the rows once, in parts that the processor's cache
holds. Value, gradient and result are in float64.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.errors import need

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

#: Largest component of the gradient. At 1e-8 the logits of clips outside the training rows are settled to about
#: 1e-3 even where the rows are separable and C is 100; at 1e-4 they are not (off by tens, and with them the
#: choice of C).
TOLERANCE = 1e-8
STEPS, INNER = 200, 1000
#: Bytes of rows that a product takes at once.
PART = 400_000


def path(
    Z: Floats, Y: Floats, grid: Sequence[float], *, balanced: bool = True
) -> Iterator[tuple[Floats, Floats]]:
    """Yield coefficients (classes, dims) and intercepts (classes,) for each C of an ascending grid.

    Parameters
    ----------
    Z
        Rows, shape (n, dims), of similar scale in every dimension.
    Y
        Shares of the classes, shape (n, classes): each row sums to 1. A class without any share in any row is left
        out of the fit; its coefficients are 0 and its intercept is -log(n + 1), below the highest score of every
        row, since the scores of the other classes sum to 0.
    grid
        Each fit starts from the last one's result.
    balanced
        Whether every class weighs the same in all; else every row does.
    """
    present = np.flatnonzero(Y.any(axis=0))
    if len(present) == Y.shape[1]:
        yield from _path(Z, Y, grid, balanced)
        return
    if len(present) == 1:
        models = iter([(np.zeros((1, Z.shape[1])), np.zeros(1))] * len(grid))
    else:
        models = _path(Z, np.ascontiguousarray(Y[:, present]), grid, balanced)
    for coef, intercept in models:
        all_coef = np.zeros((Y.shape[1], Z.shape[1]))
        all_intercept = np.full(Y.shape[1], -np.log1p(len(Y)))
        all_coef[present], all_intercept[present] = coef, intercept
        yield all_coef, all_intercept


def _path(Z: Floats, Y: Floats, grid: Sequence[float], balanced: bool) -> Iterator[tuple[Floats, Floats]]:
    """Yield the models of :func:`path` for shares in which every class, of two or more, has some."""
    problem = _problem(Z, Y, balanced)
    W = np.zeros((problem.X.shape[1], problem.Y.shape[1]))
    for C in grid:
        penalty = np.full((len(W), 1), 1 / (C * len(Y)))
        if problem.Y.shape[1] == 2:
            # As the customary binary form, whose one row of coefficients is the difference of ours.
            penalty *= 2
        penalty[-1] = 0
        W = _minimum(problem, penalty, W)
        yield W[:-1].T, W[-1]


@dataclass(frozen=True)
class _Problem:
    """Rows with a last column of ones (n, dims + 1), their weights (n, 1), and shares of the classes (n, classes).

    A row weighs what its shares of the classes weigh together, and the shares are as these weights make them.
    """

    X: Floats
    Y: Floats
    weight: Floats
    #: Eigenvectors of the rows' weighted second moments, (dims, dims), and eigenvalues, (dims + 1, 1): the last is
    #: that of the ones.
    axes: Singles
    spread: Singles
    #: Rows in these axes, in parts.
    parts: list[tuple[slice, Singles]]


def _problem(Z: Floats, Y: Floats, balanced: bool) -> _Problem:
    n, classes = Y.shape
    weighted = Y * (1 / (classes * Y.sum(axis=0))) if balanced else Y / Y.sum()
    weight = weighted.sum(axis=1, keepdims=True)
    moments = ((Z * weight).T @ Z).astype(np.float32)
    spread, axes = need("scipy.linalg", "eval").eigh(moments, driver="evd", overwrite_a=True)
    turned = np.hstack([Z.astype(np.float32) @ axes, np.ones((n, 1), np.float32)])
    size = max(1, PART // turned[0].nbytes)
    return _Problem(
        X=np.hstack([Z, np.ones((n, 1))]),
        Y=weighted / weight,
        weight=weight,
        axes=axes,
        spread=np.append(np.maximum(spread, 0), np.float32(1))[:, None],
        parts=[(slice(i, i + size), turned[i : i + size]) for i in range(0, n, size)],
    )


def _minimum(problem: _Problem, penalty: Floats, W: Floats) -> Floats:
    """Run Newton's method from ``W`` (dims + 1, classes), the last row being the intercepts."""
    X, Y, weight = problem.X, problem.Y, problem.weight
    scores = X @ W
    value, P = _value(scores, W, problem, penalty)
    for _ in range(STEPS):
        gradient = X.T @ ((P - Y) * weight) + penalty * W
        if np.abs(gradient).max() <= TOLERANCE:
            return W
        step = _newton_step(problem, penalty, P, gradient)
        change, slope = X @ step, float(np.vdot(gradient, step))
        # Near the minimum the value no longer shows a descent that the gradient still does.
        rounding = 1e-14 * max(1.0, float(np.abs(scores).max()))
        for length in 0.5 ** np.arange(30):
            found, moved = _value(scores + length * change, W + length * step, problem, penalty)
            if found <= value + 1e-4 * length * slope + rounding:
                break
        else:
            break
        scores, W = scores + length * change, W + length * step
        value, P = found, moved
    warnings.warn(
        f"logistic regression has not settled: largest component of its gradient {np.abs(gradient).max():.1e}, "
        f"asked for {TOLERANCE:g}; look for features of enormous size",
        RuntimeWarning,
        stacklevel=2,
    )
    return W


def _value(scores: Floats, W: Floats, problem: _Problem, penalty: Floats) -> tuple[float, Floats]:
    """Return the objective, and class probabilities of the rows."""
    top = scores.max(axis=1, keepdims=True)
    raised = np.exp(scores - top)
    total = raised.sum(axis=1, keepdims=True)
    loss = top + np.log(total) - (scores * problem.Y).sum(axis=1, keepdims=True)
    return float((problem.weight * loss).sum() + (penalty * W * W).sum() / 2), raised / total


def _newton_step(problem: _Problem, penalty: Floats, P: Floats, gradient: Floats) -> Floats:
    """Solve Hessian · step = -gradient, the more exactly the smaller the gradient is."""
    weighted = problem.weight * P
    # The classes' axes: those of the mean of diag(p) - p pᵀ, without the direction that all classes share.
    certainty, turn = np.linalg.eigh(np.diag(weighted.sum(axis=0)) - weighted.T @ P)
    certainty, turn = certainty[1:], turn[:, 1:].astype(np.float32)
    scale = (1 / (problem.spread * certainty + penalty)).astype(np.float32)
    ridge = penalty.astype(np.float32)
    parts = [
        (rows, weighted[part].astype(np.float32), P[part].astype(np.float32)) for part, rows in problem.parts
    ]

    def hessian(p: Singles) -> Singles:
        direction = p @ turn.T
        total = np.zeros_like(direction)
        for rows, some, probabilities in parts:
            change = rows @ direction
            change -= np.einsum("ij,ij->i", change, probabilities)[:, None]
            change *= some
            total += rows.T @ change
        result: Singles = total @ turn + ridge * p
        return result

    largest = np.abs(gradient).max()
    right = (-gradient / largest).astype(np.float32) @ turn
    right = np.vstack([problem.axes.T @ right[:-1], right[-1:]])
    exactness = min(0.3, float(np.sqrt(np.linalg.norm(gradient))))
    goal = max(exactness * float(np.linalg.norm(right)), 0.3 * TOLERANCE / largest)
    solved = _conjugate_gradients(hessian, scale, right, goal)
    turned = np.vstack([problem.axes @ solved[:-1], solved[-1:]]) @ turn.T
    step: Floats = turned.astype(np.float64) * largest
    # Nothing along what all classes share, which rounding to float32 brings in.
    step -= step.mean(axis=1, keepdims=True)
    return step


def _conjugate_gradients(
    product: Callable[[Any], Any], scale: Singles, right: Singles, goal: float
) -> Singles:
    """Solve product(x) = right until the residual's norm is at most ``goal``; ``scale`` is the preconditioner."""
    x, residual = np.zeros_like(right), right.copy()
    z = scale * residual
    p, old = z.copy(), np.vdot(residual, z)
    for _ in range(INNER):
        image = product(p)
        length = old / np.vdot(p, image)
        x += length * p
        residual -= length * image
        if np.linalg.norm(residual) <= goal:
            break
        z = scale * residual
        new = np.vdot(residual, z)
        p *= new / old
        p += z
        old = new
    return x
