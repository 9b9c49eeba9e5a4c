"""Encode the clips that a store lacks: in bounded memory, and without stopping at a bad file.

Clips are sorted by length and taken in groups, the same groups however many clips are missing, so that a
broken extraction goes on with the numbers of an unbroken one. While the encoder has one group, threads decode
and resample the next ones and another thread writes what is done. A shard is written when it is large enough
or a minute old.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from unheard.audio.noise import Noise, noisy
from unheard.audio.resample import to_rate
from unheard.audio.trim import trim
from unheard.encoders.contract import Encoder, Wave
from unheard.errors import DataError
from unheard.extraction.features import ClipRef, File, changed, clip_key, of_audio
from unheard.extraction.plan import planned, refuse_too_large, seconds_of, with_time
from unheard.extraction.storage import Packed, pack
from unheard.extraction.store import Described, Store
from unheard.extraction.threads import all_cores

GROUP = {"cpu": 128 * 2**20, "cuda": 2**30}  # bytes of the encoder's output that a group gives at most
MOST_SECONDS, MOST_CLIPS = 300.0, 256  # of a group
AHEAD = 2  # groups that are decoded while one is encoded
SHARD, SHARD_CLIPS = 16 * 2**20, 1000  # bytes and clips of a shard, which is gathered in memory
PATIENCE = 60.0  # seconds that finished clips wait for their shard to fill
WORTH_MEASURING = 600.0  # seconds of audio
SAMPLE, SAMPLE_SECONDS = 4, 20.0  # clips, and seconds of audio in them, that the time is measured on


@dataclass(frozen=True)
class Task:
    """A clip by its content, and the ids of all clips that are the same."""

    clip: ClipRef
    file: File
    options: dict[str, Any]
    speed: float
    noise: Noise | None
    ids: list[str]


@dataclass(frozen=True)
class Passing:
    """Why a clip gives nothing this time; another time it may, so that is not stored."""

    reason: str


def fill(
    store: Store,
    encoder: Encoder,
    said: Described,
    tasks: Mapping[str, Task],
    *,
    jobs: int,
    report: Callable[[int], None] | None,
    say: Callable[[str], None] | None,
) -> dict[str, str]:
    """Compute and store every clip that is missing.

    Parameters
    ----------
    store, said : where to, and what ``store.json`` is to say.
    tasks : all clips by key, stored ones too.
    jobs : threads that decode.
    report : called with the number of clips that are done.
    say : given the plan.

    Returns
    -------
    Reasons by id, of the clips whose file changed meanwhile.
    """
    seconds = _seconds(tasks, jobs)
    missing = {key: seconds[key] for key in tasks if key not in store}
    plan = planned(encoder, said.keep, said.entries, len(tasks), list(missing.values()), store.folder)
    refuse_too_large(plan)
    with all_cores():
        if say is not None:
            if plan.audio >= WORTH_MEASURING:
                plan = with_time(plan, *_measured(encoder, said.entries, missing, tasks))
            say(plan.text())
        store.describe(said)
        groups = [
            [key for key in group if key in missing] for group in _groups(seconds, encoder, said.entries)
        ]
        return _run(store, encoder, said, [group for group in groups if group], tasks, jobs, report)


def _seconds(tasks: Mapping[str, Task], jobs: int) -> dict[str, float]:
    keys = list(tasks)
    parts = [keys[first : first + MOST_CLIPS] for first in range(0, len(keys), MOST_CLIPS)]
    with ThreadPoolExecutor(jobs) as pool:
        found = pool.map(lambda part: [seconds_of(tasks[key].clip) for key in part], parts)
        return dict(zip(keys, chain.from_iterable(found), strict=True))


def _groups(seconds: Mapping[str, float], encoder: Encoder, entries: Sequence[int]) -> Iterator[list[str]]:
    """Deal the clips into groups of like length, the longest first: where memory is short, that shows at once."""
    a_second = sum(4 * encoder.layers[entry].dims * (encoder.layers[entry].rate or 0.0) for entry in entries)
    most = min(GROUP[encoder.settings["device"]] / a_second, MOST_SECONDS)
    group: list[str] = []
    total = 0.0
    for key in sorted(seconds, key=lambda key: (-seconds[key], key)):
        if group and (total + seconds[key] > most or len(group) == MOST_CLIPS):
            yield group
            group, total = [], 0.0
        group.append(key)
        total += seconds[key]
    if group:
        yield group


def _run(
    store: Store,
    encoder: Encoder,
    said: Described,
    groups: list[list[str]],
    tasks: Mapping[str, Task],
    jobs: int,
    report: Callable[[int], None] | None,
) -> dict[str, str]:
    passing: dict[str, str] = {}
    done = 0
    with ThreadPoolExecutor(jobs) as decoders, ThreadPoolExecutor(1) as writer:
        shards = _Shards(store, writer)
        try:
            for group, heard in _decoded(groups, tasks, encoder, decoders):
                for key, result in zip(group, _results(encoder, heard, said), strict=True):
                    if isinstance(result, Passing):
                        passing |= dict.fromkeys(tasks[key].ids, result.reason)
                    else:
                        shards.add(key, result)
                shards.write_if_due()
                done += sum(len(tasks[key].ids) for key in group)
                if report is not None:
                    report(done)
            shards.write()
        except BaseException:
            decoders.shutdown(wait=False, cancel_futures=True)
            raise
    return passing


class _Shards:
    """Gathers what is done and writes it, one shard at a time, beside the encoder's work."""

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


def _decoded(
    groups: list[list[str]], tasks: Mapping[str, Task], encoder: Encoder, pool: ThreadPoolExecutor
) -> Iterator[tuple[list[str], list[Wave | str | Passing]]]:
    """Yield each group with its waveforms, while the next ones are being decoded."""
    ahead: deque[tuple[list[str], list[Future[Wave | str | Passing]]]] = deque()
    for group in groups:
        ahead.append((group, [pool.submit(_decode, tasks[key], encoder) for key in group]))
        if len(ahead) > AHEAD:
            first, futures = ahead.popleft()
            yield first, [future.result() for future in futures]
    while ahead:
        first, futures = ahead.popleft()
        yield first, [future.result() for future in futures]


def _decode(task: Task, encoder: Encoder) -> Wave | str | Passing:
    rate, decibels = encoder.rate, encoder.settings["trim"]

    def prepared(wave: Wave) -> Wave:
        # Taken for recorded at another rate, a waveform is faster or slower, and so is its pitch.
        heard = to_rate(wave, rate * task.speed, rate)
        if task.noise is not None:
            heard = noisy(heard, rate, task.noise, clip_key(task.clip, task.file, task.options))
        return heard if decibels is None else trim(heard, decibels, rate)

    heard = of_audio(
        task.clip,
        prepared,
        **task.options,
        rate=rate,
    )
    reason = changed(task.clip, task.file)
    return heard if reason is None else Passing(reason)


def _results(
    encoder: Encoder, heard: Sequence[Wave | str | Passing], said: Described
) -> list[Packed | str | Passing]:
    """Waveforms encoded and packed; what is none stays as it is."""
    encoded = iter(_encoded(encoder, [wave for wave in heard if isinstance(wave, np.ndarray)], said))
    return [next(encoded) if isinstance(wave, np.ndarray) else wave for wave in heard]


def _encoded(encoder: Encoder, waves: Sequence[Wave], said: Described) -> list[Packed | str]:
    """Encode and pack clips; where the encoder refuses a group, each clip alone."""
    if not waves:
        return []
    try:
        outputs = encoder.extract(waves, said.entries)
    except DataError as error:
        if len(waves) == 1:
            return [str(error)]
        return [result for wave in waves for result in _encoded(encoder, [wave], said)]
    results: list[Packed | str] = []
    for output in outputs:
        try:
            results.append(pack(output, said.keep))
        except DataError as error:
            results.append(str(error))
    return results


def _measured(
    encoder: Encoder, entries: Sequence[int], missing: Mapping[str, float], tasks: Mapping[str, Task]
) -> tuple[float, int]:
    """Seconds that a second of audio takes, on a few clips of middle length after a short one that warms up."""
    middle = sorted(missing, key=lambda key: missing[key])[len(missing) // 2 :][:SAMPLE]
    waves: list[Wave] = []
    for key in middle:
        wave = _decode(tasks[key], encoder)
        if isinstance(wave, np.ndarray) and sum(map(len, waves)) < SAMPLE_SECONDS * encoder.rate:
            waves.append(wave[: round(SAMPLE_SECONDS * encoder.rate)])
    if not waves:
        return 0.0, 0
    encoder.extract([waves[0][: encoder.rate]], entries)
    start = time.perf_counter()
    encoder.extract(waves, entries)
    spent = time.perf_counter() - start
    return spent * encoder.rate / sum(map(len, waves)), len(waves)
