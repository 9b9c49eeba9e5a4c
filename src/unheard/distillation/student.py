"""The student: a small network on log-mels that imitates hidden layers of another one.

A feedforward sequential memory network (Zhang et al. 2015, arXiv 1512.08301): frames are projected to few dims,
where each sees a weighted sum of its neighbours in time, and widened again. One such block a layer that is
imitated, each with a linear map and a ReLU of its own to that layer's width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from unheard.settings import Within, between, check


@dataclass(frozen=True)
class Shape:
    """The sizes of a student.

    Parameters
    ----------
    outputs : width of each imitated layer, lowest first; there is one block for each.
    bands : number of mel bands.
    splice, stride : the network sees ``splice`` neighbouring frames at a time and moves on by ``stride``: N
    frames give
        floor(N / stride) places, each with what lies around its own ``stride`` frames.
    width, projection : width of a block, and of its memory.
    past, future : number of places that a block's memory looks back and ahead.
    """

    outputs: tuple[int, ...]
    bands: Annotated[int, Within(1, 512)] = 80
    splice: int = 5
    stride: Annotated[int, Within(1, 16)] = 1
    width: Annotated[int, Within(1, 8192)] = 384
    projection: Annotated[int, Within(1, 8192)] = 160
    past: Annotated[int, Within(0, 1000)] = 20
    future: Annotated[int, Within(0, 1000)] = 0

    def __post_init__(self) -> None:
        check(self, "student")
        between(self.splice, self.stride, 99, "student.splice")

    @property
    def around(self) -> tuple[int, int]:
        """Number of frames that a place sees before and behind its own."""
        more = self.splice - self.stride
        return more // 2, more - more // 2


class Student(nn.Module):
    """The network from log-mels to the imitated layers."""

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        # Statistics of the training frames are part of the network, but training does not change them.
        self.register_buffer("mean", torch.zeros(shape.bands))
        self.register_buffer("scale", torch.ones(shape.bands))
        self.squeeze = nn.Linear(shape.splice * shape.bands, shape.projection)
        self.widen = nn.Linear(shape.projection, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in shape.outputs)
        self.outputs = nn.ModuleList(nn.Linear(shape.width, out) for out in shape.outputs)

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Return layers (B, floor(T / stride), width) of frames (B, T, bands), which all have one length."""
        x = spliced((frames - self.mean) / self.scale, self.shape)
        x = torch.relu(self.widen(self.squeeze(x)))
        layers = []
        for block, output in zip(self.blocks, self.outputs, strict=True):
            x = block(x)
            layers.append(torch.relu(output(x)))
        return layers


class Block(nn.Module):
    """A projection, a memory over time, and the projection back."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.around = (shape.past, shape.future)
        taps = shape.past + 1 + shape.future
        self.down = nn.Linear(shape.width, shape.projection, bias=False)
        self.memory = nn.Conv1d(shape.projection, shape.projection, taps, groups=shape.projection, bias=False)
        self.up = nn.Linear(shape.projection, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        """Return frames (B, T, width) for frames of the same shape."""
        here = self.down(x).transpose(1, 2)
        here = here + self.memory(nn.functional.pad(here, self.around))
        wide: Tensor = torch.relu(self.up(here.transpose(1, 2)))
        return wide


def spliced(frames: Tensor, shape: Shape) -> Tensor:
    """Concatenate neighbouring frames: (B, T, bands) to (B, floor(T / stride), splice · bands).

    The first and last frames are repeated at the ends.
    """
    padded = nn.functional.pad(frames.transpose(1, 2), shape.around, mode="replicate")
    windows = padded.unfold(2, shape.splice, shape.stride)  # (B, bands, places, splice)
    return windows.permute(0, 2, 3, 1).flatten(2)
