"""A tiny Whisper checkpoint in its genuine form, with random weights; the decoder is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from unheard.encoders import whisper_weights as weights
from unheard.encoders.whisper_network import Sizes, sizes
from unheard.files import write_json
from unheard.settings import plain


def write(folder: Path, family: str, seed: int, config: dict[str, Any]) -> None:
    """Write ``config.json``, ``preprocessor_config.json`` and ``model.safetensors``.

    Parameters
    ----------
    folder : is made where it is not there.
    family : ``whisper``.
    seed : of the weights.
    config : keys of ``config.json`` that shall differ from the toy's: 3 layers of 32 dims, windows of 2 s.
    """
    base = replace(
        Sizes(),
        d_model=32,
        encoder_layers=3,
        encoder_attention_heads=4,
        encoder_ffn_dim=64,
        max_source_positions=100,
        init_std=0.15,  # so that layers of so few dims do something
    )
    given = {**plain(base), "model_type": family, "activation_function": "gelu", **config}
    made = sizes(given, "toy_encoder")
    decoder = {
        "decoder_layers": 1,
        "decoder_attention_heads": made.encoder_attention_heads,
        "decoder_ffn_dim": made.encoder_ffn_dim,
        "vocab_size": 16,
        "pad_token_id": 0,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "decoder_start_token_id": 0,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", {**decoder, **given, "architectures": ["WhisperModel"]})
    write_json(
        folder / "preprocessor_config.json",
        {
            "feature_extractor_type": "WhisperFeatureExtractor",
            "feature_size": made.num_mel_bins,
            "sampling_rate": 16000,
            "hop_length": 160,
            "n_fft": 400,
            "chunk_length": made.window // 16000,
            "padding_side": "right",
            "padding_value": 0.0,
            "return_attention_mask": False,
        },
    )
    network = weights.drawn(made, made.encoder_layers, "30s", "ceil", seed)
    weights.save(network, folder / "model.safetensors")
