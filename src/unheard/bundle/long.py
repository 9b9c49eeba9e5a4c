"""One prediction for a recording that is too long to be predicted at once, in memory that does not grow with it.

The recording is cut into equal windows of up to 20 s. The logarithms of their probabilities are averaged, each
window weighted by how long somebody speaks in it, and the mean is a distribution again (a geometric mean, as of a
product of experts; Hinton 2002). Dimensions are averaged in the same way, without logarithms.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from unheard.audio import activity, decode
from unheard.audio.flags import UNUSABLE
from unheard.audio.quality import quality
from unheard.audio.resample import RATE, to_rate
from unheard.audio.stream import Blocks, Times, cut
from unheard.bundle.prediction import Prediction, prediction
from unheard.bundle.schema import Description
from unheard.bundle.training_range import outside_training_range
from unheard.errors import AudioError, escaped

#: Seconds: of a recording that is predicted at once, and of a window of a longer one.
AT_ONCE, WINDOW = 30.0, 20.0

#: Predicts clips in their order.
Predict = Callable[[Iterable[decode.Clip | AudioError]], Iterator[Prediction]]
#: Cuts windows, (start, end) in seconds, out of the recording.
Cut = Callable[[Times], Iterator[decode.Wave]]
#: Flags that are measured over a whole waveform, which a file read in blocks is not.
_OF_A_WAVEFORM = ("dc_offset", "narrowband")


def predict_long_clip(predict: Predict, description: Description, clip: decode.Clip) -> Prediction:
    """Predict a decoded clip in windows."""
    frames = activity.measure([to_rate(clip.wave, clip.rate, RATE)])
    return _predict(
        predict, description, frames, clip.flags, lambda times: cut([clip.wave], times, clip.rate)
    )


def predict_long_file(
    predict: Predict,
    description: Description,
    path: str | os.PathLike[str],
    *,
    channel: int | None,
    allow_truncated: bool,
) -> Prediction | None:
    """Predict a file in windows; None where it turns out to be short enough to be predicted at once.

    Raises
    ------
    AudioError
        Where it is missing, unreadable, no audio, truncated or out of bounds.
    """
    rate = description.sample_rate
    first = Blocks(path, channel=channel, allow_truncated=allow_truncated)
    frames = activity.measure(first)
    if frames.seconds <= AT_ONCE:
        return None
    again = Blocks(path, channel=channel, allow_truncated=allow_truncated, rate=rate, scale=first.scale)

    def windows(times: Times) -> Iterator[decode.Wave]:
        for wave in cut(again, times, rate):
            if len(wave) == 0:
                raise AudioError(f"{escaped(path)}: changed while it was read; predict it again")
            yield wave

    return _predict(predict, description, frames, first.flags, windows)


def _predict(
    predict: Predict, d: Description, frames: activity.Frames, flags: tuple[str, ...], windows: Cut
) -> Prediction:
    measured = quality(frames)
    outside = outside_training_range(measured, d.training_range)
    flags = (*flags, *(flag for flag in outside if flag != "longer"), "long")
    spoken = activity.segments(frames)
    if not spoken or any(flag in UNUSABLE for flag in flags):
        return prediction(flags, frames.seconds, measured)
    weights = {time: speech for time in _windows(frames.seconds) if (speech := _overlap(time, spoken)) > 0}
    clips = (decode.from_samples(wave, d.sample_rate, target=d.sample_rate) for wave in windows([*weights]))
    # One by one: what is computed of a batch of such windows takes more memory than all the rest.
    predicted = (each for clip in clips for each in predict([clip]))
    pairs = list(zip(predicted, weights.values(), strict=True))
    found = [(each, weight) for each, weight in pairs if each.answered]
    everywhere = set.intersection(*(set(each.flags) for each, _ in pairs))
    flags += tuple(flag for flag in _OF_A_WAVEFORM if flag in everywhere and flag not in flags)
    if not found:
        return prediction((*flags, *sorted(everywhere - set(flags))), frames.seconds, measured)
    return prediction(
        flags,
        frames.seconds,
        measured,
        probabilities=_geometric_mean([(each.probabilities, weight) for each, weight in found]),
        dimensions=_mean([(each.dimensions, weight) for each, weight in found]),
        threshold=d.thresholds.get("confidence", 0.0),
    )


def _windows(seconds: float) -> list[tuple[float, float]]:
    return list(pairwise(np.linspace(0.0, seconds, math.ceil(seconds / WINDOW) + 1).tolist()))


def _overlap(time: tuple[float, float], spoken: Times) -> float:
    """Return for how many seconds of a window somebody speaks."""
    return sum(max(0.0, min(time[1], end) - max(time[0], start)) for start, end in spoken)


def _mean(weighted: Sequence[tuple[Mapping[str, float], float]]) -> dict[str, float]:
    total = sum(weight for _, weight in weighted)
    names = weighted[0][0]
    return {name: sum(weight * values[name] for values, weight in weighted) / total for name in names}


def _geometric_mean(weighted: Sequence[tuple[Mapping[str, float], float]]) -> dict[str, float]:
    """Return the weighted mean of logarithms of distributions, as a distribution."""
    logs = [({k: math.log(max(p, 1e-12)) for k, p in each.items()}, weight) for each, weight in weighted]
    product = {name: math.exp(mean) for name, mean in _mean(logs).items()}
    return {name: p / sum(product.values()) for name, p in product.items()}
