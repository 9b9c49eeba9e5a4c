"""The network of the heads that take the mean over frames: EmoBox', and the plain one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unheard.heads.networks.one_input_network import OneInputNetwork
from unheard.heads.networks.output_layer import OutputLayer
from unheard.training.batches import valid


class MeanNetwork(OneInputNetwork):
    """Frames to class scores and dimensions: a layer with ReLU for each frame or none, their mean, the output.

    Parameters
    ----------
    dims, classes
        Values of a frame, and number of class scores.
    hidden
        Units of the frames' layer; None: the frames as they are.
    dropout
        Dropout on the mean.
    dimensions
        Number of dimensions after the class scores.
    """

    def __init__(
        self,
        dims: int,
        classes: int,
        *,
        hidden: int | None = None,
        dropout: float = 0.0,
        dimensions: int = 0,
    ) -> None:
        super().__init__()
        self.dims = dims
        self.frame = None if hidden is None else nn.Linear(dims, hidden)
        self.dropout = nn.Dropout(dropout)
        self.output = OutputLayer(hidden or dims, classes, dimensions)

    def score(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return outputs (B, classes + dimensions) of (B, T, dims), of which the first ``lengths`` count."""
        if self.frame is not None:
            frames = torch.relu(self.frame(frames))
        kept = torch.where(valid(frames, lengths), frames, torch.zeros_like(frames))
        mean = kept.sum(dim=1) / lengths[:, None]
        outputs: Tensor = self.output(self.dropout(mean))
        return outputs
