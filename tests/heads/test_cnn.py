"""The convolutional networks over spectrograms and samples: their equations, and what padding may not do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from one_input import examples, outputs_of
from unheard import heads

torch = pytest.importorskip("torch")

from unheard.heads.networks.cnn_network import (  # noqa: E402
    CNNNetwork,
    ValidBatchNorm,
    over_samples,
    over_spectrogram,
)
from unheard.training.batches import padded  # noqa: E402

#: Values of a frame and the network over them; 20 samples are strides of 5 and 4.
KINDS: dict[str, tuple[int, dict[str, Any]]] = {
    "spectrogram": (6, {"layers": over_spectrogram(8)}),
    "waveform": (20, {"layers": over_samples(4, 20), "samples": True}),
}


def network(kind: str) -> Any:
    """A network with every number drawn, as if it had learned."""
    dims, settings = KINDS[kind]
    torch.manual_seed(0)
    made = CNNNetwork(dims, classes=3, attention=5, **settings)
    for name, value in made.state_dict().items():
        if value.is_floating_point():
            drawn = torch.randn_like(value)
            value.copy_(drawn.abs() + 0.5 if "scale" in name or "var" in name else 0.5 * drawn)
    return made.eval()


def equations(made: Any, clip: np.ndarray) -> np.ndarray:
    """The network step by step in numpy, on a clip alone."""
    w = {name: value.numpy().astype(float) for name, value in made.state_dict().items()}
    standard = (clip - w["mean"]) / w["scale"]
    x = standard.reshape(1, -1, 1) if made.samples else standard[None]
    for k, layer in enumerate(made.layers_):
        kernel, (time, high), (step, across) = w[f"convolutions.{k}.weight"], layer.kernel, layer.stride
        around = np.pad(x, ((0, 0), ((time - 1) // 2, time // 2), ((high - 1) // 2, high // 2)))
        rows, columns = -(-x.shape[1] // step), -(-x.shape[2] // across)
        made_rows = np.empty((layer.channels, rows, columns))
        for t in range(rows):
            for f in range(columns):
                piece = around[:, t * step : t * step + time, f * across : f * across + high]
                made_rows[:, t, f] = (kernel * piece).sum(axis=(1, 2, 3))
        sd = np.sqrt(w[f"norms.{k}.running_var"] + 1e-5)
        normed = (made_rows - w[f"norms.{k}.running_mean"][:, None, None]) / sd[:, None, None]
        x = np.maximum(
            0, normed * w[f"norms.{k}.weight"][:, None, None] + w[f"norms.{k}.bias"][:, None, None]
        )
    h = x.transpose(1, 0, 2).reshape(x.shape[1], -1)
    energy = (
        np.tanh(h @ w["pool.projection.weight"].T + w["pool.projection.bias"]) @ w["pool.direction.weight"][0]
    )
    alpha = np.exp(energy - energy.max())
    alpha /= alpha.sum()
    mean = alpha @ h
    pooled = np.concatenate([mean, np.sqrt(np.maximum(alpha @ h**2 - mean**2, 1e-6))])
    return np.asarray(w["output.weight"] @ pooled + w["output.bias"])


@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_equations_alone_and_padded_with_anything(kind: str) -> None:
    made, rng = network(kind), np.random.default_rng(1)
    clips = [rng.normal(1, 2, (length, made.dims)).astype(np.float32) for length in (9, 4, 13, 1)]
    frames, lengths = padded(clips)
    beyond = torch.arange(frames.shape[1])[None, :, None] >= lengths[:, None, None]
    expected = np.stack([equations(made, clip) for clip in clips])
    with torch.no_grad():
        for garbage in (0.0, 1e4, float("nan")):
            found = made.score(torch.where(beyond, torch.full_like(frames, garbage), frames), lengths)
            assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-3)


def test_strides_lead_from_samples_to_frames() -> None:
    layers = over_samples(64, 160)
    assert [layer.stride[0] for layer in layers] == [5, 4, 4, 2, 1]
    assert [layer.kernel[0] for layer in layers] == [80, 8, 8, 4, 3]
    for dims in (1, 7, 12, 160, 441):
        assert np.prod([layer.stride[0] for layer in over_samples(8, dims)]) == dims


def test_norms_learn_from_valid_places_alone() -> None:
    norm, rng = ValidBatchNorm(2).train(), np.random.default_rng(0)
    x = torch.tensor(rng.normal(3, 2, (2, 2, 5, 3)), dtype=torch.float32)
    own = torch.tensor([5, 2])[:, None] > torch.arange(5)
    x[1, :, 2:] = 1e6
    norm.masked(x, own[:, None, :, None])
    values = np.concatenate([x[0].numpy().reshape(2, -1), x[1, :, :2].numpy().reshape(2, -1)], axis=1)
    assert_allclose(norm.running_mean.numpy(), 0.1 * values.mean(axis=1), rtol=1e-5)
    assert_allclose(norm.running_var.numpy(), 0.9 + 0.1 * values.var(axis=1, ddof=1), rtol=1e-5)


def test_a_pitch_is_learned_from_samples() -> None:
    """Tones of three pitches at random phases: no row of samples has a mean that tells them apart."""

    def clips(seed: int) -> Any:
        rng, labels = np.random.default_rng(seed), np.arange(36) % 3
        features = []
        for label in labels:
            time = np.arange(160 * int(rng.integers(12, 25))) / 16_000
            wave = np.sin(2 * np.pi * (150 * 2**label * time + rng.uniform()))
            noisy = wave + rng.normal(0, 0.3, len(time))
            features.append(noisy.reshape(-1, 160).astype(np.float32))
        return examples(features, labels, np.array([f"{seed}-{i % 4}" for i in range(36)]), 3)

    settings = {
        "name": "waveform_cnn",
        "channels": 8,
        "attention": 4,
        "epochs": 12,
        "batch": 6,
        "learning_rate": 1e-2,
    }
    head = heads.build(settings).fit(clips(0), clips(1))
    test = clips(2)
    assert (outputs_of(head, test.inputs["voice"]).argmax(axis=1) == test.labels).mean() > 0.9
