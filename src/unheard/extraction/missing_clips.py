"""Computes the clips that a store lacks, in bounded memory and without stopping at a bad file.

Clips are sorted by length and taken in groups, the same groups however many are missing, so that a broken
extraction goes on with the numbers of an unbroken one. While an encoder has one group, threads open the next ones
and another thread writes what is done; numpy features are computed in processes, of which any may die. A shard is
written when it is large enough or a minute old.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, TypeVar

from unheard.audio.resample import RATE
from unheard.encoders import Encoder
from unheard.errors import DataError
from unheard.extraction.ahead import ahead
from unheard.extraction.extracted import Metadata
from unheard.extraction.plan import WORTH_MEASURING, planned, refuse_too_large, with_time
from unheard.extraction.processes import Died, spread
from unheard.extraction.storage import Packed, Storage, pack
from unheard.extraction.store import Store
from unheard.extraction.threads import all_cores
from unheard.features.contract import Spec
from unheard.inputs import Clip, Extractor, Medium

GROUP = {"cpu": 128 * 2**20, "cuda": 2**30}  # bytes of the extractor's output that a group gives at most
MAX_SECONDS, MAX_CLIPS = 300.0, 256  # of a group
AHEAD = 2  # groups that are opened while one is extracted
SHARD, SHARD_CLIPS = 16 * 2**20, 1000  # bytes and clips of a shard, which is gathered in memory
PATIENCE = 60.0  # seconds that finished clips wait for their shard to fill
SAMPLE, SAMPLE_SECONDS = 4, 20.0  # clips, and seconds of audio in them, that the time is measured on


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


@dataclass(frozen=True)
class MissingClips:
    """Computes and stores the clips that a store lacks.

    Parameters
    ----------
    store
        Where the output goes.
    extractor, medium
        What computes, and what opens clips for it.
    metadata
        What the store says of its content.
    jobs
        Threads that open clips, or processes that compute numpy features.
    """

    store: Store
    extractor: Extractor[Any]
    medium: Medium[Any]
    metadata: Metadata
    jobs: int

    @property
    def layers(self) -> tuple[int, ...]:
        """Numbers of the layers that are stored."""
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
                for line in plan.lines():
                    say(line)
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
        if isinstance(self.extractor, Spec) and self.medium.name in ("audio", "video"):
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
        parts = [keys[first : first + MAX_CLIPS] for first in range(0, len(keys), MAX_CLIPS)]
        with ThreadPoolExecutor(self.jobs) as pool:
            found = pool.map(lambda part: [self.medium.size(tasks[key].clip) for key in part], parts)
            return dict(zip(keys, chain.from_iterable(found), strict=True))

    def _groups(self, sizes: Mapping[str, float]) -> Iterator[list[str]]:
        """Yield clips of like length together, the longest first: where memory is short, that shows at once."""
        rates = [(self.extractor.layers[k].dims, self.extractor.layers[k].rate or 0.0) for k in self.layers]
        each = sum(4 * dims * rate for dims, rate in rates if rate > 0)  # bytes of a second, or of a token
        most = GROUP[str(self.extractor.settings.get("device", "cpu"))] / each if each else float("inf")
        if self.medium.name == "audio":
            most = min(most, MAX_SECONDS)
        group: list[str] = []
        total = 0.0
        for key in sorted(sizes, key=lambda key: (-sizes[key], key)):
            if group and (total + sizes[key] > most or len(group) == MAX_CLIPS):
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
    """Gathers what is computed and writes it, one shard at a time, while the extractor goes on."""

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
