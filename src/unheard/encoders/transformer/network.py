"""The network of wav2vec 2.0, HuBERT and WavLM: front, projection, positional convolution, transformer layers.

Entry 0 is what enters the first layer, entry k what layer k gives. Where norms come first (pre-norm), the final
norm belongs to the last entry alone. Clips are packed without padding (``packing.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from unheard.encoders.random_weights import time_mask
from unheard.encoders.transformer.architecture import Architecture
from unheard.encoders.transformer.attention import Attention, position_bias
from unheard.encoders.transformer.front import ACTIVATIONS, Front
from unheard.encoders.transformer.packing import Piece, pieces, rows_of


class Network(nn.Module):
    """Waveforms to the frames of entries.

    Parameters
    ----------
    made : sizes.
    normalize : give each waveform zero mean and unit variance over its own samples first.
    layers : transformer layers to make, the lowest ones; the final norm of a pre-norm network is made with all of
        them only.

    Attributes
    ----------
    front, projection, position, layers : parts, in the order of computation.
    checkpointing : compute layers again in the backward pass rather than keep what they made.
    time_mask : probability that a frame is masked and length of a mask in frames; in training mode only.
    """

    def __init__(self, made: Architecture, normalize: bool, layers: int) -> None:
        super().__init__()
        self.made = made
        self.normalize = normalize
        self.checkpointing = False
        self.time_mask: tuple[float, int] | None = None
        self.front = Front(made)
        self.projection = _Projection(made)
        self.masked_spec_embed = nn.Parameter(torch.zeros(made.hidden_size))
        self.position = _Position(made)
        if made.model_type == "wavlm" and layers:
            self.distances = nn.Embedding(made.num_buckets, made.num_attention_heads)
        self.layers = nn.ModuleList(Layer(made) for _ in range(layers))
        whole = layers == made.num_hidden_layers
        if whole or not made.do_stable_layer_norm:
            self.norm = nn.LayerNorm(made.hidden_size, made.layer_norm_eps)

    def position_bias(self, frames: int) -> Tensor:
        """WavLM's relative position bias before gating, (heads, frames, frames)."""
        return position_bias(self.distances.weight, frames, self.made.max_bucket_distance)

    def forward(self, waves: Tensor, lengths: Tensor, layers: Sequence[int]) -> tuple[list[Tensor], Tensor]:
        """Return the entries ``layers``, each (clips, frames, dims) padded with zeros, and frames of each clip.

        Parameters
        ----------
        waves : (clips, samples) float32, zeros after a clip's end.
        lengths : (clips,) samples of each clip.
        layers : entries, in any order.
        """
        own = [wave[:length] for wave, length in zip(waves, lengths.tolist(), strict=True)]
        if self.normalize:
            own = [standardized(wave) for wave in own]
        entries, counts = self.packed(own, layers)
        padded = [pad_sequence(list(torch.split(entry, counts)), batch_first=True) for entry in entries]
        return padded, torch.tensor(counts, device=waves.device)

    def packed(self, waves: Sequence[Tensor], layers: Sequence[int]) -> tuple[list[Tensor], list[int]]:
        """Return the entries ``layers``, each (frames of all clips, dims), and frames of each clip.

        Nothing above the highest entry is computed.

        Parameters
        ----------
        waves : (samples,) each, already normalised.
        layers : entries, in any order.
        """
        counts = [self.made.frames(len(wave)) for wave in waves]
        parts = pieces(counts, self.position.conv.weight.device)
        x = self.projection(self._frames(waves, counts))
        if self.training and self.time_mask is not None:
            masked = torch.cat([time_mask(count, *self.time_mask) for count in counts])[:, None]
            x = torch.where(masked.to(x.device), self.masked_spec_embed.to(x.dtype), x)
        x = x + self.position(x, parts)
        if not self.made.do_stable_layer_norm:
            x = self.norm(x)
        x = functional.dropout(x, self.made.hidden_dropout, self.training)
        bias = None
        if self.made.model_type == "wavlm" and max(layers) > 0:
            bias = self.position_bias(max(counts))
        wanted = {0: x} if 0 in layers else {}
        for index, layer in enumerate(self.layers[: max(layers)], start=1):
            if self.checkpointing and torch.is_grad_enabled():
                x = checkpoint(layer, x, parts, bias, use_reentrant=False)
            else:
                x = layer(x, parts, bias)
            if index in layers:
                last = index == self.made.num_hidden_layers and self.made.do_stable_layer_norm
                wanted[index] = self.norm(x) if last else x
        return [wanted[index] for index in layers], counts

    def _frames(self, waves: Sequence[Tensor], counts: Sequence[int]) -> Tensor:
        """Front end, rows of all clips: one clip at a time keeps memory small; a GPU takes them all at once."""
        shortest = self.made.shortest
        waves = [functional.pad(wave, (0, max(0, shortest - len(wave)))) for wave in waves]
        lengths = [len(wave) for wave in waves]
        if waves[0].device.type == "cpu":
            each: Iterable[Tensor] = (
                self.front(wave[None], [length])[0] for wave, length in zip(waves, lengths, strict=True)
            )
        else:
            each = self.front(pad_sequence(list(waves), batch_first=True), lengths).unbind()
        return rows_of([one[:count] for one, count in zip(each, counts, strict=True)])


class Layer(nn.Module):
    """Attention and feed-forward, each with its residual and its norm."""

    def __init__(self, made: Architecture) -> None:
        super().__init__()
        self.pre_norm = made.do_stable_layer_norm
        self.dropout = made.hidden_dropout
        self.attention = Attention(made)
        self.layer_norm = nn.LayerNorm(made.hidden_size, made.layer_norm_eps)
        self.feed_forward = _FeedForward(made)
        self.final_layer_norm = nn.LayerNorm(made.hidden_size, made.layer_norm_eps)

    def forward(self, x: Tensor, parts: Sequence[Piece], bias: Tensor | None) -> Tensor:
        """Return rows (frames, dims) of rows (frames, dims)."""
        if self.pre_norm:
            x = x + self._drop(self.attention(self.layer_norm(x), parts, bias))
            x = x + self.feed_forward(self.final_layer_norm(x))
        else:
            x = self.layer_norm(x + self._drop(self.attention(x, parts, bias)))
            x = self.final_layer_norm(x + self.feed_forward(x))
        return x

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


class _FeedForward(nn.Module):
    def __init__(self, made: Architecture) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(made.hidden_size, made.intermediate_size)
        self.output_dense = nn.Linear(made.intermediate_size, made.hidden_size)
        self.activation = ACTIVATIONS[made.hidden_act]
        self.inner, self.outer = made.activation_dropout, made.hidden_dropout

    def forward(self, x: Tensor) -> Tensor:
        x = functional.dropout(self.activation(self.intermediate_dense(x)), self.inner, self.training)
        return functional.dropout(self.output_dense(x), self.outer, self.training)


class _Projection(nn.Module):
    def __init__(self, made: Architecture) -> None:
        super().__init__()
        if made.feat_proj_layer_norm:
            self.layer_norm = nn.LayerNorm(made.conv_dim[-1], made.layer_norm_eps)
        self.projection = nn.Linear(made.conv_dim[-1], made.hidden_size)
        self.dropout = made.feat_proj_dropout

    def forward(self, x: Tensor) -> Tensor:
        if hasattr(self, "layer_norm"):
            x = self.layer_norm(x)
        return functional.dropout(self.projection(x), self.dropout, self.training)


class _Position(nn.Module):
    """Convolution over the frames of a clip, which sees zeros outside it."""

    def __init__(self, made: Architecture) -> None:
        super().__init__()
        kernel, groups = made.num_conv_pos_embeddings, made.num_conv_pos_embedding_groups
        self.conv = nn.Conv1d(made.hidden_size, made.hidden_size, kernel, padding=kernel // 2, groups=groups)
        self.activation = ACTIVATIONS[made.feat_extract_activation]

    def forward(self, x: Tensor, parts: Sequence[Piece]) -> Tensor:
        made = []
        for piece in parts:
            # An even kernel gives one frame too many, at the end.
            one = self.conv(piece.of(x).transpose(1, 2))[..., : piece.frames]
            made.append(piece.back(self.activation(one).transpose(1, 2)))
        return rows_of(made)


def standardized(wave: Tensor) -> Tensor:
    """Return a waveform (samples,) with zero mean and unit variance."""
    centred = wave - wave.mean()
    return centred * torch.rsqrt(centred.square().mean() + 1e-7)
