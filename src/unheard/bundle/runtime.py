"""What predicts: verifies a bundle when it is opened, and answers with onnxruntime and numpy alone.

A recording about which nothing can be said (silent, constant, shorter than 0.1 s, not finite) gets no label and
equal probabilities, with the reason among its flags; never a confident answer. Where the largest probability lies
below the bundle's threshold there is no label either, and the probabilities are as they came out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard import features
from unheard.audio import decode
from unheard.audio.quality import Quality, quality
from unheard.audio.resample import RATE, to_rate
from unheard.bundle import golden
from unheard.bundle.encoder import BundleEncoder
from unheard.bundle.manifest import read_verified
from unheard.bundle.prediction import MEANINGS, Prediction
from unheard.bundle.schema import Description, parse
from unheard.bundle.session import HeadSession
from unheard.bundle.timeline import Timeline, timeline
from unheard.bundle.training_range import outside_domain
from unheard.decide.calibration import apply_temperature
from unheard.errors import AudioError, BundleError, UsageError

__all__ = ["Bundle", "Prediction", "load"]

#: Clips, padded frames, and numbers in these, that go through the graph together.
BATCH, BATCH_FRAMES, BATCH_VALUES = 16, 50_000, 2**24

Logits = NDArray[np.float64]
Wave = NDArray[np.float32]


@dataclass(frozen=True)
class _Heard:
    """What is kept of a clip until its batch is full: not its samples, of which an hour takes 230 MB."""

    features: NDArray[np.float32] | None
    flags: tuple[str, ...]
    seconds: float
    reason: str = ""
    quality: Quality | None = None

    @property
    def frames(self) -> int:
        """Frames that a batch is padded to."""
        return 0 if self.features is None or self.features.ndim == 1 else self.features.shape[-2]


class Bundle:
    """A verified model; :func:`load` makes one."""

    def __init__(self, description: Description, spec: features.Spec | BundleEncoder, model: bytes) -> None:
        self.description = description
        self._spec = spec
        self._session = HeadSession(model, description)

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes in the order of probabilities."""
        return self.description.labels

    @property
    def training_speakers(self) -> tuple[str, ...]:
        """Speakers that the model has heard: a score on them is ``CONTAMINATED``."""
        return tuple(self.description.training["speakers"])

    def predict(self, wave: NDArray[np.floating], rate: int) -> Prediction:
        """Predict samples: (n,) or (n, channels) floats, full scale ±1, at ``rate`` Hz.

        Of several channels the bundle's is taken, or their mean where it names none.

        Raises
        ------
        AudioError
            Where shape, type or rate are out of bounds, or there is no such channel.
        """
        channel = self.description.channel if np.ndim(wave) > 1 else None
        clip = decode.from_samples(wave, rate, channel, target=self.description.sample_rate)
        return next(self.predict_clips([clip]))

    def predict_file(
        self, path: str | os.PathLike[str], *, channel: int | None = None, allow_truncated: bool = False
    ) -> Prediction:
        """Predict a file of any format, rate and channel count that libsndfile reads.

        One channel is taken (counted from 0), by default the bundle's, or their mean where it names none; a
        truncated file is flagged where it is allowed.

        Raises
        ------
        AudioError
            Where it is missing, unreadable, no audio, truncated or out of bounds.
        """
        return next(self.predict_clips([self._load(path, channel, allow_truncated)]))

    def predict_many(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        channel: int | None = None,
        allow_truncated: bool = False,
    ) -> Iterator[Prediction]:
        """Predict files in their order, several at a time; options as of :meth:`predict_file`.

        A file that cannot be read gives an answer without a label, flagged ``unreadable``, whose first warning
        is the reason; the others go on.
        """
        return self.predict_clips(self._loaded(path, channel, allow_truncated) for path in paths)

    def timeline(
        self, path: str | os.PathLike[str], *, channel: int | None = None, allow_truncated: bool = False
    ) -> Timeline:
        """Predict a recording of any length step by step (``unheard.bundle.timeline``); options as above."""
        return timeline(
            self.predict_clips, self.description, path, channel=channel, allow_truncated=allow_truncated
        )

    def features(self, waves: Sequence[Wave]) -> list[Wave]:
        """Return what the head takes, of waveforms (n,) at 16 kHz."""
        rate = self.description.sample_rate
        return [self._spec.compute(to_rate(wave, RATE, rate)) for wave in waves]

    def logits(self, inputs: Sequence[NDArray[np.float32]]) -> Logits:
        """Scores of features, (n, classes) before temperature: those of the head that the bundle was made of."""
        return self._session.logits(inputs)

    def _load(self, path: str | os.PathLike[str], channel: int | None, allow_truncated: bool) -> decode.Clip:
        d = self.description
        taken = d.channel if channel is None else channel
        return decode.load(path, channel=taken, allow_truncated=allow_truncated, rate=d.sample_rate)

    def _loaded(
        self, path: str | os.PathLike[str], channel: int | None, allow_truncated: bool
    ) -> decode.Clip | AudioError:
        try:
            return self._load(path, channel, allow_truncated)
        except AudioError as error:
            return error

    def predict_clips(self, clips: Iterable[decode.Clip | AudioError]) -> Iterator[Prediction]:
        """Predict clips that were decoded at ``description.sample_rate``, or could not be, in their order.

        Those of a batch pass the graph together, unusable ones not at all. The graph pads a batch to its longest
        clip, so a clip that would make it too large begins the next one.
        """
        waiting: list[_Heard] = []
        longest = 0
        budget = min(BATCH_FRAMES, BATCH_VALUES // (self.description.entries * self.description.dims))
        for clip in clips:
            heard = self._heard(clip)
            if waiting and max(longest, heard.frames) * (len(waiting) + 1) > budget:
                yield from self._answers(waiting)
                waiting, longest = [], 0
            waiting.append(heard)
            longest = max(longest, heard.frames)
            if len(waiting) == BATCH:
                yield from self._answers(waiting)
                waiting, longest = [], 0
        yield from self._answers(waiting)

    def _heard(self, clip: decode.Clip | AudioError) -> _Heard:
        if isinstance(clip, AudioError):
            return _Heard(None, ("unreadable",), 0.0, str(clip))
        x = self._features(clip)
        missing = ("no_features",) if x is None and clip.usable else ()
        measured = None if x is None else quality(to_rate(clip.wave, clip.rate))
        outside = outside_domain(measured, self.description.domain)
        return _Heard(x, (*clip.flags, *outside, *missing), clip.seconds, quality=measured)

    def _features(self, clip: decode.Clip) -> NDArray[np.float32] | None:
        if not clip.usable:
            return None
        x = self._spec.compute(clip.wave)
        return x if x.size and np.isfinite(x).all() else None

    def _answers(self, batch: Sequence[_Heard]) -> Iterator[Prediction]:
        inputs = [heard.features for heard in batch if heard.features is not None]
        logits = iter(self.logits(inputs) if inputs else ())
        for heard in batch:
            yield self._answer(heard, None if heard.features is None else next(logits))

    def _answer(self, heard: _Heard, logits: Logits | None) -> Prediction:
        if logits is None:
            return self._prediction(heard, None)
        if not np.isfinite(logits).all():
            return self._prediction(heard, None, "no_logits")
        p = apply_temperature(logits, self.description.temperature)
        unsure = p.max() < self.description.thresholds.get("confidence", 0.0)
        return self._prediction(heard, p, *(("unsure",) if unsure else ()))

    def _prediction(self, heard: _Heard, p: Logits | None, *more: str) -> Prediction:
        flags = (*heard.flags, *more)
        k = len(self.classes)
        values = np.full(k, 1 / k) if p is None else p
        said = tuple(MEANINGS.get(flag, flag) for flag in flags)
        return Prediction(
            label=None if p is None or "unsure" in flags else self.classes[int(p.argmax())],
            probabilities=dict(zip(self.classes, values.tolist(), strict=True)),
            flags=flags,
            warnings=(heard.reason, *said) if heard.reason else said,
            seconds=heard.seconds,
            quality=heard.quality,
        )


def load(path: str | os.PathLike[str]) -> Bundle:
    """Open a bundle after verifying every file, its description, its graph and its golden vectors.

    Raises
    ------
    BundleError
        Where anything about it is not as it was made; the message says what.
    MachineError
        Where its features need a package that is not installed here (openSMILE).
    """
    files = read_verified(Path(path))
    description = parse(files["bundle.json"])
    stored = golden.unpack(files["golden.npz"])
    spec = opened_spec(description, files.get("encoder.onnx"))
    _check_version(description, spec)
    bundle = Bundle(description, spec, files["model.onnx"])
    _check_golden(bundle, stored)
    return bundle


def opened_spec(description: Description, graph: bytes | None) -> features.Spec | BundleEncoder:
    """Return what computes that which the head takes."""
    if (description.encoder is None) != (graph is None):
        there, said = ("no", "an") if graph is None else ("an", "no")
        raise BundleError(f"bundle.json tells of {said} encoder, and there is {there} encoder.onnx")
    if description.encoder is not None and graph is not None:
        return BundleEncoder(graph, description.encoder)
    assert description.features is not None
    try:
        return features.build(description.features)
    except UsageError as error:
        raise BundleError(f"bundle.json: features: {error}") from error


def _check_version(description: Description, spec: features.Spec | BundleEncoder) -> None:
    """Refuse features of another version: where dims stay the same, three golden sounds may not show it."""
    then, now = description.versions.get("features"), str(spec.version)
    if then != now:
        raise BundleError(
            f"bundle.json: made with version {then} of the features {_name(description)!r}, and what is "
            f"installed here computes version {now}; install what it was made with (its versions: "
            f"{', '.join(f'{k} {v}' for k, v in sorted(description.versions.items()))}), or export it again"
        )


def _check_golden(bundle: Bundle, stored: golden.Golden) -> None:
    """Refuse a graph, or features, that give other logits here than where the bundle was made."""
    if stored.logits.shape[1] != len(bundle.classes):
        raise BundleError(f"golden.npz has {stored.logits.shape[1]} logits for {len(bundle.classes)} labels")
    far = golden.difference(bundle.logits(stored.features), stored.logits)
    if far > golden.TOLERANCE:
        raise BundleError(
            f"model.onnx differs from its golden vectors by {far:.2g}, more than {golden.TOLERANCE:g}; "
            "it is not the model that was exported"
        )
    far = golden.difference(bundle.logits(bundle.features(stored.waves)), stored.logits)
    if far > golden.TOLERANCE:
        raise BundleError(
            f"the features computed here change the logits by {far:.2g}, more than {golden.TOLERANCE:g}; they are "
            "not those that the bundle was made with: export it again with what is installed here"
        )


def _name(description: Description) -> Any:
    """Name of the features, or of the front end of the encoder."""
    settings = description.features if description.encoder is None else description.encoder.front
    return (settings or {}).get("name")
