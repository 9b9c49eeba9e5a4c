"""Clips through an encoder into the layer-wise store: each once, however often it is asked for.

With the digest of the weights said and every clip stored, neither weights nor audio are opened, only hashed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unheard import encoders
from unheard.audio.noise import Noise
from unheard.encoders.contract import Encoder
from unheard.extraction.compute import Task, fill
from unheard.extraction.extracted import Described, Features, Stored
from unheard.extraction.features import BadClip, ClipRef, check_clips, clip_key, hashed
from unheard.extraction.plan import refuse_unlike
from unheard.extraction.storage import Keep
from unheard.extraction.store import Store, default_folder, store_name
from unheard.extraction.threads import decoding_threads

__all__ = ["Keep", "Noise", "extract"]


def extract(
    clips: Sequence[ClipRef],
    settings: Mapping[str, Any],
    keep: Keep,
    *,
    folder: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    channel: int | None = None,
    allow_truncated: bool = False,
    speed: float = 1.0,
    noise: Noise | None = None,
    say: Callable[[str], None] | None = None,
) -> Stored:
    """Return what the encoder gives for every clip that gives something, computing what is not stored yet.

    Parameters
    ----------
    clips : with different ids.
    settings : of the encoder. With ``sha256`` said and every clip stored, no weights are needed.
    keep : what to keep of the encoder's output.
    folder : of all stores; None for the user's cache.
    jobs : threads that decode; None for a number that fits the machine. They change nothing but the time.
    progress : called with (clips done, all clips).
    channel, allow_truncated : see ``unheard.audio.decode.load``.
    speed : times the speed and the pitch of the recording, by resampling (Ko et al. 2015, Interspeech).
    noise : that is added to the recording before silence is cut off; None for none.
    say : given the plan before work starts.

    Raises
    ------
    UsageError, DataError, MachineError
        As ``unheard.encoders.load``; two clips of one id; entries that the encoder does not have or that cannot be
        kept together; a disk that is too small (before work starts) or becomes full; a store that cannot be
        written where clips are missing.
    """
    given = encoders.checked(settings)
    threads = jobs if jobs is not None else decoding_threads(given["device"])
    check_clips(clips, threads)
    root = default_folder() if folder is None else Path(folder)
    bad: dict[str, str] = {}
    options = {"channel": channel, "allow_truncated": allow_truncated}
    tasks = _tasks(clips, options, speed, noise, threads, bad)

    encoder = None if given["sha256"] else encoders.load(given)
    store = _opened(root, given if encoder is None else encoder.settings, keep, tasks)
    said = store.described()
    if encoder is None and (said is None or any(key not in store for key in tasks)):
        encoder = encoders.load(given)
        store = _opened(root, encoder.settings, keep, tasks)
    if encoder is not None:
        said = _described(encoder, keep)
        missing = [key for key in tasks if key not in store]
        if missing:
            done = len(clips) - sum(len(tasks[key].ids) for key in missing)
            report = None if progress is None else lambda more: progress(done + more, len(clips))
            bad |= fill(store, encoder, said, tasks, jobs=threads, report=report, say=say)
    assert said is not None
    if progress is not None:
        progress(len(clips), len(clips))
    return _stored(clips, tasks, bad, store, said, given if encoder is None else encoder.settings)


def _tasks(
    clips: Sequence[ClipRef],
    options: dict[str, Any],
    speed: float,
    noise: Noise | None,
    jobs: int,
    bad: dict[str, str],
) -> dict[str, Task]:
    files = hashed({clip.path for clip in clips}, jobs)
    # What is heard as it was recorded has the same key as ever.
    heard = options if speed == 1.0 else {**options, "speed": speed}
    heard = heard if noise is None else {**heard, **noise.key()}
    tasks: dict[str, Task] = {}
    for clip in clips:
        file = files[clip.path]
        if isinstance(file, str):
            bad[clip.id] = file
        else:
            task = Task(clip, file, options, speed, noise, [])
            tasks.setdefault(clip_key(clip, file, heard), task).ids.append(clip.id)
    return tasks


def _opened(root: Path, settings: Mapping[str, Any], keep: Keep, keys: Iterable[str]) -> Store:
    store = Store(root, store_name(encoders.key(settings), keep))
    store.check(keys)
    return store


def _described(encoder: Encoder, keep: Keep) -> Described:
    entries = tuple(range(len(encoder.layers))) if keep.entries is None else keep.entries
    refuse_unlike(encoder, keep, entries)
    return Described(
        encoder.settings,
        encoder.rate,
        keep,
        entries,
        tuple(encoder.layers[entry].name for entry in entries),
        tuple(encoder.layers[entry].dims for entry in entries),
    )


def _stored(
    clips: Sequence[ClipRef],
    tasks: dict[str, Task],
    bad: dict[str, str],
    store: Store,
    said: Described,
    settings: dict[str, Any],
) -> Stored:
    found = {}
    for key, task in tasks.items():
        if key in store.refused:
            bad.update(dict.fromkeys(task.ids, store.refused[key]))
        elif key in store:
            found.update(dict.fromkeys(task.ids, store.place(key)))
    places = {clip.id: found[clip.id] for clip in clips if clip.id in found}
    errors = [BadClip(clip.id, clip.path, bad[clip.id]) for clip in clips if clip.id not in found]
    measured = [place.cosines for _, place in places.values() if place.cosines is not None]
    return Stored(
        features=Features(places, said.keep),
        errors=errors,
        names=said.names,
        widths=said.widths,
        settings=settings,
        cosines=np.mean(measured, axis=0) if measured else None,
        folder=store.folder,
    )
