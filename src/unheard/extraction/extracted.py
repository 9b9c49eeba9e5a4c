"""The result of an extraction: arrays by clip id, which are read from memory maps when they are needed.

It can be written to a small index and read again, so that other processes open it without loading an extractor,
hashing a file or checking a clip anew.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.errors import MachineError
from unheard.extraction.shard import Place
from unheard.extraction.storage import Array, Storage, unpack
from unheard.formats import sealed_json
from unheard.inputs import Clip, Form, Layer

OPEN = 256  # memory maps at a time


@dataclass(frozen=True)
class BadClip:
    """A clip without features, and why; ``path`` names its file where it has one."""

    id: str
    path: str
    reason: str


@dataclass(frozen=True)
class Metadata:
    """What ``store.json`` says of a store.

    Parameters
    ----------
    settings
        Complete settings of the extractor.
    storage
        How its output is stored; ``layers`` holds numbers.
    layers
        The stored layers.
    """

    settings: dict[str, Any]
    storage: Storage
    layers: tuple[Layer, ...]

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        # JSON has no NaN: a rate that nobody says is written as a text.
        layers = [[layer.name, layer.dims, _rate_as_plain(layer.rate)] for layer in self.layers]
        return {"settings": self.settings, "storage": self.storage.plain(), "layers": layers}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Metadata:
        """Return what :meth:`plain` gave."""
        storage = dict(plain["storage"])
        storage["form"] = Form(storage["form"])
        storage["layers"] = None if storage["layers"] is None else tuple(storage["layers"])
        layers = tuple(
            Layer(name, dims, None if rate is None else float(rate)) for name, dims, rate in plain["layers"]
        )
        return cls(dict(plain["settings"]), Storage(**storage), layers)


class Features(Mapping[str, Array]):
    """Arrays by clip id, each read from its shard when it is asked for, as a new float32 array.

    It travels to other processes as a list of places, and opens the shards there again.
    """

    def __init__(self, places: Mapping[str, tuple[Path, Place]], storage: Storage) -> None:
        self._places = dict(places)
        self._storage = storage
        self._maps: OrderedDict[Path, NDArray[np.uint8]] = OrderedDict()

    def __getitem__(self, name: str) -> Array:
        path, place = self._places[name]
        raw = self._map(path)[place.first : place.first + place.length]
        return unpack(raw, place.shape, self._storage)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places  # without reading it

    def __getstate__(self) -> dict[str, Any]:
        return {"_places": self._places, "_storage": self._storage, "_maps": OrderedDict()}

    @property
    def places(self) -> Mapping[str, tuple[Path, Place]]:
        """Shard and place of each clip."""
        return self._places

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a clip's array, without reading it."""
        return self._places[name][1].shape

    def _map(self, path: Path) -> NDArray[np.uint8]:
        found = self._maps.pop(path, None)
        if found is None:
            try:
                found = np.memmap(path, np.uint8, "r")
            except OSError as error:
                raise MachineError(
                    f"{path}: a shard of the store is gone ({error.strerror}); run again to compute it again"
                ) from error
        with suppress(OSError):
            os.utime(path)  # in use: the bound of the store leaves it alone
        self._maps[path] = found
        while len(self._maps) > OPEN:
            self._maps.popitem(last=False)
        return found


@dataclass(frozen=True)
class Extracted:
    """An extraction's result.

    Parameters
    ----------
    features
        The array of each clip by its id, float32, in the form of the storage.
    errors
        The clips without an array.
    metadata
        What was extracted, and how it is stored.
    folder
        Folder of the store.
    """

    features: Features
    errors: tuple[BadClip, ...]
    metadata: Metadata
    folder: Path

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Return the stored layers."""
        return self.metadata.layers

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the extractor, in full."""
        return self.metadata.settings

    @property
    def cosines(self) -> NDArray[np.float64] | None:
        """Mean cosine of each layer between what was extracted and what is stored; None where nothing is lost."""
        found = [place.cosines for _, place in self.features.places.values() if place.cosines is not None]
        return np.mean(found, axis=0) if found else None

    def write(self, path: Path) -> None:
        """Write the index, which holds the places of all arrays but no features."""
        shards = sorted({shard for shard, _ in self.features.places.values()})
        numbers = {shard: number for number, shard in enumerate(shards)}
        clips = [
            [name, numbers[shard], asdict(place)] for name, (shard, place) in self.features.places.items()
        ]
        content = {
            "metadata": self.metadata.plain(),
            "folder": str(self.folder),
            "shards": [str(shard) for shard in shards],
            "clips": clips,
            "errors": [asdict(error) for error in self.errors],
        }
        sealed_json.write(path, content)

    @classmethod
    def read(cls, path: Path) -> Extracted:
        """Return what :meth:`write` wrote. Nothing of the store is opened until a clip is asked for.

        Raises
        ------
        DataError
            The file was damaged.
        """
        content = sealed_json.read(path)
        metadata = Metadata.from_plain(content["metadata"])
        shards = [Path(shard) for shard in content["shards"]]
        places = {name: (shards[number], Place.from_plain(place)) for name, number, place in content["clips"]}
        errors = tuple(BadClip(**error) for error in content["errors"])
        return cls(Features(places, metadata.storage), errors, metadata, Path(content["folder"]))


def bad_clip(clip: Clip, reason: str) -> BadClip:
    """Return a clip without features, with the reason."""
    piece = clip.audio or clip.video
    return BadClip(clip.id, "" if piece is None else piece.path, reason)


def _rate_as_plain(rate: float | None) -> float | str | None:
    return str(rate) if rate is not None and rate != rate else rate
