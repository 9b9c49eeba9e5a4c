"""A bundle: verified when it is opened, it predicts recordings as people have them.

What it says of one about which nothing can be said is in ``unheard.bundle.predictor``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.adaptation.profile import Profile
from unheard.audio import decode
from unheard.bundle import golden, known_clips
from unheard.bundle.adaptation import unpack
from unheard.bundle.extractors import Extractors
from unheard.bundle.fields import load_json
from unheard.bundle.head import GraphHead
from unheard.bundle.long import AT_ONCE, predict_long_file
from unheard.bundle.manifest import read_verified
from unheard.bundle.pieces import Piece, read_pieces
from unheard.bundle.prediction import Prediction
from unheard.bundle.predictor import Predictor, knowing
from unheard.bundle.schema import is_schema1, parse
from unheard.bundle.segments import Segments, of_channels, segments
from unheard.bundle.speech import clips_of, clips_of_file
from unheard.bundle.stream import Stream
from unheard.bundle.text_schema import TOKENIZER
from unheard.bundle.timeline import Timeline, timeline
from unheard.bundle.voice import VoiceProfile
from unheard.bundle.words import Words, turns_of
from unheard.errors import AudioError, UsageError
from unheard.inputs import Turn
from unheard.labels import Labels

__all__ = ["Bundle", "Prediction", "load"]


class Bundle(Predictor):
    """A verified model that predicts recordings, their pieces, steps and streams; :func:`load` makes one."""

    _folder: Path | None = None

    def __reduce__(self) -> tuple[Callable[..., Bundle], tuple[Path, Labels]]:
        """Pickle the folder that the bundle was loaded from: who unpickles it loads and verifies it again."""
        if self._folder is None:
            raise UsageError(
                "only a bundle that was loaded from a folder can be pickled; load it in each process"
            )
        return _loaded_again, (self._folder, self._labels)

    @property
    def training_speakers(self) -> tuple[str, ...]:
        """Speakers that the model was trained on: a score on them is ``CONTAMINATED``."""
        return tuple(self.description.training["speakers"])

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

    @property
    def takes_words(self) -> bool:
        """Return whether it is to be told what was said (``text`` of :meth:`predict`)."""
        return self.description.takes_words

    def predict(
        self,
        wave: NDArray[np.floating],
        rate: int,
        *,
        text: Words | None = None,
        profile: VoiceProfile | None = None,
    ) -> Prediction:
        """Predict samples: (n,) or (n, channels) floats, full scale ±1, at ``rate`` Hz.

        Parameters
        ----------
        wave, rate
            Samples. Of several channels the bundle's is taken, or their mean where it names none.
        text
            What was said, for a bundle that takes words: a text, or turns of a dialogue, the oldest first, the
            clip's own last (``unheard.bundle.words``).
        profile
            Of the speaker's voice (:meth:`enrol`).

        Raises
        ------
        AudioError
            Where shape, type or rate are out of bounds, or there is no such channel.
        DataError
            Where the profile was made with another model.
        UsageError
            Where there is a profile, and the bundle does not adapt to speakers; where there is a text and it takes
            none, or there is none and it cannot answer without.
        """
        turns = self._turns(text)
        return next(self.predict_clips([replace(self._sampled(wave, rate), turns=turns)], profile))

    def predict_text(self, text: Words) -> Prediction:
        """Predict what was said without a recording, by words alone; ``text`` is as of :meth:`predict`.

        Raises
        ------
        UsageError
            The bundle takes no words, or cannot answer without the sound.
        """
        turns, d = turns_of(text), self.description
        if not turns:
            raise UsageError("the text is empty, expected what was said")
        self._turns(text)
        if d.takes_sound and not d.missing:
            raise UsageError(
                f"the model {d.name!r} takes the sound besides what was said, and does not answer without: give "
                "the recording, too (predict, predict_file)"
            )
        return self._of_words(turns)

    def predict_file(
        self,
        path: str | os.PathLike[str],
        *,
        text: Words | None = None,
        channel: int | None = None,
        allow_truncated: bool = False,
        profile: VoiceProfile | None = None,
    ) -> Prediction:
        """Predict a file of any format, rate and channel count that is read (docs/audio.md).

        One channel is taken (counted from 0), by default the bundle's, or their mean where it names none; a
        truncated file is flagged where it is allowed. ``text`` and ``profile`` are as of :meth:`predict`; the
        windows of a recording of more than 30 s are all answered with the whole text.

        Raises
        ------
        AudioError
            Where it is missing, unreadable, no audio, truncated or out of bounds.
        UsageError
            As of :meth:`predict`.
        """
        turns, profiles = self._turns(text), self._profiles(profile)
        recording = self._recording(path, channel, allow_truncated, profiles, turns)
        return next(knowing(profile, self._predicted([recording], profiles)))

    def predict_many(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        texts: Iterable[Words | None] | None = None,
        channel: int | None = None,
        allow_truncated: bool = False,
        profile: VoiceProfile | None = None,
    ) -> Iterator[Prediction]:
        """Predict files in their order, several at a time; options as of :meth:`predict_file`.

        A file that cannot be read gives a prediction without a label, flagged ``unreadable``, whose first warning
        is the reason; the others go on. ``texts`` are what was said in each, in the same order, None where that is
        not known: a bundle that cannot answer without gives no label then, flagged ``no_text``.
        """
        if isinstance(paths, str | bytes | os.PathLike) or not isinstance(paths, Iterable):
            raise UsageError("predict_many takes several paths, such as a list; predict_file takes one")
        if isinstance(texts, str):
            raise UsageError(
                "predict_many takes a text for each path, such as a list; predict_file takes one"
            )
        profiles = self._profiles(profile)
        if texts is None:
            self._turns(None)

        def recordings() -> Iterator[decode.Clip | Prediction | AudioError]:
            for path, text in _beside(paths, texts):
                turns = () if text is None else self._turns(text)
                try:
                    yield self._recording(path, channel, allow_truncated, profiles, turns)
                except AudioError as error:
                    yield error

        return knowing(profile, self._predicted(recordings(), profiles))

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

        With ``adapt`` the voice is known from the recording itself, which one person speaks in. A bundle that
        takes words answers from the sound alone, or refuses; :meth:`segments` is for what was said when.
        """
        self._turns(None)
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
            seconds, with speaker and text where they are known. A bundle that takes words reads the text of each,
            and those before it where it reads the turns before a clip's own.
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
        self._turns(None)
        if profile is not None:
            self.check_profile(profile)
        elif adapt:
            self._check_adapts()
        return Stream(self._hear, self.description, rate, channel=channel, profile=profile, adapt=adapt)

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
        turns: tuple[Turn, ...] = (),
    ) -> decode.Clip | Prediction:
        """Return a decoded file, or its prediction where it is too long to be in memory at once."""
        seconds = decode.duration(path)
        if seconds is None or seconds > AT_ONCE:
            d = self.description
            taken = d.channel if channel is None else channel
            found = predict_long_file(
                self._of_speech(profiles, turns), d, path, channel=taken, allow_truncated=allow_truncated
            )
            if found is not None:
                return found
        return replace(self._load(path, channel, allow_truncated), turns=turns)

    def _turns(self, text: Words | None) -> tuple[Turn, ...]:
        """Return what was said as turns; refuse a text where the bundle takes none, or none where it needs one."""
        turns, d = turns_of(text), self.description
        if text is not None and not d.takes_words:
            raise UsageError(
                f"the model {d.name!r} takes the sound alone, and a text is given; leave it out (text, --text)"
            )
        if not turns and d.takes_words and not d.missing:
            raise UsageError(
                f"the model {d.name!r} takes what was said, and does not answer without: give the text of the "
                "recording (text in Python, --text or --texts on the command line, pieces with their text in "
                "segments)"
            )
        return turns

    def _sampled(self, wave: NDArray[np.floating], rate: int) -> decode.Clip:
        channel = self.description.channel if np.ndim(wave) > 1 else None
        return decode.from_samples(wave, rate, channel, target=self.description.sample_rate)


def _beside(
    paths: Iterable[str | os.PathLike[str]], texts: Iterable[Words | None] | None
) -> Iterator[tuple[str | os.PathLike[str], Words | None]]:
    """Yield each path with its text."""
    if texts is None:
        yield from ((path, None) for path in paths)
        return
    try:
        yield from zip(paths, texts, strict=True)
    except ValueError as error:
        raise UsageError(
            "texts and paths are not equally many: give a text, or None, for each path"
        ) from error


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
    golden.check(bundle, stored)
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
    d = parse(plain)
    stored = golden.unpack(files["golden.npz"], d.inputs, words=d.takes_words)
    adaptation = unpack(files, d)
    head, known = GraphHead(files["model.onnx"], d), known_clips.unpack(files)
    of_inputs = {name: data for name, data in files.items() if name.endswith((".onnx", TOKENIZER))}
    return Bundle(d, Extractors(d, of_inputs), head, adaptation, known), stored
