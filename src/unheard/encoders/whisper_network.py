"""Whisper's encoder on Transformers' layers: two convolutions over a log-mel spectrogram, fixed positions, layers.

Radford et al. (2022), section 2.2. Layer 0 is what enters the first layer (with positions), layer k what the k-th
gives; the final norm belongs to the last alone. In mode ``30s`` the network takes a window padded with silence to
the length that it was trained on, and its own frames are kept; in mode ``trimmed`` it takes the window by itself,
with the first positions, which is faster and another function.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint as recomputed
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoderLayer

from unheard.encoders import checkpoint, random_weights
from unheard.encoders.transformer.packing import Piece, pieces, rows_of
from unheard.errors import DataError
from unheard.features.whisper import WhisperMel

HOP = 320  # samples from frame to frame: two of the spectrogram's
#: Keys of ``config.json`` that decide about the encoder: whole numbers, and what matters in training.
SIZES = (
    "d_model",
    "encoder_layers",
    "encoder_attention_heads",
    "encoder_ffn_dim",
    "num_mel_bins",
    "max_source_positions",
)
OTHERS = ("dropout", "attention_dropout", "activation_dropout", "init_std")


@dataclass(frozen=True)
class Window:
    """A stretch of a clip of at most 30 s, as the network takes it.

    Parameters
    ----------
    mels
        Spectrogram, (2 · frames, bands).
    frames
        Frames that the network makes of it.
    kept
        How many of these are the clip's own, the first ones.
    """

    mels: Tensor
    frames: int
    kept: int


def configured(content: Mapping[str, Any], source: str) -> WhisperConfig:
    """Return the configuration of a ``config.json``; what it does not say is as in Whisper tiny.

    Raises
    ------
    DataError
        Another family's model, or values that make no network.
    """
    if content.get("model_type") != "whisper":
        raise DataError(
            f"{source}: model_type is {content.get('model_type')!r}, but the encoder is 'whisper'; set "
            "encoder.name to the model's own family, or name a Whisper model"
        )
    if content.get("activation_function", "gelu") != "gelu":
        raise DataError(
            f"{source}: activation_function is {content['activation_function']!r}, expected 'gelu'"
        )
    try:
        config = WhisperConfig(**{name: content[name] for name in (*SIZES, *OTHERS) if name in content})
    except Exception as error:  # Transformers checks types with an error class of its own
        said = " ".join(str(error).split())
        raise DataError(f"{source}: {said}") from error
    small = [f"{name} is {getattr(config, name)}" for name in SIZES if getattr(config, name) < 1]
    if small or config.d_model % config.encoder_attention_heads or config.d_model % 2:
        raise DataError(
            f"{source}: these sizes make no network: "
            + (", ".join(small) or f"d_model {config.d_model} with {config.encoder_attention_heads} heads")
        )
    return config


def relevant(config: WhisperConfig) -> dict[str, float]:
    """Return what of a configuration decides about the encoder, as plain values."""
    return {
        **{name: getattr(config, name) for name in SIZES},
        **{name: float(getattr(config, name)) for name in OTHERS},
    }


def trained(config: WhisperConfig, layers: int, mode: str, rounding: str, folder: Path) -> WhisperNetwork:
    """Return the network with the weights in a folder; those of layers that are not made are not read.

    Raises
    ------
    DataError
        Tensors that are missing, of another shape than the configuration says, or not finite.
    """
    with torch.device("meta"):
        network = WhisperNetwork(config, layers, mode, rounding)
    expected = {_theirs(name): value.shape for name, value in network.state_dict().items()}
    prefix = checkpoint.prefix(folder, "conv1.weight")
    read = checkpoint.tensors(folder, (prefix + name for name in expected))
    found = {name.removeprefix(prefix): tensor for name, tensor in read.items()}
    checkpoint.check_shapes(found, expected, folder, prefix)
    network.load_state_dict({name: found[_theirs(name)] for name in network.state_dict()}, assign=True)
    return network


def drawn(config: WhisperConfig, layers: int, mode: str, rounding: str, seed: int) -> WhisperNetwork:
    """Return the network with random weights: normal with ``init_std``, biases 0, norms 1, positions as always."""
    with torch.device("meta"):
        network = WhisperNetwork(config, layers, mode, rounding)
    network.to_empty(device="cpu")
    network.positions.copy_(sinusoids(*network.positions.shape))
    random_weights.draw(network, config.init_std, seed)
    return network


class WhisperNetwork(nn.Module):
    """Waveforms to the frames of layers.

    Parameters
    ----------
    config
        Configuration.
    layers
        How many of the lowest layers are made; the final norm is made with all of them only.
    mode
        ``30s`` or ``trimmed``.
    rounding
        ``ceil`` (a begun frame counts) or ``floor``.

    Attributes
    ----------
    front, layers
        The convolutions; the transformer layers, lowest first.
    checkpointing
        Compute layers again in the backward pass rather than keep what they made.
    time_mask
        Probability that a frame is masked and length of a mask in frames; in training mode only.
    """

    def __init__(self, config: WhisperConfig, layers: int, mode: str, rounding: str) -> None:
        super().__init__()
        self.config, self.mode, self.rounding = config, mode, rounding
        self.checkpointing = False
        self.time_mask: tuple[float, int] | None = None
        self.front = _Front(config)
        self.positions: Tensor
        self.register_buffer("positions", torch.empty(config.max_source_positions, config.d_model))
        self.layers = nn.ModuleList(WhisperEncoderLayer(config) for _ in range(layers))
        if layers == config.encoder_layers:
            self.layer_norm = nn.LayerNorm(config.d_model)

    @property
    def longest(self) -> int:
        """Samples of a window: 30 s in all published models."""
        return int(self.config.max_source_positions) * HOP

    def forward(self, waves: Tensor, lengths: Tensor, layers: Sequence[int]) -> tuple[list[Tensor], Tensor]:
        """Return the asked layers, each (clips, frames, dims) padded with zeros, and frames of each clip.

        There is no gradient into the waveforms: the spectrogram is computed outside torch.

        Parameters
        ----------
        waves
            Padded waveforms (clips, samples) float32.
        lengths
            Samples of each clip, (clips,).
        layers
            Numbers of layers, in any order.
        """
        windows = [
            self.windows(wave[:length].detach().cpu().float().numpy())
            for wave, length in zip(waves, lengths.tolist(), strict=True)
        ]
        counts = [sum(window.kept for window in own) for own in windows]
        found = self.packed([window for own in windows for window in own], layers)
        padded = [pad_sequence(list(torch.split(rows, counts)), batch_first=True) for rows in found]
        return padded, torch.tensor(counts, device=waves.device)

    def windows(self, wave: NDArray[np.float32]) -> list[Window]:
        """Cut a waveform (samples,) into consecutive windows and compute what the network takes of each."""
        longest = self.longest
        seconds = longest / 16_000 if self.mode == "30s" else 0.0
        mel = WhisperMel(bands=self.config.num_mel_bins, seconds=seconds)
        like = self.front.conv1.weight
        made = []
        for k, kept in enumerate(self.counts(len(wave))):
            samples = wave[k * longest : (k + 1) * longest]
            if self.mode == "trimmed":
                samples = np.pad(samples, (0, -len(samples) % HOP))
            mels = torch.from_numpy(mel.compute(samples)).to(like.device, like.dtype)
            made.append(Window(mels, len(mels) // 2, kept))
        return made

    def counts(self, samples: int) -> list[int]:
        """Return the frames that are kept of each window of so many samples; one where there would be none."""
        longest, up = self.longest, HOP - 1 if self.rounding == "ceil" else 0
        lengths = [min(longest, samples - start) for start in range(0, samples, longest)]
        return [count for count in ((length + up) // HOP for length in lengths) if count] or [1]

    def packed(self, windows: Sequence[Window], layers: Sequence[int]) -> list[Tensor]:
        """Return the asked layers, each (kept frames of all windows, dims); nothing above is computed."""
        x = torch.cat([self._entered(window) for window in windows])
        x = functional.dropout(x, self.config.dropout, self.training)
        found: dict[int, list[Tensor]] = {k: [] for k in layers}
        for piece in pieces([window.frames for window in windows], x.device):
            for k, state in self._states(piece, x, max(layers)):
                if k in found:
                    found[k].append(piece.back(state))
        kept = torch.cat([torch.arange(one.frames, device=x.device) < one.kept for one in windows])
        return [self._normed(k, rows_of(found[k])[kept]) for k in layers]

    def _states(self, piece: Piece, rows: Tensor, top: int) -> Iterator[tuple[int, Tensor]]:
        """Yield the number and the frames (clips, frames, dims) of each layer of a piece, up to the highest."""
        x = piece.of(rows)
        mask = None
        if piece.valid is not None:
            lowest = torch.finfo(x.dtype).min
            mask = torch.zeros_like(piece.valid, dtype=x.dtype).masked_fill(~piece.valid, lowest)[
                :, None, None
            ]
        # On a CPU in bfloat16, attention step by step is a third faster than the fused kernel for 4 s of audio.
        step_by_step = x.dtype == torch.bfloat16 and x.device.type == "cpu"
        self.config._attn_implementation = "eager" if step_by_step else "sdpa"
        yield 0, x
        for number, layer in enumerate(self.layers[:top], start=1):
            again = self.checkpointing and torch.is_grad_enabled()
            x = recomputed(layer, x, mask, use_reentrant=False) if again else layer(x, mask)
            yield number, x

    def _normed(self, number: int, rows: Tensor) -> Tensor:
        """Return the rows of a layer; of the network's last, behind the final norm."""
        normed: Tensor = self.layer_norm(rows) if number == self.config.encoder_layers else rows
        return normed

    def _entered(self, window: Window) -> Tensor:
        """Return a window's frames as they enter the first layer, (frames, dims)."""
        mels = window.mels
        if self.training and self.time_mask is not None:
            hidden = random_weights.time_mask(window.kept, *self.time_mask).repeat_interleave(2)
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

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(config.num_mel_bins, config.d_model, 3, padding=1)
        self.conv2 = nn.Conv1d(config.d_model, config.d_model, 3, stride=2, padding=1)

    def forward(self, mels: Tensor) -> Tensor:
        """Return (frames, dims) of one window's (2 · frames, bands)."""
        x = functional.gelu(self.conv1(mels.T[None]))
        return functional.gelu(self.conv2(x))[0].T


def _theirs(name: str) -> str:
    """Return the name in the files, after the prefix of the encoder, of a tensor of :class:`WhisperNetwork`."""
    return "embed_positions.weight" if name == "positions" else name.removeprefix("front.")
