"""Clips under noise conditions: decoded, mixed with noise, and turned into the inputs of a recipe's head.

Everything random in a clip under a condition comes from its id, the condition and one seed: neither the order of
clips nor the number of processes changes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from unheard import encoders, features
from unheard.audio import conditions
from unheard.audio.medium import AudioMedium
from unheard.audio.noise import KINDS, NOISES, under
from unheard.audio.trim import Cut, trim
from unheard.encoders.contract import Encoder
from unheard.errors import DataError, escaped
from unheard.extraction.ahead import ahead
from unheard.extraction.processes import Died, spread
from unheard.extraction.storage import Storage, pack, restored
from unheard.extraction.threads import all_cores
from unheard.features.contract import Spec
from unheard.files import digest
from unheard.inputs import Clip
from unheard.recipe_inputs.preparing import storage_of
from unheard.recipes.recipe import Recipe

Array = NDArray[np.float32]

RECORDINGS = 512  # decoded recordings that a process holds in memory
AHEAD = 8  # clips that are mixed while one is encoded


@dataclass(frozen=True)
class Condition:
    """A kind of condition (``unheard.audio.noise.KINDS``) and its level, or ``clean``."""

    kind: str
    level: float | None = None

    @property
    def name(self) -> str:
        """``white_10dB``, ``room_0.6s`` or ``mu_law``, as in the column ``condition`` of predictions."""
        level = KINDS.get(self.kind)
        return self.kind if level is None else f"{self.kind}_{self.level:g}{level.unit}"


CLEAN = Condition("clean")


@dataclass(frozen=True)
class NoiseTask:
    """A test clip of a fold, and the conditions to predict it under with the other recordings that each takes."""

    fold: int
    clip: Clip
    conditions: tuple[tuple[Condition, tuple[Clip, ...]], ...]
    seed: int


@dataclass(frozen=True)
class NoisyClip:
    """A clip under one condition.

    Attributes
    ----------
    inputs : the head's inputs by name; None where one could not be computed.
    snr : the ratio in dB, measured before clipping; None where no noise was added.
    clipped : number of samples beyond full scale.
    """

    inputs: Mapping[str, Array] | None
    snr: float | None
    clipped: int


def generator(seed: int, condition: Condition, clip: str, what: str) -> np.random.Generator:
    """Return the random generator for one purpose in one clip under one condition."""
    return np.random.default_rng(int(digest([seed, condition.name, clip, what]), 16))


def noisy_clips(
    recipe: Recipe, tasks: Sequence[NoiseTask], *, jobs: int = 1
) -> Iterator[tuple[NoiseTask, list[NoisyClip]]]:
    """Yield each clip with its inputs under each of its conditions, in any order.

    Parameters
    ----------
    recipe
        The recipe, of which inputs (``layer`` a number where one was chosen), channel and truncation matter.
    tasks
        The clips and their conditions.
    jobs
        Number of processes for features, or of threads that decode and mix while an encoder runs.

    Raises
    ------
    DataError
        The recording of a clip or of a babbling voice cannot be read.
    UsageError, MachineError
        The encoder cannot be loaded (``unheard.encoders.load``).
    """
    names = list(recipe.inputs)
    several = [_input(recipe, name, tasks, jobs) for name in names]
    for parts in zip(*several, strict=True):
        task = parts[0][0]
        clips = zip(*(predicted for _, predicted in parts), strict=True)
        yield task, [_joined(dict(zip(names, each, strict=True))) for each in clips]


#: What could be computed of a waveform, the ratio of its noise, and how many samples were clipped.
_Computed = tuple[Array | None, float | None, int]


def _joined(parts: Mapping[str, _Computed]) -> NoisyClip:
    """Return the inputs of a clip under one condition, None where one is missing."""
    _, snr, cut = next(iter(parts.values()))
    able = {name: found for name, (found, _, _) in parts.items() if found is not None}
    return NoisyClip(able if len(able) == len(parts) else None, snr, cut)


def _input(
    recipe: Recipe, name: str, tasks: Sequence[NoiseTask], jobs: int
) -> Iterator[tuple[NoiseTask, list[_Computed]]]:
    """Yield the tasks with one input of each; in their order where there are several inputs."""
    own = recipe.inputs[name]
    if recipe.training is not None:
        # A tuned encoder is a part of the model, which takes waveforms.
        cut = (own.encoder or {})["trim"]
        medium = AudioMedium(allow_truncated=recipe.allow_truncated)
        yield from _waveforms(tasks, medium, cut, jobs)
        return
    if own.encoder is not None:
        encoder, storage = encoders.load(own.encoder), storage_of(recipe, name)
        medium = AudioMedium(encoder.rate, allow_truncated=recipe.allow_truncated)
        yield from _through_encoder(encoder, storage, tasks, jobs, medium)
        return
    medium = AudioMedium(allow_truncated=recipe.allow_truncated)
    work = partial(_computed, spec=features.build(own.features or {}), medium=medium)
    if len(recipe.inputs) > 1:
        with ThreadPoolExecutor(jobs) as pool:
            for (task,), (found,) in ahead(pool, work, ([task] for task in tasks), AHEAD):
                yield task, found
        return
    for task, result in spread(work, tasks, jobs):
        if isinstance(result, Died):
            raise DataError(f"{task.clip.id}: the process that computed its features died; is memory short?")
        yield task, result


def _computed(task: NoiseTask, *, spec: Spec, medium: AudioMedium) -> list[_Computed]:
    return [(_inputs_or_none(spec, wave), snr, cut) for wave, snr, cut in _waves(task, medium)]


def _inputs_or_none(spec: Spec, wave: Array) -> Array | None:
    try:
        found = spec.compute(wave)
    except DataError:
        return None
    return found if found.size and np.isfinite(found).all() else None


def _waveforms(
    tasks: Sequence[NoiseTask], medium: AudioMedium, cut: Cut | None, jobs: int
) -> Iterator[tuple[NoiseTask, list[_Computed]]]:
    with ThreadPoolExecutor(jobs) as pool:
        for (task,), (mixed,) in ahead(pool, partial(_waves, medium=medium), ([one] for one in tasks), AHEAD):
            yield (
                task,
                [(w if cut is None else trim(w, cut, medium.rate), snr, beyond) for w, snr, beyond in mixed],
            )


def _through_encoder(
    encoder: Encoder, storage: Storage, tasks: Sequence[NoiseTask], jobs: int, medium: AudioMedium
) -> Iterator[tuple[NoiseTask, list[_Computed]]]:
    """Encode all conditions of a clip together: without ``trim`` and ``speed`` they have one length."""
    decibels = encoder.settings["trim"]
    layers = tuple(range(len(encoder.layers))) if storage.layers is None else storage.layers
    with ThreadPoolExecutor(jobs) as pool:
        for (task,), (mixed,) in ahead(pool, partial(_waves, medium=medium), ([one] for one in tasks), AHEAD):
            waves = [wave if decibels is None else trim(wave, decibels, encoder.rate) for wave, _, _ in mixed]
            with all_cores():
                encoded = _encoded(encoder, waves, layers, storage)
            yield task, [(each, snr, cut) for each, (_, snr, cut) in zip(encoded, mixed, strict=True)]


def _encoded(
    encoder: Encoder, waves: Sequence[Array], layers: Sequence[int], storage: Storage
) -> list[Array | None]:
    """Encode and round as storing does; where the encoder refuses the batch, encode each waveform alone."""
    try:
        packed = [pack(each, storage) for each in encoder.extract(waves, layers)]
    except DataError:
        if len(waves) == 1:
            return [None]
        return [_encoded(encoder, [wave], layers, storage)[0] for wave in waves]
    return [restored(clip, storage) for clip in packed]


_Mixed = list[tuple[Array, float | None, int]]


def _waves(task: NoiseTask, medium: AudioMedium) -> _Mixed:
    """Return the waveform, the realised ratio and the number of clipped samples under each condition."""
    clean, rate = _recording(task.clip, medium), medium.rate
    mixed: _Mixed = []
    for condition, voices in task.conditions:
        if condition == CLEAN:
            mixed.append((clean, None, 0))
            continue
        rng = generator(task.seed, condition, task.clip.id, "noise")
        others = [_recording(voice, medium) for voice in voices]
        noisy = under(condition.kind, clean, rate, rng, level=condition.level or 0.0, others=others)
        wave, beyond = conditions.clipped(noisy)
        snr = conditions.realised_snr(clean, noisy, rate) if condition.kind in NOISES else None
        mixed.append((wave, snr, beyond))
    return mixed


@lru_cache(RECORDINGS)
def _recording(clip: Clip, medium: AudioMedium) -> Array:
    """Decode a clip; a process remembers the last ones."""
    try:
        return medium.open(clip)
    except DataError as error:
        path = "" if clip.audio is None else f"{escaped(clip.audio.path)}: "
        raise DataError(f"{path}{error}") from error
