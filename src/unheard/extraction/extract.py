"""The one way from clips to what an extractor gives for them: each clip once, however often it is asked for.

Clips are known by their content and looked up in the store. What is missing is sorted by length and taken in
groups, the same groups however many clips are missing, so that a broken extraction goes on with the numbers of an
unbroken one. While an encoder has one group, threads open the next ones and another thread writes what is done;
numpy features are computed in processes, of which any may die. A shard is written when it is large enough or a
minute old. A bad file gives its reason, and stops nothing.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from unheard import encoders
from unheard.audio.resample import RATE
from unheard.encoders import Encoder, LazyEncoder
from unheard.errors import DataError, UsageError, first_five
from unheard.extraction.ahead import ahead
from unheard.extraction.extracted import BadClip, Extracted, Features, Metadata, bad_clip
from unheard.extraction.media import medium_of
from unheard.extraction.plan import planned, refuse_too_large, resolved, with_time
from unheard.extraction.processes import Died, spread
from unheard.extraction.shard import Place
from unheard.extraction.storage import Packed, Storage, pack
from unheard.extraction.store import Store, default_bound, default_folder, store_name
from unheard.extraction.threads import all_cores, decoding_threads
from unheard.features.contract import Spec
from unheard.files import FileDigests, digest
from unheard.inputs import Clip, Extractor, Form, Medium

__all__ = ["BadClip", "Extracted", "Storage", "extract"]

GROUP = {"cpu": 128 * 2**20, "cuda": 2**30}  # bytes of the extractor's output that a group gives at most
MOST_SECONDS, MOST_CLIPS = 300.0, 256  # of a group
AHEAD = 2  # groups that are opened while one is extracted
SHARD, SHARD_CLIPS = 16 * 2**20, 1000  # bytes and clips of a shard, which is gathered in memory
PATIENCE = 60.0  # seconds that finished clips wait for their shard to fill
WORTH_MEASURING = 600.0  # seconds of audio
SAMPLE, SAMPLE_SECONDS = 4, 20.0  # clips, and seconds of audio in them, that the time is measured on

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """A clip by its content, and all clips that are the same."""

    key: str
    clip: Clip
    same: list[Clip] = field(default_factory=list)


@dataclass(frozen=True)
class Passing:
    """Why a clip gives nothing this time; another time it may, so that is not stored."""

    reason: str


Result = Packed | str | Passing
Found = TypeVar("Found")


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
    """Return what an extractor gives for every clip that gives something, computing what is not stored yet.

    Parameters
    ----------
    clips
        With different ids.
    extractor
        Features, an encoder, a :class:`~unheard.encoders.LazyEncoder`, or the settings of one: with the digest of
        the weights and the cut said and every clip stored, neither weights nor recordings are opened, only hashed.
    storage
        How to store the output; None for a row or frames of features as they are, and for pooled statistics of all
        layers of an encoder.
    folder
        Of all stores; None for the user's cache, which has a bound.
    jobs
        Threads that open clips, and processes that compute numpy features; None for a number that fits the
        machine. They change nothing but the time.
    progress
        Called with (clips done, all clips).
    say
        Given the plan before work starts.
    digests
        What is known of files already: extractions that share it read each file once.
    options
        How the medium opens clips: ``allow_truncated``, ``speed`` and ``noise`` of recordings
        (:class:`unheard.audio.medium.AudioMedium`), ``context`` of text.

    Raises
    ------
    UsageError, DataError, MachineError
        As ``unheard.encoders.load``; two clips of one id; layers that the extractor does not have or that cannot
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
            work = _Work(store, made, medium, metadata, threads)
            bad |= work.compute(tasks, report, say)
    if progress is not None:
        progress(len(clips), len(clips))
    return _result(clips, tasks, bad, store, metadata)


# --- what is asked for -------------------------------------------------------------------------------------------


def _check(clips: Sequence[Clip], jobs: int) -> None:
    if jobs < 1:
        raise UsageError(f"jobs: {jobs} processes; give at least 1")
    seen: set[str] = set()
    double = sorted({clip.id for clip in clips if clip.id in seen or seen.add(clip.id)})  # type: ignore[func-returns-value]
    if double:
        raise DataError(f"the same id stands for several clips: {first_five(double)}")


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
        _log.warning("%s is read-only: what is computed lasts as long as this process", store.root)
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


# --- computing what is missing -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Work:
    """Computes the clips that a store lacks."""

    store: Store
    extractor: Extractor[Any]
    medium: Medium[Any]
    metadata: Metadata
    jobs: int

    @property
    def layers(self) -> tuple[int, ...]:
        layers = self.metadata.storage.layers
        assert layers is not None
        return layers

    def compute(
        self,
        tasks: Mapping[str, Task],
        report: Callable[[int], None] | None,
        say: Callable[[str], None] | None,
    ) -> dict[str, str]:
        """Compute and store every missing clip, and return the reasons, by id, that are not stored."""
        sizes = self._sizes(tasks)
        missing = {key: sizes[key] for key in tasks if key not in self.store}
        plan = planned(
            self.extractor, self.metadata.storage, len(tasks), list(missing.values()), self.store.folder
        )
        refuse_too_large(plan)
        with all_cores():
            if say is not None:
                if self.medium.name == "audio" and plan.amount >= WORTH_MEASURING:
                    plan = with_time(plan, *self._measured(missing, tasks))
                say(plan.text())
            self.store.describe(self.metadata)
            return self._run(tasks, sizes, report)

    def _run(
        self, tasks: Mapping[str, Task], sizes: Mapping[str, float], report: Callable[[int], None] | None
    ) -> dict[str, str]:
        passing: dict[str, str] = {}
        done = 0
        with ThreadPoolExecutor(1) as writer:
            shards = _Shards(self.store, writer)
            for group in self._results(tasks, sizes):
                for task, result in group:
                    if isinstance(result, Passing):
                        passing |= {clip.id: result.reason for clip in task.same}
                    else:
                        shards.add(task.key, result)
                shards.write_if_due()
                done += sum(len(task.same) for task, _ in group)
                if report is not None:
                    report(done)
            shards.write()
        return passing

    def _results(
        self, tasks: Mapping[str, Task], sizes: Mapping[str, float]
    ) -> Iterator[list[tuple[Task, Result]]]:
        """Yield missing tasks with what they give, in groups."""
        if isinstance(self.extractor, Spec) and self.medium.name == "audio":
            missing = [task for key, task in tasks.items() if key not in self.store]
            work = partial(
                _alone, medium=self.medium, extractor=self.extractor, storage=self.metadata.storage
            )
            for task, result in spread(work, missing, self.jobs):
                died = "the process that computed it died; is the file damaged, or memory short?"
                found = Passing(died) if isinstance(result, Died) else result
                yield [(task, self._unless_changed(task, found))]
            return
        groups = [[tasks[key] for key in group if key not in self.store] for group in self._groups(sizes)]
        with ThreadPoolExecutor(self.jobs) as pool:
            for group, opened in ahead(pool, self._open, [group for group in groups if group], AHEAD):
                items = [one.item for one in opened if isinstance(one, _Opened)]
                results = iter(self._packed(items))
                yield [
                    (task, next(results) if isinstance(one, _Opened) else one)
                    for task, one in zip(group, opened, strict=True)
                ]

    def _open(self, task: Task) -> _Opened | str | Passing:
        try:
            found: _Opened | str = _Opened(self.medium.open(task.clip))
        except DataError as error:
            found = str(error)
        return self._unless_changed(task, found)

    def _unless_changed(self, task: Task, found: Found) -> Found | Passing:
        """Return what was found, unless the clip is no longer what it was: then nothing in it counts."""
        try:
            same = self.medium.key(task.clip) == task.key
        except DataError:
            return Passing("disappeared during the run")
        return found if same else Passing("changed during the run; run again once it is complete")

    def _packed(self, items: Sequence[Any]) -> list[Packed | str]:
        """Extract and pack; where the extractor refuses a group, each item alone."""
        if not items:
            return []
        try:
            outputs = self.extractor.extract(items, self.layers)
        except DataError as error:
            if len(items) == 1:
                return [str(error)]
            return [result for item in items for result in self._packed([item])]
        results: list[Packed | str] = []
        for output in outputs:
            try:
                results.append(pack(output, self.metadata.storage))
            except DataError as error:
                results.append(str(error))
        return results

    def _sizes(self, tasks: Mapping[str, Task]) -> dict[str, float]:
        keys = list(tasks)
        parts = [keys[first : first + MOST_CLIPS] for first in range(0, len(keys), MOST_CLIPS)]
        with ThreadPoolExecutor(self.jobs) as pool:
            found = pool.map(lambda part: [self.medium.size(tasks[key].clip) for key in part], parts)
            return dict(zip(keys, chain.from_iterable(found), strict=True))

    def _groups(self, sizes: Mapping[str, float]) -> Iterator[list[str]]:
        """Yield clips of like length together, the longest first: where memory is short, that shows at once."""
        rates = [(self.extractor.layers[k].dims, self.extractor.layers[k].rate or 0.0) for k in self.layers]
        each = sum(4 * dims * rate for dims, rate in rates if rate > 0)  # bytes of a second, or of a token
        most = GROUP[str(self.extractor.settings.get("device", "cpu"))] / each if each else float("inf")
        if self.medium.name == "audio":
            most = min(most, MOST_SECONDS)
        group: list[str] = []
        total = 0.0
        for key in sorted(sizes, key=lambda key: (-sizes[key], key)):
            if group and (total + sizes[key] > most or len(group) == MOST_CLIPS):
                yield group
                group, total = [], 0.0
            group.append(key)
            total += sizes[key]
        if group:
            yield group

    def _measured(self, missing: Mapping[str, float], tasks: Mapping[str, Task]) -> tuple[float, int]:
        """Return the seconds that a second of audio takes, on a few clips of middle length after a short one."""
        extractor = self.extractor
        rate = extractor.rate if isinstance(extractor, Encoder | Spec) else RATE
        middle = sorted(missing, key=lambda key: missing[key])[len(missing) // 2 :][:SAMPLE]
        waves: list[Any] = []
        for key in middle:
            one = self._open(tasks[key])
            if isinstance(one, _Opened) and sum(map(len, waves)) < SAMPLE_SECONDS * rate:
                waves.append(one.item[: round(SAMPLE_SECONDS * rate)])
        if not waves:
            return 0.0, 0
        extractor.extract([waves[0][:rate]], self.layers)
        start = time.perf_counter()
        extractor.extract(waves, self.layers)
        spent = time.perf_counter() - start
        side_by_side = self.jobs if isinstance(extractor, Spec) else 1
        return spent * rate / sum(map(len, waves)) / side_by_side, len(waves)


@dataclass(frozen=True)
class _Opened:
    """What an extractor takes of a clip."""

    item: Any


def _alone(task: Task, medium: Medium[Any], extractor: Spec, storage: Storage) -> Packed | str:
    """Open one clip, compute its features and pack them; for bad data the reason."""
    try:
        (layers,) = extractor.extract([medium.open(task.clip)], (0,))
        return pack(layers, storage)
    except DataError as error:
        return str(error)


class _Shards:
    """Gathers what is done and writes it, one shard at a time, beside the extractor's work."""

    def __init__(self, store: Store, writer: ThreadPoolExecutor) -> None:
        self._store, self._writer = store, writer
        self._written: Future[None] | None = None
        self._start()

    def add(self, key: str, result: Packed | str) -> None:
        """Take a clip, or the reason why it gives nothing."""
        if isinstance(result, str):
            self._refused[key] = result
        else:
            self._clips[key] = result
            self._size += sum(part.nbytes for part in result.parts)

    def write_if_due(self) -> None:
        """Begin to write where enough is there, or where it has waited long enough."""
        large = self._size >= SHARD or len(self._clips) >= SHARD_CLIPS
        if large or time.monotonic() - self._since >= PATIENCE:
            self._begin()

    def write(self) -> None:
        """Write what is left, and wait for all that was begun."""
        self._begin()
        self._wait()

    def _begin(self) -> None:
        self._wait()
        if self._clips or self._refused:
            self._written = self._writer.submit(self._store.write, self._clips, self._refused)
        self._start()

    def _wait(self) -> None:
        if self._written is not None:
            self._written.result()

    def _start(self) -> None:
        self._clips: dict[str, Packed] = {}
        self._refused: dict[str, str] = {}
        self._size, self._since = 0, time.monotonic()
