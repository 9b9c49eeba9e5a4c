"""MobileNetV3-large as EfficientAT trains it on log-mel spectrograms, of any width, norms folded into weights.

Howard et al. (2019), table 1; Schmid, Koutini and Widmer (2023). A stem, 15 inverted residual blocks and a last
convolution; squeeze-and-excitation over the mean of time and frequency with a sigmoid. Batch norms (eps 1e-3) are
those of inference: each is folded into the convolution before it. The classifier is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from unheard.encoders.random_weights import time_mask
from unheard.errors import DataError, first_five
from unheard.features.efficientat import EfficientATMel

EPS = 1e-3


@dataclass(frozen=True)
class Block:
    """One inverted residual block at width 1."""

    kernel: int
    expanded: int
    out: int
    squeeze: bool
    hard_swish: bool
    stride: int


BLOCKS = (
    Block(3, 16, 16, False, False, 1),
    Block(3, 64, 24, False, False, 2),
    Block(3, 72, 24, False, False, 1),
    Block(5, 72, 40, True, False, 2),
    Block(5, 120, 40, True, False, 1),
    Block(5, 120, 40, True, False, 1),
    Block(3, 240, 80, False, True, 2),
    Block(3, 200, 80, False, True, 1),
    Block(3, 184, 80, False, True, 1),
    Block(3, 184, 80, False, True, 1),
    Block(3, 480, 112, True, True, 1),
    Block(3, 672, 112, True, True, 1),
    Block(5, 672, 160, True, True, 2),
    Block(5, 960, 160, True, True, 1),
    Block(5, 960, 160, True, True, 1),
)
STEM, LAST = 16, 960  # channels at width 1
NAMES = ("stem", *(f"block{k}" for k in range(1, 16)), "last")
#: How many input frames lie between two frames of each entry.
STRIDES = (2, 2, 4, 4, 8, 8, 8, 16, 16, 16, 16, 16, 16, 32, 32, 32, 32)


class EfficientATNetwork(nn.Module):
    """Waveforms to the entries stem, block1 … block15, last; frequency is averaged.

    Parameters
    ----------
    width : factor on the channels.
    top : last entry, 0 … 16; what lies above is not made.
    """

    def __init__(self, width: float, top: int) -> None:
        super().__init__()
        self.mel = EfficientATMel()
        self.checkpointing = False
        self.time_mask: tuple[float, int] | None = None
        self.widths = tuple(
            divisible(channels * width) for channels in (STEM, *(block.out for block in BLOCKS), LAST)
        )[: top + 1]
        self.front = _Convolution(1, self.widths[0], 3, 2, hard_swish=True)
        stages: list[nn.Module] = [
            _Residual(block, before, width) for block, before in zip(BLOCKS, self.widths[:top], strict=False)
        ]
        if top > len(BLOCKS):
            before, after = self.widths[-2:]
            stages.append(_Convolution(before, after, 1, 1, hard_swish=True))
        self.layers = nn.ModuleList(stages)

    def forward(self, waves: Tensor, lengths: Tensor, layers: Sequence[int]) -> tuple[list[Tensor], Tensor]:
        """Return the asked entries, (B, T, channels) each, and the frames of each clip in the last of them.

        Clips go through the network one at a time: squeeze-and-excitation sees a whole clip, and nothing else.

        Parameters
        ----------
        waves : (B, N) at 32 kHz, padded at the end; lengths : (B,) samples.
        """
        clips = [
            self.clip(self.mels(wave[:n]), layers) for wave, n in zip(waves, lengths.tolist(), strict=True)
        ]
        entries = [
            nn.utils.rnn.pad_sequence(list(parts), batch_first=True) for parts in zip(*clips, strict=True)
        ]
        return entries, torch.tensor([len(parts[-1]) for parts in clips], device=waves.device)

    def mels(self, wave: Tensor) -> Tensor:
        """Return the front end's frames of one waveform, (T, 128)."""
        frames = self.mel.compute(wave.detach().cpu().float().numpy())
        return torch.from_numpy(frames).to(device=wave.device, dtype=self.front.weight.dtype)

    def clip(self, mels: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """Return the asked entries of one clip's (T, 128), each (frames, channels); nothing above is computed."""
        x = self.front(self._masked(mels).T[None, None])
        found = {0: x} if 0 in layers else {}
        for k, layer in enumerate(self.layers[: max(layers)], start=1):
            again = self.checkpointing and torch.is_grad_enabled()
            x = checkpoint(layer, x, use_reentrant=False) if again else layer(x)
            if k in layers:
                found[k] = x
        return [found[k].mean(dim=2)[0].T for k in layers]

    def _masked(self, mels: Tensor) -> Tensor:
        """Set spans of frames to the clip's mean where the network trains with ``time_mask``."""
        if self.time_mask is None or not self.training:
            return mels
        hidden = time_mask(len(mels), *self.time_mask).to(mels.device)
        return torch.where(hidden[:, None], mels.mean(), mels)


def divisible(channels: float) -> int:
    """Round to a multiple of 8, at least 8 and never by more than 10 % down (Howard et al. 2017)."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def folded(tensors: Mapping[str, Tensor], top: int) -> dict[str, Tensor]:
    """Turn the public state dict into that of :class:`EfficientATNetwork`, norms folded into convolutions.

    Raises
    ------
    DataError
        Tensors that are missing.
    """
    missing = [name for name in wanted(top) if name not in tensors]
    if missing:
        raise DataError(f"tensors are missing that an EfficientAT network has: {first_five(missing)}")
    found: dict[str, Tensor] = {}

    def convolution(theirs: str, ours: str) -> None:
        weight, norm = tensors[f"{theirs}.0.weight"].float(), f"{theirs}.1"
        scale = tensors[f"{norm}.weight"].float() / torch.sqrt(tensors[f"{norm}.running_var"].float() + EPS)
        found[f"{ours}.weight"] = weight * scale[:, None, None, None]
        found[f"{ours}.bias"] = (
            tensors[f"{norm}.bias"].float() - tensors[f"{norm}.running_mean"].float() * scale
        )

    convolution("features.0", "front")
    for k, block in enumerate(BLOCKS[:top]):
        theirs, ours = f"features.{k + 1}.block", f"layers.{k}"
        for place, part in enumerate(_parts(block)):
            if part == "squeeze":
                for name in ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"):
                    found[f"{ours}.squeeze.{name}"] = tensors[
                        f"{theirs}.{place}.conc_se_layers.0.{name}"
                    ].float()
            else:
                convolution(f"{theirs}.{place}", f"{ours}.{part}")
    if top > len(BLOCKS):
        convolution("features.16", f"layers.{len(BLOCKS)}")
    return found


def wanted(top: int) -> list[str]:
    """Names in the public state dict of the tensors that entries 0 … top need."""
    norm = ("0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var")
    names = [f"features.0.{part}" for part in norm]
    for k, block in enumerate(BLOCKS[:top], start=1):
        for place, part in enumerate(_parts(block)):
            where = f"features.{k}.block.{place}"
            if part == "squeeze":
                names += [
                    f"{where}.conc_se_layers.0.fc{n}.{kind}" for n in (1, 2) for kind in ("weight", "bias")
                ]
            else:
                names += [f"{where}.{piece}" for piece in norm]
    return names + ([f"features.16.{part}" for part in norm] if top > len(BLOCKS) else [])


class _Convolution(nn.Conv2d):
    """A convolution with the norm behind it folded in, and its activation."""

    def __init__(
        self,
        before: int,
        after: int,
        kernel: int,
        stride: int,
        *,
        groups: int = 1,
        hard_swish: bool | None,
    ) -> None:
        super().__init__(before, after, kernel, stride, padding=kernel // 2, groups=groups)
        self.hard_swish = hard_swish

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        if self.hard_swish is None:
            return y
        return functional.hardswish(y) if self.hard_swish else functional.relu(y)


class _Squeeze(nn.Module):
    """Squeeze-and-excitation: a factor for each channel out of the means of all (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, divisible(channels // 4))
        self.fc2 = nn.Linear(divisible(channels // 4), channels)

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.sigmoid(self.fc2(functional.relu(self.fc1(x.mean(dim=(2, 3))))))
        return x * scale[:, :, None, None]


class _Residual(nn.Module):
    """Widen, filter each channel, weigh the channels, narrow; the input is added where it fits."""

    def __init__(self, block: Block, before: int, width: float) -> None:
        super().__init__()
        wide, after = divisible(block.expanded * width), divisible(block.out * width)
        self.adds = block.stride == 1 and before == after
        parts = _parts(block)
        if "widen" in parts:
            self.widen = _Convolution(before, wide, 1, 1, hard_swish=block.hard_swish)
        self.filter = _Convolution(
            wide, wide, block.kernel, block.stride, groups=wide, hard_swish=block.hard_swish
        )
        if "squeeze" in parts:
            self.squeeze = _Squeeze(wide)
        self.narrow = _Convolution(wide, after, 1, 1, hard_swish=None)
        self.parts = parts

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for part in self.parts:
            y = getattr(self, part)(y)
        return x + y if self.adds else y


def _parts(block: Block) -> tuple[str, ...]:
    """Stages of a block in their order; the first block does not widen."""
    widen = () if block is BLOCKS[0] else ("widen",)
    return (*widen, "filter", *(("squeeze",) if block.squeeze else ()), "narrow")
