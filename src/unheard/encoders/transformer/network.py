"""The network of wav2vec 2.0, HuBERT and WavLM: front, projection, positional convolution, transformer layers.

Hidden state 0 is what enters the first layer, hidden state k what layer k gives. Where norms come first
(pre-norm), the final norm belongs to the last one alone. Clips are packed without padding (``packing.py``).
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
    """Waveforms to the hidden states of frames.

    Parameters
    ----------
    config
        Sizes of the network.
    normalize
        Give each waveform zero mean and unit variance over its own samples first.
    layers
        Transformer layers to make, the lowest ones; the final norm of a pre-norm network is made with all of
        them only.

    Attributes
    ----------
    front, projection, position, layers
        Parts, in the order of computation.
    checkpointing
        Compute layers again in the backward pass rather than keep what they made.
    time_mask
        Probability that a frame is masked and length of a mask in frames; in training mode only.
    """

    def __init__(self, config: Architecture, normalize: bool, layers: int) -> None:
        super().__init__()
        self.config = config
        self.normalize = normalize
        self.checkpointing = False
        self.time_mask: tuple[float, int] | None = None
        self.front = Front(config)
        self.projection = _Projection(config)
        self.masked_spec_embed = nn.Parameter(torch.zeros(config.hidden_size))
        self.position = _Position(config)
        if config.model_type == "wavlm" and layers:
            self.distances = nn.Embedding(config.num_buckets, config.num_attention_heads)
        self.layers = nn.ModuleList(Layer(config) for _ in range(layers))
        whole = layers == config.num_hidden_layers
        if whole or not config.do_stable_layer_norm:
            self.norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def position_bias(self, frames: int) -> Tensor:
        """Return WavLM's relative position bias before gating, (heads, frames, frames)."""
        return position_bias(self.distances.weight, frames, self.config.max_bucket_distance)

    def forward(self, waves: Tensor, lengths: Tensor, layers: Sequence[int]) -> tuple[list[Tensor], Tensor]:
        """Return the asked hidden states, each (clips, frames, dims) padded with zeros, and frames of each clip.

        Parameters
        ----------
        waves
            (clips, samples) float32, zeros after a clip's end.
        lengths
            (clips,) samples of each clip.
        layers
            Numbers of hidden states, in any order.
        """
        own = [wave[:length] for wave, length in zip(waves, lengths.tolist(), strict=True)]
        if self.normalize:
            own = [standardized(wave) for wave in own]
        states, counts = self.packed(own, layers)
        padded = [pad_sequence(list(torch.split(state, counts)), batch_first=True) for state in states]
        return padded, torch.tensor(counts, device=waves.device)

    def packed(self, waves: Sequence[Tensor], layers: Sequence[int]) -> tuple[list[Tensor], list[int]]:
        """Return the asked hidden states, each (frames of all clips, dims), and frames of each clip.

        Nothing above the highest of them is computed.

        Parameters
        ----------
        waves
            (samples,) each, already normalised.
        layers
            Numbers of hidden states, in any order.
        """
        counts = [self.config.frames(len(wave)) for wave in waves]
        parts = pieces(counts, self.position.conv.weight.device)
        x = self.projection(self._frames(waves, counts))
        if self.training and self.time_mask is not None:
            masked = torch.cat([time_mask(count, *self.time_mask) for count in counts])[:, None]
            x = torch.where(masked.to(x.device), self.masked_spec_embed.to(x.dtype), x)
        x = x + self.position(x, parts)
        if not self.config.do_stable_layer_norm:
            x = self.norm(x)
        x = functional.dropout(x, self.config.hidden_dropout, self.training)
        bias = None
        if self.config.model_type == "wavlm" and max(layers) > 0:
            bias = self.position_bias(max(counts))
        wanted = {0: x} if 0 in layers else {}
        for index, layer in enumerate(self.layers[: max(layers)], start=1):
            if self.checkpointing and torch.is_grad_enabled():
                x = checkpoint(layer, x, parts, bias, use_reentrant=False)
            else:
                x = layer(x, parts, bias)
            if index in layers:
                last = index == self.config.num_hidden_layers and self.config.do_stable_layer_norm
                wanted[index] = self.norm(x) if last else x
        return [wanted[index] for index in layers], counts

    def _frames(self, waves: Sequence[Tensor], counts: Sequence[int]) -> Tensor:
        """Run the frontend; one clip at a time keeps memory small, a GPU takes all clips at once."""
        shortest = self.config.shortest
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

    def __init__(self, config: Architecture) -> None:
        super().__init__()
        self.pre_norm = config.do_stable_layer_norm
        self.dropout = config.hidden_dropout
        self.attention = Attention(config)
        self.layer_norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.feed_forward = _FeedForward(config)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

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
    def __init__(self, config: Architecture) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.output_dense = nn.Linear(config.intermediate_size, config.hidden_size)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.inner, self.outer = config.activation_dropout, config.hidden_dropout

    def forward(self, x: Tensor) -> Tensor:
        x = functional.dropout(self.activation(self.intermediate_dense(x)), self.inner, self.training)
        return functional.dropout(self.output_dense(x), self.outer, self.training)


class _Projection(nn.Module):
    def __init__(self, config: Architecture) -> None:
        super().__init__()
        if config.feat_proj_layer_norm:
            self.layer_norm = nn.LayerNorm(config.conv_dim[-1], config.layer_norm_eps)
        self.projection = nn.Linear(config.conv_dim[-1], config.hidden_size)
        self.dropout = config.feat_proj_dropout

    def forward(self, x: Tensor) -> Tensor:
        if hasattr(self, "layer_norm"):
            x = self.layer_norm(x)
        return functional.dropout(self.projection(x), self.dropout, self.training)


class _Position(nn.Module):
    """Convolution over the frames of a clip, which sees zeros outside it."""

    def __init__(self, config: Architecture) -> None:
        super().__init__()
        kernel, groups = config.num_conv_pos_embeddings, config.num_conv_pos_embedding_groups
        self.conv = nn.Conv1d(
            config.hidden_size, config.hidden_size, kernel, padding=kernel // 2, groups=groups
        )
        self.activation = ACTIVATIONS[config.feat_extract_activation]

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
