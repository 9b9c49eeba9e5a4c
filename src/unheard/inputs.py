"""What a clip is made of, what computes features from it, and the forms in which heads take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
#: One array a clip, in the form of the input.
Features = Sequence[Array]


@dataclass(frozen=True)
class Piece:
    """A stretch of a media file.

    Parameters
    ----------
    path
        Place of the file.
    start, end
        Seconds from the start of the file; None stands for the file's own ends.
    channel
        Number of the channel, counted from 0; None takes the mean of all.
    """

    path: str
    start: float | None = None
    end: float | None = None
    channel: int | None = None


@dataclass(frozen=True)
class Turn:
    """What one speaker said without a break."""

    speaker: str | None
    text: str


@dataclass(frozen=True)
class Clip:
    """One utterance and what belongs to it; a medium that it does not have is None.

    Parameters
    ----------
    id
        Identifies the clip in its table.
    audio, video
        Pieces of the files that hold its sound and its picture.
    turn
        What was said in it and by whom.
    context
        The turns of the dialogue before it, oldest first.
    """

    id: str
    audio: Piece | None = None
    video: Piece | None = None
    turn: Turn | None = None
    context: tuple[Turn, ...] = ()


@dataclass(frozen=True)
class Layer:
    """One output of an extractor.

    Parameters
    ----------
    name
        Name of the layer, such as ``"12"`` for hidden state 12.
    dims
        Number of values in a frame, or in the row.
    rate
        Frames a second, or for text frames a token, which is 1; None where there is one row a clip.
    """

    name: str
    dims: int
    rate: float | None


@dataclass(frozen=True)
class Source:
    """Where the numbers of an extractor come from, for cards and stamps.

    Parameters
    ----------
    licence
        What the owners of the weights allow, as far as it is known.
    attribution
        The attribution that the licence asks for.
    trained_on
        Speakers by corpus whose recordings the weights were trained on, as far as they are known.
    """

    licence: str = ""
    attribution: str = ""
    trained_on: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Form(StrEnum):
    """The shape in which a head takes an input, a store keeps it and a bundle feeds it."""

    #: (dims,): one row a clip.
    ROW = "row"
    #: (layers, 2, dims): mean and population standard deviation over frames, zeros beyond a narrow layer's dims.
    POOLED = "pooled"
    #: (frames, dims): all frames of one layer.
    FRAMES = "frames"
    #: (layers, frames, dims): all frames of several layers.
    LAYERS = "layers"

    @property
    def axes(self) -> int:
        """Number of axes of a clip's array."""
        return {Form.ROW: 1, Form.POOLED: 3, Form.FRAMES: 2, Form.LAYERS: 3}[self]

    @property
    def has_frames(self) -> bool:
        """Whether clips differ in length, so that batches are padded and lengths are given."""
        return self in (Form.FRAMES, Form.LAYERS)


M = TypeVar("M")
M_co = TypeVar("M_co", covariant=True)
M_contra = TypeVar("M_contra", contravariant=True)


class Medium(Protocol[M_co]):
    """How clips of one medium are found, measured and opened: audio, text, or the ids of a precomputed table."""

    @property
    def name(self) -> str:
        """Name of the medium, such as ``audio``."""

    def key(self, clip: Clip) -> str:
        """Return the SHA-256 of the clip's content in this medium and of everything that changes how it is opened.

        Raises
        ------
        DataError
            The clip has no such medium, or it cannot be read.
        """

    def size(self, clip: Clip) -> float:
        """Return the clip's length in seconds or tokens, for batches and plans; 0 where it is not known."""

    def open(self, clip: Clip) -> M_co:
        """Return the opened clip, in the type that extractors of this medium take.

        Raises
        ------
        DataError
            The clip cannot be used; the message says why.
        """


class Extractor(Protocol[M_contra]):
    """What computes features: classical features have one layer, pretrained encoders have many."""

    @property
    def medium(self) -> str:
        """Name of the medium that it takes."""

    @property
    def settings(self) -> dict[str, Any]:
        """Complete plain settings, from which the extractor can be made again."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Outputs in order; layer k of a transformer is hidden state k, and 0 is the input of the first layer."""

    @property
    def source(self) -> Source:
        """Licence, attribution, and the speakers that it was trained on."""

    def extract(self, items: Sequence[M_contra], layers: Sequence[int]) -> list[tuple[Array, ...]]:
        """Return the given layers of each item in the given order, each (frames, dims) or (dims,).

        A clip's values do not depend on the other clips of the batch.

        Raises
        ------
        DataError
            An item cannot be used.
        """
