"""The last layer of every network head: class scores, and dimensions on [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class OutputLayer(nn.Linear):
    """A linear map whose last columns pass through a sigmoid.

    This is the one place where a network brings dimensions onto [0, 1]: a graph of it does the same, with the
    sigmoid over the columns from ``classes`` on.

    Parameters
    ----------
    inputs
        Number of values that it takes.
    classes, dimensions
        Numbers of its outputs of each kind.
    """

    def __init__(self, inputs: int, classes: int, dimensions: int = 0) -> None:
        super().__init__(inputs, classes + dimensions)
        self.classes, self.dimensions = classes, dimensions

    def forward(self, values: Tensor) -> Tensor:
        """Return outputs (B, classes + dimensions) of values (B, inputs)."""
        outputs = super().forward(values)
        if not self.dimensions:
            return outputs
        return torch.cat([outputs[:, : self.classes], torch.sigmoid(outputs[:, self.classes :])], dim=1)
