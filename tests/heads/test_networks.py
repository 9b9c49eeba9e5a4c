"""The networks on encoders' output against numpy, and how they are trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from one_input import clips_of, examples, outputs_of
from unheard import heads
from unheard.errors import DataError, UsageError
from unheard.heads import Examples
from unheard.heads.networks.emobox import EmoBox
from unheard.heads.networks.mean import Mean
from unheard.heads.networks.network_head import Size
from unheard.heads.networks.weighted import Weighted
from unheard.metrics import categorical

torch = pytest.importorskip("torch")

from unheard.heads.networks.mean_network import MeanNetwork  # noqa: E402
from unheard.heads.networks.weighted_network import WeightedNetwork  # noqa: E402
from unheard.training.batches import padded  # noqa: E402
from unheard.training.schedule import share  # noqa: E402
from unheard.training.stored import Plan, train  # noqa: E402

LAYERS, DIMS = 3, 4


def layers(seed: int, n: int = 24, knows: int = 1, strength: float = 1.0) -> Examples:
    """Clips (layers, frames, dims): one layer says the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    features = []
    for label in labels:
        clip = rng.normal(0, 1, (LAYERS, int(rng.integers(1, 12)), DIMS))
        clip[knows, :, label] += strength
        features.append(clip.astype(np.float32))
    return examples(features, labels.astype(np.int64), np.array([f"s{i % 4}" for i in range(n)]), 3)


def frames(seed: int, n: int = 24, strength: float = 1.0) -> Examples:
    rows = layers(seed, n, strength=strength)
    return examples([clip[1] for clip in clips_of(rows)], rows.labels, rows.speakers, 3)


def numbers(network: Any) -> dict[str, np.ndarray]:
    return {name: value.numpy().astype(float) for name, value in network.state_dict().items()}


def one(network: Any, clip: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return network.score(*padded([clip.astype(np.float32)]))[0].numpy()


@pytest.mark.parametrize("normalise", [False, True])
def test_layer_weights_and_attentive_statistics_are_the_equations(normalise: bool) -> None:
    torch.manual_seed(0)
    network = WeightedNetwork(DIMS, 2, LAYERS, normalise=normalise, attention=5, hidden=6).eval()
    assert_array_equal(network.weights.detach().numpy(), 0.0)
    with torch.no_grad():
        network.weights.copy_(torch.tensor([0.5, -1.0, 2.0]))
    w = numbers(network)
    clip = np.random.default_rng(0).normal(3, 2, (LAYERS, 7, DIMS))
    x = clip
    if normalise:
        x = (x - x.mean(axis=2, keepdims=True)) / np.sqrt(x.var(axis=2, keepdims=True) + 1e-5)
    shares = np.exp(w["weights"]) / np.exp(w["weights"]).sum()
    h = sum(share * entry for share, entry in zip(shares, x, strict=True))
    energy = np.tanh(h @ w["pool.projection.weight"].T + w["pool.projection.bias"])
    energy = energy @ w["pool.direction.weight"][0]
    alpha = np.exp(energy) / np.exp(energy).sum()
    mean = alpha @ h
    sd = np.sqrt(np.maximum(alpha @ h**2 - mean**2, 1e-6))
    hidden = np.maximum(0, w["hidden.weight"] @ np.concatenate([mean, sd]) + w["hidden.bias"])
    assert_allclose(one(network, clip), w["output.weight"] @ hidden + w["output.bias"], atol=1e-5)


def test_one_frame_has_the_least_deviation_and_a_gradient() -> None:
    network = WeightedNetwork(DIMS, 2, LAYERS).eval()
    network.score(*padded([np.ones((LAYERS, 1, DIMS), np.float32)])).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize("hidden", [None, 5])
def test_the_mean_is_over_valid_frames_after_their_layer(hidden: int | None) -> None:
    torch.manual_seed(0)
    network = MeanNetwork(DIMS, 2, hidden=hidden).eval()
    w = numbers(network)
    x = clip = np.random.default_rng(0).normal(0, 1, (7, DIMS))
    if hidden is not None:
        x = np.maximum(0, clip @ w["frame.weight"].T + w["frame.bias"])
    assert_allclose(one(network, clip), w["output.weight"] @ x.mean(axis=0) + w["output.bias"], atol=1e-6)


def test_has_the_published_number_of_parameters() -> None:
    # WavLM-large: 25 weights, attention 1024 → 128 → 1, 2048 → 256 → 8; EmoBox: 768 → 128 → 8.
    weighted = WeightedNetwork(1024, 8, 25)
    assert sum(p.numel() for p in weighted.parameters()) == 25 + 1024 * 128 + 128 + 128 + 2049 * 256 + 257 * 8
    emobox = EmoBox().network({"voice": Size(768, 1)}, 8)
    assert sum(p.numel() for p in emobox.parameters()) == 769 * 128 + 129 * 8


@pytest.mark.parametrize("name", ["weighted", "emobox", "mean"])
def test_padding_never_leaks_whatever_it_holds(name: str) -> None:
    torch.manual_seed(1)
    network: Any = heads.build({"name": name}).network({"voice": Size(DIMS, LAYERS)}, 3).eval()  # type: ignore[attr-defined]
    features = clips_of((layers if name == "weighted" else frames)(0))
    stacked, lengths = padded(features)
    beyond = torch.arange(stacked.shape[-2])[None, :] >= lengths[:, None]
    beyond = beyond[:, None, :, None] if name == "weighted" else beyond[:, :, None]
    with torch.no_grad():
        alone = torch.cat([network.score(*padded([clip])) for clip in features])
        for garbage in (0.0, 1e4, float("nan"), float("inf")):
            spoiled = torch.where(beyond, torch.full_like(stacked, garbage), stacked)
            assert_allclose(network.score(spoiled, lengths).numpy(), alone.numpy(), atol=1e-5)


def test_the_entry_that_knows_gains_weight() -> None:
    head = Weighted(attention=4, hidden=8, learning_rate=0.03, patience=25).fit(layers(0, 48), layers(1))
    shares = head.learned_["layer_weights"]
    assert sum(shares) == pytest.approx(1, abs=1e-6)
    assert np.argmax(shares) == 1
    assert max(shares) > 0.4
    again = Weighted.from_state(head.state())
    assert again.learned_ == head.learned_
    with pytest.raises(UsageError, match="not fitted"):
        _ = Weighted().learned_


def test_the_weighted_head_keeps_the_epoch_of_the_highest_macro_f1() -> None:
    val = layers(1, 15)
    head = Weighted(attention=4, hidden=8, learning_rate=0.01, epochs=12, patience=3, batch=8)
    head.fit(layers(0), val)
    best = head.chosen_["epochs"] - 1
    scores = [(r["val_macro_f1"], -r["val_loss"]) for r in head.history_]
    assert scores[best] == max(scores)
    assert len(head.history_) - 1 == min(11, best + 3)
    counts = categorical.confusion(val.labels, outputs_of(head, clips_of(val)).argmax(axis=1), 3)
    assert float(categorical.macro_f1(counts)) == head.history_[best]["val_macro_f1"]


def test_emobox_runs_all_epochs_and_looks_at_no_validation_rows() -> None:
    settings: dict[str, Any] = {"hidden": 6, "epochs": 5, "learning_rate": 0.01}
    head = EmoBox(**settings).fit(frames(0))
    assert head.chosen_ == {"epochs": 5}
    assert [set(record) for record in head.history_] == [{"epoch", "train_loss"}] * 5
    seen = clips_of(frames(2))
    assert_array_equal(outputs_of(EmoBox(**settings).fit(frames(0), frames(1)), seen), outputs_of(head, seen))
    # The last epoch stays: one more gives another network.
    assert (
        np.abs(
            outputs_of(EmoBox(**{**settings, "epochs": 6}).fit(frames(0)), seen) - outputs_of(head, seen)
        ).max()
        > 0
    )


def test_emobox_weighs_clips_and_the_others_weigh_classes() -> None:
    rows = frames(0, 12)
    labels = np.array([0] * 8 + [1] * 3 + [2])
    uneven = examples(clips_of(rows), labels, rows.speakers, 3)
    for head, by_class in (
        (EmoBox(epochs=1, batch=12, learning_rate=1e-8), False),
        (Mean(epochs=1, batch=12, learning_rate=1e-8, dropout=0.0), True),
    ):
        z = outputs_of(head.fit(uneven, uneven), clips_of(uneven))
        loss = np.log(np.exp(z).sum(axis=1)) - z[np.arange(12), labels]
        expected = np.mean([loss[labels == c].mean() for c in range(3)]) if by_class else loss.mean()
        assert head.history_[0]["train_loss"] == pytest.approx(expected, abs=1e-5)


class Spy(torch.nn.Module):
    """One weight, whose gradient is that of a plain logistic regression on the first frame."""

    dims, layers = DIMS, 1

    def __init__(self) -> None:
        super().__init__()
        self.output = torch.nn.Linear(DIMS, 3)

    def forward(self, inputs: Any, lengths: Any) -> Any:
        return self.output(inputs["voice"][:, 0])


def trained(monkeypatch: pytest.MonkeyPatch, plan: Plan, epochs: int) -> list[tuple[float, float]]:
    """Learning rate, and norm of the gradient, at every step."""
    from unheard.training.batches import Batches

    seen = []
    real = torch.optim.AdamW.step

    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        (group,) = self.param_groups
        norm = torch.sqrt(sum((p.grad**2).sum() for p in group["params"]))
        seen.append((group["lr"], float(norm)))
        return real(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    rows = frames(0)
    batches = Batches(
        rows, ["voice"], {"voice": [len(clip) for clip in clips_of(rows)]}, 8, np.random.default_rng(0)
    )
    train(Spy(), batches, None, plan, epochs)
    return seen


def test_the_rate_rises_and_falls_as_a_cosine_and_gradients_are_clipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = Plan(
        epochs=10, learning_rate=0.5, device="cpu", metric=None, weight_decay=0.1, warmup=0.1, clip=1e-3
    )
    seen = trained(monkeypatch, plan, 10)
    assert_allclose([rate for rate, _ in seen], [0.5 * share(k, 30, 0.1, "cosine") for k in range(30)])
    assert_allclose([norm for _, norm in seen], 1e-3, rtol=1e-3)
    rates = [rate for rate, _ in seen]
    assert max(rates) == rates[2] == 0.5
    assert rates[:3] == sorted(rates[:3])
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert rates[16] == pytest.approx(0.25, abs=0.02)
    # Fewer epochs, as a refit runs them, are the first of these.
    assert [rate for rate, _ in trained(monkeypatch, plan, 3)] == rates[:9]


def test_without_warm_up_and_clip_neither_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan(epochs=2, learning_rate=0.01, device="cpu", metric=None, weight_decay=0.0)
    seen = trained(monkeypatch, plan, 2)
    assert {rate for rate, _ in seen} == {0.01}
    assert max(norm for _, norm in seen) > 0.01


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="head 'weighted' chooses its epoch on validation speakers"):
        Weighted().fit(layers(0))
    with pytest.raises(UsageError, match=r"needs frame features \(layers, frames, dims\)"):
        Weighted().fit(frames(0), frames(1))
    with pytest.raises(UsageError, match=r"needs frame features \(frames, dims\), and these are \(3, "):
        EmoBox().fit(layers(0))
    few = [clip[:-1] for clip in clips_of(layers(1))]
    head = Weighted(attention=2, hidden=3, epochs=1).fit(layers(0), layers(1))
    with pytest.raises(DataError, match="trained on 3 layers of an encoder, and these features have 2"):
        outputs_of(head, few)
    with pytest.raises(DataError, match="trained on 3 layers"):
        Weighted(epochs=1).fit(layers(0), examples(few, layers(1).labels, layers(1).speakers, 3))
    with pytest.raises(UsageError, match=r"head\.warmup must be in 0 … 1"):
        Weighted(warmup=2.0)
    with pytest.raises(UsageError, match=r"head\.normalise is 1, expected true or false"):
        heads.build({"name": "weighted", "normalise": 1})
