"""Features of many clips: through the cache, in parallel processes, and without stopping at a bad file.

A file is known by its content: it is hashed once, and a file that is no longer the same when its clip has been
decoded counts as an error of that clip. Results do not depend on the number of processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.audio.decode import VERSIONS, check_trainable, load, shown
from unheard.audio.noise import Noise, noisy
from unheard.audio.resample import RATE, to_rate
from unheard.errors import DataError, UsageError, first_five
from unheard.extraction.cache import Cache
from unheard.extraction.processes import Died, spread
from unheard.features.contract import Spec
from unheard.features.precomputed import Precomputed
from unheard.features.spec import spec_hash
from unheard.files import digest, file_digest

Array = NDArray[np.float32]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ClipRef:
    """A clip of a corpus: its id, its file, and its piece of it in seconds (``None`` for the file's ends)."""

    id: str
    path: str
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class BadClip:
    """A clip without features, and why."""

    id: str
    path: str
    reason: str


@dataclass(frozen=True)
class Extracted:
    """Features by id, in the order of the clips, and the clips that gave none."""

    features: dict[str, Array]
    errors: list[BadClip]


def extract(
    clips: Sequence[ClipRef],
    spec: Spec,
    *,
    cache: Cache | None,
    jobs: int = 1,
    progress: Progress | None = None,
    channel: int | None = None,
    allow_truncated: bool = False,
    speed: float = 1.0,
    noise: Noise | None = None,
) -> Extracted:
    """Return the features of every clip that gives some.

    Parameters
    ----------
    clips : with different ids.
    spec : what computes; a ``Precomputed`` one is asked for the ids, and no audio is read.
    cache : where features are kept between runs; ``None`` keeps nothing.
    jobs : processes.
    progress : called with (clips done, all clips) after each clip.
    channel, allow_truncated : see ``unheard.audio.decode.load``.
    speed : times the speed and the pitch of the recording, by resampling.
    noise : that is added to the recording; None for none.

    Raises
    ------
    DataError
        Where two clips have one id.
    MachineError
        Where the disk is full, a package is missing or processes cannot start.
    """
    check_clips(clips, jobs)
    total = len(clips)
    found: dict[str, Array | str] = {}

    def done(clip: ClipRef, result: Array | str) -> None:
        found[clip.id] = result
        if progress is not None:
            progress(len(found), total)

    if isinstance(spec, Precomputed):
        for clip in clips:
            done(clip, _looked_up(spec, clip.id))
        return _sorted(clips, found)

    files = hashed({clip.path for clip in clips}, jobs)
    settings = {
        "spec": spec_hash(spec),
        "channel": channel,
        "allow_truncated": allow_truncated,
        "versions": {**VERSIONS, "numpy": np.__version__},
        **({} if speed == 1.0 else {"speed": speed}),
        **({} if noise is None else noise.key()),
    }
    tasks = []
    for clip in clips:
        file = files[clip.path]
        if isinstance(file, str):
            done(clip, file)
            continue
        key = clip_key(clip, file, settings)
        kept = None if cache is None else cache.get(key)
        if kept is None:
            tasks.append(_Task(clip, file, key, channel, allow_truncated, speed, noise))
        else:
            done(clip, kept)
    for task, result in spread(partial(_compute, spec=spec), tasks, jobs):
        if isinstance(result, Died):
            result = "the process that decoded it died; is the file damaged, or memory short?"
        if cache is not None and not isinstance(result, str):
            cache.put(task.key, result)
        done(task.clip, result)
    return _sorted(clips, found)


@dataclass(frozen=True)
class File:
    """What identifies a file's content, and what shows that it has changed since."""

    digest: str
    state: tuple[int, ...]


@dataclass(frozen=True)
class _Task:
    clip: ClipRef
    file: File
    key: str
    channel: int | None
    allow_truncated: bool
    speed: float
    noise: Noise | None


def check_clips(clips: Sequence[ClipRef], jobs: int) -> None:
    """Refuse two clips of one id, and no processes."""
    if jobs < 1:
        raise UsageError(f"jobs: {jobs} processes; give at least 1")
    seen: set[str] = set()
    double = sorted({clip.id for clip in clips if clip.id in seen or seen.add(clip.id)})  # type: ignore[func-returns-value]
    if double:
        raise DataError(f"the same id stands for several clips: {first_five(double)}")


def _sorted(clips: Sequence[ClipRef], found: dict[str, Array | str]) -> Extracted:
    features: dict[str, Array] = {}
    errors = []
    for clip in clips:
        result = found[clip.id]
        if isinstance(result, str):
            errors.append(BadClip(clip.id, clip.path, result))
        else:
            features[clip.id] = result
    return Extracted(features, errors)


def _looked_up(spec: Precomputed, name: str) -> Array | str:
    try:
        return spec.lookup(name)
    except DataError as error:
        return str(error)


def clip_key(clip: ClipRef, file: File, settings: dict[str, Any]) -> str:
    """Digest of a clip's content, its piece and the settings: neither a path nor a time of day decides."""
    piece = [float(clip.start or 0.0), None if clip.end is None else float(clip.end)]
    return digest({"content": file.digest, "piece": piece, **settings})


# --- files -----------------------------------------------------------------------------------------------------


def hashed(paths: Iterable[str], jobs: int) -> dict[str, File | str]:
    """Hash each file once; one that cannot be read gives the reason instead."""
    listed = sorted(paths)
    with ThreadPoolExecutor(min(jobs, 8)) as pool:
        return dict(zip(listed, pool.map(_hash, listed), strict=True))


def _hash(path: str) -> File | str:
    try:
        state = _state(path)
        if not Path(path).is_file():
            return "is not a regular file"
        return File(file_digest(path), state)
    except FileNotFoundError:
        return "no such file"
    except (OSError, ValueError) as error:
        return f"cannot be opened: {getattr(error, 'strerror', None) or error}"


def _state(path: str) -> tuple[int, ...]:
    found = Path(path).stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


# --- computing -------------------------------------------------------------------------------------------------


def _compute(task: _Task, spec: Spec) -> Array | str:
    """Decode a clip and compute its features; for bad data the reason."""
    options = {"channel": task.channel, "allow_truncated": task.allow_truncated}

    def computed(wave: Array) -> Array:
        # Taken for recorded at another rate, a waveform is faster or slower, and so is its pitch.
        augmented = to_rate(wave, RATE * task.speed, RATE)
        if task.noise is not None:
            augmented = noisy(augmented, RATE, task.noise, clip_key(task.clip, task.file, options))
        return _checked(spec.compute(augmented))

    result = of_audio(task.clip, computed, **options)
    return changed(task.clip, task.file) or result


def of_audio(clip: ClipRef, compute: Callable[[Array], Array], **options: Any) -> Array | str:
    """Decode a clip (options of ``unheard.audio.decode.load``) and compute on it; for bad data the reason."""
    try:
        decoded = load(clip.path, clip.start, clip.end, **options)
        check_trainable(decoded)
        return compute(decoded.wave)
    except DataError as error:
        return str(error).removeprefix(f"{shown(clip.path)}: ")


def changed(clip: ClipRef, file: File) -> str | None:
    """Say so where a file is no longer the one that was hashed: whatever was found in it does not count."""
    try:
        same = _state(clip.path) == file.state
    except OSError:
        return "disappeared during the run"
    return None if same else "changed during the run; run again once it is complete"


def _checked(array: Array) -> Array:
    if array.ndim not in (1, 2) or array.size == 0:
        raise DataError(f"its features have shape {array.shape}, expected (dims,) or (frames, dims)")
    if not np.isfinite(array).all():
        raise DataError(f"its features hold {int((~np.isfinite(array)).sum())} values that are not finite")
    return array
