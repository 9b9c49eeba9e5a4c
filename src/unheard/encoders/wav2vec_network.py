"""The network of wav2vec (Schneider et al. 2019): convolutions over samples, then causal ones over their frames.

Norms are group norms with one group, over channels and time together, so that their statistics are taken over a
clip's own frames alone: what pads a batch does not enter. No frame sees anything to its right but the samples
under its own kernel, so nothing else has to be masked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from unheard.encoders import fairseq
from unheard.errors import DataError

#: Channels, kernel and stride of each layer.
Layers = tuple[tuple[int, int, int], ...]
ACTIVATIONS = ("relu", "gelu")
#: Settings of the owners' that change the computation, and the only value of each that is computed here.
_ONLY = {"skip_connections_feat": False, "aggregator": "cnn"}


@dataclass(frozen=True)
class Architecture:
    """Sizes of a network; the defaults are those of the published large one.

    Parameters
    ----------
    features, context
        Layers of the encoder of samples, and of the context network.
    log_compression
        Whether log(abs(z) + 1) is taken of the encoder's output z.
    skip
        Whether a context layer f gives (f(x) + x) · sqrt(``residual_scale``), else f(x).
    residual_scale
        Factor under the root where ``skip`` holds; it has no effect otherwise.
    bias
        Whether convolutions of the context network have one.
    zero_pad
        Whether zeros stand before the first frame; else the first frame itself.
    affine
        Whether norms have a scale and a shift.
    activation
        ``relu`` or ``gelu``.
    """

    features: Layers = (
        (512, 10, 5),
        (512, 8, 4),
        (512, 4, 2),
        (512, 4, 2),
        (512, 4, 2),
        (512, 1, 1),
        (512, 1, 1),
    )
    context: Layers = tuple((512, kernel, 1) for kernel in range(2, 14))
    log_compression: bool = True
    skip: bool = True
    residual_scale: float = 0.5
    bias: bool = True
    zero_pad: bool = False
    affine: bool = True
    activation: str = "relu"

    @property
    def hop(self) -> int:
        """Samples from frame to frame."""
        return math.prod(stride for _, _, stride in self.features)

    @property
    def shortest(self) -> int:
        """Samples that one frame of the encoder sees."""
        seen, hop = 1, 1
        for _, kernel, stride in self.features:
            seen += (kernel - 1) * hop
            hop *= stride
        return seen

    def frames(self, samples: int) -> int:
        """Return the number of frames of a waveform, which is padded to :attr:`shortest`."""
        return (max(samples, self.shortest) - self.shortest) // self.hop + 1


def architecture(settings: Mapping[str, Any], where: str) -> Architecture:
    """Return the sizes that the owners' settings say.

    Raises
    ------
    DataError
        A setting that is missing or of another kind, or a network that is another one: vq-wav2vec, wav2vec 2.0.
    """
    name = str(settings.get("arch", settings.get("_name", "wav2vec")))
    if settings.get("vq_type", "none") not in ("none", None):
        raise DataError(
            f"{where}: this is vq-wav2vec (vq_type {settings['vq_type']!r}): its context network takes codes of a "
            "quantiser, which is not computed here; take one of wav2vec without it, such as wav2vec_large.pt"
        )
    if name.startswith("wav2vec2"):
        raise DataError(
            f"{where}: this is {name}, another network; take it in Transformers' form, with the encoder wav2vec2"
        )
    for key, wanted in _ONLY.items():
        if settings.get(key, wanted) != wanted:
            raise DataError(f"{where}: {key} is {settings[key]!r}, and only {wanted!r} is computed here")
    found = Architecture(
        tuple(fairseq.layers(settings.get("conv_feature_layers"), f"{where}: conv_feature_layers")),
        tuple(fairseq.layers(settings.get("conv_aggregator_layers"), f"{where}: conv_aggregator_layers")),
        log_compression=_said(settings, "log_compression", bool, where),
        skip=_said(settings, "skip_connections_agg", bool, where),
        residual_scale=float(_said(settings, "residual_scale", (int, float), where)),
        bias=not settings.get("no_conv_bias", False),
        zero_pad=bool(settings.get("agg_zero_pad", False)),
        affine=not settings.get("non_affine_group_norm", False),
        activation=str(settings.get("activation", "relu")),
    )
    if found.activation not in ACTIVATIONS:
        raise DataError(
            f"{where}: activation is {found.activation!r}, expected one of {', '.join(ACTIVATIONS)}"
        )
    if not 0 < found.residual_scale <= 100:
        raise DataError(f"{where}: residual_scale is {found.residual_scale}, expected above 0")
    if any(stride != 1 for _, _, stride in found.context):
        raise DataError(
            f"{where}: conv_aggregator_layers has strides other than 1, which are not computed here"
        )
    if found.hop > 16_000 or found.shortest > 160_000:
        raise DataError(f"{where}: conv_feature_layers gives less than a frame a second")
    return found


def _said(settings: Mapping[str, Any], key: str, kind: Any, where: str) -> Any:
    """Return a setting whose default differs between versions of the owners' code, so that it must be there."""
    if not isinstance(settings.get(key), kind):
        raise DataError(
            f"{where}: the setting {key} is {settings.get(key)!r}, and what it means by default differs between "
            "versions of fairseq; take a checkpoint that holds it"
        )
    return settings[key]


class Block(nn.Module):
    """Convolution, group norm over channels and time, activation."""

    def __init__(self, before: int, layer: tuple[int, int, int], bias: bool, config: Architecture) -> None:
        super().__init__()
        channels, kernel, stride = layer
        self.conv = nn.Conv1d(before, channels, kernel, stride, bias=bias)
        self.norm = nn.GroupNorm(1, channels, affine=config.affine)
        self.activation = functional.relu if config.activation == "relu" else functional.gelu

    def forward(self, x: Tensor, counts: Tensor) -> Tensor:
        """Return (clips, channels, frames), of which the first ``counts`` are a clip's own."""
        return self.activation(_normalised(self.norm, self.conv(x), counts))


class Wav2VecNetwork(nn.Module):
    """Samples to hidden states: state 0 is what enters the context network, state k what its layer k gives.

    Parameters
    ----------
    config
        Sizes.
    layers
        Number of context layers that are made.
    """

    def __init__(self, config: Architecture, layers: int) -> None:
        super().__init__()
        self.config = config
        sizes = (1, *(channels for channels, _, _ in config.features))
        self.features = nn.ModuleList(
            Block(before, layer, False, config)
            for before, layer in zip(sizes[:-1], config.features, strict=True)
        )
        dims = (sizes[-1], *(channels for channels, _, _ in config.context[:layers]))
        self.context = nn.ModuleList(
            Block(before, layer, config.bias, config)
            for before, layer in zip(dims[:-1], config.context[:layers], strict=True)
        )
        #: A linear map of what is added, where a context layer changes the number of channels.
        self.residual = nn.ModuleDict(
            {
                str(k): nn.Conv1d(before, after, 1, bias=False)
                for k, (before, after) in enumerate(pairwise(dims))
                if config.skip and before != after
            }
        )
        self.dims = dims

    def forward(self, waves: Tensor, lengths: Sequence[int], layers: Sequence[int]) -> list[Tensor]:
        """Return states ``layers``, each (clips, frames, dims), of waveforms (clips, samples) of these lengths."""
        config, x = self.config, waves[:, None]
        counts = torch.tensor(lengths, device=waves.device)
        for module in self.features:
            block = cast(Block, module)
            (kernel,), (stride,) = block.conv.kernel_size, block.conv.stride
            counts = (counts - kernel) // stride + 1
            x = block(x, counts)
        if config.log_compression:
            x = torch.log(x.abs() + 1)
        states = {0: x}
        for k, module in enumerate(list(self.context)[: max(layers)]):
            block = cast(Block, module)
            before = block.conv.kernel_size[0] - 1
            padded = functional.pad(x, (before, 0), mode="constant" if config.zero_pad else "replicate")
            made = block(padded, counts)
            if config.skip:
                kept = self.residual[str(k)](x) if str(k) in self.residual else x
                made = (made + kept) * math.sqrt(config.residual_scale)
            states[k + 1] = x = made
        return [states[k].transpose(1, 2) for k in layers]


def _normalised(norm: nn.GroupNorm, x: Tensor, counts: Tensor) -> Tensor:
    """Return x in float32 statistics of each clip's own frames, in the type of x."""
    if bool((counts == x.shape[2]).all()):
        scale = None if norm.weight is None else norm.weight.float()
        shift = None if norm.bias is None else norm.bias.float()
        return functional.group_norm(x.float(), 1, scale, shift, norm.eps).type_as(x)
    own = (torch.arange(x.shape[2], device=x.device)[None] < counts[:, None])[:, None]  # (clips, 1, frames)
    wide = x.float() * own
    values = (counts * x.shape[1])[:, None, None]
    centred = (wide - wide.sum((1, 2), keepdim=True) / values) * own
    made = centred * torch.rsqrt(centred.square().sum((1, 2), keepdim=True) / values + norm.eps)
    if norm.weight is not None:
        made = made * norm.weight.float()[:, None] + norm.bias.float()[:, None]
    return made.type_as(x)


def trained(config: Architecture, layers: int, tensors: Mapping[str, Tensor], where: str) -> Wav2VecNetwork:
    """Return the network with the owners' tensors; those of layers that are not made are left.

    Raises
    ------
    DataError
        Tensors that are missing or of another shape, or not finite.
    """
    with torch.device("meta"):
        network = Wav2VecNetwork(config, layers)
    names = {name: owners_name(name) for name in network.state_dict()}
    faults = []
    for name, expected in network.state_dict().items():
        found = tensors.get(names[name])
        if found is None:
            faults.append(f"{names[name]} is missing")
        elif found.shape != expected.shape:
            faults.append(f"{names[name]} is {tuple(found.shape)}, expected {tuple(expected.shape)}")
    if faults:
        listed = "; ".join(faults[:5])
        raise DataError(f"{where}: the weights do not fit the checkpoint's own settings: {listed}")
    network.load_state_dict({name: tensors[owner] for name, owner in names.items()}, assign=True)
    return network


def owners_name(name: str) -> str:
    """Return the name that the owners' files have for a tensor of :class:`Wav2VecNetwork`."""
    part, number, *rest = name.split(".")
    if part == "residual":
        return f"feature_aggregator.residual_proj.{number}.weight"
    module, places = {
        "features": ("feature_extractor", {"conv": 0, "norm": 2}),
        "context": ("feature_aggregator", {"conv": 1, "norm": 3}),
    }[part]
    return f"{module}.conv_layers.{number}.{places[rest[0]]}.{rest[1]}"


def plain(config: Architecture) -> dict[str, Any]:
    """Return the sizes as plain values, for a digest."""
    return {field.name: getattr(config, field.name) for field in fields(config)}
