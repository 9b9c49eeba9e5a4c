"""What predicts: verifies a bundle when it is opened, and predicts with onnxruntime and numpy alone.

A recording about which nothing can be said (nobody speaks, silent, channels that cancel, constant, shorter than
0.1 s, not finite) gets no label, no probabilities and no dimensions, with the reason among its flags; never a
confident prediction. Where the largest probability lies below the bundle's threshold there is no label either, and
the probabilities are as they came out. Recordings above 30 s are predicted in windows (``unheard.bundle.long``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.adaptation.profile import Profile
from unheard.audio import decode
from unheard.audio.quality import Quality, quality
from unheard.audio.resample import RATE
from unheard.bundle import golden, known_clips
from unheard.bundle.adaptation import FILE, Adaptation, unpack
from unheard.bundle.enrolment import Enrolment
from unheard.bundle.extractors import Extractors, Waveforms
from unheard.bundle.fields import load_json
from unheard.bundle.head import GraphHead, Head, Inputs
from unheard.bundle.known_clips import KnownClips
from unheard.bundle.long import AT_ONCE, Predict, predict_long_clip, predict_long_file
from unheard.bundle.manifest import read_verified
from unheard.bundle.pieces import Piece, read_pieces
from unheard.bundle.prediction import Prediction, prediction
from unheard.bundle.schema import Description, is_schema1, parse
from unheard.bundle.segments import Segments, of_channels, segments
from unheard.bundle.speech import clips_of, clips_of_file
from unheard.bundle.stream import Stream
from unheard.bundle.timeline import Timeline, timeline
from unheard.bundle.training_range import outside_training_range
from unheard.bundle.voice import VoiceProfile
from unheard.decide.calibration import apply_temperature
from unheard.errors import AudioError, BundleError, DataError, UsageError
from unheard.labels import Labels

__all__ = ["Bundle", "Prediction", "load"]

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


class Bundle:
    """A verified model; :func:`load` makes one.

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
        self._folder: Path | None = None
        self._extractors, self._head = extractors, head
        self._adaptation = Adaptation({}) if adaptation is None else adaptation
        framed = {name: each for name, each in description.inputs.items() if each.form.has_frames}
        self._framed = tuple(framed)
        self._frame_values = max((each.layers * each.dims for each in framed.values()), default=1)

    def __reduce__(self) -> tuple[Callable[..., Bundle], tuple[Path, Labels]]:
        """Pickle the folder that the bundle was loaded from: who unpickles it loads and verifies it again."""
        if self._folder is None:
            raise UsageError(
                "only a bundle that was loaded from a folder can be pickled; load it in each process"
            )
        return _loaded_again, (self._folder, self._labels)

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes in the order of probabilities; none where the model predicts dimensions alone."""
        return self.description.target.classes

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Dimensions that are predicted on [0, 1]; none where the model predicts classes alone."""
        return self.description.target.dimensions

    @property
    def training_speakers(self) -> tuple[str, ...]:
        """Speakers that the model was trained on: a score on them is ``CONTAMINATED``."""
        return tuple(self.description.training["speakers"])

    @property
    def adapts(self) -> bool:
        """Return whether it answers better knowing the voice (:meth:`enrol`)."""
        return bool(self.description.adaptation)

    def choosing(self, labels: Labels) -> Bundle:
        """Return the bundle with other classes: probabilities of merged ones are added, dropped ones have none.

        Raises
        ------
        UsageError
            The mapping names a class that the bundle does not have, or leaves none; or the bundle has chosen.
        """
        if self._labels.names:
            raise UsageError("the bundle has other classes already: choose from the one that was loaded")
        labels.check(self.classes, "the model")
        chosen = Bundle(self.description, self._extractors, self._head, self._adaptation, self.known_clips)
        chosen._labels, chosen._folder = labels, self._folder
        target = replace(self.description.target, classes=labels.classes(self.classes))
        chosen.description = replace(self.description, target=target)
        return chosen

    def predict(
        self, wave: NDArray[np.floating], rate: int, *, profile: VoiceProfile | None = None
    ) -> Prediction:
        """Predict samples: (n,) or (n, channels) floats, full scale ±1, at ``rate`` Hz.

        Of several channels the bundle's is taken, or their mean where it names none. ``profile`` is of the
        speaker's voice (:meth:`enrol`).

        Raises
        ------
        AudioError
            Where shape, type or rate are out of bounds, or there is no such channel.
        DataError
            Where the profile was made with another model.
        UsageError
            Where there is a profile, and the bundle does not adapt to speakers.
        """
        return next(self.predict_clips([self._sampled(wave, rate)], profile))

    def predict_file(
        self,
        path: str | os.PathLike[str],
        *,
        channel: int | None = None,
        allow_truncated: bool = False,
        profile: VoiceProfile | None = None,
    ) -> Prediction:
        """Predict a file of any format, rate and channel count that is read (docs/audio.md).

        One channel is taken (counted from 0), by default the bundle's, or their mean where it names none; a
        truncated file is flagged where it is allowed. ``profile`` is as of :meth:`predict`.

        Raises
        ------
        AudioError
            Where it is missing, unreadable, no audio, truncated or out of bounds.
        """
        profiles = self._profiles(profile)
        recording = self._recording(path, channel, allow_truncated, profiles)
        return next(_knowing(profile, self._predicted([recording], profiles)))

    def predict_many(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        channel: int | None = None,
        allow_truncated: bool = False,
        profile: VoiceProfile | None = None,
    ) -> Iterator[Prediction]:
        """Predict files in their order, several at a time; options as of :meth:`predict_file`.

        A file that cannot be read gives a prediction without a label, flagged ``unreadable``, whose first warning
        is the reason; the others go on.
        """
        if isinstance(paths, str | bytes | os.PathLike) or not isinstance(paths, Iterable):
            raise UsageError("predict_many takes several paths, such as a list; predict_file takes one")
        profiles = self._profiles(profile)

        def recordings() -> Iterator[decode.Clip | Prediction | AudioError]:
            for path in paths:
                try:
                    yield self._recording(path, channel, allow_truncated, profiles)
                except AudioError as error:
                    yield error

        return _knowing(profile, self._predicted(recordings(), profiles))

    def timeline(
        self,
        path: str | os.PathLike[str],
        *,
        channel: int | None = None,
        allow_truncated: bool = False,
        profile: VoiceProfile | None = None,
        adapt: bool = False,
    ) -> Timeline:
        """Predict a recording of any length step by step (``unheard.bundle.timeline``); options as above.

        With ``adapt`` the voice is known from the recording itself, which one person speaks in.
        """
        if adapt:
            self._check_adapts()
        return timeline(
            self._predict_speech,
            self.description,
            path,
            channel=channel,
            allow_truncated=allow_truncated,
            profile=profile,
            enrol=self._enrol_speech if adapt else None,
        )

    def segments(
        self,
        path: str | os.PathLike[str],
        pieces: str | os.PathLike[str] | Iterable[Piece | Sequence[Any]],
        *,
        channel: int | None = None,
        allow_truncated: bool = False,
        profile: VoiceProfile | None = None,
        adapt: bool | None = None,
    ) -> Segments:
        """Predict pieces of a recording of any length, and sum them up by speaker (``unheard.bundle.segments``).

        Parameters
        ----------
        path, channel, allow_truncated
            As of :meth:`predict_file`.
        pieces
            A file of a diariser or a transcript (``unheard.bundle.pieces``), or pieces: ``(start, end)`` in
            seconds, with speaker and text where they are known.
        profile
            What is known of the voice of all of them.
        adapt
            Whether the pieces of each named speaker make that voice known; None: where the bundle adapts, and no
            profile is given.

        Raises
        ------
        AudioError
            As of :meth:`predict_file`.
        DataError
            The pieces are none, or not of this recording.
        UsageError
            The bundle does not adapt, and shall.
        """
        given = read_pieces(pieces) if isinstance(pieces, str | os.PathLike) else pieces
        listed = [each if isinstance(each, Piece) else Piece(*each) for each in given]
        learns = self.adapts and profile is None if adapt is None else adapt
        if learns:
            self._check_adapts()
        return segments(
            self._predict_speech,
            self.description,
            path,
            listed,
            channel=channel,
            allow_truncated=allow_truncated,
            profile=profile,
            enrol=self._enrol_speech if learns else None,
        )

    def channels(
        self, path: str | os.PathLike[str], *, allow_truncated: bool = False, adapt: bool | None = None
    ) -> Segments:
        """Predict each channel of a recording step by step, as somebody who speaks there.

        ``adapt`` is as of :meth:`segments`; errors are those of :meth:`timeline`.
        """
        learns = self.adapts if adapt is None else adapt
        return of_channels(
            [
                self.timeline(path, channel=channel, allow_truncated=allow_truncated, adapt=learns)
                for channel in range(decode.channels(path))
            ]
        )

    def stream(
        self,
        rate: int,
        *,
        channel: int | None = None,
        profile: VoiceProfile | None = None,
        adapt: bool = False,
    ) -> Stream:
        """Begin a stream of samples at ``rate`` Hz, which is answered every second (``unheard.bundle.stream``).

        ``stream.feed(samples)`` and ``stream.finish()`` return the answers that are due. One channel is taken
        (counted from 0), by default the mean of all. The voice is that of ``profile``, where given; with ``adapt``
        it gets better known from what is heard, which one person speaks.

        Raises
        ------
        AudioError
            The rate is out of bounds.
        DataError
            The profile was made with another model.
        UsageError
            There is a profile, or ``adapt``, and the bundle does not adapt to speakers.
        """
        if profile is not None:
            self.check_profile(profile)
        elif adapt:
            self._check_adapts()
        return Stream(self._hear, self.description, rate, channel=channel, profile=profile, adapt=adapt)

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

    def enrol(
        self,
        clips: Iterable[str | os.PathLike[str] | tuple[NDArray[np.floating], int]],
        *,
        channel: int | None = None,
        allow_truncated: bool = False,
    ) -> VoiceProfile:
        """Return the profile of one speaker's voice, from a few clips without labels (docs/adaptation.md).

        Parameters
        ----------
        clips
            Files, or pairs of samples and their rate as :meth:`predict` takes them. A recording of more than 30 s
            is taken in windows of at most 4 s in which somebody speaks, each a clip. Those that cannot be used are
            left out, and ``left_out`` of the profile says why.
        channel, allow_truncated
            As of :meth:`predict_file`.

        Raises
        ------
        UsageError
            The bundle does not adapt to speakers.
        DataError
            No clip can be used.
        """
        if isinstance(clips, str | bytes | os.PathLike):
            raise UsageError("enrol takes several clips, such as a list of paths")
        return self._enrolled(
            piece
            for clip in clips
            for piece in (
                self._pieces_of(self._sampled(*clip))
                if isinstance(clip, tuple)
                else self._pieces(clip, channel, allow_truncated)
            )
        )

    def _pieces(
        self, path: str | os.PathLike[str], channel: int | None, allow_truncated: bool
    ) -> Iterator[tuple[decode.Clip | AudioError, bool]]:
        """Yield a file as a clip, or windows of a long one; and whether it is known that somebody speaks there."""
        d = self.description
        taken = d.channel if channel is None else channel
        try:
            seconds = decode.duration(path)
            if seconds is not None and seconds <= AT_ONCE:
                yield self._load(path, channel, allow_truncated), False
                return
            long = clips_of_file(path, d.sample_rate, channel=taken, allow_truncated=allow_truncated)
            yield from ((piece, True) for piece in long)
        except AudioError as error:
            yield error, False

    def _pieces_of(self, clip: decode.Clip) -> Iterator[tuple[decode.Clip | AudioError, bool]]:
        """Yield a decoded clip in the same way."""
        if not clip.usable or clip.seconds <= AT_ONCE:
            yield clip, False
            return
        try:
            yield from ((piece, True) for piece in clips_of(clip))
        except AudioError as error:
            yield error, False

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

    def inputs(self, waves: Sequence[Wave]) -> list[Inputs]:
        """Return what is computed of waveforms (n,) at 16 kHz, by name of the input."""
        return [self._extractors.compute(Waveforms(wave, RATE)) for wave in waves]

    def inputs_of(self, clip: decode.Clip | AudioError) -> Inputs | None:
        """Return what is computed of a clip decoded at ``description.sample_rate``; None of an unusable one."""
        return self._measured(clip, spoken=False).inputs

    def outputs(self, inputs: Sequence[Inputs], profiles: Mapping[str, Profile] | None = None) -> Outputs:
        """Return what the head gives for the inputs of n clips, (n, classes + dimensions).

        Class scores are those before temperature and softmax; dimensions are as they are predicted. ``profiles``
        are of the speaker of all of them, by input; without any nothing is known of the speaker.
        """
        return self._head.outputs([self._adaptation.standardised(clip, profiles) for clip in inputs])

    def outputs_knowing(self, inputs: Sequence[Inputs], known: Sequence[Inputs] | None = None) -> Outputs:
        """Return the outputs for clips of one speaker of whom others are known; where None, these themselves."""
        sums = self._adaptation.sums(inputs if known is None else known)
        return self.outputs(inputs, self._adaptation.profiles(sums))

    def _load(self, path: str | os.PathLike[str], channel: int | None, allow_truncated: bool) -> decode.Clip:
        d = self.description
        taken = d.channel if channel is None else channel
        return decode.load(path, channel=taken, allow_truncated=allow_truncated, rate=d.sample_rate)

    def _recording(
        self,
        path: str | os.PathLike[str],
        channel: int | None,
        allow_truncated: bool,
        profiles: Mapping[str, Profile] | None,
    ) -> decode.Clip | Prediction:
        """Return a decoded file, or its prediction where it is too long to be in memory at once."""
        seconds = decode.duration(path)
        if seconds is None or seconds > AT_ONCE:
            d = self.description
            taken = d.channel if channel is None else channel
            found = predict_long_file(
                self._of_speech(profiles), d, path, channel=taken, allow_truncated=allow_truncated
            )
            if found is not None:
                return found
        return self._load(path, channel, allow_truncated)

    def _sampled(self, wave: NDArray[np.floating], rate: int) -> decode.Clip:
        channel = self.description.channel if np.ndim(wave) > 1 else None
        return decode.from_samples(wave, rate, channel, target=self.description.sample_rate)

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

    def check_profile(self, profile: VoiceProfile) -> None:
        """Refuse a profile that was made with another model, or any where the bundle does not adapt.

        Raises
        ------
        DataError, UsageError
            As of :meth:`predict`.
        """
        self._check_adapts()
        if profile.fingerprint != self._adaptation.fingerprint:
            raise DataError(
                f"the voice profile was made with another model ({profile.model!r}) than this one "
                f"({self.description.name!r}); enrol the speaker's clips again with this one"
            )

    def predict_clips(
        self, clips: Iterable[decode.Clip | AudioError], profile: VoiceProfile | None = None
    ) -> Iterator[Prediction]:
        """Predict clips that were decoded at ``description.sample_rate``, or could not be, in their order.

        Those of a batch pass the graph together, unusable ones not at all. The graph pads a batch to its longest
        clip, so a clip that would make it too large begins the next one. A profile is looked at before any clip.
        """
        profiles = self._profiles(profile)
        return _knowing(profile, self._predicted(clips, profiles))

    def _predict_speech(
        self, clips: Iterable[decode.Clip | AudioError], profile: VoiceProfile | None
    ) -> Iterator[Prediction]:
        """Predict pieces of a recording in which somebody speaks, which a piece alone need not show."""
        return self._of_speech(self._profiles(profile))(clips)

    def _of_speech(self, profiles: Mapping[str, Profile] | None) -> Predict:
        return lambda clips: self._predicted(clips, profiles, spoken=True)

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
                clip = predict_long_clip(self._of_speech(profiles), self.description, clip)
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
        inputs = self._extractors.compute(waves)
        if not all(x.size and np.isfinite(x).all() for x in inputs.values()):
            return _Measured(None, (*clip.flags, "no_features"), clip.seconds)
        return _Measured(inputs, (*clip.flags, *outside), clip.seconds, quality=found)

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


def _knowing(profile: VoiceProfile | None, predicted: Iterator[Prediction]) -> Iterator[Prediction]:
    """Say from how many clips the voice was known."""
    return predicted if profile is None else (replace(each, enrol_k=profile.clips) for each in predicted)


def load(path: str | os.PathLike[str]) -> Bundle:
    """Open a bundle after verifying every file, its description, its graphs and its golden outputs.

    Raises
    ------
    BundleError
        Where anything about it is not as it was made; the message says what.
    MachineError
        Where its features need a package that is not installed here (openSMILE).
    """
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"expected the folder of a bundle, found {type(path).__name__}")
    bundle, stored = opened(read_verified(Path(path)))
    bundle._extractors.check_versions()
    _check_golden(bundle, stored)
    bundle._folder = Path(path).absolute()
    return bundle


def _loaded_again(folder: Path, labels: Labels) -> Bundle:
    bundle = load(folder)
    return bundle.choosing(labels) if labels.names else bundle


def opened(files: Mapping[str, bytes]) -> tuple[Bundle, golden.Golden]:
    """Return the bundle and the golden outputs of verified files, of this schema or an older one."""
    plain = load_json(files["bundle.json"], "bundle.json")
    if is_schema1(plain):
        from unheard.bundle import schema1

        d, graphs = schema1.parse(plain), schema1.renamed_graphs(files)
        stored = schema1.unpack(files["golden.npz"], d)
        head1 = schema1.Head1(graphs["model.onnx"], d)
        return Bundle(d, Extractors(d, graphs), head1, known=known_clips.unpack(files)), stored
    d, graphs = parse(plain), {name: data for name, data in files.items() if name.endswith(".onnx")}
    stored = golden.unpack(files["golden.npz"], d.inputs)
    adaptation = unpack(files, d)
    head, known = GraphHead(graphs["model.onnx"], d), known_clips.unpack(files)
    return Bundle(d, Extractors(d, graphs), head, adaptation, known), stored


def _check_golden(bundle: Bundle, stored: golden.Golden) -> None:
    """Refuse a graph, or inputs, that give other outputs here than where the bundle was made."""
    columns = bundle.description.target.width
    if stored.outputs.shape[1] != columns:
        raise BundleError(
            f"golden.npz has {stored.outputs.shape[1]} outputs, and the target {columns} columns"
        )
    far = golden.difference(bundle.outputs(stored.inputs), stored.outputs)
    if far > golden.TOLERANCE:
        raise BundleError(
            f"model.onnx differs from its golden outputs by {far:.2g}, more than {golden.TOLERANCE:g}; "
            "it is not the model that was exported"
        )
    adapts = bool(bundle.description.adaptation)
    if adapts == (stored.known is None):
        raise BundleError(
            f"golden.npz has {'no' if adapts else 'an'} array 'known', and bundle.json says that the bundle "
            f"{'adapts' if adapts else 'does not adapt'} to speakers"
        )
    if stored.known is not None:
        far = golden.difference(bundle.outputs_knowing(stored.inputs), stored.known)
        if far > golden.TOLERANCE:
            raise BundleError(
                f"knowing the speaker, the outputs differ from the golden ones by {far:.2g}, more than "
                f"{golden.TOLERANCE:g}; {FILE} is not the one that was exported"
            )
    far = golden.difference(bundle.outputs(bundle.inputs(stored.waves)), stored.outputs)
    if far > golden.TOLERANCE:
        raise BundleError(
            f"the features computed here change the outputs by {far:.2g}, more than {golden.TOLERANCE:g}; they "
            "are not those that the bundle was made with: export it again with what is installed here"
        )
