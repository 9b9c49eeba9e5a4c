"""Encoders on Transformers: equal to the model itself, alone and in batches, cut at a layer; bad input refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoTokenizer,
    BartConfig,
    BartModel,
    RobertaConfig,
    RobertaModel,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertConfig,
    Wav2Vec2BertModel,
)

from unheard import encoders
from unheard.errors import DataError, UnheardError, UsageError
from unheard.inputs import Layer, Turn
from unheard.testing import toy_encoder

torch.set_num_threads(1)
TEXTS = ("i am fine", "no", "what is it that you want from me", "yes", "")
CLOSE = {"rtol": 1e-4, "atol": 2e-5}


def wave(seconds: float, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(round(seconds * 16_000)) * 0.1).astype(np.float32)


def said(*texts: str) -> list[tuple[Turn, ...]]:
    return [(Turn(None, text),) for text in texts]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of tiny checkpoints: ``bert``, ``hubert``, ``wavlm``, ``w2v-bert``, and ``bart`` with a decoder."""
    folder = tmp_path_factory.mktemp("models")
    toy_encoder(folder / "bert", "bert", seed=7)
    toy_encoder(folder / "hubert", "hubert")
    toy_encoder(
        folder / "wavlm", "wavlm", do_stable_layer_norm=True, feat_extract_norm="layer", conv_bias=True
    )
    toy_encoder(folder / "whisper", "whisper")
    torch.manual_seed(0)
    small: dict[str, Any] = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3}
    wide = Wav2Vec2BertConfig(**small, intermediate_size=40, initializer_range=0.15)
    Wav2Vec2BertModel(wide).save_pretrained(folder / "w2v-bert")
    SeamlessM4TFeatureExtractor().save_pretrained(folder / "w2v-bert")
    tokenizer = AutoTokenizer.from_pretrained(folder / "bert")
    bart = BartConfig(
        d_model=24, encoder_layers=3, decoder_layers=2, encoder_attention_heads=3, decoder_attention_heads=3,
        encoder_ffn_dim=40, decoder_ffn_dim=40, vocab_size=len(tokenizer), max_position_embeddings=64,
        init_std=0.2, pad_token_id=0, bos_token_id=2, eos_token_id=3, decoder_start_token_id=2,
    )  # fmt: skip
    BartModel(bart).save_pretrained(folder / "bart")
    tokenizer.save_pretrained(folder / "bart")
    return folder


def settings(models: Path, name: str, **changes: Any) -> dict[str, Any]:
    return {"name": "transformers", "model": str(models / name), **changes}


def items(name: str) -> list[Any]:
    if name in ("bert", "bart"):
        return said(*TEXTS)
    return [wave(0.7, 1), wave(0.01, 2), wave(0.31, 3), wave(0.7, 4)]


@pytest.mark.parametrize("name", ["bert", "bart"])
def test_texts_give_the_hidden_states_of_the_model(models: Path, name: str) -> None:
    encoder = encoders.load(settings(models, name))
    model = AutoModel.from_pretrained(models / name).eval()
    model = model.get_encoder() if name == "bart" else model
    tokenizer = AutoTokenizer.from_pretrained(models / name)
    found = encoder.extract(said(*TEXTS), range(4))
    for text, states in zip(TEXTS, found, strict=True):
        with torch.inference_mode():
            expected = model(**_only(model, tokenizer(text, return_tensors="pt")), output_hidden_states=True)
        for ours, theirs in zip(states, expected.hidden_states, strict=True):
            np.testing.assert_allclose(ours, theirs[0].numpy(), **CLOSE)
        np.testing.assert_allclose(states[-1], expected.last_hidden_state[0].numpy(), **CLOSE)
    assert encoder.medium == "text"
    assert encoder.layers == tuple(Layer(str(k), 32 if name == "bert" else 24, 1.0) for k in range(4))
    assert [len(states[0]) for states in found] == [
        encoder.frames(len(t.replace(" ", "")) + 2)[0] for t in TEXTS
    ]


@pytest.mark.parametrize("family", ["hubert", "wavlm"])
def test_waveforms_give_what_the_family_s_own_code_gives(models: Path, family: str) -> None:
    encoder = encoders.load(settings(models, family))
    own = encoders.load({"name": family, "model": str(models / family)})
    samples = [wave(0.7, 1), wave(0.31, 3), wave(1.0, 5)]
    for ours, theirs in zip(encoder.extract(samples, range(4)), own.extract(samples, range(4)), strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, **CLOSE)
    assert (encoder.medium, encoder.rate, encoder.layers) == ("audio", own.rate, own.layers)


@pytest.mark.parametrize("name", ["bart", "w2v-bert"])
def test_a_clip_alone_and_in_any_batch_gives_the_same(models: Path, name: str) -> None:
    encoder = encoders.load(settings(models, name))
    clips = items(name)
    together = encoder.extract(clips, [3, 1])
    order = np.random.default_rng(0).permutation(len(clips))
    mixed = encoder.extract([clips[k] for k in order], [3, 1])
    for at, clip in enumerate(clips):
        for alone, one, other in zip(
            encoder.extract([clip], [3, 1])[0], together[at], mixed[list(order).index(at)], strict=True
        ):
            np.testing.assert_allclose(one, alone, **CLOSE)
            np.testing.assert_allclose(other, alone, **CLOSE)
            assert np.isfinite(alone).all() and alone.dtype == np.float32
    assert encoder.extract(clips, []) == [()] * len(clips)


@pytest.mark.parametrize("name", ["bart", "wavlm", "w2v-bert"])
def test_a_cut_gives_the_layers_below_it(models: Path, name: str) -> None:
    whole, cut = (encoders.load(settings(models, name, cut=cut)) for cut in (None, 2))
    assert [layer.name for layer in cut.layers] == ["0", "1", "2"]
    for ours, theirs in zip(
        cut.extract(items(name), range(3)), whole.extract(items(name), range(3)), strict=True
    ):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)
    with pytest.raises(UsageError, match="layer 3 is asked for; there are 0 … 2"):
        cut.extract(items(name), [3])


def test_frames_of_a_spectrogram_are_counted(models: Path) -> None:
    encoder = encoders.load(settings(models, "w2v-bert"))
    assert encoder.layers[0].rate == 50
    for seconds in (0.2, 1.0, 1.013):
        (states,) = encoder.extract([wave(seconds)], [2])
        assert len(states[0]) == encoder.frames(round(16_000 * seconds))[2]


def test_long_recordings_are_taken_in_windows(models: Path) -> None:
    encoder = encoders.load(settings(models, "hubert", cut=0))
    samples = wave(33.0)
    (found,) = encoder.extract([samples], [0])
    assert len(found[0]) == encoder.frames(len(samples))[0]
    (first,) = encoder.extract([samples[: 20 * 16_000]], [0])
    np.testing.assert_allclose(found[0][:800], first[0][:800], atol=1e-3)


def test_turns_are_joined_by_the_tokenizer_s_own_separator(models: Path) -> None:
    encoder = encoders.load(settings(models, "bert"))
    tokenizer = AutoTokenizer.from_pretrained(models / "bert")
    dialogue = (Turn("a", "where"), Turn(None, "here"))
    tokens = encoder.tokens(dialogue)
    assert tokens == tokenizer("a: where [SEP] here")["input_ids"]
    assert tokens.count(tokenizer.sep_token_id) == 2
    (joined,) = encoder.extract([dialogue], [0])
    assert len(joined[0]) == len(tokens)


def test_the_name_of_another_tokenizer_s_separator_is_never_read_as_text(
    models: Path, tmp_path: Path
) -> None:
    # RoBERTa's separator is </s>: where "[SEP]" was written between turns, it read five letters and brackets.
    tokenizer = AutoTokenizer.from_pretrained(models / "bert")
    tokenizer.sep_token = "[MASK]"
    tokenizer.save_pretrained(tmp_path)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((models / "bert" / name).read_bytes())
    encoder = encoders.load({"name": "transformers", "model": str(tmp_path)})
    one, other = encoder.tokens(said("no")[0])[1:-1], encoder.tokens(said("yes")[0])[1:-1]
    both = encoder.tokens((Turn(None, "no"), Turn(None, "yes")))
    assert both[1:-1] == [*one, tokenizer.mask_token_id, *other]


def test_the_target_is_never_cut_for_what_comes_before_it(models: Path) -> None:
    encoder = encoders.load(settings(models, "bert"))
    own = Turn(None, "what do you want")
    before = Turn("b", "abcde fghij " * 10)
    whole = encoder.tokens((own,))
    tokens = encoder.tokens((before, own))
    assert len(tokens) == encoder.joining.longest == 64
    assert tokens[-len(whole) + 1 :] == whole[1:]
    assert tokens[0] == whole[0]
    # Alone and too long, its end stays.
    long = " abcde fghij" * 10
    assert encoder.tokens(said("zzz" + long)[0]) == encoder.tokens(said("q" + long)[0])


def test_frames_of_a_text_are_its_tokens_the_first_or_the_pooler_s(models: Path, tmp_path: Path) -> None:
    states = encoders.load(settings(models, "bert")).extract(items("bert"), [0, 3])
    first = encoders.load(settings(models, "bert", tokens="first"))
    for every, one in zip(states, first.extract(items("bert"), [0, 3]), strict=True):
        np.testing.assert_allclose(one[0], every[0][:1], **CLOSE)
        np.testing.assert_allclose(one[1], every[1][:1], **CLOSE)
    pooled = encoders.load(settings(models, "bert", tokens="pooler"))
    model = AutoModel.from_pretrained(models / "bert").eval()
    tokenizer = AutoTokenizer.from_pretrained(models / "bert")
    assert [layer.name for layer in pooled.layers] == ["pooler"]
    (own,) = pooled.extract(said("i am fine"), [0])
    with torch.inference_mode():
        expected = model(**tokenizer("i am fine", return_tensors="pt")).pooler_output
    np.testing.assert_allclose(own[0], expected.numpy(), **CLOSE)
    # A run loads it again with all settings said.
    again = encoders.load(pooled.settings)
    np.testing.assert_array_equal(again.extract(said("i am fine"), [0])[0][0], own[0])

    for file in (models / "bert").iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(models / "bert" / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "pooler" not in name}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match="no weights of a pooler: it would be random"):
        encoders.load({"name": "transformers", "model": str(tmp_path), "tokens": "pooler"})


def test_positions_bound_a_text_where_the_tokenizer_does_not(models: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(models / "bert")
    tokenizer.model_max_length = 10**30
    tokenizer.save_pretrained(tmp_path)
    config = RobertaConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40,
        vocab_size=len(tokenizer), max_position_embeddings=22, pad_token_id=1,
    )  # fmt: skip
    RobertaModel(config).save_pretrained(tmp_path)
    encoder = encoders.load({"name": "transformers", "model": str(tmp_path)})
    (states,) = encoder.extract(said("abcde fghij " * 10), [2])
    assert states[0].shape == (20, 24)


@pytest.mark.parametrize(("name", "medium"), [("bert", "text"), ("bart", "text"), ("w2v-bert", "audio")])
def test_the_medium_is_known_once_it_was_loaded(models: Path, name: str, medium: str) -> None:
    assert encoders.LazyEncoder(settings(models, name)).medium is None
    found = encoders.load(settings(models, name)).settings
    again = encoders.LazyEncoder({**found, "model": ""})
    assert (again.medium, again.is_known, found["medium"]) == (medium, True, medium)


@pytest.mark.parametrize("name", ["bert", "hubert"])
def test_random_and_shuffled_weights_follow_their_seed(models: Path, name: str) -> None:
    def last(**changes: Any) -> np.ndarray:
        return encoders.load(settings(models, name, **changes)).extract(items(name)[:1], [3])[0][0]

    trained = last()
    for kind in ("shuffled", "random"):
        np.testing.assert_array_equal(last(weights=kind), last(weights=kind))
        assert np.abs(last(weights=kind) - last(weights=kind, seed=1)).max() > 1e-3
        assert np.abs(last(weights=kind) - trained).max() > 1e-3
    drawn = encoders.load(settings(models, name, weights="random"))
    assert encoders.is_random(drawn.settings)


def test_random_weights_need_no_weights(models: Path, tmp_path: Path) -> None:
    for path in (models / "bert").iterdir():
        if path.suffix != ".safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    encoder = encoders.load({"name": "transformers", "model": str(tmp_path), "weights": "random"})
    assert encoder.extract(said("yes"), [3])[0][0].shape == (5, 32)
    with pytest.raises(DataError, match="no weights"):
        encoders.load({"name": "transformers", "model": str(tmp_path)})


def test_bfloat16_stays_close(models: Path) -> None:
    exact, short = (encoders.load(settings(models, "bert", precision=p)) for p in ("float32", "bfloat16"))
    for a, b in zip(*(e.extract(said(TEXTS[2]), range(4))[0] for e in (exact, short)), strict=True):
        cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        assert cosine.mean() > 0.99
    assert encoders.key(exact.settings) != encoders.key(short.settings)


def test_the_digest_follows_weights_configuration_and_tokenizer(models: Path, tmp_path: Path) -> None:
    folder = toy_encoder(tmp_path, "bert", seed=7)
    encoder = encoders.load({"name": "transformers", "model": str(folder)})
    assert encoder.settings["sha256"] == encoders.load(settings(models, "bert")).settings["sha256"]
    assert encoders.load(encoder.settings).settings == encoder.settings
    words = folder / "vocab.txt"
    words.write_text(words.read_text().replace("a\nb\n", "b\na\n", 1))
    with pytest.raises(DataError, match="this is another model"):
        encoders.load(encoder.settings)


@pytest.mark.parametrize(
    ("name", "changes", "error", "message"),
    [
        ("bert", {"cut": 4}, UsageError, "has the layers 0 … 3"),
        ("bert", {"trim": 40}, UsageError, "trim is for audio"),
        ("bert", {"medium": "audio"}, UsageError, "takes text"),
        ("bert", {"medium": "video"}, UsageError, "audio, text"),
        ("bert", {"sha256": "0" * 64}, DataError, "expected 000"),
        ("whisper", {}, UsageError, r"encoder\.name=whisper"),
        ("nowhere", {}, UsageError, "unknown model"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    models: Path, name: str, changes: dict[str, Any], error: type[UnheardError], message: str
) -> None:
    with pytest.raises(error, match=message):
        encoders.load(settings(models, name, **changes))


@pytest.mark.parametrize("weights", ["pretrained", "random"])
def test_a_model_must_be_named(weights: str) -> None:
    with pytest.raises(UsageError, match=r"encoder\.model"):
        encoders.load({"name": "transformers", "weights": weights})


def test_nothing_that_a_folder_brings_is_executed(tmp_path: Path) -> None:
    folder = toy_encoder(tmp_path, "bert")
    (folder / "evil.py").write_text("raise SystemExit('executed')\n")
    file = folder / "config.json"
    content = json.loads(file.read_text())
    about = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}
    file.write_text(json.dumps({**content, "auto_map": about, "model_type": "never-heard-of"}))
    with pytest.raises(DataError, match="Transformers cannot read this model"):
        encoders.load({"name": "transformers", "model": str(folder)})
    file.write_text(json.dumps(content))
    (folder / "model.safetensors").unlink()
    torch.save({"embeddings.word_embeddings.weight": Path("no tensor")}, folder / "pytorch_model.bin")
    with pytest.raises(DataError, match="nothing else is unpickled"):
        encoders.load({"name": "transformers", "model": str(folder)})


def test_weights_that_are_missing_or_not_finite_are_refused(tmp_path: Path) -> None:
    folder = toy_encoder(tmp_path, "bert")
    file = folder / "model.safetensors"
    state = load_file(file)
    save_file(
        {name: value for name, value in state.items() if not name.startswith("pooler")},
        file,
        {"format": "pt"},
    )
    encoders.load({"name": "transformers", "model": str(folder)})
    save_file(
        {name: value for name, value in state.items() if "layer.1." not in name}, file, {"format": "pt"}
    )
    with pytest.raises(DataError, match=r"missing are encoder\.layer\.1\."):
        encoders.load({"name": "transformers", "model": str(folder)})
    state["encoder.layer.0.output.dense.bias"][3] = float("nan")
    save_file(state, file, {"format": "pt"})
    with pytest.raises(DataError, match=r"NaN or infinite .*encoder\.layer\.0\.output\.dense\.bias"):
        encoders.load({"name": "transformers", "model": str(folder)})


def _only(model: Any, inputs: Any) -> dict[str, Any]:
    return {name: value for name, value in inputs.items() if name in ("input_ids", "attention_mask")}
