"""The network of TC-GRU: convolution, two GRU layers, embedding, output (arXiv 2503.22711, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class TCGRUNetwork(nn.Module):
    """Frames to class scores.

    Parameters
    ----------
    dims, classes
        Of frames and of scores.
    hidden
        Channels of the convolution, units of the GRU and of the embedding; 256 as published.
    dropout
        Before the embedding.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, dims: int, classes: int, hidden: int = 256, dropout: float = 0.1) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(dims, hidden, kernel_size=3, padding=1)
        self.gru = nn.GRU(hidden, hidden, num_layers=2, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.embedding = nn.Linear(hidden, hidden)
        self.output = nn.Linear(hidden, classes)
        # Statistics of the training frames: part of the network, but nothing that training changes.
        self.register_buffer("mean", torch.zeros(dims))
        self.register_buffer("scale", torch.ones(dims))

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Class scores (B, classes) of frames (B, T, dims), of which the first ``lengths`` (B,) are valid."""
        return self.classify(self.standardise(frames), lengths)

    def standardise(self, frames: Tensor) -> Tensor:
        """Frames with mean 0 and standard deviation 1 over the training frames."""
        return (frames - self.mean) / self.scale

    def classify(self, standardised: Tensor, lengths: Tensor) -> Tensor:
        """Class scores of standardised frames."""
        steps = torch.arange(standardised.shape[1], device=standardised.device)
        valid = (steps[None, :] < lengths[:, None]).unsqueeze(2)
        # A convolution at the last valid frame sees the first padded one: zeros, as at the end of a clip alone.
        clean = torch.where(valid, standardised, torch.zeros_like(standardised))
        convolved = torch.relu(self.convolution(clean.transpose(1, 2))).transpose(1, 2)
        # The GRU runs forward only: what comes after the last valid step cannot reach it.
        layers, _ = self.gru(convolved)
        last = (lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, layers.shape[2])
        pooled = layers.gather(1, last).squeeze(1)
        scores: Tensor = self.output(torch.tanh(self.embedding(self.dropout(pooled))))
        return scores


def padded(features: Sequence[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    """Frames (B, T, dims) with zeros after each clip's end, and lengths (B,)."""
    lengths = torch.tensor([len(clip) for clip in features])
    frames = torch.zeros(len(features), int(lengths.max()), features[0].shape[1])
    for row, clip in zip(frames, features, strict=True):
        row[: len(clip)] = torch.from_numpy(np.ascontiguousarray(clip, dtype=np.float32))
    return frames, lengths


def buckets(lengths: Sequence[int], size: int, rng: np.random.Generator | None) -> list[list[int]]:
    """Batches of clips of similar length; with ``rng``, other ones and in another order at every call.

    Lengths are jittered by up to a tenth before sorting, so that the same clips do not always meet.
    """
    keys = np.asarray(lengths, dtype=np.float64)
    if rng is not None:
        keys = keys * rng.uniform(0.9, 1.1, len(keys))
    order = np.argsort(keys, kind="stable")
    batches = [order[start : start + size].tolist() for start in range(0, len(order), size)]
    if rng is not None:
        rng.shuffle(batches)
    return batches
