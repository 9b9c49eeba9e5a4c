"""A tiny checkpoint of each family in its genuine form, with random weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from unheard.encoders.transformer import weights
from unheard.encoders.transformer.architecture import Architecture, read
from unheard.files import write_json
from unheard.settings import plain

_CLASSES = {"wav2vec2": "Wav2Vec2Model", "hubert": "HubertModel", "wavlm": "WavLMModel"}


def write(folder: Path, family: str, seed: int, config: dict[str, Any]) -> None:
    """Write ``config.json``, ``preprocessor_config.json`` and ``model.safetensors``.

    Parameters
    ----------
    folder
        It is made where it is not there.
    family
        ``wav2vec2``, ``hubert`` or ``wavlm``.
    seed
        The weights are drawn from it.
    config
        Keys of ``config.json`` that shall differ from the toy's: 16 channels, 3 layers of 32 dims.
    """
    base = replace(
        Architecture(family),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        initializer_range=0.15,  # so that layers of so few dims do something
    )
    made = read({**plain(base), **config}, family, "toy_encoder")
    normalize = made.feat_extract_norm == "layer"
    network = weights.drawn(made, normalize, made.num_hidden_layers, seed)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", {**plain(made), "architectures": [_CLASSES[family]], "layerdrop": 0.0})
    write_json(
        folder / "preprocessor_config.json",
        {
            "feature_extractor_type": "Wav2Vec2FeatureExtractor",
            "feature_size": 1,
            "sampling_rate": 16000,
            "do_normalize": normalize,
            "padding_side": "right",
            "padding_value": 0.0,
            "return_attention_mask": normalize,
        },
    )
    weights.save(network, folder / "model.safetensors")
