"""Weights of Whisper's encoder: as they were trained, or drawn anew; names and shapes checked."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from unheard.encoders import checkpoint
from unheard.encoders import random_weights as chance
from unheard.encoders.whisper_network import Sizes, WhisperNetwork, sinusoids
from unheard.errors import DataError, first_five, need
from unheard.files import write_bytes


def trained(made: Sizes, layers: int, mode: str, rounding: str, folder: Path) -> WhisperNetwork:
    """Return the network with the weights in a folder; those of layers that are not made are not read.

    Raises
    ------
    DataError
        Tensors that are missing, of another shape than the configuration says, or not finite.
    """
    with torch.device("meta"):
        network = WhisperNetwork(made, layers, mode, rounding)
    expected = {theirs(name): value.shape for name, value in network.state_dict().items()}
    anchor = "conv1.weight"
    names = checkpoint.where(folder)
    prefix = next((name.removesuffix(anchor) for name in names if name.endswith(anchor)), "")
    read = checkpoint.tensors(folder, (prefix + name for name in expected))
    found = {name.removeprefix(prefix): tensor for name, tensor in read.items()}
    faults = [f"{prefix}{name} is missing" for name in expected if name not in found]
    faults += [
        f"{prefix}{name} is {tuple(found[name].shape)}, expected {tuple(shape)}"
        for name, shape in expected.items()
        if name in found and found[name].shape != shape
    ]
    if faults:
        raise DataError(f"{folder}: the weights do not fit config.json: {first_five(faults)}")
    network.load_state_dict({name: found[theirs(name)] for name in network.state_dict()}, assign=True)
    return network


def drawn(made: Sizes, layers: int, mode: str, rounding: str, seed: int) -> WhisperNetwork:
    """Return the network with random weights: normal with ``init_std``, biases 0, norms 1, positions as always."""
    with torch.device("meta"):
        network = WhisperNetwork(made, layers, mode, rounding)
    network.to_empty(device="cpu")
    network.positions.copy_(sinusoids(*network.positions.shape))
    with torch.no_grad():
        for name, module in network.named_modules():
            for key, value in module.named_parameters(recurse=False):
                if key == "weight" and not isinstance(module, nn.LayerNorm):
                    value.normal_(0.0, made.init_std, generator=chance.generator(seed, f"{name}.{key}"))
                else:
                    value.fill_(0.0 if key == "bias" else 1.0)
    return network


def save(network: WhisperNetwork, path: Path) -> None:
    """Write the weights in the field's form, which other libraries read as well."""
    found: dict[str, Tensor] = {
        f"encoder.{theirs(name)}": value.detach().float().cpu().contiguous()
        for name, value in network.state_dict().items()
    }
    write_bytes(path, need("safetensors.torch", "train").save(found, metadata={"format": "pt"}))


def theirs(name: str) -> str:
    """Return the name in the files, after the prefix of the encoder, of a tensor of :class:`WhisperNetwork`."""
    return "embed_positions.weight" if name == "positions" else name.removeprefix("front.")
