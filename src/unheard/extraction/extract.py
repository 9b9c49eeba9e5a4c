"""Extraction: what an extractor computes of clips, each of which is computed once and stored.

Clips are known by their content and looked up in the store; what is missing is computed by
:class:`~unheard.extraction.missing_clips.MissingClips`. A file that cannot be used is reported and stops nothing.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from unheard import encoders
from unheard.encoders import Encoder, LazyEncoder
from unheard.errors import DataError, UsageError, escaped, first_five
from unheard.extraction.extracted import BadClip, Extracted, Features, Metadata, bad_clip
from unheard.extraction.media import medium_of
from unheard.extraction.missing_clips import MissingClips, Passing, Task
from unheard.extraction.plan import resolved
from unheard.extraction.shard import Place
from unheard.extraction.storage import Storage
from unheard.extraction.store import Store, default_bound, default_folder, store_name
from unheard.extraction.threads import decoding_threads
from unheard.features.contract import Spec
from unheard.files import FileDigests, digest
from unheard.inputs import Clip, Extractor, Form, Medium

__all__ = ["BadClip", "Extracted", "Storage", "extract"]

_log = logging.getLogger(__name__)


def extract(
    clips: Sequence[Clip],
    extractor: Extractor[Any] | LazyEncoder | Mapping[str, Any],
    storage: Storage | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
    digests: FileDigests | None = None,
    **options: Any,
) -> Extracted:
    """Return what an extractor computes of every usable clip; only what is not stored yet is computed.

    Parameters
    ----------
    clips
        Clips with different ids.
    extractor
        Features, an encoder, a :class:`~unheard.encoders.LazyEncoder`, or the settings of one. If the settings
        hold the cut and the digest of the weights and every clip is stored, weights are not opened and recordings
        only hashed.
    storage
        How to store the output; None for a row or frames of features as they are, and for pooled statistics of all
        layers of an encoder.
    folder
        Folder of all stores; None for the user's cache, whose size has a bound.
    jobs
        Number of threads that open clips and of processes that compute numpy features; None for a number that fits
        the machine. The result does not depend on it.
    progress
        Function that is called with (clips done, all clips).
    say
        Function that is called with the plan before work starts.
    digests
        Digests of files that are known already; extractions that share them read each file once.
    options
        Options of the medium: ``allow_truncated``, ``speed`` and ``noise`` of recordings
        (:class:`unheard.audio.medium.AudioMedium`), ``context`` of text.

    Raises
    ------
    UsageError, DataError, MachineError
        As ``unheard.encoders.load``; two clips with one id; layers that the extractor does not have or that cannot
        be stored together; a disk that is too small (before work starts) or becomes full; a folder that was named
        and cannot be written where clips are missing.
    """
    source = LazyEncoder(extractor) if isinstance(extractor, Mapping) else extractor
    if isinstance(source, LazyEncoder) and source.medium is None:
        source.load()
    threads = jobs if jobs is not None else _threads(source)
    _check(clips, threads)
    digests = digests or FileDigests()
    medium = _medium(source, digests, options)
    bad: dict[str, str] = {}
    tasks = _tasks(clips, medium, threads, bad)

    storage = storage or _usual(source)
    root, bound = (default_folder(), default_bound()) if folder is None else (Path(folder), None)
    store = _stored(source, storage, root, bound, tasks)
    metadata = None if store is None else store.metadata()
    if store is None or metadata is None or any(key not in store for key in tasks):
        made: Extractor[Any] = source.load() if isinstance(source, LazyEncoder) else source
        storage = resolved(made, storage)
        store = store or _stored(made, storage, root, bound, tasks)
        assert store is not None and storage.layers is not None
        metadata = Metadata(made.settings, storage, tuple(made.layers[k] for k in storage.layers))
        medium = _medium(made, digests, options)
        missing = [task for key, task in tasks.items() if key not in store]
        if missing:
            store = _writable(store, folder is not None)
            done = len(clips) - sum(len(task.same) for task in missing)
            report = None if progress is None else lambda more: progress(done + more, len(clips))
            work = MissingClips(store, made, medium, metadata, threads)
            bad |= work.compute(tasks, report, say)
    if progress is not None:
        progress(len(clips), len(clips))
    return _result(clips, tasks, bad, store, metadata)


# --- which clips and layers
# -------------------------------------------------------------------------------------------


def _check(clips: Sequence[Clip], jobs: int) -> None:
    if jobs < 1:
        raise UsageError(f"jobs: {jobs} processes; give at least 1")
    seen: set[str] = set()
    double = sorted({clip.id for clip in clips if clip.id in seen or seen.add(clip.id)})  # type: ignore[func-returns-value]
    if double:
        raise DataError(f"several clips have the same id: {first_five(double)}")


def _threads(source: Extractor[Any] | LazyEncoder) -> int:
    return 1 if isinstance(source, Spec) else decoding_threads(str(source.settings.get("device", "cpu")))


def _medium(
    source: Extractor[Any] | LazyEncoder, digests: FileDigests, options: Mapping[str, Any]
) -> Medium[Any]:
    if isinstance(source, LazyEncoder):
        assert source.medium is not None
        return medium_of(source.medium, trim=source.settings["trim"], digests=digests, **options)
    if isinstance(source, Encoder):
        trim = source.settings.get("trim")
        return medium_of(source.medium, rate=source.rate, trim=trim, digests=digests, **options)
    return medium_of(source.medium, digests=digests, **options)


def _tasks(clips: Sequence[Clip], medium: Medium[Any], threads: int, bad: dict[str, str]) -> dict[str, Task]:
    """Return a task for each content by its key; clips that cannot be known go to ``bad``."""

    def key(clip: Clip) -> str | Passing:
        try:
            return medium.key(clip)
        except DataError as error:
            return Passing(str(error))

    tasks: dict[str, Task] = {}
    with ThreadPoolExecutor(min(threads, 8)) as pool:
        for clip, found in zip(clips, pool.map(key, clips), strict=True):
            if isinstance(found, Passing):
                bad[clip.id] = found.reason
            else:
                tasks.setdefault(found, Task(found, clip)).same.append(clip)
    return tasks


def _usual(source: Extractor[Any] | LazyEncoder) -> Storage:
    if isinstance(source, Spec):
        return Storage(Form.ROW if source.frames_per_second is None else Form.FRAMES, (0,))
    return Storage(Form.POOLED)


def _stored(
    source: Extractor[Any] | LazyEncoder, storage: Storage, root: Path, bound: int | None, keys: Iterable[str]
) -> Store | None:
    """Open the store and check the clips in it; None where the encoder has to be loaded to know which it is."""
    if isinstance(source, LazyEncoder) and not source.is_known:
        return None
    if storage.layers is None:
        last = len(source.layers) - 1 if not isinstance(source, LazyEncoder) else source.settings["cut"]
        storage = Storage(storage.form, tuple(range(last + 1)), storage.type, storage.average)
    store = Store(root, store_name(_key(source), storage), bound)
    store.check(keys)
    return store


def _key(source: Extractor[Any] | LazyEncoder) -> str:
    """Return the digest of what decides about an extractor's layers."""
    if isinstance(source, Spec):
        return digest({"features": source.key, "numpy": np.__version__})
    # Layer k is the same wherever the network is cut above it.
    return encoders.key({**source.settings, "cut": None})


def _writable(store: Store, named: bool) -> Store:
    """Return the store; where the user's cache is read-only, one that is written for this process alone."""
    there = next(path for path in (store.folder, *store.folder.parents) if path.exists())
    if not named and not os.access(there, os.W_OK):
        folder = Path(tempfile.mkdtemp(prefix="unheard-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _log.warning("%s is read-only: what is computed lasts as long as this process", escaped(store.root))
        return store.also_in(folder)
    return store


def _result(
    clips: Sequence[Clip], tasks: Mapping[str, Task], bad: dict[str, str], store: Store, metadata: Metadata
) -> Extracted:
    found: dict[str, tuple[Path, Place]] = {}
    for key, task in tasks.items():
        if key in store.refused:
            bad.update((clip.id, store.refused[key]) for clip in task.same)
        elif key in store:
            found.update((clip.id, store.place(key)) for clip in task.same)
    places = {clip.id: found[clip.id] for clip in clips if clip.id in found}
    errors = tuple(bad_clip(clip, bad[clip.id]) for clip in clips if clip.id not in found)
    return Extracted(Features(places, metadata.storage), errors, metadata, store.folder)
