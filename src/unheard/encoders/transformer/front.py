"""From waveforms to frames: strided convolutions, 16 kHz to 50 frames a second.

The first convolution sees ten samples and gives 512 channels, so what its norm needs (mean and variance of each
channel over time, or of each frame over channels) follows from the 10 × 10 moments of the samples. The norm
becomes part of the convolution's weights, and the largest arrays of the network are neither read for statistics
nor written again. Group-norm statistics are those of a clip's own frames; what was padded does not enter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from unheard.encoders.transformer.architecture import Architecture

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": functional.gelu, "relu": functional.relu}


class Front(nn.ModuleList):
    """Convolutions; each item has ``conv`` and, where it is followed by a norm, ``layer_norm``.

    Parameters
    ----------
    config
        Sizes of the network.
    """

    def __init__(self, config: Architecture) -> None:
        dims = (1, *config.conv_dim)
        super().__init__(
            _Step(
                nn.Conv1d(before, after, kernel, stride, bias=config.conv_bias),
                nn.LayerNorm(after) if config.feat_extract_norm == "layer" or index == 0 else None,
            )
            for index, ((before, after), kernel, stride) in enumerate(
                zip(pairwise(dims), config.conv_kernel, config.conv_stride, strict=True)
            )
        )
        self.over_time = config.feat_extract_norm == "group"
        self.activation = ACTIVATIONS[config.feat_extract_activation]

    def forward(self, waves: Tensor, lengths: Sequence[int]) -> Tensor:
        """Return frames (clips, frames, channels) of waveforms (clips, samples), the first ``lengths`` valid."""
        x = self.activation(self._first(waves, lengths))
        for step in cast(list[_Step], list(self)[1:]):
            x = _convolved(x, step.conv)
            if step.layer_norm is not None:
                x = step.layer_norm(x)
            x = self.activation(x)
        return x

    def _first(self, waves: Tensor, lengths: Sequence[int]) -> Tensor:
        """Compute the first convolution and its norm in one product."""
        step = cast(_Step, self[0])
        norm = cast(nn.LayerNorm, step.layer_norm)
        seen, hop = step.conv.kernel_size[0], step.conv.stride[0]
        samples = waves.unfold(1, seen, hop)  # (clips, frames, seen)
        weight = step.conv.weight[:, 0].double()  # (channels, seen)
        gain, shift = norm.weight.double(), norm.bias.double()
        eps, type_ = norm.eps, step.conv.weight.dtype
        if self.over_time:
            counts = [(length - seen) // hop + 1 for length in lengths]
            mean, moment = _moments(samples, counts)
            centred = moment - mean[:, :, None] * mean[:, None, :]
            variance = torch.einsum("ci,bij,cj->bc", weight, centred, weight).clamp_min(0)
            scale = gain * torch.rsqrt(variance + eps)  # (clips, channels); a bias would cancel
            offset = shift - scale * (mean @ weight.T)
            scaled = scale[:, :, None] * weight
            made = [
                functional.linear(one.to(type_), w.to(type_), b.to(type_))
                for one, w, b in zip(samples, scaled, offset, strict=True)
            ]
            return torch.stack(made) if len(made) > 1 else made[0][None]
        if step.conv.bias is not None:
            samples = functional.pad(samples, (0, 1), value=1.0)
            weight = torch.cat([weight, step.conv.bias.double()[:, None]], 1)
        weight = weight - weight.mean(0)
        wide = samples.double()
        variance = ((wide @ (weight.T @ weight / len(weight))) * wide).sum(-1, keepdim=True).clamp_min(0)
        wide = wide * torch.rsqrt(variance + eps)
        return functional.linear(wide.to(type_), (gain[:, None] * weight).to(type_), shift.to(type_))


class _Step(nn.Module):
    def __init__(self, conv: nn.Conv1d, layer_norm: nn.LayerNorm | None) -> None:
        super().__init__()
        self.conv = conv
        self.layer_norm = layer_norm


def _convolved(x: Tensor, conv: nn.Conv1d) -> Tensor:
    """Return (clips, frames, channels), as x is: a picture one pixel high, channels last, needs no copies."""
    weight = conv.weight[:, :, None].contiguous(memory_format=torch.channels_last)
    made = functional.conv2d(x.transpose(1, 2)[:, :, None], weight, conv.bias, (1, *conv.stride))
    return made[:, :, 0].transpose(1, 2)


def _moments(samples: Tensor, counts: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return mean (clips, seen) and second moments (clips, seen, seen) of each clip's own frames, in float64."""
    made = [one[:count].double() for one, count in zip(samples, counts, strict=True)]
    return (
        torch.stack([one.mean(0) for one in made]),
        torch.stack([one.T @ one / len(one) for one in made]),
    )
