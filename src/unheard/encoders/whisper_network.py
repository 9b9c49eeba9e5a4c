"""Whisper's encoder: two convolutions over a log-mel spectrogram, fixed positions, pre-norm transformer layers.

Radford et al. (2022), section 2.2. Entry 0 is what enters the first layer (with positions), entry k what layer k
gives; the final norm belongs to the last entry alone. In mode ``30s`` a window is heard padded with silence to the
length that the network was trained on, and its own frames are kept; in mode ``trimmed`` it is heard by itself,
with the first positions, which is faster and another function.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from unheard.encoders.random_weights import time_mask
from unheard.encoders.transformer.attention import attend
from unheard.encoders.transformer.packing import Piece, pieces
from unheard.errors import DataError
from unheard.features.whisper import WhisperMel
from unheard.settings import fitting

HOP = 320  # samples from frame to frame: two of the spectrogram's


@dataclass(frozen=True)
class Sizes:
    """Of a network, with the names of the field's ``config.json``; defaults are those of Whisper tiny."""

    d_model: int = 384
    encoder_layers: int = 4
    encoder_attention_heads: int = 6
    encoder_ffn_dim: int = 1536
    num_mel_bins: int = 80
    max_source_positions: int = 1500
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    init_std: float = 0.02

    @property
    def window(self) -> int:
        """Samples of a window: 30 s in all published models."""
        return self.max_source_positions * HOP


@dataclass(frozen=True)
class Window:
    """A piece of a clip of at most 30 s, as the network hears it.

    ``mels`` is (2 · frames, bands); ``kept`` of the frames are the clip's.
    """

    mels: Tensor
    frames: int
    kept: int


def sizes(config: Mapping[str, Any], source: str) -> Sizes:
    """Read the sizes from a ``config.json``.

    Raises
    ------
    DataError
        Another family's model, or values that make no network.
    """
    if config.get("model_type") != "whisper":
        raise DataError(
            f"{source}: model_type is {config.get('model_type')!r}, but the encoder is 'whisper'; set "
            "encoder.name to the model's own family, or name a Whisper model"
        )
    if config.get("activation_function", "gelu") != "gelu":
        raise DataError(
            f"{source}: activation_function is {config['activation_function']!r}, expected 'gelu'"
        )
    made = Sizes(
        **{
            field.name: fitting(
                config[field.name], {"int": int, "float": float}[str(field.type)], f"{source}: {field.name}"
            )
            for field in fields(Sizes)
            if field.name in config
        }
    )
    whole = [field.name for field in fields(Sizes) if field.type == "int"]
    small = [f"{name} is {getattr(made, name)}" for name in whole if getattr(made, name) < 1]
    if small or made.d_model % made.encoder_attention_heads or made.d_model % 2:
        raise DataError(
            f"{source}: these sizes make no network: "
            + (", ".join(small) or f"d_model {made.d_model} with {made.encoder_attention_heads} heads")
        )
    return made


class WhisperNetwork(nn.Module):
    """Waveforms to the frames of entries.

    Parameters
    ----------
    made : sizes.
    layers : so many of the lowest; the final norm is made with all of them only.
    mode : ``30s`` or ``trimmed``.
    rounding : ``ceil`` (a begun frame counts) or ``floor``.

    Attributes
    ----------
    front, layers : the convolutions; the transformer layers, lowest first.
    checkpointing : compute layers again in the backward pass rather than keep what they made.
    time_mask : probability that a frame is masked and length of a mask in frames; in training mode only.
    """

    def __init__(self, made: Sizes, layers: int, mode: str, rounding: str) -> None:
        super().__init__()
        self.made, self.mode, self.rounding = made, mode, rounding
        self.checkpointing = False
        self.time_mask: tuple[float, int] | None = None
        self.front = _Front(made)
        self.positions: Tensor
        self.register_buffer("positions", torch.empty(made.max_source_positions, made.d_model))
        self.layers = nn.ModuleList(_Layer(made) for _ in range(layers))
        if layers == made.encoder_layers:
            self.layer_norm = nn.LayerNorm(made.d_model)

    def forward(self, waves: Tensor, lengths: Tensor, layers: Sequence[int]) -> tuple[list[Tensor], Tensor]:
        """Return the entries ``layers``, each (clips, frames, dims) padded with zeros, and frames of each clip.

        There is no gradient into the waveforms: the spectrogram is computed outside torch.

        Parameters
        ----------
        waves : (clips, samples) float32; lengths : (clips,) samples of each clip.
        layers : entries, in any order.
        """
        heard = [
            self.windows(wave[:length].detach().cpu().float().numpy())
            for wave, length in zip(waves, lengths.tolist(), strict=True)
        ]
        counts = [sum(window.kept for window in windows) for windows in heard]
        entries = self.packed([window for windows in heard for window in windows], layers)
        padded = [pad_sequence(list(torch.split(entry, counts)), batch_first=True) for entry in entries]
        return padded, torch.tensor(counts, device=waves.device)

    def windows(self, wave: NDArray[np.float32]) -> list[Window]:
        """Cut a waveform (samples,) into consecutive windows and compute what the network hears of each."""
        whole = self.made.window
        seconds = whole / 16_000 if self.mode == "30s" else 0.0
        front = WhisperMel(bands=self.made.num_mel_bins, seconds=seconds)
        like = self.front.conv1.weight
        made = []
        for k, kept in enumerate(self.counts(len(wave))):
            samples = wave[k * whole : (k + 1) * whole]
            heard = np.pad(samples, (0, -len(samples) % HOP)) if self.mode == "trimmed" else samples
            mels = torch.from_numpy(front.compute(heard)).to(like.device, like.dtype)
            made.append(Window(mels, len(mels) // 2, kept))
        return made

    def counts(self, samples: int) -> list[int]:
        """Return the frames that are kept of each window of so many samples; one where there would be none."""
        whole, up = self.made.window, HOP - 1 if self.rounding == "ceil" else 0
        lengths = [min(whole, samples - start) for start in range(0, samples, whole)]
        return [count for count in ((length + up) // HOP for length in lengths) if count] or [1]

    def packed(self, windows: Sequence[Window], layers: Sequence[int]) -> list[Tensor]:
        """Return the entries ``layers``, each (kept frames of all windows, dims); nothing above is computed."""
        parts = pieces([window.frames for window in windows], self.positions.device)
        x = torch.cat([self._entered(window) for window in windows])
        x = functional.dropout(x, self.made.dropout, self.training)
        own = [torch.arange(window.frames, device=x.device) < window.kept for window in windows]
        valid = None if all(window.kept == window.frames for window in windows) else torch.cat(own)

        def kept(rows: Tensor) -> Tensor:
            return rows if valid is None else rows[valid]

        found = {0: kept(x)} if 0 in layers else {}
        for index, layer in enumerate(self.layers[: max(layers)], start=1):
            again = self.checkpointing and torch.is_grad_enabled()
            x = checkpoint(layer, x, parts, use_reentrant=False) if again else layer(x, parts)
            if index in layers:
                last = index == self.made.encoder_layers
                found[index] = self.layer_norm(kept(x)) if last else kept(x)
        return [found[index] for index in layers]

    def _entered(self, window: Window) -> Tensor:
        """Return a window's frames as they enter the first layer, (frames, dims)."""
        mels = window.mels
        if self.training and self.time_mask is not None:
            hidden = time_mask(window.kept, *self.time_mask).repeat_interleave(2)
            hidden = functional.pad(hidden, (0, len(mels) - len(hidden))).to(mels.device)
            mels = mels.masked_fill(hidden[:, None], 0.0)
        entered: Tensor = self.front(mels) + self.positions[: window.frames]
        return entered


def sinusoids(length: int, channels: int) -> Tensor:
    """Return the positions, (length, channels): sines, then cosines, of wavelengths up to 10,000 · 2π frames."""
    steps = torch.exp(-math.log(10_000) / (channels // 2 - 1) * torch.arange(channels // 2))
    angles = torch.arange(length)[:, None] * steps
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class _Front(nn.Module):
    """Two convolutions; the second halves the frames."""

    def __init__(self, made: Sizes) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(made.num_mel_bins, made.d_model, 3, padding=1)
        self.conv2 = nn.Conv1d(made.d_model, made.d_model, 3, stride=2, padding=1)

    def forward(self, mels: Tensor) -> Tensor:
        """Return (frames, dims) of one window's (2 · frames, bands)."""
        x = functional.gelu(self.conv1(mels.T[None]))
        return functional.gelu(self.conv2(x))[0].T


class _Layer(nn.Module):
    """Attention and feed-forward, each behind its norm and beside its residual."""

    def __init__(self, made: Sizes) -> None:
        super().__init__()
        self.made = made
        self.self_attn = nn.ModuleDict(
            {
                name: nn.Linear(made.d_model, made.d_model, bias=name != "k_proj")
                for name in ("q_proj", "k_proj", "v_proj", "out_proj")
            }
        )
        self.self_attn_layer_norm = nn.LayerNorm(made.d_model)
        self.fc1 = nn.Linear(made.d_model, made.encoder_ffn_dim)
        self.fc2 = nn.Linear(made.encoder_ffn_dim, made.d_model)
        self.final_layer_norm = nn.LayerNorm(made.d_model)

    def forward(self, x: Tensor, parts: Sequence[Piece]) -> Tensor:
        """Return rows (frames, dims) of rows (frames, dims)."""
        x = x + self._drop(self._attention(self.self_attn_layer_norm(x), parts), self.made.dropout)
        y = functional.gelu(self.fc1(self.final_layer_norm(x)))
        return x + self._drop(self.fc2(self._drop(y, self.made.activation_dropout)), self.made.dropout)

    def _attention(self, x: Tensor, parts: Sequence[Piece]) -> Tensor:
        heads = self.made.encoder_attention_heads
        shape = (heads, x.shape[1] // heads)
        query, key, value = (self.self_attn[f"{name}_proj"](x).unflatten(1, shape) for name in "qkv")
        dropout = self.made.attention_dropout * self.training
        mixed: Tensor = self.self_attn["out_proj"](attend(query, key, value, None, None, parts, dropout))
        return mixed

    def _drop(self, x: Tensor, share: float) -> Tensor:
        return functional.dropout(x, share, self.training)
