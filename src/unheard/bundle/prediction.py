"""A prediction about one recording, and what its flags mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from unheard.audio.quality import Quality

#: What a flag means to whoever reads the prediction; flags of ``unheard.audio.flags`` and our own.
MEANINGS = {
    "clipped": "the recording is clipped: it was too loud for what recorded it",
    "dc_offset": "the recording is off zero by a constant",
    "narrowband": "the recording holds next to nothing above 4 kHz, as over a telephone",
    "several_channels": "the mean of several channels was taken",
    "one_of_channels": "one of several channels was taken, as asked for",
    "rescaled": "samples went far beyond full scale and were divided by the largest",
    "truncated": "the file ends before its header says so",
    "non_finite": "no prediction: the recording holds NaN or infinite samples",
    "cancelled": "no prediction: the channels cancel each other; take one of them (channel 0)",
    "silent": "no prediction: the recording is silent",
    "constant": "no prediction: the recording has the same value throughout",
    "too_short": "no prediction: the recording is shorter than 0.1 s",
    "no_features": "no prediction: no features could be computed from the recording",
    "no_logits": "no prediction: the model gave no number",
    "no_speech": "no prediction: nobody speaks in the recording",
    "narrower": "the recording holds less of the high frequencies than what the model was trained on",
    "noisier": "the recording is noisier than what the model was trained on",
    "little_speech": "less of the recording is speech than of what the model was trained on",
    "shorter": "the recording is shorter than what the model was trained on",
    "longer": "the recording is longer than what the model was trained on; a timeline predicts step by step",
    "long": "the mean of windows of up to 20 s, weighted by speech; a timeline predicts step by step",
    "unreadable": "no prediction: the file cannot be read",
    "no_text": "no prediction: the model takes what was said, and that is not given",
    "without_text": "what was said is not given: the model answered from the sound alone",
    "without_sound": "no recording is given: the model answered from what was said alone",
    "unsure": "no prediction: the largest probability lies below the model's threshold",
}


@dataclass(frozen=True)
class Prediction:
    """A prediction about one recording.

    Attributes
    ----------
    label
        The most probable class, ties by class order; None where no prediction can be given, or where none is given
        because the model is not sure enough (``unsure``).
    probabilities
        Class to calibrated probability, in class order; empty where nothing can be predicted. Those of an
        ``unsure`` prediction are the model's own.
    flags
        Short names of what to know about the recording or the prediction.
    warnings
        The same in words.
    seconds
        Duration of the recording.
    quality
        What was measured of it; None where no prediction can be given.
    dimensions
        Dimension to value on [0, 1], in the model's order; empty where the model knows none, or where nothing can
        be predicted.
    enrol_k
        Number of clips of the speaker that the bundle knew (``Bundle.enrol``); 0 where it was not told any.
    """

    label: str | None
    probabilities: dict[str, float]
    flags: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: float
    quality: Quality | None = None
    dimensions: dict[str, float] = field(default_factory=dict)
    enrol_k: int = 0

    @property
    def answered(self) -> bool:
        """Return whether the model predicted something, even where it is not sure enough for a label."""
        return bool(self.probabilities or self.dimensions)

    def best(self, n: int) -> list[tuple[str, float]]:
        """Return the n most probable classes, most probable first, ties by class order."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:n]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON; ``dimensions`` and ``enrol_k`` only where there are some."""
        return {
            "label": self.label,
            "probabilities": dict(self.probabilities) or None,
            **({"dimensions": dict(self.dimensions)} if self.dimensions else {}),
            "flags": list(self.flags),
            "warnings": list(self.warnings),
            "seconds": round(self.seconds, 3),
            "quality": None if self.quality is None else self.quality.as_dict(),
            **({"enrol_k": self.enrol_k} if self.enrol_k else {}),
        }


def prediction(
    flags: tuple[str, ...],
    seconds: float,
    quality: Quality | None = None,
    *,
    probabilities: Mapping[str, float] | None = None,
    dimensions: Mapping[str, float] | None = None,
    threshold: float = 0.0,
    reason: str = "",
) -> Prediction:
    """Return a prediction, whose label is the most probable class unless that lies below the threshold.

    ``reason`` says why there is none, where no flag does.
    """
    found = dict(probabilities or {})
    best = max(found, key=found.__getitem__, default=None)
    if best is not None and found[best] < threshold:
        best, flags = None, (*flags, "unsure")
    said = tuple(MEANINGS.get(flag, flag) for flag in flags)
    return Prediction(
        label=best,
        probabilities=found,
        flags=flags,
        warnings=(reason, *said) if reason else said,
        seconds=seconds,
        quality=quality,
        dimensions=dict(dimensions or {}),
    )
