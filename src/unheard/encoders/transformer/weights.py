"""Weights of a network: as they were trained, or drawn anew; names and shapes checked.

Tensors carry the field's names, with the prefix of a model with a head or without. Shuffling and drawing are
seeded for each tensor by its name, so a network that is cut has the numbers of the whole one.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from unheard.encoders import checkpoint
from unheard.encoders.random_weights import generator
from unheard.encoders.transformer.architecture import Architecture
from unheard.encoders.transformer.network import Network
from unheard.errors import need
from unheard.files import write_bytes

#: Our names of modules, and those in the files.
_NAMES = {
    "front.": "feature_extractor.conv_layers.",
    "projection.": "feature_projection.",
    "position.": "encoder.pos_conv_embed.",
    "distances.": "encoder.layers.0.attention.rel_attn_embed.",
    "layers.": "encoder.layers.",
    "norm.": "encoder.layer_norm.",
}
_KERNEL = "encoder.pos_conv_embed.conv.weight"
#: The kernel of the positional convolution as length and direction (weight normalisation), in two spellings.
_NORMED = (("_g", "_v"), ("original0", "original1"))
_OPTIONAL = "masked_spec_embed"  # not there in models trained without masks


def trained(config: Architecture, normalize: bool, layers: int, folder: Path) -> Network:
    """Return the network with the weights in a folder; those of layers that are not made are not read.

    Raises
    ------
    DataError
        Tensors that are missing, of another shape than the configuration says, or not finite.
    """
    with torch.device("meta"):
        network = Network(config, normalize, layers)
    expected = {theirs(name): tensor.shape for name, tensor in network.state_dict().items()}
    prefix = checkpoint.prefix(folder, theirs("projection.projection.weight"))
    parts = [_KERNEL.replace("weight", f"weight{end}") for end in _NORMED[0]]
    parts += [_KERNEL.replace("weight", f"parametrizations.weight.{end}") for end in _NORMED[1]]
    read = checkpoint.tensors(folder, (prefix + name for name in (*expected, *parts)))
    found = {name.removeprefix(prefix): tensor for name, tensor in read.items()}
    for length, direction in (parts[:2], parts[2:]):
        if length in found and direction in found:
            found[_KERNEL] = _normed(found.pop(length), found.pop(direction))
    found.setdefault(_OPTIONAL, torch.zeros(config.hidden_size))
    checkpoint.check_shapes(found, expected, folder)
    network.load_state_dict({name: found[theirs(name)] for name in network.state_dict()}, assign=True)
    return network


def drawn(config: Architecture, normalize: bool, layers: int, seed: int) -> Network:
    """Return the network with random weights, as the architecture is initialised for pretraining."""
    with torch.device("meta"):
        network = Network(config, normalize, layers)
    network.to_empty(device="cpu")
    with torch.no_grad():
        for name, module in network.named_modules():
            for key, value in module.named_parameters(recurse=False):
                _draw(module, key, value, config.initializer_range, generator(seed, f"{name}.{key}"))
    return network


def save(network: Network, path: Path) -> None:
    """Write the weights in the field's form, which other libraries read as well."""
    found = {theirs(name): value.detach().float().cpu() for name, value in network.state_dict().items()}
    kernel = found.pop(_KERNEL)
    length, direction = (_KERNEL.replace("weight", f"parametrizations.weight.{end}") for end in _NORMED[1])
    found[length] = kernel.square().sum((0, 1), keepdim=True).sqrt()
    found[direction] = kernel
    data = need("safetensors.torch", "train").save(
        {name: tensor.contiguous() for name, tensor in found.items()}, metadata={"format": "pt"}
    )
    write_bytes(path, data)


def theirs(name: str) -> str:
    """Return the name in the files of a tensor of :class:`Network`."""
    for own, other in _NAMES.items():
        if name.startswith(own):
            return other + name.removeprefix(own)
    return name


def _normed(length: Tensor, direction: Tensor) -> Tensor:
    """Return the kernel (out, in, taps) of a length for each tap and a direction."""
    return length * direction / direction.square().sum((0, 1), keepdim=True).sqrt()


def _draw(module: nn.Module, key: str, value: Tensor, scale: float, drawn: torch.Generator) -> None:
    if isinstance(module, nn.Conv1d) and key == "weight":  # He et al. 2015
        fan = module.in_channels // module.groups * module.kernel_size[0]
        value.normal_(0, math.sqrt(2 / fan), generator=drawn)
    elif isinstance(module, nn.Linear | nn.Embedding) and key == "weight":
        value.normal_(0, scale, generator=drawn)
    elif key == _OPTIONAL:
        value.uniform_(generator=drawn)
    else:
        value.fill_(0.0 if key == "bias" else 1.0)
