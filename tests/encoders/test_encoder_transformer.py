"""wav2vec 2.0, HuBERT and WavLM against Transformers' own models, and what the contract promises."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch.nn.attention import SDPBackend, sdpa_kernel

from unheard import encoders
from unheard.encoders.transformer import network as network_module
from unheard.encoders.transformer.packing import padded
from unheard.encoders.transformer.weights import save
from unheard.errors import DataError, MachineError, UsageError
from unheard.testing import toy_encoder

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()

CLASSES = {
    "wav2vec2": (transformers.Wav2Vec2Config, transformers.Wav2Vec2Model),
    "hubert": (transformers.HubertConfig, transformers.HubertModel),
    "wavlm": (transformers.WavLMConfig, transformers.WavLMModel),
}
#: Base models: group norm, post-norm. Large ones: layer norm, pre-norm, with or without biases. wav2vec2-large of
#: 960 hours: group norm, post-norm, larger. The last does not exist, but the configuration can say it.
KINDS = {
    "base": {"feat_extract_norm": "group", "do_stable_layer_norm": False, "conv_bias": False},
    "large": {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
    "mixed": {"feat_extract_norm": "layer", "do_stable_layer_norm": False, "conv_bias": False},
}
TINY = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
LENGTHS = (5000, 16000, 400, 719, 720, 16000, 23457)
ENTRIES = range(4)


@pytest.fixture(scope="module", params=[(f, k) for f in CLASSES for k in KINDS], ids="-".join)
def reference(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Any]:
    """Family, folder written by Transformers with every parameter random, and its model."""
    family, kind = request.param
    folder = tmp_path_factory.mktemp(family)
    return family, folder, written(family, KINDS[kind], folder)


def written(family: str, kind: dict[str, Any], folder: Path) -> Any:
    config, model = CLASSES[family]
    torch.manual_seed(0)
    made = model(config(**TINY, **kind)).eval()
    with torch.no_grad():
        for name, value in made.named_parameters():
            if value.ndim < 2 or "gru_rel" in name:
                value += 0.3 * torch.randn_like(value)
            elif "rel_attn" in name:
                value.normal_()
            elif "layers." in name and "conv" not in name:
                value.mul_(5)
    made.save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=kind["feat_extract_norm"] == "layer").save_pretrained(
        folder
    )
    return made


def clips(lengths: tuple[int, ...] = LENGTHS) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    made = []
    for n in lengths:
        t = np.arange(n) / 16000
        tone = np.sin(2 * np.pi * rng.uniform(100, 300) * t) * np.abs(np.sin(7 * t))
        made.append((0.2 * tone + 0.02 * rng.normal(size=n) + 0.01).astype(np.float32))
    return made


def states(model: Any, wave: np.ndarray, normalize: bool) -> list[np.ndarray]:
    """Hidden states of Transformers' model for one clip, the last one after the final norm."""
    if normalize:
        wave = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)
    with torch.no_grad():
        out = model(torch.from_numpy(wave)[None], output_hidden_states=True)
    return [state[0].numpy() for state in (*out.hidden_states[:-1], out.last_hidden_state)]


def close(found: Any, expected: Any, limit: float = 1e-5) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= limit * max(1.0, np.abs(other).max())


def load(family: str, folder: Path, **settings: Any) -> Any:
    return encoders.load({"name": family, "model": str(folder), **settings})


def test_equal_to_transformers(reference: tuple[str, Path, Any]) -> None:
    family, folder, model = reference
    encoder = load(family, folder)
    normalize = encoder.network.normalize
    assert normalize == (model.config.feat_extract_norm == "layer")
    waves = clips()
    for wave, found in zip(waves, encoder.extract(waves, ENTRIES), strict=True):
        assert (
            {len(entry) for entry in found}
            == {(len(wave) - 400) // 320 + 1}
            == set(encoder.frames(len(wave)))
        )
        assert all(entry.dtype == np.float32 for entry in found)
        close(found, states(model, wave, normalize))


def test_batch_is_alone_is_padded(reference: tuple[str, Path, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    family, folder, _ = reference
    encoder = load(family, folder)
    waves = clips()
    alone = [encoder.extract([wave], ENTRIES)[0] for wave in waves]
    for found, expected in zip(encoder.extract(waves, ENTRIES), alone, strict=True):
        close(found, expected)
    batch = torch.zeros(len(waves), 30000)
    for row, wave in zip(batch, waves, strict=True):
        row[: len(wave)] = torch.from_numpy(wave)
    lengths = torch.tensor([len(wave) for wave in waves])
    with torch.no_grad():
        ragged, counts = encoder.network(batch, lengths, ENTRIES)
        # On a GPU all clips are one padded piece with a mask.
        monkeypatch.setattr(network_module, "pieces", lambda counts, device: [padded(counts, device)])
        masked, _ = encoder.network(batch, lengths, ENTRIES)
    for entries in (ragged, masked):
        for clip, expected in enumerate(alone):
            count = int(counts[clip])
            close([entry[clip, :count].numpy() for entry in entries], expected)
            assert all((entry[clip, count:] == 0).all() for entry in entries)


def test_several_threads_share_the_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unheard.encoders.transformer import encoder as module

    encoder = load("wavlm", toy_encoder(tmp_path, "wavlm"))
    waves = clips(LENGTHS * 3)
    expected = encoder.extract(waves, ENTRIES)
    monkeypatch.setitem(module.BUDGET, "cpu", 60)
    torch.set_num_threads(2)
    try:
        found = encoder.extract(waves, ENTRIES)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    for one, other in zip(found, expected, strict=True):
        close(one, other)


def test_packed_weights_are_given_back_for_training(reference: tuple[str, Path, Any]) -> None:
    family, folder, _ = reference
    encoder = load(family, folder)
    wave = clips((6000,))
    packed = encoder.extract(wave, ENTRIES)[0]
    plain = load(family, folder).network
    for (name, value), other in zip(
        encoder.network.state_dict().items(), plain.state_dict().values(), strict=True
    ):
        assert torch.equal(value, other), name
    assert all(parameter.requires_grad for parameter in encoder.network.parameters())
    close(encoder.extract(wave, ENTRIES)[0], packed, 1e-6)
    with torch.no_grad():
        encoder.network.layers[1].feed_forward.output_dense.weight *= 2
    assert not np.allclose(encoder.extract(wave, [2])[0][0], packed[2])


def test_front_takes_statistics_over_a_clips_own_frames(reference: tuple[str, Path, Any]) -> None:
    family, folder, _ = reference
    front = load(family, folder).network.front
    waves = [torch.from_numpy(wave) for wave in clips((5000, 16000))]
    with torch.no_grad():
        both = front(torch.nn.utils.rnn.pad_sequence(waves, batch_first=True), [5000, 16000])
        for row, wave in zip(both, waves, strict=True):
            alone = front(wave[None], [len(wave)])[0]
            close([row[: len(alone)].numpy()], [alone.numpy()])


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_cut_gives_the_same_entries_and_reads_nothing_above(
    reference: tuple[str, Path, Any], cut: int, tmp_path: Path
) -> None:
    family, folder, _ = reference
    below = {
        name: value
        for name, value in load_file(folder / "model.safetensors").items()
        if not any(f"encoder.layers.{index}." in name for index in range(cut, 3)) or "rel_attn_embed" in name
    }
    copy_about(folder, tmp_path)
    save_file(below, tmp_path / "model.safetensors")
    encoder = load(family, tmp_path, cut=cut)
    assert tuple(layer.name for layer in encoder.layers) == tuple(str(k) for k in range(cut + 1))
    assert len(encoder.layers) == len(encoder.frames(16000)) == cut + 1
    assert len(encoder.network.layers) == cut
    waves = clips((5000, 16000))
    whole = load(family, folder).extract(waves, ENTRIES)
    for found, expected in zip(encoder.extract(waves, range(cut + 1)), whole, strict=True):
        close(found, expected[: cut + 1], 1e-6)


def test_nothing_above_the_highest_entry_is_computed(reference: tuple[str, Path, Any]) -> None:
    family, folder, _ = reference
    encoder = load(family, folder)
    whole = encoder.extract(clips((5000,)), ENTRIES)[0]
    for layer in encoder.network.layers[1:]:
        layer.register_forward_hook(lambda *_: pytest.fail("a layer above was computed"))
    close(encoder.extract(clips((5000,)), [1, 0])[0], [whole[1], whole[0]], 1e-6)


def test_every_form_of_a_checkpoint_gives_the_same(reference: tuple[str, Path, Any], tmp_path: Path) -> None:
    family, folder, model = reference
    wave = clips((6000,))
    expected = load(family, folder).extract(wave, ENTRIES)[0]
    kernel = "encoder.pos_conv_embed.conv."
    held = model.state_dict()
    old = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): value.contiguous()
        for name, value in held.items()
    }
    assert kernel + "weight_g" in old
    forms = {name: tmp_path / name for name in ("sharded", "bin", "old", "prefixed", "saved")}
    for path in forms.values():
        path.mkdir()
        copy_about(folder, path)
    model.save_pretrained(forms["sharded"], max_shard_size="10KB")
    assert len(list(forms["sharded"].glob("*.safetensors"))) > 2
    torch.save(old, forms["bin"] / "pytorch_model.bin")
    save_file(old, forms["old"] / "model.safetensors")
    prefixed = {f"{family}.{name}": value.contiguous() for name, value in held.items()}
    save_file({**prefixed, "classifier.weight": torch.zeros(2, 2)}, forms["prefixed"] / "model.safetensors")
    save(load(family, folder).network, forms["saved"] / "model.safetensors")
    for path in forms.values():
        close(load(family, path).extract(wave, ENTRIES)[0], expected, 1e-6)


def copy_about(folder: Path, to: Path) -> None:
    for name in ("config.json", "preprocessor_config.json"):
        (to / name).write_bytes((folder / name).read_bytes())


def test_bfloat16_is_close(reference: tuple[str, Path, Any]) -> None:
    family, folder, _ = reference
    waves = clips((16000, 30000))
    exact = load(family, folder).extract(waves, ENTRIES)
    rounded = load(family, folder, precision="bfloat16").extract(waves, ENTRIES)
    for one, other in zip(exact, rounded, strict=True):
        for a, b in zip(one, other, strict=True):
            cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
            assert cosine.min() > 0.999


def test_fused_attention_equals_plain(reference: tuple[str, Path, Any]) -> None:
    family, folder, _ = reference
    encoder = load(family, folder)
    waves = clips((16000, 7000))
    fused = encoder.extract(waves, ENTRIES)
    with sdpa_kernel(SDPBackend.MATH):
        plain = encoder.extract(waves, ENTRIES)
    for one, other in zip(fused, plain, strict=True):
        close(one, other, 5e-6)


@pytest.mark.parametrize("family", CLASSES)
def test_toy_encoder_loads_in_transformers(family: str, tmp_path: Path) -> None:
    toy_encoder(tmp_path, family, seed=3, num_hidden_layers=2)
    model = CLASSES[family][1].from_pretrained(tmp_path).eval()
    wave = clips((8000,))[0]
    close(load(family, tmp_path).extract([wave], range(3))[0], states(model, wave, False))
    other = toy_encoder(tmp_path / "other", family, seed=4, num_hidden_layers=2)
    assert not np.allclose(load(family, other).extract([wave], [2])[0][0], states(model, wave, False)[2])


def test_short_and_long_clips(tmp_path: Path) -> None:
    encoder = load("wavlm", toy_encoder(tmp_path, "wavlm", feat_extract_norm="layer"))
    rng = np.random.default_rng(0)
    nothing, short = encoder.extract([np.zeros(0, np.float32), clips((399,))[0]], [3])
    assert len(nothing[0]) == len(short[0]) == encoder.frames(0)[0] == encoder.frames(399)[0] == 1
    wave = rng.normal(size=45 * 16000 + 123).astype(np.float32)
    (whole,) = encoder.extract([wave], [2])[0]
    assert len(whole) == encoder.frames(len(wave))[0] == (len(wave) - 400) // 320 + 1
    unit = (wave - wave.mean()) / wave.std()
    parts = [unit[at * 288000 : at * 288000 + 320000] for at in range(3)]
    encoder.network.normalize = False  # the clip is standardised as a whole, not each window
    first, second, third = (part[0] for part in encoder.extract(parts, [2]))
    close([whole[:900], whole[999:1800], whole[1899:]], [first[:900], second[99:900], third[99:]])
    close([whole[900:999]], [(first[900:] + second[:99]) / 2])


def test_drawn_and_shuffled_weights_are_seeded_and_survive_a_cut(tmp_path: Path) -> None:
    folder = toy_encoder(tmp_path, "hubert")
    wave = clips((8000,))
    for weights in ("random", "shuffled"):
        whole = load("hubert", folder, weights=weights, seed=1)
        expected = whole.extract(wave, ENTRIES)[0]
        close(
            load("hubert", folder, weights=weights, seed=1, cut=2).extract(wave, [2])[0], expected[2:3], 1e-6
        )
        other = load("hubert", folder, weights=weights, seed=2)
        assert not np.allclose(other.extract(wave, [1])[0][0], expected[1])
        assert encoders.is_random(whole.settings)
        assert encoders.key(whole.settings) != encoders.key(other.settings)
        # Activations neither vanish nor grow without bound.
        assert all(0.1 < entry.std() < 10 for entry in expected)
    trained = load("hubert", folder).network.state_dict()
    shuffled = load("hubert", folder, weights="shuffled", seed=1).network.state_dict()
    for name, value in trained.items():
        assert torch.equal(value.flatten().sort().values, shuffled[name].flatten().sort().values)
    assert not torch.equal(trained["projection.projection.weight"], shuffled["projection.projection.weight"])


def test_random_needs_a_configuration_alone_or_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((toy_encoder(tmp_path / "toy") / "config.json").read_bytes())
    encoder = load("hubert", tmp_path, weights="random")
    assert encoder.rate == 16000
    assert len(encoder.layers) == 4
    base = encoders.load({"name": "wavlm", "weights": "random", "cut": 0})
    assert tuple(layer.dims for layer in base.layers) == (768,)


def test_settings_are_returned_in_full(tmp_path: Path) -> None:
    folder = toy_encoder(tmp_path / "one", "wavlm")
    encoder = load("wavlm", folder)
    assert len(encoder.settings["sha256"]) == 64
    assert encoder.source.licence == "unknown"
    again = encoders.load(encoder.settings)
    assert again.settings == encoder.settings
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\n")
    assert load("wavlm", folder).source.licence == "apache-2.0"
    other = toy_encoder(tmp_path / "two", "wavlm", seed=1)
    with pytest.raises(DataError, match="another model"):
        load("wavlm", other, sha256=encoder.settings["sha256"])
    assert load("wavlm", folder, precision="auto").settings["precision"] in ("float32", "bfloat16")


def test_training(tmp_path: Path) -> None:
    network = load("wavlm", toy_encoder(tmp_path, "wavlm")).network
    waves = torch.from_numpy(np.stack(clips((16000, 16000))))
    lengths = torch.tensor([16000, 9000])
    gradients = []
    for network.checkpointing in (False, True):
        network.zero_grad()
        (last,), counts = network(waves, lengths, [3])
        assert counts.tolist() == [49, 27]
        last.square().sum().backward()
        gradients.append([p.grad.clone() for p in network.parameters() if p.grad is not None])
    assert len(gradients[0]) == len(list(network.parameters())) - 1  # the mask's embedding is not in use
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
    network.time_mask = (0.5, 5)
    plain = network(waves, lengths, [0])[0][0]
    network.train()
    torch.manual_seed(0)
    (masked,), _ = network(waves, lengths, [0])
    assert not torch.allclose(masked, plain)
    masked.sum().backward()
    assert network.masked_spec_embed.grad is not None


def test_faults(tmp_path: Path) -> None:
    folder = toy_encoder(tmp_path / "toy")
    with pytest.raises(DataError, match="model_type is 'hubert', but the encoder is 'wavlm'"):
        load("wavlm", folder)
    with pytest.raises(UsageError, match=r"encoder.cut is 4, but .* has the layers 0 … 3"):
        load("hubert", folder, cut=4)
    if not torch.cuda.is_available():
        with pytest.raises(MachineError, match="no GPU"):
            load("hubert", folder, device="cuda")
    with pytest.raises(UsageError, match="int8"):
        load("hubert", folder, precision="int8")
    config = json.loads((folder / "config.json").read_text())
    for change, message in (
        (
            {"hidden_size": 64},
            r"do not fit config.json: masked_spec_embed is 32, expected 64, .* and \d+ more",
        ),
        ({"num_hidden_layers": 4}, r"encoder.layers.3.attention.q_proj.weight is missing"),
        ({"hidden_act": "swish"}, "hidden_act is 'swish', expected one of gelu, relu"),
        ({"conv_pos_batch_norm": True}, "conv_pos_batch_norm is True; this variant"),
        ({"num_attention_heads": 5}, "no multiple of 5 heads"),
        ({"conv_dim": [16] * 6}, "same length"),
        ({"feat_extract_norm": "batch"}, "feat_extract_norm is 'batch'"),
        ({"hidden_size": "32"}, "hidden_size is '32', expected a whole number"),
    ):
        (folder / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(DataError, match=message):
            load("hubert", folder)
