"""What an extraction gives back: arrays by clip id, read from memory maps when they are asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.errors import MachineError
from unheard.extraction.features import BadClip
from unheard.extraction.shard import Place
from unheard.extraction.storage import Array, Keep, unpack

OPEN = 256  # memory maps at a time


@dataclass(frozen=True)
class Described:
    """What ``store.json`` says.

    Attributes
    ----------
    settings, rate : of the encoder: in full; Hz.
    keep, entries : what is kept, and of which entries.
    names, widths : of the kept entries.
    """

    settings: dict[str, Any]
    rate: int
    keep: Keep
    entries: tuple[int, ...]
    names: tuple[str, ...]
    widths: tuple[int, ...]


@dataclass(frozen=True)
class Stored:
    """An extraction's result.

    Attributes
    ----------
    features : the array of each clip by its id, float32: (entries, 2, widest) where statistics are kept, else
        (frames, dims) of one entry or (entries, frames, dims) of several. Read when it is asked for.
    errors : the clips that gave none.
    names, widths : of the kept entries.
    settings : of the encoder, in full.
    cosines : of each kept entry, mean over clips and frames between what the encoder gave and what is stored; None
        where nothing is lost.
    folder : of the store.
    """

    features: Features
    errors: list[BadClip]
    names: tuple[str, ...]
    widths: tuple[int, ...]
    settings: dict[str, Any]
    cosines: NDArray[np.float64] | None
    folder: Path


class Features(Mapping[str, Array]):
    """Arrays by clip id, each read from its shard when it is asked for, as a new float32 array.

    It travels to other processes as a list of places, and opens the shards there again.
    """

    def __init__(self, places: dict[str, tuple[Path, Place]], keep: Keep) -> None:
        self._places = places
        self._keep = keep
        self._maps: OrderedDict[Path, NDArray[np.uint8]] = OrderedDict()

    def __getitem__(self, name: str) -> Array:
        path, place = self._places[name]
        raw = self._map(path)[place.first : place.first + place.length]
        return unpack(raw, place.shape, self._keep)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places  # without reading it

    def __getstate__(self) -> dict[str, Any]:
        return {"_places": self._places, "_keep": self._keep, "_maps": OrderedDict()}

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a clip's array, without reading it."""
        return self._places[name][1].shape

    def _map(self, path: Path) -> NDArray[np.uint8]:
        found = self._maps.pop(path, None)
        if found is None:
            try:
                found = np.memmap(path, np.uint8, "r")
            except OSError as error:
                raise MachineError(
                    f"{path}: a shard of the layer store is gone ({error.strerror}); run again to compute it again"
                ) from error
        self._maps[path] = found
        while len(self._maps) > OPEN:
            self._maps.popitem(last=False)
        return found
