"""Other ways to fuse systems than the weighted mean: each is fitted on validation rows, and named.

All but the mean are one model, softmax(A θ), whose scores A θ are linear in few parameters: weights of the
systems' logarithms (product of experts), a scale and an offset for each class (vector scaling), or a weight for
every system's score of every class (stacking). It is convex, and fitted by Newton's method with a penalty that
draws θ to where nothing is learned; how strong it is, is chosen over the validation speakers, each left out once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.decide.calibration import apply_temperature, fit_temperature
from unheard.decide.late_fusion import TINY, Fusion, fit_fusion, fuse, weighted_mean
from unheard.errors import DataError, unknown

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Penalties among which one is chosen, the strongest first: of a mean over clips.
PENALTIES = (10.0, 1.0, 0.1, 0.01, 0.001)
STEPS = 50  # of Newton's method, which takes fewer than ten


@dataclass(frozen=True)
class FittedFusion:
    """A fusion that can be applied.

    Parameters
    ----------
    base
        The weighted mean of the same rows: it answers clips that a system has no prediction for.
    chosen
        What was fitted, in plain values by name.
    answer
        From the logits of the systems, (n, C) each, none missing, to probabilities (n, C).
    """

    base: Fusion
    chosen: dict[str, Any]
    answer: Callable[[Sequence[Floats]], Floats]

    def probabilities(self, logits: Sequence[Floats]) -> Floats:
        """Return the fused probabilities, (n, C); a clip that no system predicted has none."""
        whole = ~np.any([np.isnan(z).any(axis=1) for z in logits], axis=0)
        found = fuse(logits, self.base)
        found[whole] = self.answer([z[whole] for z in logits])
        return found


def fit_method(method: str, logits: Sequence[Floats], labels: Ints, speakers: Sequence[str]) -> FittedFusion:
    """Fit a way to fuse systems on validation rows.

    Parameters
    ----------
    method
        A name of :data:`METHODS`.
    logits
        One array (n, C) a system, of the same clips in the same order; NaN without a prediction.
    labels
        Class numbers, (n,).
    speakers
        Who speaks, (n,): how strong a penalty is, is chosen by leaving out each once.

    Raises
    ------
    UsageError
        No such method, or too many systems.
    DataError
        As of :func:`unheard.decide.late_fusion.fit_fusion`; no clip that all systems predicted.
    """
    if method not in METHODS:
        raise unknown("method of fusion", method, METHODS)
    base = fit_fusion(logits, labels)
    whole = ~np.any([np.isnan(z).any(axis=1) for z in logits], axis=0)
    if not whole.any():
        raise DataError("there is no validation row that every system predicted")
    given = [np.asarray(z[whole], dtype=np.float64) for z in logits]
    chosen, answer = METHODS[method](base, given, labels[whole], np.asarray(speakers)[whole])
    return FittedFusion(base, chosen, answer)


_Fitted = tuple[dict[str, Any], Callable[[Sequence[Floats]], Floats]]


def _mean(base: Fusion, logits: Sequence[Floats], labels: Ints, speakers: NDArray[Any]) -> _Fitted:
    """Σ w softmax(z / T), as published."""
    return {}, lambda given: fuse(given, base)


def _sharpened(base: Fusion, logits: Sequence[Floats], labels: Ints, speakers: NDArray[Any]) -> _Fitted:
    """The mean, and a temperature after it, which may sharpen: a mean of sure systems that differ is unsure."""
    temperature = fit_temperature(_log(fuse(logits, base)), labels, floor=0.0)
    return {"temperature_after": temperature}, lambda given: apply_temperature(
        _log(fuse(given, base)), temperature
    )


def _vector(base: Fusion, logits: Sequence[Floats], labels: Ints, speakers: NDArray[Any]) -> _Fitted:
    """Vector scaling of each system, softmax(a ∘ z + b) (Guo et al. 2017), then the mean with fitted weights."""
    scaled = []
    for z, temperature in zip(logits, base.temperatures, strict=True):
        start = np.concatenate([np.full(z.shape[1], 1 / temperature), np.zeros(z.shape[1])])
        scaled.append(_fit_linear(_scales(z), labels, speakers, start))
    after = [_softmax(_scales(z) @ theta) for z, theta in zip(logits, scaled, strict=True)]
    weights = fit_fusion([_log(p) for p in after], labels).weights
    chosen = {"scales": [theta.tolist() for theta in scaled], "vector_weights": list(weights)}

    def answer(given: Sequence[Floats]) -> Floats:
        parts = [_softmax(_scales(z) @ theta) for z, theta in zip(given, scaled, strict=True)]
        return weighted_mean(parts, weights)

    return chosen, answer


def _product(base: Fusion, logits: Sequence[Floats], labels: Ints, speakers: NDArray[Any]) -> _Fitted:
    """Product of experts: p ∝ Π softmax(z)^β with β ≥ 0, which holds the temperatures, too."""
    start = np.array([w / t for w, t in zip(base.weights, base.temperatures, strict=True)])
    used = list(range(len(logits)))
    while True:
        theta = np.zeros(len(logits))
        theta[used] = _fit_linear(np.stack([logits[m] for m in used], axis=2), labels, speakers, start[used])
        negative = [m for m in used if theta[m] < 0]
        if not negative:
            break
        used = [m for m in used if m not in negative]
        if not used:
            break
    return {"exponents": theta.tolist()}, lambda given: _softmax(np.stack(list(given), axis=2) @ theta)


def _stacking(base: Fusion, logits: Sequence[Floats], labels: Ints, speakers: NDArray[Any]) -> _Fitted:
    """Logistic regression on the logarithms of all systems' probabilities, drawn to their product."""
    classes = logits[0].shape[1]
    start = np.concatenate([np.eye(classes).ravel() * w for w in base.weights] + [np.zeros(classes)])
    temperatures = base.temperatures
    theta = _fit_linear(_all_scores(logits, temperatures), labels, speakers, start)
    return {"stacked": theta.tolist()}, lambda given: _softmax(_all_scores(given, temperatures) @ theta)


#: Ways by name; the first is the published rule.
METHODS: dict[str, Callable[[Fusion, Sequence[Floats], Ints, NDArray[Any]], _Fitted]] = {
    "mean": _mean,
    "mean-temperature": _sharpened,
    "vector": _vector,
    "product": _product,
    "stacking": _stacking,
}


def _scales(z: Floats) -> Floats:
    """Return A of vector scaling: A θ = a ∘ z + b for θ = (a, b), shape (n, C, 2 C)."""
    n, classes = z.shape
    eye = np.eye(classes)
    return np.concatenate([z[:, None, :] * eye, np.broadcast_to(eye, (n, classes, classes))], axis=2)


def _all_scores(logits: Sequence[Floats], temperatures: Sequence[float]) -> Floats:
    """Return A of stacking: each class's score is a weighted sum of all logarithms, and an offset."""
    eye = np.eye(logits[0].shape[1])
    parts = []
    for z, temperature in zip(logits, temperatures, strict=True):
        log = _log(apply_temperature(z, temperature))
        parts.append(np.einsum("ck,nj->nckj", eye, log).reshape(len(z), len(eye), -1))
    return np.concatenate([*parts, np.broadcast_to(eye, (len(logits[0]), *eye.shape))], axis=2)


def _fit_linear(A: Floats, labels: Ints, speakers: NDArray[Any], start: Floats) -> Floats:
    """Return θ that minimises the mean NLL of softmax(A θ) + λ/2 |θ − start|²; λ by leaving speakers out."""
    people = np.unique(speakers)
    if len(people) < 2:
        return _newton(A, labels, start, PENALTIES[0])

    def left_out(penalty: float) -> float:
        total = 0.0
        for person in people:
            out = speakers == person
            theta = _newton(A[~out], labels[~out], start, penalty)
            p = _softmax(A[out] @ theta)
            total -= float(np.log(np.maximum(p[np.arange(len(p)), labels[out]], TINY)).sum())
        return total

    return _newton(A, labels, start, min(PENALTIES, key=left_out))


def _newton(A: Floats, labels: Ints, start: Floats, penalty: float) -> Floats:
    n = len(A)
    theta = start.copy()

    def loss(at: Floats) -> float:
        u = A @ at
        u = u - u.max(axis=1, keepdims=True)
        nll = np.log(np.exp(u).sum(axis=1)) - u[np.arange(n), labels]
        return float(nll.mean() + penalty / 2 * ((at - start) ** 2).sum())

    before = loss(theta)
    for _ in range(STEPS):
        p = _softmax(A @ theta)
        error = p.copy()
        error[np.arange(n), labels] -= 1
        slope = np.einsum("nc,ncp->p", error, A) / n + penalty * (theta - start)
        centred = A - np.einsum("nc,ncp->np", p, A)[:, None, :]
        weighted = (centred * np.sqrt(p)[:, :, None]).reshape(-1, A.shape[2])
        curvature = weighted.T @ weighted / n + penalty * np.eye(A.shape[2])
        step = np.linalg.solve(curvature, slope)
        size = 1.0
        while size > 1e-6 and (after := loss(theta - size * step)) > before - 1e-4 * size * float(
            slope @ step
        ):
            size /= 2
        if size <= 1e-6 or before - after < 1e-12:
            break
        theta, before = theta - size * step, after
    return theta


def _log(p: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(p, TINY)))


def _softmax(scores: Floats) -> Floats:
    return apply_temperature(scores, 1.0)
