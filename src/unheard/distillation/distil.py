"""Distillation without labels: a student with random weights learns to imitate hidden layers of a teacher.

The teacher gets augmented log-mels, the student the same with noise. The student's loss is the squared error of
each dimension in units of the teacher's variance. Definitions: docs/distillation.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from unheard.distillation.data import Segments
from unheard.distillation.logmels import Frames, babbled, equalised, noisy, warped
from unheard.distillation.student import Shape, Student
from unheard.distillation.teacher import Teacher
from unheard.errors import DataError, UsageError
from unheard.files import digest
from unheard.heads.networks.network_head import seeded
from unheard.settings import OneOf, Within, check, plain
from unheard.training.checkpoint import Progress, optimizer_in, progress_in, save, weights_in
from unheard.training.schedule import share

#: Number of batches over which the teacher's variance is taken, and the smallest deviation that errors are
#: divided by.
MEASURED, MIN_DEVIATION = 8, 0.05
#: Maximum number of voices in a babble.
VOICES = 3
#: A squared error beyond this (in variances) counts as this.
MAX_ERROR = 25.0


@dataclass(frozen=True)
class Settings:
    """How to distil.

    Parameters
    ----------
    steps, batch, seconds : number of steps, of segments in a step, and of seconds in a segment.
    learning_rate, weight_decay : peak learning rate and weight decay of AdamW.
    warmup : share of all steps over which the learning rate rises; then it falls as a cosine.
    clip : largest norm of the gradient.
    splice, stride, width, projection, past, future : sizes of the student (``student.Shape``). With a ``stride``
    it
        imitates the mean of that many frames of the teacher.
    speed, frequency : largest warp of the time axis and of the mel axis, as a share.
    level, equalisation : standard deviation of one shift of a segment, and of a curve over its bands, in natural
        logarithms of power.
    noise, snr : probability that noise is added for the student, and the bounds of its ratio in dB.
    babble : probability that this noise is the babble of other segments (one to ``VOICES``) instead of a steady
    noise.
    seed : seed of the initial weights and of all random draws.
    threads : number of threads of torch.
    precision : ``float32``, or ``bfloat16`` (automatic mixed precision).
    every : number of steps between two states that are written to disk.
    """

    steps: Annotated[int, Within(1, 10_000_000)] = 4000
    batch: Annotated[int, Within(1, 65_536)] = 48
    seconds: Annotated[float, Within(0.05, 60)] = 1.5
    learning_rate: Annotated[float, Within(1e-8, 10)] = 2e-3
    weight_decay: Annotated[float, Within(0, 10)] = 0.01
    warmup: Annotated[float, Within(0, 1)] = 0.1
    clip: Annotated[float, Within(1e-6, 1e6)] = 1.0
    splice: int = 5
    stride: int = 1
    width: int = 384
    projection: int = 160
    past: int = 20
    future: int = 0
    speed: Annotated[float, Within(0, 0.9)] = 0.15
    frequency: Annotated[float, Within(0, 0.9)] = 0.15
    level: Annotated[float, Within(0, 20)] = 1.5
    equalisation: Annotated[float, Within(0, 20)] = 1.0
    noise: Annotated[float, Within(0, 1)] = 0.5
    snr: Annotated[tuple[float, float], Within(-100, 100)] = (0.0, 30.0)
    babble: Annotated[float, Within(0, 1)] = 0.5
    seed: Annotated[int, Within(0, 2**63 - 1)] = 0
    threads: Annotated[int, Within(1, 64)] = 1
    precision: Annotated[str, OneOf("float32", "bfloat16")] = "float32"
    every: Annotated[int, Within(1, 10_000_000)] = 250

    def __post_init__(self) -> None:
        check(self, "distillation")
        if self.snr[0] > self.snr[1]:
            raise UsageError(
                f"distillation.snr is {list(self.snr)}; expected minimum and maximum dB, such as [0, 30]"
            )


def distil(
    segments: Segments,
    teacher: Teacher,
    settings: Settings,
    folder: Path | None = None,
    *,
    progress: Callable[[int, int, float], None] | None = None,
) -> tuple[Student, list[dict[str, Any]]]:
    """Train a student from random weights.

    Parameters
    ----------
    segments : log-mels that the student learns from.
    teacher : teacher whose layers the student imitates.
    folder : folder into which the state is written every ``settings.every`` steps, and from which training goes on
        after a kill. The caller removes it. With None nothing is written.
    progress : function that is called with (steps done, all steps, mean loss since the last call).

    Returns
    -------
    tuple
        The student, in eval mode, and records of ``step``, ``loss`` (mean since the last record) and ``seconds``.

    Raises
    ------
    DataError
        A loss that is not finite, or the state of another training.
    """
    loop = _TrainingLoop(segments, teacher, settings, folder)
    with seeded(settings.threads, settings.seed):
        return loop.run(progress)


class _TrainingLoop:
    """The training loop of one distillation; what a step draws depends on the seed and the step alone."""

    def __init__(self, segments: Segments, teacher: Teacher, settings: Settings, folder: Path | None) -> None:
        self.segments, self.teacher, self.settings, self.folder = segments, teacher, settings, folder
        places = settings.seconds * _rate(teacher.frontend) / settings.stride
        self.frames = max(1, round(places)) * settings.stride

    def run(self, progress: Callable[[int, int, float], None] | None) -> tuple[Student, list[dict[str, Any]]]:
        s, teacher = self.settings, self.teacher
        student = Student(
            Shape(
                teacher.widths,
                teacher.bands,
                splice=s.splice,
                stride=s.stride,
                width=s.width,
                projection=s.projection,
                past=s.past,
                future=s.future,
            )
        )
        for buffer, value in zip((student.mean, student.scale), self.segments.moments(), strict=True):
            buffer.copy_(torch.from_numpy(value))
        optimizer = torch.optim.AdamW(student.parameters(), lr=s.learning_rate, weight_decay=s.weight_decay)
        state = self._resumed(student, optimizer)
        spread = self._spread()
        losses: list[float] = []
        done, started = (state.history[-1]["step"] if state.history else 0), time.monotonic()
        before = state.history[-1]["seconds"] if state.history else 0.0
        for step in range(done, s.steps):
            for group in optimizer.param_groups:
                group["lr"] = s.learning_rate * share(step, s.steps, s.warmup, "cosine")
            losses.append(self._step(student, optimizer, spread, step))
            if (step + 1) % s.every == 0 or step + 1 == s.steps:
                seconds = round(before + time.monotonic() - started, 1)
                state.history.append({"step": step + 1, "loss": float(np.mean(losses)), "seconds": seconds})
                losses = []
                if self.folder is not None:
                    save(self.folder, state, student.state_dict(), optimizer)
                if progress is not None:
                    progress(step + 1, s.steps, state.history[-1]["loss"])
        return student.eval(), state.history

    def _resumed(self, student: Student, optimizer: torch.optim.Optimizer) -> Progress:
        identity = digest(
            {
                "settings": plain(self.settings),
                "frames": self.segments.digest(),
                "teacher": self.teacher.settings["sha256"],
                "entries": list(self.teacher.names),
            }
        )
        found = None if self.folder is None else progress_in(self.folder, identity)
        if found is None:
            return Progress(identity, self.settings.batch)
        assert self.folder is not None
        student.load_state_dict(weights_in(self.folder, found, best=False))
        optimizer.load_state_dict(optimizer_in(self.folder, found))
        return found

    def _step(
        self, student: Student, optimizer: torch.optim.Optimizer, spread: Sequence[Tensor], step: int
    ) -> float:
        clean, noised = self._batch(step)
        targets = self._targets(clean)
        mixed = self.settings.precision == "bfloat16"
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            predicted = student(noised)
        error = [
            (((found.float() - wanted) / sd) ** 2).clamp(max=MAX_ERROR).mean()
            for found, wanted, sd in zip(predicted, targets, spread, strict=True)
        ]
        loss = torch.stack(error).mean()
        value = float(loss.detach())
        if not np.isfinite(value):
            raise DataError(f"the loss of step {step} is not finite; take a lower distillation.learning_rate")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(student.parameters(), self.settings.clip)
        optimizer.step()
        return value

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return log-mels (B, T, bands) for the teacher, and for the student."""
        s = self.settings
        rng = np.random.default_rng([s.seed, step])
        shape = (s.batch, self.frames, self.teacher.bands)
        clean, noised = np.empty(shape, np.float32), np.empty(shape, np.float32)
        for row in range(s.batch):
            clean[row], noised[row] = self._segment(rng)
        return torch.from_numpy(clean), torch.from_numpy(noised)

    def _segment(self, rng: np.random.Generator) -> tuple[Frames, Frames]:
        s = self.settings
        clean = self._warped(rng)
        clean = equalised(clean + np.float32(rng.normal(0, s.level)), s.equalisation, rng)
        if rng.random() >= s.noise:
            return clean, clean
        if rng.random() >= s.babble:
            return clean, noisy(clean, *s.snr, rng)
        voices = [self._warped(rng) for _ in range(rng.integers(1, VOICES + 1))]
        return clean, babbled(clean, voices, *s.snr, rng)

    def _warped(self, rng: np.random.Generator) -> Frames:
        """Return a segment of some clip, faster or slower and of another voice."""
        s = self.settings
        drawn = self.segments.draw(int(self.frames * (1 + s.speed)) + 2, rng)
        speed, frequency = (rng.uniform(1 - limit, 1 + limit) for limit in (s.speed, s.frequency))
        return warped(drawn, self.frames, speed, frequency)

    def _targets(self, clean: Tensor) -> list[Tensor]:
        each = [self.teacher.layers(frames) for frames in clean.numpy()]
        layers = [torch.from_numpy(np.stack(layer)) for layer in zip(*each, strict=True)]
        s = self.settings.stride
        return [layer.reshape(len(layer), -1, s, layer.shape[2]).mean(2) for layer in layers]

    def _spread(self) -> list[Tensor]:
        """Return the standard deviation of each dimension of each layer, over batches that no step uses."""
        batches = [self._targets(self._batch(self.settings.steps + k)[0]) for k in range(MEASURED)]
        return [torch.cat(layer).std((0, 1)).clamp(min=MIN_DEVIATION) for layer in zip(*batches, strict=True)]


def _rate(frontend: Mapping[str, Any]) -> float:
    return 1.0 / float(frontend["hop"])
