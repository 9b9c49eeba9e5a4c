"""What an extraction will take, said before it starts, and refused where the disk is too small."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from unheard.audio.source import opened
from unheard.encoders.contract import Encoder
from unheard.errors import DataError, MachineError, UsageError
from unheard.extraction.features import ClipRef
from unheard.extraction.storage import Keep, shape_of, size_of

SPARE = 64 * 2**20  # bytes that stay free


@dataclass(frozen=True)
class Plan:
    """What is there and what is to be done.

    Attributes
    ----------
    clips, stored : of the corpus, and those of them that are in the store already.
    audio : seconds of what is missing, as the files' headers have it; silence that will be cut off included.
    bytes : that it will take on disk.
    seconds : that it will take to compute; None where that was not measured.
    measured : clips that this was measured on.
    free : bytes on the disk of the store.
    """

    encoder: str
    keep: Keep
    names: tuple[str, ...]
    clips: int
    stored: int
    audio: float
    bytes: int
    folder: Path
    free: int
    seconds: float | None = None
    measured: int = 0

    def text(self) -> str:
        """Return it in a few lines."""
        kept = "pooled statistics" if self.keep.form == "pooled" else f"frames as {self.keep.type}"
        if self.keep.average > 1:
            kept += f", averaged by {self.keep.average}"
        time = "not measured: little to do"
        if self.seconds is not None:
            time = f"about {_duration(self.seconds)}, as measured on {self.measured} clips"
        return "\n".join(
            [
                f"encoder: {self.encoder}, {kept} of {_entries(self.names)}",
                f"clips:   {self.clips}, {self.stored} of them stored; {_duration(self.audio)} of audio to do",
                f"disk:    {_size(self.bytes)} to write, {_size(self.free)} free, in {self.folder}",
                f"time:    {time}",
            ]
        )


def planned(
    encoder: Encoder, keep: Keep, entries: Sequence[int], clips: int, missing: Sequence[float], folder: Path
) -> Plan:
    """Return the plan for an encoder and missing clips of so many seconds, before anything was measured."""
    widths = [encoder.layers[entry].dims for entry in entries]
    return Plan(
        encoder=_called(encoder),
        keep=keep,
        names=tuple(encoder.layers[entry].name for entry in entries),
        clips=clips,
        stored=clips - len(missing),
        audio=sum(missing),
        bytes=_bytes(encoder, keep, entries, widths, missing),
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
    keep, ways = plan.keep, []
    if keep.form == "frames":
        smaller = {"float32": 4, "float16": 2, "int8": 1}[keep.type]
        if smaller > 1:
            ways.append(f"type int8 (about {_size(plan.bytes // smaller)})")
        ways.append(f"average {2 * keep.average} (half)")
        ways += ["fewer entries"] if len(plan.names) > 1 else []
        ways.append("form pooled (statistics of each clip)")
    else:
        ways.append("fewer entries")
    raise MachineError(
        f"the disk is too small: {_size(plan.bytes)} to write, {_size(plan.free)} free in {plan.folder}; keep "
        f"less: {', '.join(ways)}; or free some space, or set UNHEARD_CACHE to a folder on another disk"
    )


def refuse_unlike(encoder: Encoder, keep: Keep, entries: Sequence[int]) -> None:
    """Refuse entries that the encoder does not have, or that cannot be kept together in full.

    Raises
    ------
    UsageError
        It is so.
    """
    if entries[-1] >= len(encoder.layers):
        last = len(encoder.layers) - 1
        raise UsageError(f"keep.entries: {_called(encoder)} has entries 0 to {last}, found {entries[-1]}")
    shapes = {(encoder.layers[entry].dims, encoder.layers[entry].rate) for entry in entries}
    if keep.form == "frames" and len(shapes) > 1:
        found = ", ".join(f"{width} dims at {rate:g} Hz" for width, rate in sorted(shapes))
        raise UsageError(
            "keep.entries: entries that are kept together in full must agree in dims and frames, found "
            f"{found}; keep one entry, or form pooled"
        )


def seconds_of(clip: ClipRef) -> float:
    """Return how long a clip is by its header; 0 where that is not known or the file cannot be used."""
    if clip.end is not None:
        return max(0.0, clip.end - (clip.start or 0.0))
    try:
        with opened(clip.path) as source:
            return max(0.0, (source.frames or 0) / source.rate - (clip.start or 0.0))
    except DataError:
        return 0.0


def with_time(plan: Plan, seconds: float, measured: int) -> Plan:
    """Return the plan with its time, from the seconds that a second of audio took."""
    return replace(plan, seconds=seconds * plan.audio, measured=measured)


def _bytes(
    encoder: Encoder, keep: Keep, entries: Sequence[int], widths: Sequence[int], missing: Sequence[float]
) -> int:
    total = 0
    for seconds in missing:
        frames = encoder.frames(max(1, round(seconds * encoder.rate)))
        total += size_of(keep, shape_of(keep, [frames[entry] for entry in entries], widths))
    return total


def _called(encoder: Encoder) -> str:
    name, model = encoder.settings["name"], encoder.settings.get("model")
    return f"{name} ({model})" if model else str(name)


def _entries(names: Sequence[str]) -> str:
    return f"entry {names[0]}" if len(names) == 1 else f"{len(names)} entries, {names[0]} … {names[-1]}"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _duration(seconds: float) -> str:
    for length, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"
