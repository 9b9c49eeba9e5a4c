"""What a configuration of wav2vec 2.0, HuBERT or WavLM says about the network: sizes, norms, frames.

Nothing here needs torch. Keys and defaults are those of the field's ``config.json``; keys that decide nothing
about the frames of an encoder are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from unheard.errors import DataError, UsageError
from unheard.settings import fitting

ACTIVATIONS = ("gelu", "relu")
#: Keys that change the frames and that we do not compute, with the only value that can be read.
_UNSUPPORTED: dict[str, Any] = {"adapter_attn_dim": None, "conv_pos_batch_norm": False}


@dataclass(frozen=True)
class Architecture:
    """Sizes of a network; defaults are those of the base models.

    ``feat_extract_norm`` is ``group`` (after the first convolution, over time) or ``layer`` (after each, over
    channels); ``do_stable_layer_norm`` is True where norms come before attention and feed-forward (pre-norm).
    """

    model_type: str
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout: float = 0.1
    activation_dropout: float = 0.1
    attention_dropout: float = 0.1
    feat_proj_dropout: float = 0.0
    feat_proj_layer_norm: bool = True
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-5
    feat_extract_norm: str = "group"
    feat_extract_activation: str = "gelu"
    conv_dim: tuple[int, ...] = (512,) * 7
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_bias: bool = False
    num_conv_pos_embeddings: int = 128
    num_conv_pos_embedding_groups: int = 16
    do_stable_layer_norm: bool = False
    num_buckets: int = 320
    max_bucket_distance: int = 800

    @property
    def shortest(self) -> int:
        """Samples that one frame sees: 400 in all published models."""
        seen, step = 1, 1
        for kernel, stride in zip(self.conv_kernel, self.conv_stride, strict=True):
            seen += (kernel - 1) * step
            step *= stride
        return seen

    @property
    def hop(self) -> int:
        """Samples from one frame to the next: 320 in all published models."""
        step = 1
        for stride in self.conv_stride:
            step *= stride
        return step

    def frames(self, samples: int) -> int:
        """Return the frames of a waveform: floor((n − 400) / 320) + 1, and one for anything shorter than 400."""
        return (max(samples, self.shortest) - self.shortest) // self.hop + 1


def read(content: Mapping[str, Any], family: str, source: str) -> Architecture:
    """Return the architecture of a ``config.json``.

    Parameters
    ----------
    content
        The file's content.
    family
        ``wav2vec2``, ``hubert`` or ``wavlm``; what ``model_type`` must say.
    source
        How errors call the file.

    Raises
    ------
    DataError
        Another family's model, a value of another type, or a variant that is not computed here.
    """
    found = content.get("model_type")
    if found != family:
        raise DataError(
            f"{source}: model_type is {found!r}, but the encoder is {family!r}; "
            f"set encoder.name to the model's own family (--set encoder.name={found}), or name a {family} model"
        )
    for key, only in _UNSUPPORTED.items():
        if content.get(key, only) != only:
            raise DataError(
                f"{source}: {key} is {content[key]!r}; this variant of {family} is not supported, only {only!r}"
            )
    hints = {field.name: _TYPES[str(field.type)] for field in fields(Architecture)}
    try:
        given = {key: fitting(content[key], hint, key) for key, hint in hints.items() if key in content}
    except UsageError as error:
        raise DataError(f"{source}: {error}") from error
    config = Architecture(**given)
    _check(config, source)
    return config


_TYPES = {"str": str, "int": int, "float": float, "bool": bool, "tuple[int, ...]": tuple[int, ...]}


def _check(config: Architecture, source: str) -> None:
    sizes = {
        key: getattr(config, key)
        for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    }
    faults = [f"{key} is {value}, expected at least 1" for key, value in sizes.items() if value < 1]
    faults += [
        f"{key} is {list(getattr(config, key))}, expected whole numbers from 1"
        for key in ("conv_dim", "conv_kernel", "conv_stride")
        if not all(type(value) is int and value > 0 for value in getattr(config, key))
    ]
    if not len(config.conv_dim) == len(config.conv_kernel) == len(config.conv_stride) > 0:
        faults.append("conv_dim, conv_kernel and conv_stride must be lists of the same length")
    if not faults and config.hidden_size % config.num_attention_heads:
        faults.append(
            f"hidden_size {config.hidden_size} is no multiple of {config.num_attention_heads} heads"
        )
    if config.feat_extract_norm not in ("group", "layer"):
        faults.append(f"feat_extract_norm is {config.feat_extract_norm!r}, expected 'group' or 'layer'")
    faults += [
        f"{key} is {getattr(config, key)!r}, expected one of {', '.join(ACTIVATIONS)}"
        for key in ("hidden_act", "feat_extract_activation")
        if getattr(config, key) not in ACTIVATIONS
    ]
    if faults:
        raise DataError(f"{source}: " + "; ".join(faults))
