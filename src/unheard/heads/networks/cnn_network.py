"""A stack of convolutions over a picture of sound, attentive statistics of what it gives, one output.

The picture of a spectrogram is time by frequency; that of a waveform is its samples in one column. A convolution
of stride s makes ceil(T / s) rows of T, and what lies beyond a clip's end is zero before each of them, as it is
for a clip alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from unheard.heads.networks.one_input_network import StandardisingNetwork
from unheard.heads.networks.output_layer import OutputLayer
from unheard.heads.networks.weighted_network import AttentiveStatistics


class Layer(NamedTuple):
    """A convolution: its channels, and kernel and stride over time and over frequency."""

    channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]


def over_spectrogram(channels: int) -> tuple[Layer, ...]:
    """Return the layers of the network over a spectrogram: time and frequency are halved three times."""
    widths = (channels // 4, channels // 2, channels, channels)
    return tuple(
        Layer(width, (3, 3), (stride, stride)) for width, stride in zip(widths, (1, 2, 2, 2), strict=True)
    )


def over_samples(channels: int, dims: int) -> tuple[Layer, ...]:
    """Return the layers of the network over samples: their strides lead to frames of ``dims`` samples.

    Of 160 samples they are 5, 4, 4, 2. The first kernel holds sixteen strides (5 ms), those that follow two; a
    last one, over three frames, has none.
    """
    strides, left = [], dims
    while left > 1:
        stride = next((s for s in (5, 4, 3, 2) if left % s == 0), left)
        strides.append(stride)
        left //= stride
    first, *rest = strides or [1]
    return (
        Layer(channels // 2, (16 * first, 1), (first, 1)),
        *(Layer(channels, (2 * stride, 1), (stride, 1)) for stride in rest),
        Layer(channels, (3, 1), (1, 1)),
    )


class CNNNetwork(StandardisingNetwork):
    """Frames to class scores and dimensions.

    Parameters
    ----------
    dims, layers, classes
        Values of a frame, the convolutions, and number of class scores.
    samples
        Whether a frame's values are samples in a row, and not frequencies.
    attention, dropout
        See :class:`~unheard.heads.networks.convolutional.Convolutional`.
    dimensions
        Number of dimensions after the class scores.
    """

    def __init__(
        self,
        dims: int,
        layers: Sequence[Layer],
        classes: int,
        *,
        samples: bool = False,
        attention: int = 64,
        dropout: float = 0.4,
        dimensions: int = 0,
    ) -> None:
        super().__init__()
        self.dims, self.layers_, self.samples = dims, tuple(layers), samples
        height = 1 if samples else dims
        sizes = (1, *(layer.channels for layer in layers))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, layer.channels, layer.kernel, layer.stride, bias=False)
            for before, layer in zip(sizes[:-1], layers, strict=True)
        )
        self.norms = nn.ModuleList(ValidBatchNorm(layer.channels) for layer in layers)
        for layer in layers:
            height = -(-height // layer.stride[1])
        self.pool = AttentiveStatistics(sizes[-1] * height, attention)
        self.dropout = nn.Dropout(dropout)
        self.output = OutputLayer(2 * sizes[-1] * height, classes, dimensions)
        self.register_buffer("mean", torch.zeros(dims))
        self.register_buffer("scale", torch.ones(dims))

    def classify(self, standardised: Tensor, lengths: Tensor) -> Tensor:
        """Return the outputs (B, classes + dimensions) of standardised frames (B, T, dims)."""
        x, counts = standardised[:, None], lengths
        if self.samples:
            x, counts = x.flatten(2)[..., None], counts * self.dims
        own = _own(x, counts)
        x = x.masked_fill(~own, 0.0)
        for convolution, norm, layer in zip(self.convolutions, self.norms, self.layers_, strict=True):
            x = convolution(functional.pad(x, _padding(layer)))
            counts = (counts - 1) // layer.stride[0] + 1
            own = _own(x, counts)
            x = torch.relu(cast(ValidBatchNorm, norm).masked(x, own)).masked_fill(~own, 0.0)
        frames = x.transpose(1, 2).flatten(2)
        outputs: Tensor = self.output(self.dropout(self.pool(frames, counts)))
        return outputs


class ValidBatchNorm(nn.BatchNorm1d):
    """Batch norm whose statistics in training are those of valid places alone."""

    def masked(self, x: Tensor, own: Tensor) -> Tensor:
        """Return x (B, C, T, F) normalised by channel; places where ``own`` (B, 1, T, 1) is false do not count."""
        if self.training:
            count = own.sum() * x.shape[3]
            mean = x.masked_fill(~own, 0.0).sum((0, 2, 3)) / count
            apart = (x - mean[:, None, None]).masked_fill(~own, 0.0)
            variance = apart.square().sum((0, 2, 3)) / count
            with torch.no_grad():
                share = 0.1 if self.momentum is None else self.momentum
                cast(Tensor, self.running_mean).lerp_(mean, share)
                cast(Tensor, self.running_var).lerp_(variance * count / (count - 1).clamp(min=1), share)
        else:
            mean, variance = cast(Tensor, self.running_mean), cast(Tensor, self.running_var)
        gain = self.weight * torch.rsqrt(variance + self.eps)
        return x * gain[:, None, None] + (self.bias - gain * mean)[:, None, None]


def _padding(layer: Layer) -> tuple[int, int, int, int]:
    """Return zeros to the left and right in frequency, then in time: a stride s leaves ceil(T / s) of T."""
    (time, frequency) = layer.kernel
    return (frequency - 1) // 2, frequency // 2, (time - 1) // 2, time // 2


def _own(x: Tensor, counts: Tensor) -> Tensor:
    """Return which rows of (B, C, T, F) are a clip's own, (B, 1, T, 1)."""
    return (torch.arange(x.shape[2], device=x.device)[None] < counts[:, None])[:, None, :, None]
