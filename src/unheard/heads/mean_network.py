"""The network of the heads that take the mean over frames: EmoBox', and the plain one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unheard.heads.one_input_network import OneInputNetwork
from unheard.training.batches import valid


class MeanNetwork(OneInputNetwork):
    """Frames to class scores: a layer with ReLU for each frame or none, mean over frames, dropout, output.

    Parameters
    ----------
    dims, width
        Values of a frame, and number of outputs.
    hidden
        Units of the frames' layer; None: the frames as they are.
    dropout
        Of the mean.
    """

    def __init__(self, dims: int, width: int, *, hidden: int | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        self.dims = dims
        self.frame = None if hidden is None else nn.Linear(dims, hidden)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden or dims, width)

    def score(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Class scores (B, width) of frames (B, T, dims), of which the first ``lengths`` (B,) are valid."""
        if self.frame is not None:
            frames = torch.relu(self.frame(frames))
        kept = torch.where(valid(frames, lengths), frames, torch.zeros_like(frames))
        mean = kept.sum(dim=1) / lengths[:, None]
        scores: Tensor = self.output(self.dropout(mean))
        return scores
