"""What every encoder promises, and the settings that all of them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unheard import features
from unheard.audio.trim import limits
from unheard.errors import UsageError, unknown
from unheard.settings import CONTENT, PLACE, OneOf, Within, check

Wave = NDArray[np.float32]
#: One array (frames, dims) float32 for each entry asked for.
Layers = tuple[NDArray[np.float32], ...]

#: Where the numbers come from: as they were trained; drawn anew from ``seed`` in the same architecture; or trained
#: and then shuffled inside each tensor (which keeps their distribution). The last two are stamped RANDOM WEIGHTS.
WEIGHTS = ("pretrained", "random", "shuffled")
#: Features with one row a clip that may stand beside an encoder's frames.
BESIDE = ("functionals",)


@dataclass(frozen=True)
class Settings:
    """What every family can be told; a family adds its own fields.

    Parameters
    ----------
    model
        Folder or file of weights, or a name on the Hugging Face hub. Empty in a recipe that leaves it to the user.
    revision
        Of a hub model: branch, tag or commit.
    sha256
        Digest of the weights and of whatever else decides about the output (configuration, normalisation).
        Filled in when the model is loaded; one that is given must agree.
    weights, seed
        One of ``WEIGHTS``; ``seed`` draws ``random`` ones and shuffles ``shuffled`` ones.
    cut
        Last entry to compute: layers above are neither loaded nor computed. None: all.
    trim
        Cut silence off both ends of a recording first: what lies this many decibels below its loudest frame, or,
        of two numbers, also what lies less than the second above its noise (``unheard.audio.trim``).
    beside
        One of ``BESIDE``, by name or as settings of features, whose row stands beside every frame of the last
        entry. None: nothing does.
    precision
        ``float32``, ``bfloat16``, or ``auto``: bfloat16 where the processor multiplies in it, else float32.
    device
        ``cpu`` or ``cuda``.
    """

    model: Annotated[str, PLACE] = ""
    revision: Annotated[str | None, PLACE] = None
    sha256: Annotated[str, CONTENT] = ""
    weights: Annotated[str, OneOf(*WEIGHTS)] = "pretrained"
    seed: int = 0
    cut: Annotated[int | None, Within(0, 10_000)] = None
    trim: float | tuple[float, ...] | None = None
    beside: str | dict[str, Any] | None = None
    precision: Annotated[str, OneOf("float32", "bfloat16", "auto")] = "float32"
    device: Annotated[str, OneOf("cpu", "cuda"), PLACE] = "cpu"

    def __post_init__(self) -> None:
        check(self, "encoder")
        if self.beside is not None:
            object.__setattr__(self, "beside", _said_in_one_way(self.beside))
        if self.trim is not None and not all(
            1 <= decibels <= 200 for decibels in limits(self.trim) if decibels
        ):
            raise UsageError(f"encoder.trim is {self.trim!r}; decibels must be in 1 … 200")
        if self.revision is not None and not self.model:
            raise UsageError("encoder.revision belongs to a hub name in encoder.model, which is empty")


class Encoder(Protocol):
    """A loaded network.

    Entry 0 is what enters the first layer, entry k what leaves layer k (docs/encoders.md).
    """

    #: As ``load`` was given them, with defaults, ``sha256``, the last entry as ``cut`` and the precision that
    #: ``auto`` came to: plain values.
    settings: dict[str, Any]
    #: Hz of the waveforms that :meth:`encode` takes.
    rate: int
    #: Of the entries, in order, those above the cut left out: ``"0"`` … ``"12"``, or names of blocks.
    names: tuple[str, ...]
    #: Dims of each entry.
    widths: tuple[int, ...]
    #: Frames a second of each entry.
    frame_rates: tuple[float, ...]
    #: What its owners allow, as far as known; for the card of a bundle.
    licence: str

    def frames(self, samples: int) -> tuple[int, ...]:
        """Return the number of frames of each entry for a waveform of so many samples."""

    def encode(self, waves: Sequence[Wave], layers: Sequence[int]) -> list[Layers]:
        """Return, for each waveform (n,) at :attr:`rate`, the asked entries, each (frames, dims) float32.

        A clip's frames do not depend on the clips beside it (1e-4 relative in float32). Waveforms may be of any
        length: long ones are taken in windows (definitions of docs/encoders.md), short ones are padded.
        """


def is_random(settings: Any) -> bool:
    """Whether the weights learned nothing: such scores are stamped RANDOM WEIGHTS."""
    return bool(settings["weights"] != "pretrained")


def beside_settings(beside: str | Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the features that ``Settings.beside`` means."""
    return {"name": beside} if isinstance(beside, str) else dict(beside)


def _said_in_one_way(beside: str | Mapping[str, Any]) -> str | dict[str, Any]:
    """Return the name alone where all settings are defaults, else the settings in full: one key for one thing."""
    given = beside_settings(beside)
    name = given.get("name")
    if name not in BESIDE:
        raise unknown("encoder.beside", name, BESIDE)
    try:
        full = features.settings(features.build(given))
    except UsageError as error:
        raise UsageError(f"encoder.beside: {error}") from error
    return name if full == features.settings(features.build({"name": name})) else full
