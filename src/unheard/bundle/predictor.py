"""Predicts decoded clips with a bundle's extractors, head and adaptation: onnxruntime and numpy alone.

A clip about which nothing can be said (nobody speaks, silent, channels that cancel, constant, shorter than 0.1 s,
not finite) gets no label, no probabilities and no dimensions, with the reason among its flags; never a confident
prediction. Where the largest probability lies below the bundle's threshold there is no label either, and the
probabilities are as they came out. Clips above 30 s are predicted in windows (``unheard.bundle.long``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unheard.adaptation.profile import Profile
from unheard.audio import decode
from unheard.audio.quality import Quality, quality
from unheard.audio.resample import RATE
from unheard.bundle.adaptation import Adaptation
from unheard.bundle.enrolment import Enrolment
from unheard.bundle.extractors import Extractors, Waveforms
from unheard.bundle.head import Head, Inputs
from unheard.bundle.known_clips import KnownClips
from unheard.bundle.long import AT_ONCE, Predict, predict_long_clip
from unheard.bundle.prediction import Prediction, prediction
from unheard.bundle.schema import Description
from unheard.bundle.training_range import outside_training_range
from unheard.bundle.voice import VoiceProfile
from unheard.decide.calibration import apply_temperature
from unheard.errors import AudioError, DataError, UsageError
from unheard.inputs import Turn
from unheard.labels import Labels

#: Clips, padded frames, and numbers in these, that go through the graph together.
BATCH, BATCH_FRAMES, BATCH_VALUES = 16, 50_000, 2**24

Outputs = NDArray[np.float64]
Wave = NDArray[np.float32]


@dataclass(frozen=True)
class _Measured:
    """What is kept of a clip until its batch is full: not its samples, of which an hour takes 230 MB."""

    inputs: Inputs | None
    flags: tuple[str, ...]
    seconds: float
    reason: str = ""
    quality: Quality | None = None
    answer: Prediction | None = None  # where it is known already


class Predictor:
    """What predicts decoded clips, and standardises them by what is known of a voice.

    Parameters
    ----------
    description
        What ``bundle.json`` says.
    extractors
        What computes the inputs of the head.
    head
        What predicts from them.
    adaptation
        What standardises them by speaker; None where the bundle does not adapt.
    known
        By which recordings that it was trained on are known again; None where the bundle keeps nothing of them.
    """

    def __init__(
        self,
        description: Description,
        extractors: Extractors,
        head: Head,
        adaptation: Adaptation | None = None,
        known: KnownClips | None = None,
    ) -> None:
        self.description, self.known_clips = description, known
        self._columns, self._labels = description.target.classes, Labels({})
        self._extractors, self._head = extractors, head
        self._adaptation = Adaptation({}) if adaptation is None else adaptation
        framed = {name: each for name, each in description.inputs.items() if each.form.has_frames}
        self._framed = tuple(framed)
        self._frame_values = max((each.layers * each.dims for each in framed.values()), default=1)

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes in the order of probabilities; none where the model predicts dimensions alone."""
        return self.description.target.classes

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Dimensions that are predicted on [0, 1]; none where the model predicts classes alone."""
        return self.description.target.dimensions

    @property
    def adapts(self) -> bool:
        """Return whether it answers better knowing the voice (:meth:`enrol`)."""
        return bool(self.description.adaptation)

    def predict_clips(
        self, clips: Iterable[decode.Clip | AudioError], profile: VoiceProfile | None = None
    ) -> Iterator[Prediction]:
        """Predict clips that were decoded at ``description.sample_rate``, or could not be, in their order.

        Those of a batch pass the graph together, unusable ones not at all. The graph pads a batch to its longest
        clip, so a clip that would make it too large begins the next one. A profile is looked at before any clip.
        """
        profiles = self._profiles(profile)
        return knowing(profile, self._predicted(clips, profiles))

    def inputs(self, waves: Sequence[Wave], turns: Sequence[Sequence[Turn]] = ()) -> list[Inputs]:
        """Return what is computed of waveforms (n,) at 16 kHz, and of the turns of each, by name of the input."""
        said = turns or [()] * len(waves)
        return [
            self._extractors.compute(Waveforms(wave, RATE), own)
            for wave, own in zip(waves, said, strict=True)
        ]

    def inputs_of(self, clip: decode.Clip | AudioError) -> Inputs | None:
        """Return what is computed of a clip decoded at ``description.sample_rate``; None of an unusable one."""
        return self._measured(clip, spoken=False).inputs

    def outputs(self, inputs: Sequence[Inputs], profiles: Mapping[str, Profile] | None = None) -> Outputs:
        """Return what the head gives for the inputs of n clips, (n, classes + dimensions).

        Class scores are those before temperature and softmax; dimensions are as they are predicted. ``profiles``
        are of the speaker of all of them, by input; without any nothing is known of the speaker.
        """
        return self._head.outputs([self._adaptation.standardised(clip, profiles) for clip in inputs])

    def check_inputs(self, inputs: Sequence[Inputs], where: str) -> None:
        """Refuse stored inputs of other shapes than those that are adapted (``BundleError``)."""
        for clip in inputs:
            self._adaptation.check(clip, where)

    def outputs_knowing(self, inputs: Sequence[Inputs], known: Sequence[Inputs] | None = None) -> Outputs:
        """Return the outputs for clips of one speaker of whom others are known; where None, these themselves."""
        sums = self._adaptation.sums(inputs if known is None else known)
        return self.outputs(inputs, self._adaptation.profiles(sums))

    def check_profile(self, profile: VoiceProfile) -> None:
        """Refuse a profile that was made with another model, or any where the bundle does not adapt.

        Raises
        ------
        DataError, UsageError
            As of :meth:`predict`.
        """
        self._check_adapts()
        if profile.fingerprint != self._adaptation.fingerprint:
            ours = self.description.name
            other = f"another model ({profile.model!r})" if profile.model != ours else "other weights"
            raise DataError(
                f"the voice profile was made with {other} than this one ({ours!r}); enrol the speaker's clips "
                "again with this one"
            )

    def _check_adapts(self) -> None:
        if not self.adapts:
            raise UsageError(
                f"the model {self.description.name!r} does not adapt to voices: clips of a speaker change nothing "
                "in what it predicts; predict without them, or take a bundle of a run whose inputs have 'adapt' "
                "(docs/adaptation.md)"
            )

    def _profiles(self, profile: VoiceProfile | None) -> dict[str, Profile] | None:
        """Return by what each input is standardised for a profile, which must be of this bundle."""
        if profile is None:
            return None
        self.check_profile(profile)
        return self._adaptation.profiles(profile.sums)

    def _hear(
        self, clip: decode.Clip, profile: VoiceProfile | None, learn: bool
    ) -> tuple[Prediction, VoiceProfile | None]:
        """Predict a window in which somebody speaks; where asked, it makes the voice better known before."""
        measured = self._measured(clip, spoken=True)
        if learn and measured.inputs is not None and measured.quality is not None:
            enrolment = Enrolment(self._adaptation)
            enrolment.add(measured.inputs, measured.quality, {})
            own = enrolment.profile(self.description.name)
            profile = own if profile is None else profile + own
        (answer,) = self._answers([measured], self._profiles(profile))
        return answer, profile

    def _enrolled(self, clips: Iterable[tuple[decode.Clip | AudioError, bool]]) -> VoiceProfile:
        """Return the profile of decoded clips, each with whether it is known that somebody speaks in it."""
        self._check_adapts()
        enrolment = Enrolment(self._adaptation)
        for number, (clip, spoken) in enumerate(clips, start=1):
            measured = self._measured(clip, spoken)
            (answer,) = self._answers([measured], None)
            if measured.inputs is None or measured.quality is None or not answer.answered:
                enrolment.leave_out(measured.reason or f"clip {number}: {answer.warnings[-1]}")
            else:
                enrolment.add(measured.inputs, measured.quality, answer.probabilities)
        return enrolment.profile(self.description.name)

    def _enrol_speech(self, clips: Iterable[decode.Clip | AudioError]) -> VoiceProfile:
        """Return the profile of pieces of a recording in which one person speaks."""
        return self._enrolled((clip, True) for clip in clips)

    def _predict_speech(
        self, clips: Iterable[decode.Clip | AudioError], profile: VoiceProfile | None
    ) -> Iterator[Prediction]:
        """Predict pieces of a recording in which somebody speaks, which a piece alone need not show."""
        return self._of_speech(self._profiles(profile))(clips)

    def _of_speech(
        self, profiles: Mapping[str, Profile] | None, turns: tuple[Turn, ...] | None = None
    ) -> Predict:
        """Return what predicts pieces of a recording, with what was said in all of it where turns are given."""

        def predict(clips: Iterable[decode.Clip | AudioError]) -> Iterator[Prediction]:
            if turns is not None:
                clips = (
                    replace(clip, turns=turns) if isinstance(clip, decode.Clip) else clip for clip in clips
                )
            return self._predicted(clips, profiles, spoken=True)

        return predict

    def _predicted(
        self,
        clips: Iterable[decode.Clip | Prediction | AudioError],
        profiles: Mapping[str, Profile] | None,
        *,
        spoken: bool = False,
    ) -> Iterator[Prediction]:
        waiting: list[_Measured] = []
        longest = 0
        max_frames = min(BATCH_FRAMES, BATCH_VALUES // self._frame_values)
        for clip in clips:
            if isinstance(clip, decode.Clip) and clip.usable and clip.seconds > AT_ONCE:
                clip = predict_long_clip(self._of_speech(profiles, clip.turns), self.description, clip)
            measured = self._measured(clip, spoken)
            frames = max(longest, self._frames(measured))
            if waiting and frames * (len(waiting) + 1) > max_frames:
                yield from self._answers(waiting, profiles)
                waiting, frames = [], self._frames(measured)
            waiting.append(measured)
            longest = frames
            if len(waiting) == BATCH:
                yield from self._answers(waiting, profiles)
                waiting, longest = [], 0
        yield from self._answers(waiting, profiles)

    def _measured(self, clip: decode.Clip | Prediction | AudioError, spoken: bool) -> _Measured:
        if isinstance(clip, AudioError):
            return _Measured(None, ("unreadable",), 0.0, str(clip))
        if isinstance(clip, Prediction):
            return _Measured(None, clip.flags, clip.seconds, answer=clip)
        if not clip.usable:
            return _Measured(None, clip.flags, clip.seconds)
        waves = Waveforms(clip.wave, clip.rate)
        found = quality(waves.get(RATE))
        outside = outside_training_range(found, self.description.training_range)
        if "no_speech" in outside and not spoken:
            return _Measured(None, (*clip.flags, *outside), clip.seconds, quality=found)
        said: tuple[str, ...] = ()
        if self.description.takes_words and not clip.turns:
            if not self.description.missing:
                return _Measured(None, (*clip.flags, *outside, "no_text"), clip.seconds, quality=found)
            said = ("without_text",)
        inputs = self._extractors.compute(waves, clip.turns)
        if not all((x.size or said) and np.isfinite(x).all() for x in inputs.values()):
            return _Measured(None, (*clip.flags, "no_features"), clip.seconds)
        return _Measured(inputs, (*clip.flags, *outside, *said), clip.seconds, quality=found)

    def _of_words(self, turns: Sequence[Turn]) -> Prediction:
        """Predict turns without a recording."""
        flags = ("without_sound",) if self.description.takes_sound else ()
        measured = _Measured(self._extractors.compute(None, turns), flags, 0.0)
        (answer,) = self._answers([measured], None)
        return answer

    def _frames(self, clip: _Measured) -> int:
        """Return the number of frames that a batch is padded to for a clip."""
        inputs = clip.inputs or {}
        return max((inputs[name].shape[-2] for name in self._framed if name in inputs), default=0)

    def _answers(
        self, batch: Sequence[_Measured], profiles: Mapping[str, Profile] | None
    ) -> Iterator[Prediction]:
        inputs = [clip.inputs for clip in batch if clip.inputs is not None]
        outputs = iter(self.outputs(inputs, profiles) if inputs else ())
        for clip in batch:
            yield self._answer(clip, None if clip.inputs is None else next(outputs))

    def _answer(self, clip: _Measured, outputs: Outputs | None) -> Prediction:
        if clip.answer is not None:
            return clip.answer
        if outputs is None:
            return prediction(clip.flags, clip.seconds, clip.quality, reason=clip.reason)
        if not np.isfinite(outputs).all():
            return prediction((*clip.flags, "no_logits"), clip.seconds, clip.quality)
        d, count = self.description, len(self._columns)
        p = apply_temperature(outputs[:count], d.temperature).tolist() if count else []
        return prediction(
            clip.flags,
            clip.seconds,
            clip.quality,
            probabilities=self._labels.shares(dict(zip(self._columns, p, strict=True))),
            dimensions=dict(zip(self.dimensions, outputs[count:].tolist(), strict=True)),
            threshold=d.thresholds.get("confidence", 0.0),
        )


def knowing(profile: VoiceProfile | None, predicted: Iterator[Prediction]) -> Iterator[Prediction]:
    """Say from how many clips the voice was known."""
    return predicted if profile is None else (replace(each, enrol_k=profile.clips) for each in predicted)
