"""Clips of different lengths in one matrix, one row a frame, without padding.

What treats each frame alone (norms, matrix products) works on the rows of all clips at once; what looks over time
(attention, convolution) takes the clips in pieces: runs of clips of equal length, which are views of the rows and
need no mask. On a GPU, where few large steps beat many small ones, all clips are one piece with padding and a
mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor


@dataclass(frozen=True)
class Piece:
    """Rows from ``first`` on as (clips, frames); or all clips, padded, where there is a mask."""

    first: int
    clips: int
    frames: int
    #: (clips, frames), True at a clip's own frames; None where all are.
    valid: Tensor | None = None

    def of(self, rows: Tensor) -> Tensor:
        """Return (clips, frames, …) of (all frames, …): a view, or padded with zeros."""
        if self.valid is None:
            taken = rows[self.first : self.first + self.clips * self.frames]
            return taken.reshape(self.clips, self.frames, *rows.shape[1:])
        made = rows.new_zeros((self.clips, self.frames, *rows.shape[1:]))
        made[self.valid] = rows
        return made

    def back(self, piece: Tensor) -> Tensor:
        """Return the rows of (clips, frames, …)."""
        return piece.flatten(0, 1) if self.valid is None else piece[self.valid]


def pieces(counts: Sequence[int], device: torch.device) -> list[Piece]:
    """Return the pieces of clips with so many frames each, in their order."""
    runs = [(count, len(list(run))) for count, run in groupby(counts)]
    if device.type == "cpu" or len(runs) == 1:
        made, first = [], 0
        for frames, clips in runs:
            made.append(Piece(first, clips, frames))
            first += clips * frames
        return made
    return [padded(counts, device)]


def padded(counts: Sequence[int], device: torch.device) -> Piece:
    """Return all clips as one piece with a mask."""
    longest = max(counts)
    valid = torch.arange(longest, device=device) < torch.tensor(list(counts), device=device)[:, None]
    return Piece(0, len(counts), longest, valid)


def rows_of(made: Sequence[Tensor]) -> Tensor:
    """Return the rows of all pieces, one after the other."""
    return made[0] if len(made) == 1 else torch.cat(list(made))
