"""Answers while somebody is still speaking: one a second, from what was heard until then.

Every second the last window of speech is predicted: at most 4 s, up to that second or to where the speaker paused
within it. Where nobody spoke during the second nothing is said. What is answered for a second depends on nothing
that comes after it, nor on the pieces in which the samples arrive, and memory does not grow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.audio import activity, decode
from unheard.audio.activity import HOP
from unheard.audio.flags import Meter
from unheard.audio.quality import quality
from unheard.audio.recent import Recent
from unheard.audio.resample import RATE, Resampler
from unheard.audio.source import check_bounds, checked_rate
from unheard.audio.stream import LONGEST, stretches
from unheard.bundle.prediction import Prediction, prediction
from unheard.bundle.schema import Description
from unheard.bundle.timeline import NOT_OF_WINDOWS, OF_THE_WHOLE
from unheard.bundle.training_range import outside_training_range
from unheard.bundle.voice import VoiceProfile
from unheard.errors import AudioError, UsageError

#: Seconds from one answer to the next.
EVERY = 1
#: Predicts a window in which somebody speaks, knowing the voice or not; where asked, the window makes the voice
#: better known before. Returns the prediction, and what is known of the voice.
Hear = Callable[[decode.Clip, VoiceProfile | None, bool], tuple[Prediction, VoiceProfile | None]]


@dataclass(frozen=True)
class Answer:
    """What is answered for one second of a stream.

    Attributes
    ----------
    time
        Seconds from the beginning of the stream to the end of the second that is answered for.
    start, end
        The window of speech that was heard for it, in seconds; the second itself where nobody spoke.
    label
        The most probable class, ties by class order; None where no prediction is given.
    probabilities
        Class to calibrated probability, in class order; empty where no prediction can be given.
    flags
        As of a step of a ``Timeline``; bandwidth and noise are those of the last half minute, ``no_speech`` where
        nobody spoke.
    dimensions
        Dimension to value on [0, 1]; empty where the model knows none, or where no prediction can be given.
    enrol_k
        From how many clips the voice was known.
    delay
        Seconds from the end of the second to its answer: what was fed beyond that second before the answer was
        there, and the time that it took to compute. Equality of answers leaves it out.
    """

    time: float
    start: float
    end: float
    label: str | None
    probabilities: dict[str, float]
    flags: tuple[str, ...]
    dimensions: dict[str, float] = field(default_factory=dict)
    enrol_k: int = 0
    delay: float = field(default=0.0, compare=False)

    @property
    def answered(self) -> bool:
        """Return whether there is a prediction, even where the model is not sure enough for a label."""
        return bool(self.probabilities or self.dimensions)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON; ``dimensions`` and ``enrol_k`` only where there are some."""
        return {
            "time": round(self.time, 3),
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "label": self.label,
            "probabilities": dict(self.probabilities) or None,
            **({"dimensions": dict(self.dimensions)} if self.dimensions else {}),
            "flags": list(self.flags),
            **({"enrol_k": self.enrol_k} if self.enrol_k else {}),
            "delay": round(self.delay, 4),
        }


class Stream:
    """A recording that is still going on; ``Bundle.stream`` begins one.

    It is fed by one thread at a time; several streams of one bundle may run in several threads.

    Parameters
    ----------
    hear
        What predicts a window.
    description
        Of the bundle.
    rate
        Hz of the samples that will be fed.
    channel
        The channel to take, counted from 0; None: the mean of all.
    profile
        What is known of the speaker's voice before.
    adapt
        Whether the voice gets better known from what is heard.
    """

    def __init__(
        self,
        hear: Hear,
        description: Description,
        rate: int,
        *,
        channel: int | None = None,
        profile: VoiceProfile | None = None,
        adapt: bool = False,
    ) -> None:
        self._hear, self._description = hear, description
        self._rate, self._channel = checked_rate(rate), channel
        self.profile = profile
        self._adapt = adapt
        self._learnt = 0.0  # the end of the last window that made the voice known
        self._channels: int | None = None
        self._meter = Meter()
        self._not_finite: set[int] = set()  # hundredths of a second with samples that are not finite
        self._fed = 0
        self._began = 0.0  # when the piece arrived that is being worked on
        self._finished = False
        self._recent = Recent()
        self._heard = _Track(rate, RATE)
        self._predicted = _Track(rate, description.sample_rate)

    @property
    def seconds(self) -> float:
        """Return how many seconds were fed."""
        return self._fed / self._rate

    def feed(self, samples: NDArray[np.floating]) -> list[Answer]:
        """Take a piece of any length, (n,) or (n, channels) floats, and return the answers that are due.

        Raises
        ------
        AudioError
            Its shape, type or scale is no recording's, or it has other channels than the pieces before; nothing of
            it was taken.
        UsageError
            The stream is finished.
        """
        self._check_open()
        self._began = time.perf_counter()
        mono = self._mono(samples)
        self._fed += len(mono)
        for track in (self._heard, self._predicted):
            track.add(mono)
        return self._due()

    def finish(self) -> list[Answer]:
        """End the stream, and return the answers that are left: the last one is for less than a second.

        Raises
        ------
        UsageError
            The stream is finished.
        """
        self._check_open()
        self._finished = True
        self._began = time.perf_counter()
        for track in (self._heard, self._predicted):
            track.end()
        answers = self._due()
        left = self._heard.piece(round(self._recent.seconds * RATE), self._heard.length)
        return [*answers, self._answer(left, last=True)] if len(left) else answers

    def _check_open(self) -> None:
        if self._finished:
            raise UsageError("the stream is finished; begin another one")

    def _mono(self, samples: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return one channel, or the mean of all, (n,), with 0 for what is not finite."""
        values = np.asarray(samples)
        if values.dtype.kind != "f":
            raise AudioError(
                f"samples are {values.dtype}; give floats, full scale ±1 (16-bit integers / 32768)"
            )
        if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] == 0):
            raise AudioError(f"samples have shape {values.shape}; expected (n,) or (n, channels)")
        values = values[:, None] if values.ndim == 1 else values
        channels = values.shape[1]
        if self._channels is None:
            check_bounds(self._rate, channels, len(values))
            if self._channel is not None and not 0 <= self._channel < channels:
                raise AudioError(
                    f"the samples have no channel {self._channel}; they have {channels}, counted from 0"
                )
        elif channels != self._channels:
            raise AudioError(f"samples have {channels} channels, and those before {self._channels}")
        if self._channel is not None:
            values = values[:, self._channel : self._channel + 1]
        with np.errstate(over="ignore"):
            block = values.astype(np.float32)
        cleaned = self._meter.clean(block)
        self._meter.check_scale()
        self._channels = channels
        bad = np.flatnonzero((cleaned != block).any(axis=1))
        self._not_finite |= set(((self._fed + bad) * 100 // self._rate).tolist())
        mono: NDArray[np.float32] = cleaned[:, 0] if cleaned.shape[1] == 1 else cleaned.mean(axis=1)
        return mono

    def _due(self) -> list[Answer]:
        """Answer the seconds of which all samples are there."""
        answers: list[Answer] = []
        while True:
            until = round(self._recent.seconds) + EVERY
            there = self._heard.length >= until * RATE
            if not there or self._predicted.length < until * self._description.sample_rate:
                return answers
            answers.append(self._answer(self._heard.piece((until - EVERY) * RATE, until * RATE)))

    def _answer(self, second: NDArray[np.float32], *, last: bool = False) -> Answer:
        before = self._recent.seconds
        self._recent.add(second, last=last)
        now = self._recent.seconds
        start, frames = self._recent.frames()
        spoken = activity.segments(frames)
        heard = stretches(spoken)
        if not heard or start + heard[-1][1] <= before:
            found, time_heard = prediction(("no_speech",), now - before), (before, now)
            flags: tuple[str, ...] = ("no_speech",)
        else:
            first, end = (start + each for each in heard[-1])
            time_heard = (max(first, end - LONGEST), end)
            known = start + len(frames.energy) * HOP / RATE
            found = self._predict(*time_heard, ended=last or end < known - HOP / RATE)
            d = self._description
            whole = {name: ends for name, ends in d.training_range.items() if name in OF_THE_WHOLE}
            outside = outside_training_range(quality(frames, spoken), whole) if whole else ()
            kept = (flag for flag in found.flags if flag not in NOT_OF_WINDOWS)
            flags = (*kept, *(flag for flag in outside if flag != "no_speech"))
        self._forget(now)
        return Answer(
            now,
            *time_heard,
            found.label,
            found.probabilities,
            flags,
            found.dimensions,
            0 if self.profile is None else self.profile.clips,
            max(0.0, self.seconds - now) + time.perf_counter() - self._began,
        )

    def _predict(self, start: float, end: float, *, ended: bool) -> Prediction:
        rate = self._description.sample_rate
        wave = self._predicted.piece(round(start * rate), round(end * rate))
        if not len(wave):
            return prediction(("too_short",), 0.0)
        clip = decode.from_samples(wave, rate, target=rate)
        if any(start * 100 < place + 1 and place < end * 100 for place in self._not_finite):
            clip = decode.Clip(clip.wave, (*clip.flags, "non_finite"), rate, 1, rate)
        # A window that the next one holds more of makes the voice known then.
        whole = ended or end - start >= LONGEST
        learn = self._adapt and whole and start >= self._learnt and clip.usable
        if learn:
            self._learnt = end
        found, self.profile = self._hear(clip, self.profile, learn)
        return found

    def _forget(self, now: float) -> None:
        """Forget what no later second asks for: a window of the next one begins within this time."""
        since = now - LONGEST
        self._heard.forget(round(now * RATE))
        self._predicted.forget(max(0, round(since * self._description.sample_rate)))
        self._not_finite = {place for place in self._not_finite if place >= since * 100 - 1}


class _Track:
    """The samples of a stream at one rate, from the first that is still needed on."""

    def __init__(self, rate: int, target: int) -> None:
        self._resampler = Resampler(rate, target)
        self._kept: NDArray[np.float32] = np.empty(0, np.float32)
        self._first = 0  # number of the first sample that is kept

    @property
    def length(self) -> int:
        """Return how many samples there were so far."""
        return self._first + len(self._kept)

    def add(self, block: NDArray[np.float32]) -> None:
        self._kept = np.concatenate([self._kept, self._resampler.add(block)])

    def end(self) -> None:
        self._kept = np.concatenate([self._kept, self._resampler.end()])

    def piece(self, first: int, end: int) -> NDArray[np.float32]:
        """Return the samples from one number to another, as far as they are there."""
        return self._kept[max(0, first - self._first) : max(0, end - self._first)]

    def forget(self, first: int) -> None:
        """Forget what lies before a sample."""
        gone = min(max(0, first - self._first), len(self._kept))
        self._kept, self._first = self._kept[gone:], self._first + gone
