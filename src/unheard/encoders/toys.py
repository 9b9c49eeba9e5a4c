"""Tiny checkpoints in their genuine form: Whisper and a text encoder of Transformers, wav2vec of fairseq."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from unheard.encoders import random_weights
from unheard.errors import need
from unheard.files import write_json

#: Spread of the weights, so that layers of so few dims do something.
SPREAD = 0.15
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789'"


def write(folder: Path, family: str, seed: int, config: dict[str, Any]) -> None:
    """Write a checkpoint.

    Parameters
    ----------
    folder
        It is made if it is not there.
    family
        ``whisper``: 3 layers of 32 dims, windows of 2 s. ``bert``: 3 layers of 32 dims on letters, 64 tokens.
        ``wav2vec``: 3 context layers of 16 dims.
    seed
        The weights are drawn from it.
    config
        Keys of ``config.json`` (of ``wav2vec`` settings of its owners') that shall have other values.
    """
    folder.mkdir(parents=True, exist_ok=True)
    {"whisper": _whisper, "bert": _bert, "wav2vec": _wav2vec}[family](folder, seed, config)


def _whisper(folder: Path, seed: int, config: dict[str, Any]) -> None:
    transformers = need("transformers", "train")
    small = {
        "d_model": 32,
        "encoder_layers": 3,
        "encoder_attention_heads": 4,
        "encoder_ffn_dim": 64,
        "decoder_layers": 1,
        "decoder_attention_heads": 4,
        "decoder_ffn_dim": 64,
        "max_source_positions": 100,
        "vocab_size": 16,
        "init_std": SPREAD,
        **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0),
    }
    made = transformers.WhisperConfig(**{**small, **config})
    _save(transformers.WhisperModel(made), folder, seed)
    write_json(
        folder / "preprocessor_config.json",
        {
            "feature_extractor_type": "WhisperFeatureExtractor",
            "feature_size": made.num_mel_bins,
            "sampling_rate": 16000,
            "hop_length": 160,
            "n_fft": 400,
            "chunk_length": made.max_source_positions // 50,
            "padding_side": "right",
            "padding_value": 0.0,
            "return_attention_mask": False,
        },
    )


def _bert(folder: Path, seed: int, config: dict[str, Any]) -> None:
    transformers = need("transformers", "train")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = [*special, *_LETTERS, *(f"##{letter}" for letter in _LETTERS)]
    small = {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "vocab_size": len(vocabulary),
        "initializer_range": SPREAD,
    }
    made = transformers.BertConfig(**{**small, **config})
    _save(transformers.BertModel(made), folder, seed)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 64},
    )


def _wav2vec(folder: Path, seed: int, config: dict[str, Any]) -> None:
    torch = need("torch", "train")
    from unheard.encoders.wav2vec_network import Wav2VecNetwork, architecture, owners_name

    settings = {
        "arch": "wav2vec",
        "conv_feature_layers": "[(16, 10, 5)] + [(16, 8, 4)] + [(16, 4, 2)] * 3",
        "conv_aggregator_layers": "[(16, 2, 1), (16, 3, 1), (16, 4, 1)]",
        "log_compression": True,
        "skip_connections_agg": True,
        "residual_scale": 0.5,
        **config,
    }
    made = architecture(settings, "toy_encoder")
    network = Wav2VecNetwork(made, len(made.context))
    random_weights.draw(network, 2 * SPREAD, seed)
    model = {owners_name(name): value for name, value in network.state_dict().items()}
    held = {"args": Namespace(**settings), "model": model, "last_optimizer_state": None}
    torch.save(held, folder / "wav2vec.pt")


def _save(model: Any, folder: Path, seed: int) -> None:
    random_weights.draw(model, SPREAD, seed)
    model.save_pretrained(folder)
