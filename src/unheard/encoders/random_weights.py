"""What chance decides in a network: shuffled weights, and the frames that are masked in training.

Numbers are seeded for each tensor by its name, so a network that is cut has the numbers of the whole one.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn


def shuffle(network: nn.Module, seed: int) -> None:
    """Permute the values inside each tensor of parameters, in place."""
    with torch.no_grad():
        for name, value in network.named_parameters():
            order = torch.randperm(value.numel(), generator=generator(seed, name))
            value.copy_(value.flatten()[order].view_as(value))


def draw(network: nn.Module, scale: float, seed: int) -> None:
    """Draw the parameters anew, in place: weights normal, biases 0, norms 1; what is not to be trained stays.

    Parameters
    ----------
    network
        Network on the CPU.
    scale
        Standard deviation of the weights.
    seed
        Seed of all draws.
    """
    with torch.no_grad():
        for name, value in network.named_parameters():
            if not value.requires_grad:
                continue
            if value.ndim > 1:
                value.normal_(0.0, scale, generator=generator(seed, name))
            else:
                value.fill_(0.0 if name.endswith("bias") else 1.0)


def generator(seed: int, name: str) -> torch.Generator:
    """Return the generator for a tensor of this name."""
    number = int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:7])
    return torch.Generator().manual_seed(number)


def time_mask(frames: int, probability: float, length: int) -> Tensor:
    """Return which frames of a clip are masked, (frames,): spans of ``length``, on average so many frames of all.

    Park et al. (2019), as wav2vec 2.0 counts it: ``probability`` · frames / ``length`` spans, which may overlap.
    """
    spans = int(probability * frames / length + torch.rand(()).item())
    starts = torch.randint(max(1, frames - length + 1), (spans, 1))
    places = torch.arange(frames)
    return ((places >= starts) & (places < starts + length)).any(0)
