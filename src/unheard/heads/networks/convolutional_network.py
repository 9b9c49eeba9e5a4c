"""Two convolutions over frames, attentive statistics and a normalised output."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unheard.heads.networks.one_input_network import StandardisingNetwork
from unheard.heads.networks.output_layer import OutputLayer
from unheard.heads.networks.weighted_network import AttentiveStatistics
from unheard.training.batches import valid


class ConvolutionalNetwork(StandardisingNetwork):
    """Frames to class scores and dimensions.

    Parameters
    ----------
    dims, classes
        Values of a frame, and number of class scores.
    channels, attention, dropout
        See :class:`~unheard.heads.networks.convolutional.Convolutional`.
    dimensions
        Number of dimensions after the class scores.
    """

    def __init__(
        self,
        dims: int,
        classes: int,
        *,
        channels: int = 192,
        attention: int = 64,
        dropout: float = 0.4,
        dimensions: int = 0,
    ) -> None:
        super().__init__()
        self.dims = dims
        self.near = nn.Conv1d(dims, channels, kernel_size=3, padding=1)
        self.far = nn.Conv1d(channels, channels, kernel_size=3, padding=2, dilation=2)
        self.pool = AttentiveStatistics(channels, attention)
        self.norm = nn.BatchNorm1d(2 * channels)
        self.dropout = nn.Dropout(dropout)
        self.output = OutputLayer(2 * channels, classes, dimensions)
        # Statistics of the training frames: part of the network, but nothing that training changes.
        self.register_buffer("mean", torch.zeros(dims))
        self.register_buffer("scale", torch.ones(dims))

    def classify(self, standardised: Tensor, lengths: Tensor) -> Tensor:
        """Return the outputs (B, classes + dimensions) of standardised frames."""
        true = valid(standardised, lengths)
        # No gain and shift of its own: the convolution that follows has both, and its input needs no gradient.
        x = nn.functional.layer_norm(standardised, (self.dims,))
        x = torch.relu(self.near(_clean(x, true).transpose(1, 2))).transpose(1, 2)
        x = x + torch.relu(self.far(_clean(x, true).transpose(1, 2))).transpose(1, 2)
        pooled = self.pool(x, lengths)
        outputs: Tensor = self.output(self.dropout(self._normalised(pooled)))
        return outputs

    def _normalised(self, pooled: Tensor) -> Tensor:
        """Apply batch norm; a single clip, which has no deviation, is normalised by the running statistics."""
        norm = self.norm
        if len(pooled) > 1:
            normalised: Tensor = norm(pooled)
            return normalised
        return nn.functional.batch_norm(
            pooled, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )


def _clean(frames: Tensor, true: Tensor) -> Tensor:
    """Return zeros beyond a clip's end, as a convolution finds them at the end of a clip alone."""
    return frames.masked_fill(~true, 0.0)
