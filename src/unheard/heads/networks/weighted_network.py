"""Layer weighting, attentive statistics (Okabe et al. 2018, arXiv 1803.10963) and a perceptron."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unheard.heads.networks.one_input_network import OneInputNetwork
from unheard.heads.networks.output_layer import OutputLayer
from unheard.training.batches import valid


class WeightedNetwork(OneInputNetwork):
    """Frames of all layers to class scores and dimensions.

    Parameters
    ----------
    dims, classes, layers
        Values of a frame, number of class scores, and how many layers are weighted.
    normalise
        Layer-normalise each layer first, without parameters.
    attention, hidden, dropout
        See :class:`~unheard.heads.networks.weighted.Weighted`.
    dimensions
        Number of dimensions after the class scores.
    """

    def __init__(
        self,
        dims: int,
        classes: int,
        layers: int,
        *,
        normalise: bool = False,
        attention: int = 128,
        hidden: int = 256,
        dropout: float = 0.3,
        dimensions: int = 0,
    ) -> None:
        super().__init__()
        self.dims, self.layers, self.normalise = dims, layers, normalise
        self.weights = nn.Parameter(torch.zeros(layers))
        self.dropout = nn.Dropout(dropout)
        self.pool = AttentiveStatistics(dims, attention)
        self.hidden = nn.Linear(2 * dims, hidden)
        self.output = OutputLayer(hidden, classes, dimensions)

    def score(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return outputs (B, classes + dimensions) of (B, layers, T, dims); the first ``lengths`` frames count."""
        if self.normalise:
            frames = nn.functional.layer_norm(frames, (self.dims,))
        # As a product of matrices that lie as the frames do: an einsum would copy all layers first.
        shares = self.shares().expand(len(frames), 1, -1)
        mixed = (shares @ frames.flatten(2)).view(len(frames), *frames.shape[2:])
        pooled = self.pool(self.dropout(mixed), lengths)
        outputs: Tensor = self.output(self.dropout(torch.relu(self.hidden(pooled))))
        return outputs

    def shares(self) -> Tensor:
        """Return the weights of the layers, which sum to 1."""
        return torch.softmax(self.weights, dim=0)


class AttentiveStatistics(nn.Module):
    """Mean and standard deviation over frames, weighted by what the frames themselves say.

    e = vᵀ tanh(W h + b), α = softmax of e over the valid frames, μ = Σ α h, σ = sqrt(max(Σ α h² - μ², 1e-6)).
    """

    def __init__(self, dims: int, attention: int) -> None:
        super().__init__()
        self.projection = nn.Linear(dims, attention)
        self.direction = nn.Linear(attention, 1, bias=False)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return the statistics (B, 2 dims) of frames (B, T, dims)."""
        true = valid(frames, lengths)
        clean = torch.where(true, frames, torch.zeros_like(frames))
        energy = self.direction(torch.tanh(self.projection(clean)))
        share = torch.softmax(energy.masked_fill(~true, -torch.inf), dim=1)
        mean = (share * clean).sum(dim=1)
        variance = (share * clean**2).sum(dim=1) - mean**2
        return torch.cat([mean, variance.clamp(min=1e-6).sqrt()], dim=1)
