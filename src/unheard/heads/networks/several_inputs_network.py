"""The networks of the heads over several inputs: each input to frames of one width, joined, one output.

An input that a clip lacks has length 0: no frame of it is attended to, and a learned vector stands for its mean.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from unheard.heads.networks.output_layer import OutputLayer
from unheard.training.batches import valid

#: Frames (B, T, hidden) of an input, and which of them are valid (B, T, 1).
Part = tuple[Tensor, Tensor]


class SeveralInputsNetwork(nn.Module, ABC):
    """Standardised frames of each input pass through a linear map; what is joined passes through the output.

    Parameters
    ----------
    dims
        Values of a frame, or of a row, which is one frame, by the name of the input.
    width
        Number of values that :meth:`join` returns.
    classes, dimensions
        Numbers of outputs of each kind.
    hidden
        Values of a frame after the map.
    dropout
        Dropout before the output.
    drop_inputs
        Probability with which a clip lacks an input in training; one input always stays.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        width: int,
        classes: int,
        *,
        hidden: int,
        dropout: float,
        drop_inputs: float,
        dimensions: int = 0,
    ) -> None:
        super().__init__()
        self.dims, self.hidden, self.drop_inputs = dict(dims), hidden, drop_inputs
        self.map = nn.ModuleDict({name: nn.Linear(count, hidden) for name, count in dims.items()})
        self.absent = nn.ParameterDict({name: nn.Parameter(torch.zeros(hidden)) for name in dims})
        for name, count in dims.items():
            self.register_buffer(f"mean_{name}", torch.zeros(count))
            self.register_buffer(f"scale_{name}", torch.ones(count))
        self.dropout = nn.Dropout(dropout)
        self.output = OutputLayer(width, classes, dimensions)

    def forward(self, inputs: Mapping[str, Tensor], lengths: Mapping[str, Tensor]) -> Tensor:
        """Return outputs (B, classes + dimensions) of frames (B, T, dims) by input, of these valid lengths."""
        if self.training and self.drop_inputs:
            lengths = self._dropped(lengths)
        outputs: Tensor = self.output(self.dropout(self.join(self.parts(inputs, lengths))))
        return outputs

    def parts(self, inputs: Mapping[str, Tensor], lengths: Mapping[str, Tensor]) -> dict[str, Part]:
        """Return the standardised and mapped frames of each input, and which of them are valid."""
        found = {}
        for name in self.dims:
            standard = (inputs[name] - getattr(self, f"mean_{name}")) / getattr(self, f"scale_{name}")
            mask = valid(standard, lengths[name])
            found[name] = (self.map[name](standard.masked_fill(~mask, 0.0)), mask)
        return found

    @abstractmethod
    def join(self, parts: Mapping[str, Part]) -> Tensor:
        """Return (B, width) of the mapped frames of each input."""

    def pooled(self, name: str, frames: Tensor, mask: Tensor) -> Tensor:
        """Return the mean (B, hidden) over valid frames; for a clip without any, what stands for the input."""
        count = mask.sum(dim=1)
        mean = frames.masked_fill(~mask, 0.0).sum(dim=1) / count.clamp(min=1)
        return torch.where(count > 0, mean, self.absent[name])

    def _dropped(self, lengths: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return lengths of which some are 0: an input of a clip is taken away, but never the last that it has."""
        stacked = torch.stack([lengths[name] for name in self.dims])  # (inputs, B)
        there = stacked > 0
        draw = torch.rand(stacked.shape, device=stacked.device)
        kept = (draw >= self.drop_inputs) & there
        # Where nothing would stay, the input that was nearest to staying does.
        best = draw.masked_fill(~there, -1.0).argmax(dim=0, keepdim=True)
        alone = torch.zeros_like(kept).scatter(0, best, value=True)
        kept |= alone & ~kept.any(dim=0, keepdim=True)
        return dict(zip(self.dims, torch.where(kept, stacked, torch.zeros_like(stacked)), strict=True))


class ConcatenationNetwork(SeveralInputsNetwork):
    """The means of all inputs after a ReLU, side by side."""

    def __init__(self, dims: Mapping[str, int], classes: int, *, hidden: int, **settings: Any) -> None:
        super().__init__(dims, hidden * len(dims), classes, hidden=hidden, **settings)

    def join(self, parts: Mapping[str, Part]) -> Tensor:
        """Return (B, inputs x hidden)."""
        means = [self.pooled(name, torch.relu(frames), mask) for name, (frames, mask) in parts.items()]
        return torch.cat(means, dim=1)


class GatesNetwork(SeveralInputsNetwork):
    """The means of all inputs, weighed: for every value the inputs' shares, which sum to 1, depend on all means.

    Of two inputs t and a this is g t + (1 - g) a with g = σ(W [t; a]). An input that a clip lacks has no share.
    """

    def __init__(self, dims: Mapping[str, int], classes: int, *, hidden: int, **settings: Any) -> None:
        super().__init__(dims, hidden, classes, hidden=hidden, **settings)
        self.gate = nn.Linear(hidden * len(dims), hidden * len(dims))

    def join(self, parts: Mapping[str, Part]) -> Tensor:
        """Return (B, hidden)."""
        means = [self.pooled(name, torch.tanh(frames), mask) for name, (frames, mask) in parts.items()]
        there = torch.stack([mask.any(dim=1) for _, mask in parts.values()], dim=1)  # (B, inputs, 1)
        gates: Tensor = self.gate(torch.cat(means, dim=1)).unflatten(1, (len(parts), self.hidden))
        shares = gates.masked_fill(~there, torch.finfo(gates.dtype).min).softmax(dim=1)
        return (shares * torch.stack(means, dim=1)).sum(dim=1)


class CrossAttentionNetwork(SeveralInputsNetwork):
    """The frames of each input query those of all others; residual, norm, and the means side by side.

    One input alone queries itself. Padding is neither attended to nor averaged.
    """

    def __init__(
        self, dims: Mapping[str, int], classes: int, *, hidden: int, attention_heads: int, **settings: Any
    ) -> None:
        super().__init__(dims, hidden * len(dims), classes, hidden=hidden, **settings)
        self.attention = nn.ModuleDict({name: Attention(hidden, attention_heads) for name in dims})
        self.norm = nn.ModuleDict({name: nn.LayerNorm(hidden) for name in dims})

    def join(self, parts: Mapping[str, Part]) -> Tensor:
        """Return (B, inputs x hidden)."""
        found = []
        for name, (frames, mask) in parts.items():
            others = [part for other, part in parts.items() if other != name] or [(frames, mask)]
            keys, seen = (torch.cat(each, dim=1) for each in zip(*others, strict=True))
            attended = self.norm[name](frames + self.attention[name](frames, keys, seen))
            found.append(self.pooled(name, attended, mask))
        return torch.cat(found, dim=1)


class AlignmentNetwork(SeveralInputsNetwork):
    """Each frame of the first input, such as a word, finds by attention what lies under it in the others.

    α = softmax over j of t W a_j, and c = Σ α a_j; t and c side by side pass through a recurrent layer of both
    directions, whose mean and maximum are taken (Xu et al. 2019, arXiv 1909.05645). For a clip without the first
    input one learned vector t stands.
    """

    def __init__(
        self, dims: Mapping[str, int], classes: int, *, hidden: int, recurrent: int, **settings: Any
    ) -> None:
        super().__init__(dims, 4 * recurrent, classes, hidden=hidden, **settings)
        self.align = nn.Linear(hidden, hidden, bias=False)
        self.gru = nn.GRU(2 * hidden, recurrent, batch_first=True, bidirectional=True)

    def join(self, parts: Mapping[str, Part]) -> Tensor:
        """Return (B, 4 x recurrent)."""
        frames, mask, keys, seen = self._sides(parts)
        found = torch.cat([frames, self._shares(frames, keys, seen) @ keys.masked_fill(~seen, 0.0)], dim=2)
        lengths = mask.sum(dim=(1, 2)).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(found, lengths, batch_first=True, enforce_sorted=False)
        states, _ = nn.utils.rnn.pad_packed_sequence(
            self.gru(packed)[0], batch_first=True, total_length=found.shape[1]
        )
        mean = states.masked_fill(~mask, 0.0).sum(dim=1) / mask.sum(dim=1)
        highest = states.masked_fill(~mask, torch.finfo(states.dtype).min).amax(dim=1)
        return torch.cat([mean, highest], dim=1)

    def shares(self, inputs: Mapping[str, Tensor], lengths: Mapping[str, Tensor]) -> Tensor:
        """Return α (B, frames of the first input, frames of the others)."""
        frames, _, keys, seen = self._sides(self.parts(inputs, lengths))
        return self._shares(frames, keys, seen)

    def _sides(self, parts: Mapping[str, Part]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the frames of the first input and of all others, each with what is valid."""
        (name, (frames, mask)), *others = parts.items()
        listed = [part for _, part in others] or [(frames, mask)]
        keys, seen = (torch.cat(each, dim=1) for each in zip(*listed, strict=True))
        lacking = ~mask.any(dim=1, keepdim=True)
        first = torch.zeros_like(mask)
        first[:, 0] = True
        stands = first & lacking
        return torch.where(stands, self.absent[name], frames), mask | stands, keys, seen

    def _shares(self, frames: Tensor, keys: Tensor, seen: Tensor) -> Tensor:
        scores = self.align(frames) @ keys.transpose(1, 2)
        lowest = torch.finfo(scores.dtype).min
        shares: Tensor = scores.masked_fill(~seen.transpose(1, 2), lowest).softmax(dim=2)
        return shares


class Attention(nn.Module):
    """Multi-head attention of frames over other frames; to nothing where no frame is valid.

    Parameters
    ----------
    hidden
        Values of a frame.
    heads
        Number of heads; it divides ``hidden``.
    """

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(hidden, hidden) for _ in range(4))

    def forward(self, frames: Tensor, keys: Tensor, seen: Tensor) -> Tensor:
        """Return (B, T, hidden) for frames (B, T, hidden) over keys (B, S, hidden) where ``seen`` (B, S, 1)."""
        q, k, v = (
            part(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part, x in ((self.query, frames), (self.key, keys), (self.value, keys))
        )
        # A number and not -inf, so that a clip without any key gives a mean that is then taken away, and no NaN.
        bias = torch.zeros_like(seen, dtype=q.dtype).masked_fill(~seen, torch.finfo(q.dtype).min)
        mixed = scaled_dot_product_attention(q, k, v, attn_mask=bias.transpose(1, 2)[:, None])
        attended: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return attended.masked_fill(~seen.any(dim=1, keepdim=True), 0.0)
