"""What the networks over one input have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn


class OneInputNetwork(nn.Module, ABC):
    """A network whose :meth:`score` takes the frames of the only input.

    ``dims`` is the number of values in a frame, ``layers`` the number of layers, 1 for plain frames.
    """

    dims: int
    layers = 1

    def forward(self, inputs: Mapping[str, Tensor], lengths: Mapping[str, Tensor]) -> Tensor:
        """Return outputs (B, width) of frames (B, T, dims) or (B, layers, T, dims) of these valid lengths."""
        ((name, frames),) = inputs.items()
        return self.score(frames, lengths[name])

    @abstractmethod
    def score(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return outputs (B, width) of a batch of frames."""


class StandardisingNetwork(OneInputNetwork):
    """A network that standardises frames by the training frames before anything else.

    What training changes (noise, masks, mixtures) it changes between the two steps.
    """

    mean: Tensor
    scale: Tensor

    def score(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return outputs (B, width) of frames (B, T, dims)."""
        return self.classify(self.standardise(frames), lengths)

    def standardise(self, frames: Tensor) -> Tensor:
        """Return frames with mean 0 and standard deviation 1 over the training frames."""
        return (frames - self.mean) / self.scale

    @abstractmethod
    def classify(self, standardised: Tensor, lengths: Tensor) -> Tensor:
        """Return outputs (B, width) of standardised frames."""
