"""The network of TC-GRU: convolution, two GRU layers, embedding, output (arXiv 2503.22711, section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unheard.heads.networks.one_input_network import StandardisingNetwork
from unheard.heads.networks.output_layer import OutputLayer
from unheard.training.batches import valid


class TCGRUNetwork(StandardisingNetwork):
    """Frames to class scores and dimensions.

    Parameters
    ----------
    dims, classes
        Values of a frame, and number of class scores.
    hidden
        Channels of the convolution, units of the GRU and of the embedding; 256 as published.
    dropout
        Before the embedding.
    dimensions
        Number of dimensions after the class scores.
    """

    def __init__(
        self, dims: int, classes: int, hidden: int = 256, dropout: float = 0.1, dimensions: int = 0
    ) -> None:
        super().__init__()
        self.dims = dims
        self.convolution = nn.Conv1d(dims, hidden, kernel_size=3, padding=1)
        self.gru = nn.GRU(hidden, hidden, num_layers=2, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.embedding = nn.Linear(hidden, hidden)
        self.output = OutputLayer(hidden, classes, dimensions)
        # Statistics of the training frames: part of the network, but nothing that training changes.
        self.register_buffer("mean", torch.zeros(dims))
        self.register_buffer("scale", torch.ones(dims))

    def classify(self, standardised: Tensor, lengths: Tensor) -> Tensor:
        """Return the outputs (B, classes + dimensions) of standardised frames."""
        # A convolution at the last valid frame sees the first padded one: zeros, as at the end of a clip alone.
        clean = torch.where(valid(standardised, lengths), standardised, torch.zeros_like(standardised))
        convolved = torch.relu(self.convolution(clean.transpose(1, 2))).transpose(1, 2)
        # The GRU runs forward only: what comes after the last valid step cannot reach it.
        layers, _ = self.gru(convolved)
        last = (lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, layers.shape[2])
        pooled = layers.gather(1, last).squeeze(1)
        outputs: Tensor = self.output(torch.tanh(self.embedding(self.dropout(pooled))))
        return outputs
