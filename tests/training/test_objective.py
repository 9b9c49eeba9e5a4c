"""The losses of classes and dimensions against what they are by definition."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

torch = pytest.importorskip("torch")

from unheard.errors import UsageError  # noqa: E402
from unheard.metrics import dimensional  # noqa: E402
from unheard.training.gradients import Goal, add_gradients  # noqa: E402
from unheard.training.objective import (  # noqa: E402
    Loss,
    Objective,
    class_weights,
    concordance,
    cross_entropy,
    objective_of,
    squared_error,
)

C, D, N = 4, 2, 24


def outputs(seed: int = 0) -> torch.Tensor:
    drawn = torch.randn(N, C + D, generator=torch.Generator().manual_seed(seed))
    return torch.cat([drawn[:, :C], torch.sigmoid(drawn[:, C:])], dim=1)


def targets(seed: int = 1) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.dirichlet(np.ones(C), N), rng.uniform(0, 1, (N, D))], axis=1)
    values[3, :C] = np.nan
    values[5:8, C] = np.nan
    return torch.tensor(values, dtype=torch.float32)


def weights() -> torch.Tensor:
    found = class_weights(targets()[:, :C].double().numpy(), balanced=True)
    return torch.tensor(found, dtype=torch.float32)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_of_one_class_a_clip_it_is_the_weighted_cross_entropy_to_the_bit(smoothing: float) -> None:
    labels = torch.arange(N) % 3
    own = torch.tensor([0.7, 1.9, 1.0, 1.3])
    loss, grads = [], []
    for kind in ("shares", "labels"):
        scores = outputs()[:, :C].clone().requires_grad_()
        if kind == "shares":
            value = cross_entropy(scores, torch.nn.functional.one_hot(labels, C).float(), own, smoothing)
        else:
            each = torch.nn.functional.cross_entropy(
                scores, labels, reduction="none", label_smoothing=smoothing
            )
            value = (each * own[labels]).sum() / own[labels].sum()
        value.backward()  # type: ignore[no-untyped-call]
        loss.append(float(value.detach()))
        grads.append(scores.grad)
    assert loss[0] == loss[1]
    assert torch.equal(*grads)


def test_balanced_weights_give_every_class_the_same_total() -> None:
    shares = targets()[:, :C].double().numpy()
    found = class_weights(shares, balanced=True)
    totals = np.nansum(shares * found, axis=0)
    assert_allclose(totals, totals[0])
    assert_array_equal(class_weights(shares, balanced=False), 1.0)
    assert class_weights(np.eye(3)[[0, 0, 1]], balanced=True).tolist() == [0.5, 1.0, 0.0]


def test_shares_weigh_by_their_classes() -> None:
    scores, shares = outputs()[:, :C], targets()[:, :C]
    own = weights()
    logs, known = scores.log_softmax(1).numpy(), ~np.isnan(shares.numpy()).any(axis=1)
    weighted = (shares * own).numpy()[known]
    expected = -(weighted * logs[known]).sum() / weighted.sum()
    assert float(cross_entropy(scores, shares, own)) == pytest.approx(expected, rel=1e-5)


def test_concordance_is_that_of_the_metric_over_known_rows() -> None:
    found = concordance(outputs()[:, C:], targets()[:, C:]).numpy()
    for column in range(D):
        x, y = outputs()[:, C + column].numpy(), targets()[:, C + column].numpy()
        known = ~np.isnan(y)
        assert found[column] == pytest.approx(dimensional.ccc(x[known], y[known]), abs=1e-5)


def test_a_constant_truth_gives_neither_concordance_nor_gradient() -> None:
    predicted = outputs()[:, C:].clone().requires_grad_()
    truth = torch.full((N, D), 0.4)
    truth[:, 1] = torch.nan
    value = concordance(predicted, truth)
    assert_allclose(value.detach().numpy(), 0, atol=1e-6)
    value.sum().backward()
    assert_allclose(predicted.grad.numpy(), 0, atol=1e-5)


def test_squared_error_is_a_mean_over_dimensions_of_known_rows() -> None:
    x, y = outputs()[:, C:].numpy(), targets()[:, C:].numpy()
    expected = np.nanmean((x - y) ** 2, axis=0).mean()
    assert float(squared_error(outputs()[:, C:], targets()[:, C:])) == pytest.approx(expected, rel=1e-5)


KINDS = [(a, b) for a in ("cross_entropy", "ccc") for b in ("ccc", "mse")]


@pytest.mark.parametrize(("classes", "dimensions"), KINDS)
@pytest.mark.parametrize("size", [1, 5, 24])
def test_parts_have_the_loss_and_the_gradient_of_the_whole(classes: str, dimensions: str, size: int) -> None:
    loss = Loss(Objective(classes, dimensions), weights(), 0.1)
    goals = [Goal(0.3, targets(), targets()), Goal(0.7, targets(2), targets(2))]
    found = []
    for part in (N, size):
        torch.manual_seed(3)
        layer = torch.nn.Linear(C + D, C + D)
        values = outputs(4)

        def outputs_of(
            some: slice, layer: torch.nn.Module = layer, values: torch.Tensor = values
        ) -> torch.Tensor:
            drawn = layer(values[some])
            return torch.cat([drawn[:, :C], torch.sigmoid(drawn[:, C:])], dim=1)

        found.append((add_gradients(outputs_of, part, goals, loss), layer.weight.grad.clone()))
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-5)
    assert_allclose(found[1][1].numpy(), found[0][1].numpy(), atol=1e-6)


def test_two_passes_draw_the_same() -> None:
    loss = Loss(Objective("ccc", "ccc"), weights())
    seen = []

    def outputs_of(some: slice) -> torch.Tensor:
        drawn = torch.rand(len(range(*some.indices(N))), C + D)
        seen.append(drawn)
        return (drawn * torch.ones(1, requires_grad=True)).clamp(0.01, 0.99)

    add_gradients(outputs_of, 10, [Goal(1.0, targets(), targets())], loss)
    assert len(seen) == 6
    for first, second in zip(seen[:3], seen[3:], strict=True):
        assert torch.equal(first, second)


def test_classes_or_dimensions_alone_are_their_own_loss() -> None:
    none = torch.zeros(0)
    alone = Loss(Objective(), none)(outputs()[:, C:], targets()[:, C:])
    assert float(alone) == pytest.approx(float(1 - concordance(outputs()[:, C:], targets()[:, C:]).mean()))
    both = Loss(Objective(), weights())(outputs(), targets())
    classes = Loss(Objective(), weights())(outputs()[:, :C], targets()[:, :C])
    assert float(both) == pytest.approx(float(alone + classes), rel=1e-6)
    # Of CCC for both, the mean is over all outputs.
    predicted = outputs().clone()
    predicted[:, :C] = predicted[:, :C].softmax(1)
    one = Loss(Objective("ccc", "ccc"), weights())(outputs(), targets())
    assert float(one) == pytest.approx(float(1 - concordance(predicted, targets()).mean()), rel=1e-6)


def test_an_unknown_objective_is_refused() -> None:
    assert objective_of({"classes": "ccc"}) == Objective("ccc", "ccc")
    with pytest.raises(UsageError, match=r"unknown objective\.dimensions 'ccd'; did you mean 'ccc'"):
        objective_of({"dimensions": "ccd"})
    with pytest.raises(UsageError, match="key of the objective"):
        objective_of({"class": "ccc"})
