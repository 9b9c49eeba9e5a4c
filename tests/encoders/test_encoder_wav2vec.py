"""wav2vec (2019) against its equations in plain numpy, and checkpoints that hold more than they should."""

from __future__ import annotations

import math
import pickle
import zipfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from unheard import encoders
from unheard.encoders import fairseq
from unheard.errors import DataError, UsageError
from unheard.testing import toy_encoder

torch = pytest.importorskip("torch")

FEATURES = [(6, 10, 5), (8, 8, 4), (8, 4, 2), (8, 1, 1)]
CONTEXT = [(8, 2, 1), (8, 3, 1), (5, 4, 1)]
SETTINGS = {
    "arch": "wav2vec",
    "conv_feature_layers": "[(6, 10, 5), (8, 8, 4)] + [(8, 4, 2)] * 1 + [(8, 1, 1)]",
    "conv_aggregator_layers": str(CONTEXT),
    "log_compression": True,
    "skip_connections_agg": True,
    "skip_connections_feat": False,
    "residual_scale": 0.5,
    "prediction_steps": 12,
    "vq_type": "none",
}


class AverageMeter:
    """A meter of the training, as the owners' files hold them."""

    def __init__(self) -> None:
        self.sum, self.count = 3.0, 2


AverageMeter.__module__ = "fairseq.meters"


def owners_tensors(bias: bool = True) -> dict[str, np.ndarray]:
    """Tensors under the names that the owners' files have, with the published network's extra ones."""
    rng = np.random.default_rng(4)
    found: dict[str, np.ndarray] = {
        "wav2vec_predictions.project_to_steps.weight": rng.standard_normal((2, 2))
    }
    before = 1
    for k, (channels, kernel, _) in enumerate(FEATURES):
        place = f"feature_extractor.conv_layers.{k}"
        found[f"{place}.0.weight"] = rng.standard_normal((channels, before, kernel))
        found[f"{place}.2.weight"] = rng.uniform(0.5, 1.5, channels)
        found[f"{place}.2.bias"] = rng.standard_normal(channels)
        before = channels
    for k, (channels, kernel, _) in enumerate(CONTEXT):
        place = f"feature_aggregator.conv_layers.{k}"
        found[f"{place}.1.weight"] = rng.standard_normal((channels, before, kernel)) / 3
        if bias:
            found[f"{place}.1.bias"] = rng.standard_normal(channels)
        found[f"{place}.3.weight"] = rng.uniform(0.5, 1.5, channels)
        found[f"{place}.3.bias"] = rng.standard_normal(channels)
        if channels != before:
            found[f"feature_aggregator.residual_proj.{k}.weight"] = rng.standard_normal((channels, before, 1))
        before = channels
    return found


def write(path: Path, monkeypatch: pytest.MonkeyPatch | None = None, **settings: Any) -> Path:
    """Write a checkpoint as the owners' training does: settings as a namespace, tensors, the training's state."""
    said = {**SETTINGS, **settings}
    said = {key: value for key, value in said.items() if value is not None}
    model = {
        name: torch.tensor(x, dtype=torch.float32)
        for name, x in owners_tensors(not said.get("no_conv_bias")).items()
    }
    held: dict[str, Any] = {
        "args": Namespace(**said),
        "model": model,
        "optimizer_history": [{"num_updates": 7}],
    }
    if monkeypatch is not None:
        import sys
        import types

        module = types.ModuleType("fairseq.meters")
        module.AverageMeter = AverageMeter  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "fairseq", types.ModuleType("fairseq"))
        monkeypatch.setitem(sys.modules, "fairseq.meters", module)
        held["extra_state"] = {"train_meters": {"train_loss": AverageMeter()}}
    torch.save(held, path)
    if monkeypatch is not None:
        monkeypatch.undo()
    return path


def published(wave: np.ndarray, settings: dict[str, Any]) -> list[np.ndarray]:
    """Hidden states (frames, dims) by the equations of Schneider et al. and the owners' settings."""
    tensors = owners_tensors(not settings.get("no_conv_bias"))

    def convolved(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | float, stride: int) -> np.ndarray:
        kernel = weight.shape[2]
        starts = range(0, x.shape[1] - kernel + 1, stride)
        columns = [np.einsum("oik,ik->o", weight, x[:, t : t + kernel]) + bias for t in starts]
        return np.stack(columns, axis=1)

    def normalised(x: np.ndarray, place: str) -> np.ndarray:
        y = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
        return y * tensors[f"{place}.weight"][:, None] + tensors[f"{place}.bias"][:, None]

    def active(x: np.ndarray) -> np.ndarray:
        if settings.get("activation", "relu") == "relu":
            return np.maximum(x, 0)
        return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))

    x = wave[None].astype(np.float64)
    for k, (_, _, stride) in enumerate(FEATURES):
        place = f"feature_extractor.conv_layers.{k}"
        x = active(normalised(convolved(x, tensors[f"{place}.0.weight"], 0.0, stride), f"{place}.2"))
    if settings["log_compression"]:
        x = np.log(np.abs(x) + 1)
    states = [x]
    for k, (_, kernel, _) in enumerate(CONTEXT):
        place = f"feature_aggregator.conv_layers.{k}"
        first = np.zeros_like(x[:, :1]) if settings.get("agg_zero_pad") else x[:, :1]
        padded = np.concatenate([np.repeat(first, kernel - 1, axis=1), x], axis=1)
        bias = tensors.get(f"{place}.1.bias", 0.0)
        made = active(normalised(convolved(padded, tensors[f"{place}.1.weight"], bias, 1), f"{place}.3"))
        if settings["skip_connections_agg"]:
            projection = tensors.get(f"feature_aggregator.residual_proj.{k}.weight")
            kept = x if projection is None else projection[:, :, 0] @ x
            made = (made + kept) * math.sqrt(settings["residual_scale"])
        states.append(made)
        x = made
    return [state.T for state in states]


def load(path: Path, **settings: Any) -> Any:
    return encoders.load({"name": "wav2vec", "model": str(path), **settings})


def sound(samples: int, seed: int = 0) -> np.ndarray:
    return (0.3 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"log_compression": False, "residual_scale": 1.0},
        {"skip_connections_agg": False, "agg_zero_pad": True},
        {"activation": "gelu", "no_conv_bias": True},
    ],
)
def test_every_layer_is_what_the_equations_say(tmp_path: Path, settings: dict[str, Any]) -> None:
    encoder = load(write(tmp_path / "wav2vec.pt", **settings))
    waves = [sound(1000), sound(423, 1), sound(2201, 2)]
    for wave, states in zip(waves, encoder.extract(waves, range(4)), strict=True):
        expected = published(wave, {**SETTINGS, **settings})
        assert [state.shape for state in states] == [state.shape for state in expected]
        for found, right in zip(states, expected, strict=True):
            assert_allclose(found, right, rtol=2e-4, atol=2e-4 * np.abs(right).max())


def test_padding_would_change_every_frame_without_the_mask(tmp_path: Path) -> None:
    """The test above compares a batch of unequal lengths, so it must be able to tell."""
    encoder = load(write(tmp_path / "wav2vec.pt"))
    (alone,), (padded,) = encoder.extract([sound(423, 1), np.pad(sound(423, 1), (0, 1800))], [3])
    assert np.abs(padded[: len(alone)] - alone).min(axis=1).max() > 1e-3


def test_the_published_large_network_is_drawn_at_its_size() -> None:
    from unheard.encoders.wav2vec_network import Architecture

    large = Architecture()
    assert (large.hop, large.shortest) == (160, 465)
    assert [large.frames(n) for n in (0, 465, 624, 625, 16_000)] == [1, 1, 1, 2, 98]
    context = 1 + sum(kernel - 1 for _, kernel, _ in large.context)
    assert (len(large.context), context) == (12, 79)  # 12,945 samples: about 0.8 s


def test_training_state_and_newer_settings_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.pt", monkeypatch)
    assert b"AverageMeter" in zipfile.ZipFile(path).read("a/data.pkl")
    older = load(path).extract([sound(900)], [3])[0][0]
    tensors = {name: torch.tensor(x, dtype=torch.float32) for name, x in owners_tensors().items()}
    torch.save(
        {"args": None, "cfg": {"model": {"_name": "wav2vec", **SETTINGS}}, "model": tensors},
        tmp_path / "b.pt",
    )
    assert_allclose(load(tmp_path / "b.pt").extract([sound(900)], [3])[0][0], older)
    torch.save(
        {"args": Namespace(**SETTINGS), "model": tensors},
        tmp_path / "c.pt",
        _use_new_zipfile_serialization=False,  # as torch wrote in 2019
    )
    assert_allclose(load(tmp_path / "c.pt").extract([sound(900)], [3])[0][0], older)


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "run")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_malicious_pickle_is_refused_and_nothing_runs(tmp_path: Path, legacy: bool) -> None:
    trace = tmp_path / "trace.txt"
    held = {"args": Namespace(**SETTINGS), "model": {}, "extra_state": Malicious(trace)}
    torch.save(held, tmp_path / "wav2vec.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(DataError, match="nothing else is unpickled"):
        load(tmp_path / "wav2vec.pt")
    assert not trace.exists()
    pickle.loads(pickle.dumps(Malicious(trace)))
    assert trace.exists(), "the pickle was harmless, and the test showed nothing"


@pytest.mark.parametrize(
    "text",
    [
        "[(512, 10, 5)] + __import__('os').system('true')",
        "[(512, 10, x)]",
        "[(512, 10, 5)] * 10 ** 9",
        "[(512, 10, 5)] * 1000000000",
        "[(512, 10)]",
        "[(512, 10.5, 5)]",
        "[(999999999, 10, 5)]",
        "[]",
        "",
        "(" * 5000,
        None,
        [(512, 10, 5)],
    ],
)
def test_specifications_that_are_no_lists_of_layers(text: Any) -> None:
    with pytest.raises(DataError, match=r"conv_feature_layers.*expected"):
        fairseq.layers(text, "conv_feature_layers")


def test_sums_and_products_of_lists_are_layers() -> None:
    assert fairseq.layers("[(512, 10, 5)] + [(512, 4, 2)] * 2", "x") == [
        (512, 10, 5),
        (512, 4, 2),
        (512, 4, 2),
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"vq_type": "gumbel"}, "this is vq-wav2vec .*quantiser, which is not computed here"),
        ({"arch": "wav2vec2"}, "this is wav2vec2, another network"),
        ({"aggregator": "gru"}, "aggregator is 'gru'"),
        ({"skip_connections_feat": True}, "skip_connections_feat is True"),
        ({"log_compression": None}, "setting log_compression is None"),
        ({"residual_scale": 0}, "residual_scale is 0"),
        ({"activation": "tanh"}, "activation is 'tanh', expected one of relu, gelu"),
        ({"conv_aggregator_layers": "[(8, 2, 2)]"}, "strides other than 1"),
        (
            {"conv_aggregator_layers": "[(7, 2, 1)]"},
            r"conv_layers.0.1.weight is \(8, 8, 2\), expected \(7, 8, 2\)",
        ),
    ],
)
def test_other_networks_are_refused_with_the_reason(
    tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        load(write(tmp_path / "wav2vec.pt", **settings))


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"nothing of the kind" * 50)
    torch.save({"weights": torch.zeros(3)}, tmp_path / "b.pt")
    torch.save({"model": {}, "args": None}, tmp_path / "c.pt")
    said = {
        "a": "cannot be read as a checkpoint",
        "b": "expected a mapping with 'model'",
        "c": "neither 'args' nor",
    }
    for name, why in said.items():
        with pytest.raises(DataError, match=why):
            load(tmp_path / f"{name}.pt")
    with pytest.raises(DataError, match="expected one checkpoint"):
        load(tmp_path)
    with pytest.raises(UsageError, match="takes the owners' checkpoint"):
        load(tmp_path / "none.pt")
    with pytest.raises(UsageError, match="not a hub name"):
        load(toy_encoder(tmp_path / "toy", "wav2vec"), revision="main")
