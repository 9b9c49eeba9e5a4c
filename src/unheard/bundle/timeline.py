"""How an expression goes on through a long recording, and a summary, in memory that does not grow with it.

The file is read twice: once to find where somebody speaks, once for the windows laid over that
(``unheard.audio.stream``). A step's probabilities are the mean of those of its windows. Where nobody speaks,
nothing is said.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.audio import activity, decode
from unheard.audio.flags import UNUSABLE
from unheard.audio.quality import Quality, quality
from unheard.audio.stream import Blocks, Plan, Times, apart, cut, plan
from unheard.bundle.prediction import Prediction
from unheard.bundle.schema import Description
from unheard.bundle.training_range import outside_training_range
from unheard.bundle.voice import VoiceProfile
from unheard.errors import AudioError, escaped

#: Predicts clips that were decoded at the rate of a bundle, in their order, knowing the speaker or not.
Predict = Callable[[Iterable[decode.Clip | AudioError], VoiceProfile | None], Iterator[Prediction]]
#: Makes a profile of such clips.
Enrol = Callable[[Iterable[decode.Clip | AudioError]], VoiceProfile]

#: Measures that are compared with the training clips for the whole recording: a window over speech alone has no
#: pause to measure the noise in. And the flags of windows that are left out for that.
OF_THE_WHOLE = ("bandwidth", "snr")
NOT_OF_WINDOWS = ("narrower", "noisier", "little_speech", "no_speech")


@dataclass(frozen=True)
class Step:
    """A piece of time in which somebody speaks.

    Attributes
    ----------
    start, end
        Seconds.
    label
        The most probable class, ties by class order; None where no prediction is given.
    probabilities
        Class to calibrated probability, in class order; empty where no prediction can be given.
    flags
        Flags of the windows that cover it, as in a ``Prediction``.
    dimensions
        Dimension to value on [0, 1]; empty where the model knows none, or where no prediction can be given.
    """

    start: float
    end: float
    label: str | None
    probabilities: dict[str, float]
    flags: tuple[str, ...]
    dimensions: dict[str, float] = field(default_factory=dict)

    @property
    def answered(self) -> bool:
        """Return whether there is a prediction, even where the model is not sure enough for a label."""
        return bool(self.probabilities or self.dimensions)


@dataclass(frozen=True)
class Timeline:
    """Steps in order and apart, and what is known of the whole.

    Attributes
    ----------
    steps
        Steps of the time in which somebody speaks.
    classes
        In the order of the bundle.
    quality
        What was measured of the whole recording.
    flags
        Flags of the whole recording.
    enrol_k, enrol_kind
        From how many clips the speaker's voice was known, and whether these are ``clips`` that were enrolled
        before, or windows of the ``recording`` itself; 0 and ``none`` where nothing was known.
    """

    steps: tuple[Step, ...]
    classes: tuple[str, ...]
    quality: Quality
    flags: tuple[str, ...]
    enrol_k: int = 0
    enrol_kind: str = "none"

    def __iter__(self) -> Iterator[tuple[float, float, dict[str, float], tuple[str, ...]]]:
        """Yield (start, end, probabilities, flags) of each step."""
        return ((step.start, step.end, step.probabilities, step.flags) for step in self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def shares(self) -> dict[str, float]:
        """Return the share of each class in the time that has a prediction, weighted by probability; sums to 1.

        Empty where there is none.
        """
        return _weighted([(step, step.probabilities) for step in self.steps])

    def dimensions(self) -> dict[str, float]:
        """Return the mean of each dimension over the time that has a prediction; empty where there is none."""
        return _weighted([(step, step.dimensions) for step in self.steps])

    def summary(self) -> dict[str, Any]:
        """Return duration, answered and unanswered time in seconds, shares, measures and flags; for JSON."""
        answered = sum(step.end - step.start for step in self.steps if step.answered)
        labelled = {
            name: sum(step.end - step.start for step in self.steps if step.label == name)
            for name in self.classes
        }
        shares, dimensions = self.shares(), self.dimensions()
        return {
            **self.quality.as_dict(),
            "heard": round(sum(step.end - step.start for step in self.steps), 3),
            "answered": round(answered, 3),
            "shares": {name: round(share, 6) for name, share in shares.items()} or None,
            **({"dimensions": {name: round(v, 6) for name, v in dimensions.items()}} if dimensions else {}),
            "labelled": {name: round(seconds, 3) for name, seconds in labelled.items()},
            "flags": list(self.flags),
            **({"enrol_k": self.enrol_k, "enrol_kind": self.enrol_kind} if self.enrol_k else {}),
        }

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        steps = [
            {
                "start": step.start,
                "end": step.end,
                "label": step.label,
                "probabilities": dict(step.probabilities) or None,
                **({"dimensions": dict(step.dimensions)} if step.dimensions else {}),
                "flags": list(step.flags),
            }
            for step in self.steps
        ]
        return {"timeline": steps, "summary": self.summary()}


def timeline(
    predict: Predict,
    description: Description,
    path: str | os.PathLike[str],
    *,
    channel: int | None = None,
    allow_truncated: bool = False,
    profile: VoiceProfile | None = None,
    enrol: Enrol | None = None,
) -> Timeline:
    """Predict a recording of any length step by step; options as of ``Bundle.predict_file``.

    Parameters
    ----------
    predict
        What predicts the windows.
    description
        Description of the bundle.
    path
        Recording.
    enrol
        What makes a profile of those windows that do not overlap; the file is read once more for it. None where
        the recording does not make the voice known.

    Raises
    ------
    AudioError
        Where it is missing, unreadable, no audio, truncated or out of bounds.
    """
    d = description
    taken = d.channel if channel is None else channel
    first = Blocks(path, channel=taken, allow_truncated=allow_truncated)
    frames = activity.measure(first)
    # What cannot be predicted as a whole is not predicted in pieces either.
    unusable = any(flag in UNUSABLE for flag in first.flags)
    spoken = activity.segments(frames)
    laid = plan([] if unusable else spoken)

    def windows(times: Times) -> Iterator[decode.Clip]:
        again = Blocks(
            path, channel=taken, allow_truncated=allow_truncated, rate=d.sample_rate, scale=first.scale
        )
        return (_clip(wave, d.sample_rate, path) for wave in cut(again, times, d.sample_rate))

    if enrol is not None and laid.windows:
        profile = enrol(windows(apart(laid.times)))
    predicted = list(predict(windows(laid.times), profile)) if laid.windows else []
    found = quality(frames)
    whole = {name: ends for name, ends in d.training_range.items() if name in OF_THE_WHOLE}
    outside: tuple[str, ...] = () if spoken else ("no_speech",)
    if laid.windows:
        outside = outside_training_range(found, whole)
    flags = (*first.flags, *outside)
    steps = _steps(d, laid, predicted)
    if profile is None:
        return Timeline(steps, d.target.classes, found, flags)
    kind = "clips" if enrol is None else "recording"
    return Timeline(steps, d.target.classes, found, flags, profile.clips, kind)


def _clip(wave: NDArray[np.float32], rate: int, path: str | os.PathLike[str]) -> decode.Clip:
    if len(wave) == 0:
        raise AudioError(f"{escaped(path)}: changed while it was read; predict it again")
    return decode.from_samples(wave, rate, target=rate)


def _weighted(steps: Sequence[tuple[Step, Mapping[str, float]]]) -> dict[str, float]:
    """Return the mean of each value over the time of the steps that have it."""
    answered = [(step.end - step.start, values) for step, values in steps if values]
    seconds = sum(length for length, _ in answered)
    names = answered[0][1] if answered else {}
    return {name: sum(length * values[name] for length, values in answered) / seconds for name in names}


def _steps(d: Description, laid: Plan, predicted: Sequence[Prediction]) -> tuple[Step, ...]:
    over: list[list[Prediction]] = [[] for _ in laid.steps]
    for (first, end), prediction in zip(laid.windows, predicted, strict=True):
        for k in range(first, end):
            over[k].append(prediction)
    threshold = d.thresholds.get("confidence", 0.0)
    return tuple(_step(times, windows, threshold) for times, windows in zip(laid.steps, over, strict=True))


def _step(times: tuple[float, float], windows: Sequence[Prediction], threshold: float) -> Step:
    """Return the mean of the windows that give a prediction; what one of them is not sure of, the mean may be."""
    predicted = [window for window in windows if window.answered]
    left = ("unsure", *NOT_OF_WINDOWS)
    flags = dict.fromkeys(flag for window in windows for flag in window.flags if flag not in left)
    if not predicted:
        return Step(*times, None, {}, tuple(flags))
    mean = _mean([each.probabilities for each in predicted])
    dimensions = _mean([each.dimensions for each in predicted])
    if not mean:
        return Step(*times, None, {}, tuple(flags), dimensions)
    best = max(mean, key=mean.__getitem__)
    if mean[best] < threshold:
        return Step(*times, None, mean, (*flags, "unsure"), dimensions)
    return Step(*times, best, mean, tuple(flags), dimensions)


def _mean(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(each[name] for each in values) / len(values) for name in values[0]}
