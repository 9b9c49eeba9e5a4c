"""The convolutional head: its equations in numpy, its loss, crops and mixtures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from one_input import clips_of, examples, outputs_of
from unheard.errors import UsageError
from unheard.heads import Examples
from unheard.heads.networks.convolutional import Convolutional

torch = pytest.importorskip("torch")

from unheard.heads.networks.convolutional_network import ConvolutionalNetwork  # noqa: E402
from unheard.training.augmentation import mixed  # noqa: E402
from unheard.training.batches import Batches, cropped, padded  # noqa: E402

DIMS = 4


def clips(seed: int, n: int = 24, dims: int = DIMS) -> Examples:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    features = []
    for label in labels:
        clip = rng.normal(0, 1, (int(rng.integers(1, 12)), dims)) * 3 + 5
        clip[:, label] += 4
        features.append(clip.astype(np.float32))
    return examples(features, labels.astype(np.int64), np.array([f"s{i % 4}" for i in range(n)]), 3)


def network(seed: int = 0) -> Any:
    """A network with every number drawn, as if it had learned."""
    torch.manual_seed(seed)
    made = ConvolutionalNetwork(DIMS, 2, channels=5, attention=3)
    for name, value in made.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.randn_like(value).abs() + 0.5 if "scale" in name or "var" in name
                        else torch.randn_like(value))  # fmt: skip
    return made.eval()


def one(made: Any, clip: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return made.score(*padded([clip.astype(np.float32)]))[0].numpy()


def convolved(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, dilation: int) -> np.ndarray:
    around = np.pad(x, ((dilation, dilation), (0, 0)))
    return sum(
        around[k * dilation : k * dilation + len(x)] @ kernel[:, :, k].T for k in range(3)
    ) + bias  # fmt: skip


def test_equals_the_equations_written_in_numpy() -> None:
    made = network()
    w = {name: value.numpy().astype(float) for name, value in made.state_dict().items()}
    clip = np.random.default_rng(0).normal(3, 2, (7, DIMS))
    x = (clip - w["mean"]) / w["scale"]
    x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    h = np.maximum(0, convolved(x, w["near.weight"], w["near.bias"], 1))
    h = h + np.maximum(0, convolved(h, w["far.weight"], w["far.bias"], 2))
    energy = np.tanh(h @ w["pool.projection.weight"].T + w["pool.projection.bias"])
    energy = energy @ w["pool.direction.weight"][0]
    alpha = np.exp(energy) / np.exp(energy).sum()
    mean = alpha @ h
    pooled = np.concatenate([mean, np.sqrt(np.maximum(alpha @ h**2 - mean**2, 1e-6))])
    pooled = (pooled - w["norm.running_mean"]) / np.sqrt(w["norm.running_var"] + 1e-5)
    pooled = pooled * w["norm.weight"] + w["norm.bias"]
    assert_allclose(one(made, clip), w["output.weight"] @ pooled + w["output.bias"], rtol=1e-4, atol=1e-4)


def test_padding_never_leaks_whatever_it_holds() -> None:
    made = network(1)
    features = clips_of(clips(0))
    frames, lengths = padded(features)
    beyond = torch.arange(frames.shape[1])[None, :, None] >= lengths[:, None, None]
    with torch.no_grad():
        alone = torch.cat([made.score(*padded([clip])) for clip in features])
        for garbage in (0.0, 1e4, float("nan"), float("inf")):
            spoiled = torch.where(beyond, torch.full_like(frames, garbage), frames)
            assert_allclose(made.score(spoiled, lengths).numpy(), alone.numpy(), rtol=1e-4, atol=1e-4)
        longer = torch.nn.functional.pad(frames, (0, 0, 0, 9))
        assert_allclose(made.score(longer, lengths).numpy(), alone.numpy(), rtol=1e-4, atol=1e-4)


def test_frames_are_standardised_by_the_training_frames() -> None:
    rows = clips(0)
    head = Convolutional(channels=4, epochs=1).fit(rows, clips(1))
    frames = np.concatenate(clips_of(rows))
    assert_allclose(head.network_.mean.numpy(), frames.mean(axis=0), rtol=1e-5)
    assert_allclose(head.network_.scale.numpy(), frames.std(axis=0), rtol=1e-5)


def test_a_batch_of_one_clip_can_be_learned_from() -> None:
    rows = clips(0, 13)
    head = Convolutional(channels=4, batch=4, epochs=2).fit(rows, clips(1))
    assert np.isfinite(outputs_of(head, clips_of(rows))).all()


@pytest.mark.parametrize("balanced", [True, False])
def test_the_loss_is_smoothed_and_weighs_classes_or_clips(balanced: bool) -> None:
    rows = clips(0, 12)
    labels = np.array([0] * 8 + [1] * 3 + [2])
    uneven = examples([np.repeat(clip, 5, axis=0) for clip in clips_of(rows)], labels, rows.speakers, 3)
    head = Convolutional(
        channels=4, batch=12, epochs=1, learning_rate=1e-8, dropout=0.0, crop=1.0, balanced=balanced
    ).fit(uneven, uneven)
    # As the only step saw it: batch norm by the batch's own statistics.
    head.network_.train()
    with torch.no_grad():
        z = head.network_.score(*padded(clips_of(uneven))).double().numpy()
    logs = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    target = np.full((12, 3), 0.1 / 3)
    target[np.arange(12), labels] += 0.9
    loss = -(target * logs).sum(axis=1)
    expected = np.mean([loss[labels == c].mean() for c in range(3)]) if balanced else loss.mean()
    assert head.history_[0]["train_loss"] == pytest.approx(expected, abs=1e-4)


def test_clips_are_cropped_in_training_and_never_otherwise() -> None:
    clip = np.arange(100, dtype=np.float32)[:, None] * np.ones(3, np.float32)
    rng = np.random.default_rng(0)
    starts, lengths = [], []
    for _ in range(500):
        piece = cropped(clip, 0.6, rng)
        assert_array_equal(np.diff(piece[:, 0]), 1)
        starts.append(piece[0, 0])
        lengths.append(len(piece))
    assert 60 <= min(lengths) < 65
    assert 95 < max(lengths) <= 100
    assert min(starts) == 0
    assert max(starts) > 30
    assert len(cropped(clip[:1], 0.6, rng)) == 1
    rows = examples([clip] * 4, np.array([0, 1, 0, 1]), np.array(list("abcd")), 2)
    for generator, whole in ((None, True), (np.random.default_rng(0), False)):
        found = [
            batch["lengths"]["voice"].tolist()
            for batch in Batches(rows, ["voice"], {"voice": [100] * 4}, 2, generator, 0.5)
        ]
        assert (found == [[100, 100]] * 2) is whole


def test_a_mixture_has_both_clips_in_their_shares() -> None:
    frames = torch.full((2, 3, 2), 8.0)
    frames[1] = 4.0
    lengths = torch.tensor([1, 3])
    found, length = mixed(frames, lengths, 0.25, torch.tensor([1, 0]))
    assert length.tolist() == [3, 3]
    # Beyond its single frame the first clip is 0.
    assert found[0, :, 0].tolist() == [0.25 * 8 + 0.75 * 4, 3.0, 3.0]
    assert found[1, :, 0].tolist() == [0.25 * 4 + 0.75 * 8, 1.0, 1.0]


def test_mixed_precision_learns_nearly_the_same_and_answers_in_float32() -> None:
    settings: dict[str, Any] = {
        "channels": 4,
        "epochs": 1,
        "batch": 24,
        "learning_rate": 1e-8,
        "dropout": 0.0,
    }
    whole = Convolutional(**settings).fit(clips(0), clips(1))
    mixed_ = Convolutional(**settings, precision="bfloat16").fit(clips(0), clips(1))
    losses = [head.history_[0]["train_loss"] for head in (whole, mixed_)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert {value.dtype for value in mixed_.network_.parameters()} == {torch.float32}
    with pytest.raises(UsageError, match=r"unknown head\.precision 'half'"):
        Convolutional(precision="half")


def test_augmentation_changes_the_training_and_no_answer() -> None:
    settings: dict[str, Any] = {"channels": 4, "epochs": 2, "batch": 8, "seed": 3}
    plain = Convolutional(**settings, crop=1.0).fit(clips(0), clips(1))
    for change in ({"crop": 0.5}, {"mixup": 1.0}, {"time_mask": 0.5}, {"smoothing": 0.3}):
        head = Convolutional(**{**settings, "crop": 1.0, **change}).fit(clips(0), clips(1))
        assert head.history_ != plain.history_, change
        assert_array_equal(outputs_of(head, clips_of(clips(2))), outputs_of(head, clips_of(clips(2))))
