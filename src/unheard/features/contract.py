"""What every feature promises: an extractor of one layer, made of plain values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.errors import UsageError
from unheard.inputs import Layer, Source
from unheard.settings import differing, identity, plain

#: What is computed by the project's own code.
OWN_CODE = Source("Apache-2.0 (own code)")


class Spec(ABC):
    """Features as a frozen dataclass of plain values, and an extractor (``unheard.inputs.Extractor``).

    The Python API and bundles use :meth:`compute`, of one clip; an extraction uses :meth:`extract`.
    """

    #: Name in settings, by which ``unheard.features.build`` finds it.
    name: ClassVar[str]
    #: Name of the medium: ``audio``, or ``id`` where features are looked up and not computed.
    medium: ClassVar[str] = "audio"
    #: Hz of the waveforms that are taken.
    rate: ClassVar[int] = RATE

    @property
    @abstractmethod
    def version(self) -> int | str:
        """Version of the code that computes; what another one computed is not used again."""

    @property
    def code_version(self) -> int | str:
        """Version of our own code: other than :attr:`version`, that of no library which this machine has."""
        return self.version

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Return the names of the dimensions, in order."""

    @property
    def frames_per_second(self) -> float | None:
        """Frames a second; None where there is one row a recording."""
        return None

    @property
    def source(self) -> Source:
        """Whose code computes them."""
        return OWN_CODE

    @abstractmethod
    def compute(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (frames, dims) or (dims,) of a waveform (n,) at :attr:`rate`, full scale ±1.

        Raises
        ------
        DataError
            The waveform is empty or holds NaN or infinity.
        """

    @property
    def settings(self) -> dict[str, Any]:
        """Plain settings in full, from which ``unheard.features.build`` makes it again."""
        trim = {"trim": None} if self.medium == "audio" else {}
        return {"name": self.name, **trim, **plain(self)}

    @property
    def chosen(self) -> dict[str, Any]:
        """Name and settings that differ from their defaults, in plain values.

        Where precomputed features lie does not matter; their content does, and is part of their settings.
        """
        return {"name": self.name, **differing(self)}

    @property
    def key(self) -> str:
        """SHA-256 over what differs from the defaults and the version of what computes, in hexadecimal."""
        return identity(self.chosen, self.version)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Return the one layer that features have."""
        return (Layer("features", len(self.names), self.frames_per_second),)

    def extract(self, items: Sequence[Any], layers: Sequence[int]) -> list[tuple[NDArray[np.float32], ...]]:
        """Return, for each item, its features once for each time that layer 0 is asked.

        Raises
        ------
        UsageError
            Another layer is asked for.
        """
        if any(layer != 0 for layer in layers):
            raise UsageError(f"features have the layer 0 alone; {list(layers)} are asked for")
        return [(np.asarray(self.compute(item), dtype=np.float32),) * len(layers) for item in items]
