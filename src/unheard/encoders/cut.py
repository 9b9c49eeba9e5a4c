"""What a cut saves: parameters and multiply-adds of what is left out, by arithmetic on a configuration.

Nothing is loaded. Multiply-adds are those of matrix products and convolutions; norms, activations and softmax are
left out (below 1 % of the whole).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from unheard.encoders.transformer import architecture
from unheard.encoders.transformer.architecture import Architecture
from unheard.errors import UsageError, unknown

FAMILIES = ("wav2vec2", "hubert", "wavlm")
RATE = 16000


@dataclass(frozen=True)
class Cost:
    """Parameters that are loaded, and multiply-adds of one clip."""

    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Saving:
    """Cost of the whole encoder and of the one that is cut, and the shares saved, 0 … 1."""

    whole: Cost
    cut: Cost

    @property
    def parameters(self) -> float:
        """Return the share of the parameters that are not loaded."""
        return 1 - self.cut.parameters / self.whole.parameters

    @property
    def multiply_adds(self) -> float:
        """Return the share of the multiply-adds that are not computed."""
        return 1 - self.cut.multiply_adds / self.whole.multiply_adds

    def __str__(self) -> str:
        whole, cut = self.whole, self.cut
        return (
            f"{cut.parameters / 1e6:.1f} of {whole.parameters / 1e6:.1f} million parameters "
            f"({self.parameters:.0%} saved), {cut.multiply_adds / 1e9:.1f} of {whole.multiply_adds / 1e9:.1f} "
            f"billion multiply-adds ({self.multiply_adds:.0%} saved)"
        )


def saving(content: Mapping[str, Any], cut: int, seconds: float = 4.0) -> Saving:
    """Return what an encoder of wav2vec 2.0, HuBERT or WavLM saves when it is cut.

    Parameters
    ----------
    content
        The model's ``config.json``.
    cut
        Last layer that is computed.
    seconds
        Length of the clip that multiply-adds are counted for.

    Raises
    ------
    UsageError
        Another family, or a cut above the last layer.
    DataError
        A configuration that cannot be read.
    """
    family = content.get("model_type")
    if family not in FAMILIES:
        raise unknown("model_type of a configuration whose cost is known", family, FAMILIES)
    config = architecture.read(content, str(family), "config.json")
    if not 0 <= cut <= config.num_hidden_layers:
        raise UsageError(f"cut is {cut}, but the model has {config.num_hidden_layers} layers")
    samples = round(seconds * RATE)
    return Saving(cost(config, config.num_hidden_layers, samples), cost(config, cut, samples))


def cost(config: Architecture, layers: int, samples: int) -> Cost:
    """Return the cost of a network with so many of its layers, for a waveform of so many samples."""
    width, inner, heads = config.hidden_size, config.intermediate_size, config.num_attention_heads
    wavlm = config.model_type == "wavlm"
    parameters = width  # the embedding of masked frames
    products = 0
    frames = max(samples, config.shortest)
    sizes = zip(pairwise((1, *config.conv_dim)), config.conv_kernel, config.conv_stride, strict=True)
    for index, ((before, after), kernel, stride) in enumerate(sizes):
        frames = (frames - kernel) // stride + 1
        parameters += before * after * kernel + after * config.conv_bias
        parameters += 2 * after * (config.feat_extract_norm == "layer" or index == 0)
        products += frames * before * after * kernel
    channels = config.conv_dim[-1]
    parameters += (channels + 1) * width + 2 * channels * config.feat_proj_layer_norm
    around = width * (width // config.num_conv_pos_embedding_groups) * config.num_conv_pos_embeddings
    parameters += around + width
    products += frames * (channels * width + around)
    parameters += 2 * width * (layers == config.num_hidden_layers or not config.do_stable_layer_norm)
    gate = heads + 8 * (width // heads + 1) if wavlm else 0
    parameters += wavlm * (layers > 0) * config.num_buckets * heads
    parameters += layers * (4 * (width + 1) * width + 2 * width * inner + inner + width + 4 * width + gate)
    products += layers * frames * (4 * width**2 + 2 * width * inner + wavlm * 8 * width)
    products += layers * 2 * frames**2 * width
    return Cost(parameters, products)
