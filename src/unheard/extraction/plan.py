"""What an extraction will take, said before it starts, and refused where the disk is too small."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unheard.encoders.contract import Encoder
from unheard.errors import MachineError, UsageError
from unheard.extraction.storage import Storage, shape_of, size_of
from unheard.inputs import Extractor, Form

SPARE = 64 * 2**20  # bytes that stay free
WORTH_MEASURING = 600.0  # seconds of audio from which on the time is measured; of text it never is


@dataclass(frozen=True)
class Plan:
    """What is there and what is to be done.

    Attributes
    ----------
    extractor
        How it is called.
    storage
        How its output is stored.
    names
        Names of the stored layers.
    clips, stored
        Number of clips, and of those that are in the store already.
    amount
        Size of what is missing: seconds as the files' headers have them, silence that will be cut off included; of
        text, words.
    medium
        What the extractor takes.
    bytes
        Bytes that the output will take on disk.
    seconds
        Seconds that it will take to compute; None where that was not measured.
    measured
        Clips that this was measured on.
    free
        Bytes on the disk of the store.
    """

    extractor: str
    storage: Storage
    names: tuple[str, ...]
    clips: int
    stored: int
    amount: float
    medium: str
    bytes: int
    folder: Path
    free: int
    seconds: float | None = None
    measured: int = 0

    def lines(self) -> list[str]:
        """Return it in a few lines."""
        if self.seconds is None:
            less = f"not measured: under {WORTH_MEASURING / 60:.0f} min of audio"
            time = less if self.medium == "audio" else f"not measured for {self.medium}"
        else:
            time = f"about {_duration(self.seconds)}, as measured on {self.measured} clips"
        return [
            f"extract: {self.extractor}, {self.storage.words()} of {_layers(self.names)}",
            f"clips:   {self.clips}, {self.stored} of them stored; {_amount(self.amount, self.medium)} to do",
            f"disk:    {_size(self.bytes)} to write, {_size(self.free)} free, in {self.folder}",
            f"time:    {time}",
        ]


def planned(
    extractor: Extractor[Any], storage: Storage, clips: int, missing: Sequence[float], folder: Path
) -> Plan:
    """Return the plan for missing clips of these sizes (seconds or tokens), before anything was measured."""
    assert storage.layers is not None
    return Plan(
        extractor=_called(extractor),
        storage=storage,
        names=tuple(extractor.layers[k].name for k in storage.layers),
        clips=clips,
        stored=clips - len(missing),
        amount=sum(missing),
        medium=extractor.medium,
        bytes=_bytes(extractor, storage, missing),
        folder=folder,
        free=shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free,
    )


def refuse_too_large(plan: Plan) -> None:
    """Refuse a plan that the disk has no room for, with what would take less.

    Raises
    ------
    MachineError
        It does not fit.
    """
    if plan.bytes + SPARE <= plan.free:
        return
    storage, smaller = plan.storage, []
    if storage.form.has_frames:
        times = {"float32": 4, "float16": 2, "int8": 1}[storage.type]
        if times > 1:
            smaller.append(f"type int8 (about {_size(plan.bytes // times)})")
        smaller.append(f"average {2 * storage.average} (half)")
        smaller += ["fewer layers"] if len(plan.names) > 1 else []
        smaller.append("form pooled (statistics of each clip)")
    else:
        smaller.append("fewer layers")
    raise MachineError(
        f"the disk is too small: {_size(plan.bytes)} to write and {_size(SPARE)} to keep free, {_size(plan.free)} "
        f"free in {plan.folder}; store less: {', '.join(smaller)}; or free some space, or set UNHEARD_CACHE to a "
        "folder on another disk"
    )


def resolved(extractor: Extractor[Any], storage: Storage) -> Storage:
    """Return the storage with its layers said by number.

    Raises
    ------
    UsageError
        The extractor does not have these layers, or they cannot be stored together in full.
    """
    count = len(extractor.layers)
    numbers = tuple(range(count)) if storage.layers is None else storage.layers
    if numbers[-1] >= count:
        raise UsageError(
            f"storage.layers: {_called(extractor)} has layers 0 to {count - 1}, found {numbers[-1]}"
        )
    chosen = [extractor.layers[k] for k in numbers]
    rows = [layer.name for layer in chosen if layer.rate is None]
    if (storage.form is Form.ROW) != bool(rows):
        raise UsageError(
            f"storage.form {storage.form.value!r}: {_called(extractor)} gives "
            f"{'one row a clip' if rows else 'frames'}"
        )
    shapes = {(layer.dims, str(layer.rate)) for layer in chosen}
    if storage.form.has_frames and len(shapes) > 1:
        found = ", ".join(f"{dims} dims at {float(rate):g} Hz" for dims, rate in sorted(shapes))
        raise UsageError(
            "storage.layers: layers that are stored together in full must agree in dims and frames, found "
            f"{found}; store one layer, or form pooled"
        )
    return replace(storage, layers=numbers)


def with_time(plan: Plan, seconds: float, measured: int) -> Plan:
    """Return the plan with its time, from the seconds that a second of audio took."""
    return replace(plan, seconds=seconds * plan.amount, measured=measured)


def frames_of(extractor: Extractor[Any], size: float) -> list[int]:
    """Return about how many frames each layer has of a clip of so many seconds or tokens; 1 for a row."""
    if isinstance(extractor, Encoder) and extractor.medium == "audio":
        return list(extractor.frames(max(1, round(size * extractor.rate))))
    rates = [layer.rate for layer in extractor.layers]
    return [1 if rate is None or math.isnan(rate) else max(1, math.ceil(size * rate)) for rate in rates]


def _bytes(extractor: Extractor[Any], storage: Storage, missing: Sequence[float]) -> int:
    assert storage.layers is not None
    dims = [extractor.layers[k].dims for k in storage.layers]
    total = 0
    for size in missing:
        frames = frames_of(extractor, size)
        total += size_of(storage, shape_of(storage, [frames[k] for k in storage.layers], dims))
    return total


def _called(extractor: Extractor[Any]) -> str:
    name, model = extractor.settings["name"], extractor.settings.get("model")
    return f"{name} ({model})" if model else str(name)


def _layers(names: Sequence[str]) -> str:
    return f"layer {names[0]}" if len(names) == 1 else f"{len(names)} layers, {names[0]} … {names[-1]}"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _amount(amount: float, medium: str) -> str:
    timed = medium in ("audio", "video")
    return f"{_duration(amount)} of {medium}" if timed else f"{amount:,.0f} words"


def _duration(seconds: float) -> str:
    for length, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"
