"""The rows of each step and their waveforms, which are read when they are needed and never all at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from unheard.errors import DataError
from unheard.inputs import Features
from unheard.training.examples import Examples
from unheard.tuning.settings import Settings
from unheard.tuning.waves import Wave, augmented, cropped, drawn

#: Number of batches that are read at a time for inference: enough to sort by length, few enough for memory.
WINDOW = 8


@dataclass(frozen=True)
class Batch:
    """Row numbers and their waveforms, shortest first."""

    rows: list[int]
    waves: list[Wave]


def steps(rows: int, settings: Settings, seed: int, epoch: int) -> list[list[int]]:
    """Return the row numbers of each step of an epoch: every row once, in another order every epoch."""
    size = settings.batch * settings.accumulate
    order = np.random.default_rng([seed, 1, epoch]).permutation(rows)
    return [order[start : start + size].tolist() for start in range(0, rows, size)]


def steps_an_epoch(rows: int, settings: Settings) -> int:
    """Count the steps of an epoch."""
    return -(-rows // (settings.batch * settings.accumulate))


def training_batch(
    features: Features, rows: Sequence[int], settings: Settings, rate: int, seed: int, epoch: int
) -> Batch:
    """Return the waveforms of some rows as training uses them in this epoch, cropped and augmented."""
    taken = []
    for row in rows:
        rng = drawn(seed, epoch, row)
        wave = cropped(_wave(features, row), round(settings.longest * rate), settings.crop, rng)
        taken.append(augmented(wave, rng) if settings.augment else wave)
    return _sorted(rows, taken)


def ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yield the same batches; the next one is read and decoded while the caller works."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, batches, None)
        while (batch := following.result()) is not None:
            following = pool.submit(next, batches, None)
            yield batch


def plain_batches(
    features: Features, rows: Sequence[int], settings: Settings, rate: int, size: int
) -> Iterator[Batch]:
    """Yield the waveforms of some rows as they are, cut to the longest length; similar lengths go together."""
    longest = round(settings.longest * rate)
    for start in range(0, len(rows), WINDOW * size):
        some = rows[start : start + WINDOW * size]
        whole = _sorted(some, [cropped(_wave(features, row), longest, settings.crop, None) for row in some])
        for first in range(0, len(some), size):
            part = slice(first, first + size)
            yield Batch(whole.rows[part], whole.waves[part])


def waves_of(rows: Examples) -> Features:
    """Return the waveforms of some clips, which are the only input of fine-tuning."""
    (waves,) = rows.inputs.values()
    return waves


def _sorted(rows: Sequence[int], waves: Sequence[Wave]) -> Batch:
    order = sorted(range(len(rows)), key=lambda i: (len(waves[i]), rows[i]))
    return Batch([rows[i] for i in order], [waves[i] for i in order])


def _wave(features: Features, row: int) -> Wave:
    wave = features[row]
    if wave.ndim != 1 or not len(wave):
        raise DataError(
            f"features of row {row} have shape {wave.shape}; fine-tuning learns from waveforms (samples,)"
        )
    if not np.isfinite(wave).all():
        raise DataError(f"the waveform of row {row} is NaN or infinite")
    return wave
