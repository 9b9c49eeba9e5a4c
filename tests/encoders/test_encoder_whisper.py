"""Whisper's encoder: equal to Transformers', alone and in batches, cut, in both modes; bad input refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperModel

from unheard import encoders
from unheard.encoders.families.whisper import cosine_to_30s
from unheard.errors import DataError, UnheardError, UsageError
from unheard.testing import toy_encoder

torch.set_num_threads(1)


def wave(seconds: float, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(round(seconds * 16_000)) * 0.1).astype(np.float32)


def write(folder: Path, kind: type = WhisperModel, **changes: object) -> dict:
    """A tiny checkpoint as Transformers writes it, windows of 2 s."""
    torch.manual_seed(3)
    sizes: dict = {
        "d_model": 24,
        "encoder_layers": 3,
        "encoder_attention_heads": 3,
        "encoder_ffn_dim": 40,
        "decoder_layers": 1,
        "decoder_attention_heads": 3,
        "decoder_ffn_dim": 40,
        "max_source_positions": 100,
        "vocab_size": 8,
        "pad_token_id": 0,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "decoder_start_token_id": 0,
        "init_std": 0.2,
    }
    config = WhisperConfig(**{**sizes, **changes})
    kind(config).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=config.num_mel_bins, chunk_length=2).save_pretrained(folder)
    return {"name": "whisper", "model": str(folder)}


def theirs(folder: str, samples: np.ndarray) -> list[np.ndarray]:
    model = WhisperModel.from_pretrained(folder).eval()
    mels = WhisperFeatureExtractor.from_pretrained(folder)(samples, sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        states = model.encoder(mels["input_features"], output_hidden_states=True).hidden_states
    return [state[0].numpy() for state in states]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [(WhisperModel, {}), (WhisperForConditionalGeneration, {"num_mel_bins": 128})],
)
def test_equals_transformers(tmp_path: Path, kind: type, changes: dict) -> None:
    settings = write(tmp_path / "m", kind, **changes)
    encoder = encoders.load(settings)
    for samples in (wave(1.37), wave(2.0, 1)):
        found = encoder.extract([samples], range(4))[0]
        expected = theirs(settings["model"], samples)
        kept = -(-len(samples) // 320)
        assert encoder.frames(len(samples)) == (kept,) * 4
        for ours, state in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, state[:kept], atol=2e-5, rtol=1e-4)
    assert (tuple(layer.name for layer in encoder.layers), encoder.rate) == (("0", "1", "2", "3"), 16_000)
    assert (tuple(layer.dims for layer in encoder.layers), tuple(layer.rate for layer in encoder.layers)) == (
        (24,) * 4,
        (50.0,) * 4,
    )


@pytest.mark.parametrize("mode", ["30s", "trimmed"])
def test_a_clip_alone_equals_a_clip_in_any_batch(tmp_path: Path, mode: str) -> None:
    encoder = encoders.load({**write(tmp_path / "m"), "mode": mode})
    clips = [wave(0.7, 1), wave(0.01, 2), wave(1.9, 3), wave(0.7, 4), wave(4.3, 5)]
    together = encoder.extract(clips, [3, 1])
    padded = np.zeros((len(clips), max(map(len, clips))), dtype=np.float32)
    for row, clip in zip(padded, clips, strict=True):
        row[: len(clip)] = clip
    lengths = torch.tensor([len(clip) for clip in clips])
    entries, counts = encoder.network(torch.from_numpy(padded), lengths, [3, 1])  # type: ignore[attr-defined]
    assert counts.tolist() == [-(-len(clip) // 320) for clip in clips]
    for b, clip in enumerate(clips):
        for k, alone in enumerate(encoder.extract([clip], [3, 1])[0]):
            np.testing.assert_allclose(together[b][k], alone, atol=1e-5, rtol=1e-4)
            np.testing.assert_allclose(entries[k][b, : len(alone)].numpy(), alone, atol=1e-5, rtol=1e-4)
            assert not entries[k][b, len(alone) :].any()


def test_trimmed_hears_the_clip_alone_with_the_first_positions(tmp_path: Path) -> None:
    settings = write(tmp_path / "m")
    samples = wave(1.28)
    found = encoders.load({**settings, "mode": "trimmed"}).extract([samples], range(4))[0]
    # A checkpoint whose window is the clip: the same weights, fewer positions.
    short = Path(write(tmp_path / "short", max_source_positions=64)["model"])
    state = load_file(Path(settings["model"]) / "model.safetensors")
    state["encoder.embed_positions.weight"] = state["encoder.embed_positions.weight"][:64].clone()
    save_file(state, short / "model.safetensors", metadata={"format": "pt"})
    model = WhisperModel.from_pretrained(short).eval()
    extractor = WhisperFeatureExtractor.from_pretrained(short)
    mels = extractor(samples, sampling_rate=16_000, return_tensors="pt", padding=False)["input_features"]
    with torch.inference_mode():
        expected = model.encoder(mels, output_hidden_states=True).hidden_states
    for ours, state in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, state[0].numpy(), atol=2e-5, rtol=1e-4)


def test_the_distance_between_the_modes_is_reported(tmp_path: Path) -> None:
    settings = write(tmp_path / "m")
    clips = [wave(1.0, 1), wave(0.33, 2)]
    whole, own = (encoders.load({**settings, "mode": mode}) for mode in ("30s", "trimmed"))
    found = cosine_to_30s(own, clips)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found, cosine_to_30s(whole, clips))  # type: ignore[arg-type]
    for entry in range(4):
        a, b = (np.concatenate([clip[0] for clip in e.extract(clips, [entry])]) for e in (whole, own))
        expected = ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).mean()
        assert found[entry] == pytest.approx(expected, abs=1e-6)
    assert found[0] > 0.98
    assert found.max() < 1.0
    full = [wave(2.0, 3)]
    np.testing.assert_allclose(cosine_to_30s(own, full), 1.0, atol=1e-6)  # type: ignore[arg-type]


def test_frames_are_counted_up_or_down(tmp_path: Path) -> None:
    settings = write(tmp_path / "m")
    up, down = encoders.load(settings), encoders.load({**settings, "rounding": "floor"})
    for samples, expected in ((0, (1, 1)), (100, (1, 1)), (640, (2, 2)), (641, (3, 2)), (32_001, (101, 100))):
        found = [
            e.extract([wave(1.0)[:0] if samples == 0 else wave(samples / 16_000)], [2])[0][0]
            for e in (up, down)
        ]
        assert tuple(map(len, found)) == (up.frames(samples)[0], down.frames(samples)[0]) == expected
        np.testing.assert_array_equal(found[0][: len(found[1])], found[1])


def test_long_clips_are_consecutive_windows(tmp_path: Path) -> None:
    encoder = encoders.load(write(tmp_path / "m"))
    samples = wave(5.1)
    found = encoder.extract([samples], [3])[0][0]
    parts = [encoder.extract([samples[start : start + 32_000]], [3])[0][0] for start in (0, 32_000, 64_000)]
    np.testing.assert_allclose(found, np.concatenate(parts), atol=1e-5)
    assert len(found) == encoder.frames(len(samples))[0] == 255


def test_cut_gives_the_entries_below_and_reads_nothing_above(tmp_path: Path) -> None:
    settings = write(tmp_path / "m")
    whole, cut = encoders.load(settings), encoders.load({**settings, "cut": 2})
    for entry in range(3):
        np.testing.assert_array_equal(
            cut.extract([wave(1.0)], [entry])[0][0], whole.extract([wave(1.0)], [entry])[0][0]
        )
    file = tmp_path / "m" / "model.safetensors"
    above = ("encoder.layers.2", "encoder.layer_norm", "decoder")
    save_file({n: t for n, t in load_file(file).items() if not n.startswith(above)}, file)
    encoders.load({**settings, "cut": 2})
    with pytest.raises(DataError, match=r"encoder\.layers\.2\..* is missing"):
        encoders.load(settings)
    drawn = {"name": "whisper", "weights": "random"}
    np.testing.assert_array_equal(
        encoders.load({**settings, **drawn, "cut": 1}).extract([wave(0.2)], [1])[0][0],
        encoders.load({**settings, **drawn}).extract([wave(0.2)], [1])[0][0],
    )


def test_a_toy_encoder_is_a_genuine_checkpoint(tmp_path: Path) -> None:
    folder = toy_encoder(tmp_path / "toy", "whisper", seed=1)
    encoder = encoders.load({"name": "whisper", "model": str(folder)})
    samples = wave(1.0)
    for ours, state in zip(
        encoder.extract([samples], range(4))[0], theirs(str(folder), samples), strict=True
    ):
        np.testing.assert_allclose(ours, state[:50], atol=2e-5, rtol=1e-4)
    same = toy_encoder(tmp_path / "again", "whisper", seed=1) / "model.safetensors"
    other = toy_encoder(tmp_path / "other", "whisper", seed=2) / "model.safetensors"
    assert same.read_bytes() == (folder / "model.safetensors").read_bytes() != other.read_bytes()


def test_random_and_shuffled_weights_follow_their_seed(tmp_path: Path) -> None:
    settings = write(tmp_path / "m")

    def weights(**changes: object) -> np.ndarray:
        return encoders.load({**settings, **changes}).network.layers[1].fc1.weight.numpy()  # type: ignore[attr-defined]

    trained, shuffled = weights(), weights(weights="shuffled")
    np.testing.assert_array_equal(np.sort(trained, axis=None), np.sort(shuffled, axis=None))
    assert (trained != shuffled).mean() > 0.9
    for kind in ("shuffled", "random"):
        np.testing.assert_array_equal(weights(weights=kind), weights(weights=kind))
        assert (weights(weights=kind) != weights(weights=kind, seed=1)).mean() > 0.9
    tiny = encoders.load({"name": "whisper", "weights": "random", "cut": 1})
    assert tuple(layer.dims for layer in tiny.layers) == (384, 384)
    expected = WhisperModel(WhisperConfig()).encoder.embed_positions.weight.detach().numpy()
    np.testing.assert_allclose(tiny.network.positions.numpy(), expected, atol=1e-4)  # type: ignore[attr-defined]


def test_bfloat16_stays_close(tmp_path: Path) -> None:
    settings = write(tmp_path / "m")
    exact, short = (encoders.load({**settings, "precision": p}) for p in ("float32", "bfloat16"))
    for a, b in zip(*(e.extract([wave(1.0)], range(4))[0] for e in (exact, short)), strict=True):
        cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        assert cosine.mean() > 0.999
    assert encoders.key(exact.settings) != encoders.key(short.settings)


def test_training_reaches_every_weight_and_masks_in_time(tmp_path: Path) -> None:
    network = encoders.load(write(tmp_path / "m")).network.requires_grad_(True)  # type: ignore[attr-defined]
    given = torch.from_numpy(wave(0.5)[None]), torch.tensor([8000])
    plain = network(*given, [3])[0][0].detach()
    network.checkpointing = True
    network(*given, [3])[0][0].square().sum().backward()
    assert all(value.grad is not None and value.grad.any() for value in network.parameters())
    network.time_mask = (0.9, 4)
    assert torch.equal(network(*given, [3])[0][0], plain)
    assert not torch.allclose(network.train()(*given, [3])[0][0], plain)


def test_the_digest_follows_weights_and_configuration(tmp_path: Path) -> None:
    settings = write(tmp_path / "m")
    encoder = encoders.load(settings)
    assert encoders.load(encoder.settings).settings == encoder.settings
    file = tmp_path / "m" / "model.safetensors"
    save_file({name: tensor * 1.01 for name, tensor in load_file(file).items()}, file)
    with pytest.raises(DataError, match="this is another model"):
        encoders.load(encoder.settings)
    keys = {
        encoders.key({**encoder.settings, "mode": m, "rounding": r})
        for m in ("30s", "trimmed")
        for r in ("ceil", "floor")
    }
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"mode": "30"}, UsageError, "did you mean '30s'"),
        ({"rounding": "cell"}, UsageError, "did you mean 'ceil'"),
        ({"cut": 4}, UsageError, "has the layers 0 … 3"),
        ({"precision": "int8"}, UsageError, "int8"),
        ({"model": "no/such/folder"}, UsageError, "unknown model"),
        ({"sha256": "0" * 64}, DataError, "expected 000"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    tmp_path: Path, settings: dict, error: type[UnheardError], message: str
) -> None:
    with pytest.raises(error, match=message):
        encoders.load({**write(tmp_path / "m"), **settings})


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("config.json", {"model_type": "wavlm"}, "model_type is 'wavlm'"),
        ("config.json", {"d_model": 25}, "make no network"),
        ("config.json", {"encoder_ffn_dim": 41}, r"fc1\.weight is 40 × 24, expected 41 × 24"),
        ("config.json", {"activation_function": "relu"}, "expected 'gelu'"),
        ("preprocessor_config.json", {"sampling_rate": None}, "no declared rate"),
        ("preprocessor_config.json", {"feature_size": 128}, "feature_size is 128, expected 80"),
        ("preprocessor_config.json", {"do_normalize": True}, "do_normalize is True, expected False"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, file: str, changes: dict, message: str) -> None:
    settings = write(tmp_path / "m")
    path = tmp_path / "m" / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(DataError, match=message):
        encoders.load(settings)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    settings = write(tmp_path / "m")
    file = tmp_path / "m" / "model.safetensors"
    state = load_file(file)
    state["encoder.layers.0.fc1.bias"][3] = float("nan")
    save_file(state, file)
    with pytest.raises(DataError, match=r"NaN or infinite .*encoder\.layers\.0\.fc1\.bias"):
        encoders.load(settings)
