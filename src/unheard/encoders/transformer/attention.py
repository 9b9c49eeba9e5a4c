"""Self-attention over the frames of a clip, with WavLM's gated relative position bias where the family has it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from unheard.encoders.transformer.architecture import Architecture
from unheard.encoders.transformer.packing import Piece, rows_of


class Attention(nn.Module):
    """Multi-head attention; the fused kernel takes WavLM's bias as an additive mask.

    Parameters
    ----------
    config
        Sizes of the network.
    """

    def __init__(self, config: Architecture) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.dropout = config.attention_dropout
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))
        self.gated = config.model_type == "wavlm"
        if self.gated:
            self.gru_rel_pos_const = nn.Parameter(torch.ones(1, self.heads, 1, 1))
            self.gru_rel_pos_linear = nn.Linear(width // self.heads, 8)

    def forward(self, x: Tensor, pieces: Sequence[Piece], bias: Tensor | None) -> Tensor:
        """Return rows (frames, dims) of rows (frames, dims).

        Parameters
        ----------
        x
            Rows of all clips.
        pieces
            Where the clips lie in them.
        bias
            (heads, frames, frames) by relative position, at least as long as the longest clip; WavLM's alone.
        """
        shape = (len(x), self.heads, -1)
        query, key, value = (project(x).view(shape) for project in (self.q_proj, self.k_proj, self.v_proj))
        gate = self._gate(x.view(shape)) if self.gated else None
        x = attend(query, key, value, gate, bias, pieces, self.dropout * self.training)
        return cast(Tensor, self.out_proj(x))

    def _gate(self, x: Tensor) -> Tensor:
        """Return by how much each frame and head takes the bias: (frames, heads) of (frames, heads, dims)."""
        a, b = torch.sigmoid(self.gru_rel_pos_linear(x).view(*x.shape[:2], 2, 4).sum(-1)).unbind(-1)
        return a * (b * self.gru_rel_pos_const.flatten() - 1) + 2


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    gate: Tensor | None,
    bias: Tensor | None,
    pieces: Sequence[Piece],
    dropout: float,
) -> Tensor:
    """Return rows (frames, dims) of query, key and value (frames, heads, dims of a head)."""
    made = []
    for piece in pieces:
        mask = None
        if gate is not None and bias is not None:
            mask = piece.of(gate).transpose(1, 2)[..., None] * bias[:, : piece.frames, : piece.frames]
        if piece.valid is not None:
            keys = piece.valid[:, None, None, :]
            mask = keys if mask is None else mask.masked_fill(~keys, -math.inf)
        q, k, v = (piece.of(rows).transpose(1, 2) for rows in (query, key, value))
        if q.dtype == torch.bfloat16 and q.device.type == "cpu" and not dropout:
            x = _plain(q, k, v, mask)
        else:
            x = functional.scaled_dot_product_attention(q, k, v, mask, dropout)
        made.append(piece.back(x.transpose(1, 2)).flatten(1))
    return rows_of(made)


def _plain(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Compute attention step by step, a third faster than the fused kernel (4 s, bfloat16, on a CPU)."""
    scores = query * query.shape[-1] ** -0.5 @ key.transpose(-1, -2)
    if mask is not None:
        scores = scores + mask
    return torch.matmul(scores.softmax(-1), value)


def position_bias(embedding: Tensor, frames: int, furthest: int) -> Tensor:
    """Return the bias (heads, frames, frames) of each key's distance from the query, before gating.

    Parameters
    ----------
    embedding
        (buckets, heads). Half of the buckets is for keys after the query; in each half, small distances
        have one bucket each and larger ones share them by their logarithm.
    frames
        Length of the longest clip.
    furthest
        Distance from which on all share the last bucket.

    Notes
    -----
    Raffel et al. 2020, section 2.1; Chen et al. 2022 (WavLM), section III-A.
    """
    half = len(embedding) // 2
    exact = half // 2
    distance = torch.arange(frames, device=embedding.device)
    shared = torch.log(distance.clamp_min(1).float() / exact) / math.log(furthest / exact) * (half - exact)
    bucket = torch.where(distance < exact, distance, (exact + shared).long().clamp_max(half - 1))
    line = torch.cat([bucket.flip(0), half + bucket[1:]])  # distances −(frames − 1) … frames − 1
    values = embedding[line].T.contiguous()  # (heads, 2 frames − 1)
    # Row i of the bias is the line from −i on: windows over the line, the last one first.
    return values.unfold(1, frames, 1).flip(1).contiguous()
