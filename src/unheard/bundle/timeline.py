"""How an expression goes on through a long recording, and a summary, in memory that does not grow with it.

The file is read twice: once to find where somebody speaks, once for the windows laid over that
(``unheard.audio.stream``). A step's probabilities are the mean of those of its windows. Where nobody speaks,
nothing is said.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from unheard.audio import activity, decode
from unheard.audio.flags import UNUSABLE
from unheard.audio.quality import Quality, quality
from unheard.audio.stream import Blocks, Plan, cut, plan
from unheard.bundle.prediction import Prediction
from unheard.bundle.schema import Description
from unheard.bundle.training_range import outside_domain
from unheard.errors import AudioError

#: Answers clips that were decoded at the rate of a bundle, in their order.
Predict = Callable[[Iterable[decode.Clip | AudioError]], Iterator[Prediction]]

#: Measures that are compared with the training clips for the whole recording: a window over speech alone has no
#: pause to hear the noise in. And the flags of windows that are left out for that.
OF_THE_WHOLE = ("bandwidth", "snr")
_NOT_OF_WINDOWS = ("narrower", "noisier", "little_speech", "no_speech")


@dataclass(frozen=True)
class Step:
    """A piece of time in which somebody speaks.

    Attributes
    ----------
    start, end : seconds.
    label : the most probable class, ties by class order; None where no answer is given.
    probabilities : class to calibrated probability, in class order; all equal where no answer can be given.
    flags : of the windows that cover it, as of a ``Prediction``.
    """

    start: float
    end: float
    label: str | None
    probabilities: dict[str, float]
    flags: tuple[str, ...]

    @property
    def answered(self) -> bool:
        """Whether the probabilities are the model's own, even where it is not sure enough for a label."""
        return self.label is not None or "unsure" in self.flags


@dataclass(frozen=True)
class Timeline:
    """Steps in order and apart, and what is known of the whole.

    Attributes
    ----------
    steps : of the time in which somebody speaks.
    classes : in the order of the bundle.
    quality : measured of the whole recording.
    flags : of the whole recording.
    """

    steps: tuple[Step, ...]
    classes: tuple[str, ...]
    quality: Quality
    flags: tuple[str, ...]

    def __iter__(self) -> Iterator[tuple[float, float, dict[str, float], tuple[str, ...]]]:
        """Yield (start, end, probabilities, flags) of each step."""
        return ((step.start, step.end, step.probabilities, step.flags) for step in self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def shares(self) -> dict[str, float]:
        """Return the share of each class in the time that was answered, weighted by probability; sums to 1.

        All equal where nothing was answered.
        """
        heard = [step for step in self.steps if step.answered]
        seconds = sum(step.end - step.start for step in heard)
        if not seconds:
            return dict.fromkeys(self.classes, 1 / len(self.classes))
        return {
            name: sum((step.end - step.start) * step.probabilities[name] for step in heard) / seconds
            for name in self.classes
        }

    def summary(self) -> dict[str, Any]:
        """Return duration, answered and unanswered time in seconds, shares, measures and flags; for JSON."""
        answered = sum(step.end - step.start for step in self.steps if step.answered)
        labelled = {
            name: sum(step.end - step.start for step in self.steps if step.label == name)
            for name in self.classes
        }
        return {
            **self.quality.as_dict(),
            "heard": round(sum(step.end - step.start for step in self.steps), 3),
            "answered": round(answered, 3),
            "shares": {name: round(share, 6) for name, share in self.shares().items()} if answered else None,
            "labelled": {name: round(seconds, 3) for name, seconds in labelled.items()},
            "flags": list(self.flags),
        }

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        steps = [
            {
                "start": step.start,
                "end": step.end,
                "label": step.label,
                "probabilities": dict(step.probabilities),
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
) -> Timeline:
    """Predict a recording of any length step by step; options as of ``Bundle.predict_file``.

    Parameters
    ----------
    predict
        What answers the windows.
    description
        Of the bundle that it is.
    path
        Recording.

    Raises
    ------
    AudioError
        Where it is missing, unreadable, no audio, truncated or out of bounds.
    """
    d = description
    taken = d.channel if channel is None else channel
    first = Blocks(path, channel=taken, allow_truncated=allow_truncated)
    frames = activity.measure(first)
    # What no answer can be given about as a whole gets none in pieces either.
    unusable = any(flag in UNUSABLE for flag in first.flags)
    spoken = activity.segments(frames)
    laid = plan([] if unusable else spoken)
    again = Blocks(path, channel=taken, allow_truncated=allow_truncated, rate=d.sample_rate)
    clips = (
        decode.from_samples(wave, d.sample_rate, target=d.sample_rate)
        for wave in cut(again, laid.times, d.sample_rate)
    )
    answers = list(predict(clips)) if laid.windows else []
    found = quality(frames)
    ground = {name: ends for name, ends in d.domain.items() if name in OF_THE_WHOLE}
    outside: tuple[str, ...] = () if spoken else ("no_speech",)
    if laid.windows:
        outside = outside_domain(found, ground)
    return Timeline(_steps(d, laid, answers), d.labels, found, (*first.flags, *outside))


def _steps(d: Description, laid: Plan, answers: Sequence[Prediction]) -> tuple[Step, ...]:
    over: list[list[Prediction]] = [[] for _ in laid.steps]
    for (first, end), answer in zip(laid.windows, answers, strict=True):
        for k in range(first, end):
            over[k].append(answer)
    least = d.thresholds.get("confidence", 0.0)
    return tuple(_step(times, heard, d.labels, least) for times, heard in zip(laid.steps, over, strict=True))


def _step(
    times: tuple[float, float], heard: Sequence[Prediction], classes: Sequence[str], least: float
) -> Step:
    """Mean of the windows that give an answer; what one of them is not sure of, the mean may be."""
    given = [answer for answer in heard if answer.label is not None or "unsure" in answer.flags]
    left = ("unsure", *_NOT_OF_WINDOWS)
    flags = dict.fromkeys(flag for answer in heard for flag in answer.flags if flag not in left)
    if not given:
        return Step(*times, None, dict(heard[0].probabilities), tuple(flags))
    mean = {name: sum(answer.probabilities[name] for answer in given) / len(given) for name in classes}
    best = max(classes, key=mean.__getitem__)
    unsure = mean[best] < least
    return Step(*times, None if unsure else best, mean, (*flags, "unsure") if unsure else tuple(flags))
