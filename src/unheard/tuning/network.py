"""Encoder and head as one network: waveforms in, class scores out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from unheard.heads.networks.one_input_network import OneInputNetwork


class TunedNetwork(nn.Module):
    """An encoder's network and a head's network behind it.

    Parameters
    ----------
    encoder
        ``forward(waves (B, N), lengths (B,), layers) -> (list of (B, T, D), frame lengths (B,))``.
    head
        ``score(frames (B, T, D) or (B, L, T, D), lengths (B,)) -> (B, classes)``.
    layers
        Numbers of the layers that the head takes: one, or with ``stacked`` all of them along E.
    whole
        Whether the encoder moves from below its first layer on, so that masks and dropout there are at work.
    precision
        ``bfloat16``: the encoder runs under automatic mixed precision; the head never does.
    """

    def __init__(
        self,
        encoder: nn.Module,
        head: OneInputNetwork,
        layers: Sequence[int],
        *,
        stacked: bool = False,
        whole: bool = True,
        precision: str = "float32",
    ) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        self.layers, self.stacked, self.whole, self.precision = tuple(layers), stacked, whole, precision

    def forward(self, waves: Tensor, lengths: Tensor) -> Tensor:
        """Return class scores (B, classes) of waveforms (B, N), whose first ``lengths`` samples are valid."""
        mixed = self.precision == "bfloat16"
        with torch.autocast(waves.device.type, torch.bfloat16, enabled=mixed):
            hidden, frames = self.encoder(waves, lengths, self.layers)
        layers = [layer.float() for layer in hidden]
        scores: Tensor = self.head.score(torch.stack(layers, dim=1) if self.stacked else layers[0], frames)
        return scores

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all that moves; what is frozen stays in eval mode, whatever is asked for."""
        super().train(mode)
        for part in self.encoder.modules():
            values = list(part.parameters())
            # A part without parameters of its own, such as a dropout, follows what it is part of.
            if values and not any(value.requires_grad for value in values):
                part.eval()
        # What the encoder does itself, between its parts, comes before the first layer: masks, and a dropout.
        self.encoder.training = mode and self.whole
        return self

    def moving(self) -> dict[str, Tensor]:
        """Return all that training changes, by name: parameters that take a gradient, and all of the head."""
        found = {name: value for name, value in self.named_parameters() if value.requires_grad}
        found |= {f"head.{name}": value for name, value in self.head.state_dict().items()}
        return {name: value.detach() for name, value in sorted(found.items())}

    @torch.no_grad()
    def move(self, values: dict[str, Tensor]) -> None:
        """Put back what :meth:`moving` returned."""
        own = self.moving()
        if set(own) != set(values):
            differ = sorted(set(own) ^ set(values))
            raise KeyError(f"the arrays of another network: {', '.join(differ[:5])}")
        for name, value in own.items():
            value.copy_(values[name])
