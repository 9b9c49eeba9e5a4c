"""Ways to fuse: their properties, and known cases come out."""

from __future__ import annotations

import numpy as np
import pytest

from unheard.decide.calibration import apply_temperature
from unheard.decide.fusion_methods import METHODS, fit_method
from unheard.errors import DataError, UsageError

CLASSES = 4


def systems(seed: int = 0, n: int = 240, sure: float = 2.0) -> tuple[list[np.ndarray], np.ndarray, list[str]]:
    """Two systems whose errors are independent given the label: their product is the right posterior."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, n)
    clean = np.eye(CLASSES)[labels] * sure
    logits = [clean + rng.normal(0, np.sqrt(sure), (n, CLASSES)) for _ in range(2)]
    return logits, labels, [f"s{k % 4}" for k in range(n)]


def nll(p: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(p[np.arange(len(labels)), labels]).mean())


@pytest.mark.parametrize("method", METHODS)
def test_probabilities_and_an_order_of_systems_that_does_not_matter(method: str) -> None:
    logits, labels, speakers = systems()
    fitted = fit_method(method, logits, labels, speakers)
    p = fitted.probabilities(logits)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (p >= 0).all()
    other = fit_method(method, logits[::-1], labels, speakers).probabilities(logits[::-1])
    np.testing.assert_allclose(other, p, atol=1e-6)


def test_the_product_of_independent_experts_is_found() -> None:
    logits, labels, speakers = systems(n=2000)
    fitted = fit_method("product", logits, labels, speakers)
    # With this noise the likelihood of each system is exp(z), so both exponents are 1.
    assert fitted.chosen["exponents"] == pytest.approx([1, 1], abs=0.15)
    test, truth, _ = systems(seed=1, n=2000)
    best = apply_temperature(test[0] + test[1], 1.0)
    assert nll(fitted.probabilities(test), truth) == pytest.approx(nll(best, truth), abs=0.01)
    mean = fit_method("mean", logits, labels, speakers).probabilities(test)
    assert nll(fitted.probabilities(test), truth) < nll(mean, truth) - 0.02


def test_a_temperature_after_the_mean_sharpens_what_is_too_unsure() -> None:
    logits, labels, speakers = systems(n=2000)
    mean, after = (fit_method(name, logits, labels, speakers) for name in ("mean", "mean-temperature"))
    assert after.chosen["temperature_after"] < 1
    test, truth, _ = systems(seed=1, n=2000)
    one, other = mean.probabilities(test), after.probabilities(test)
    np.testing.assert_array_equal(one.argmax(axis=1), other.argmax(axis=1))
    assert abs(other.max(axis=1).mean() - (other.argmax(axis=1) == truth).mean()) < 0.03
    assert nll(other, truth) < nll(one, truth)


def test_vector_scaling_undoes_an_offset_of_a_class() -> None:
    logits, labels, speakers = systems(n=600)
    shifted = [logits[0] + np.array([3.0, 0, 0, 0]), logits[1]]
    for method in ("vector", "stacking"):
        fitted = fit_method(method, shifted, labels, speakers).probabilities(shifted)
        plain = fit_method("mean", shifted, labels, speakers).probabilities(shifted)
        assert (fitted.argmax(axis=1) == labels).mean() > (plain.argmax(axis=1) == labels).mean() + 0.01


@pytest.mark.parametrize("method", METHODS)
def test_a_system_without_a_prediction_leaves_the_others(method: str) -> None:
    logits, labels, speakers = systems()
    fitted = fit_method(method, logits, labels, speakers)
    whole = fitted.probabilities(logits)
    logits[0][3] = logits[0][5] = logits[1][5] = np.nan
    found = fitted.probabilities(logits)
    rest = [k for k in range(len(labels)) if k not in (3, 5)]
    np.testing.assert_array_equal(found[rest], whole[rest])
    np.testing.assert_allclose(found[3], apply_temperature(logits[1][3], fitted.base.temperatures[1]))
    assert np.isnan(found[5]).all()


def test_an_expert_that_knows_nothing_gets_no_negative_exponent() -> None:
    logits, labels, speakers = systems(n=400)
    fitted = fit_method("product", [logits[0], -logits[0] + logits[1] * 0.01], labels, speakers)
    assert min(fitted.chosen["exponents"]) >= 0


def test_what_cannot_be_fitted_says_why() -> None:
    logits, labels, speakers = systems()
    with pytest.raises(UsageError, match="did you mean 'stacking'"):
        fit_method("staking", logits, labels, speakers)
    logits[0][::2], logits[1][1::2] = np.nan, np.nan
    with pytest.raises(DataError, match="no validation row that every system predicted"):
        fit_method("product", logits, labels, speakers)
