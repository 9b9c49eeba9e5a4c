"""An answer for each piece that somebody else found in a recording, and a summary for each speaker.

The recording is read once to find where somebody speaks at all, and twice for each speaker whose voice the pieces
make known: once for that, once for the answers. It is never held whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from unheard.audio import activity, decode
from unheard.audio.flags import UNUSABLE
from unheard.audio.quality import quality
from unheard.audio.stream import Blocks, Times, cut
from unheard.bundle.pieces import Piece, checked
from unheard.bundle.prediction import Prediction, prediction
from unheard.bundle.schema import Description
from unheard.bundle.text_schema import MAX_CONTEXT
from unheard.bundle.timeline import NOT_OF_WINDOWS, OF_THE_WHOLE, Enrol, Predict, Step, Timeline
from unheard.bundle.training_range import outside_training_range
from unheard.bundle.voice import VoiceProfile
from unheard.bundle.words import turns_of
from unheard.errors import AudioError, DataError, UsageError, escaped
from unheard.inputs import Turn

#: Seconds of a piece in which somebody must be heard to speak, and of which it must at least be.
SPOKEN = 0.1
#: How far beyond the end of the recording a piece may reach, in seconds.
SLACK = 0.5


@dataclass(frozen=True)
class Segment(Step):
    """A given piece with its answer.

    Attributes
    ----------
    speaker, text
        Who speaks, and what is said; empty where that is not known.
    """

    speaker: str = ""
    text: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON; ``text`` only where there is some."""
        return {
            "start": self.start,
            "end": self.end,
            "speaker": self.speaker,
            **({"text": self.text} if self.text else {}),
            "label": self.label,
            "probabilities": dict(self.probabilities) or None,
            **({"dimensions": dict(self.dimensions)} if self.dimensions else {}),
            "flags": list(self.flags),
        }


@dataclass(frozen=True)
class Segments:
    """Pieces in the order of their starts, each with its answer.

    Attributes
    ----------
    segments
        The pieces.
    whole
        All of them as a timeline, which may overlap where several people speak at once.
    speakers
        The same by speaker, in the order in which they first speak; none where no speaker is known.
    """

    segments: tuple[Segment, ...]
    whole: Timeline
    speakers: Mapping[str, Timeline] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Segment]:
        return iter(self.segments)

    def __len__(self) -> int:
        return len(self.segments)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON; what is measured of the whole recording stands in ``summary`` alone."""
        return {
            "segments": [each.as_dict() for each in self.segments],
            "speakers": {name: own.summary() for name, own in self.speakers.items()},
            "summary": self.whole.summary(),
        }


def segments(
    predict: Predict,
    description: Description,
    path: str | os.PathLike[str],
    pieces: Sequence[Piece],
    *,
    channel: int | None = None,
    allow_truncated: bool = False,
    profile: VoiceProfile | None = None,
    enrol: Enrol | None = None,
) -> Segments:
    """Predict pieces of a recording of any length; options as of ``unheard.bundle.timeline.timeline``.

    Parameters
    ----------
    predict
        What predicts pieces in which somebody speaks.
    description
        Description of the bundle.
    path
        Recording.
    pieces
        In any order; they may overlap.
    enrol
        What makes a profile of the pieces of one speaker; None where they do not make voices known.

    Raises
    ------
    AudioError
        The recording is missing, unreadable, no audio, truncated or out of bounds.
    DataError
        There are no pieces, one is no piece of time, or one lies beyond the end of the recording.
    """
    d, ordered = description, checked(pieces)
    taken = d.channel if channel is None else channel
    first = Blocks(path, channel=taken, allow_truncated=allow_truncated)
    frames = activity.measure(first)
    beyond = next((piece for piece in ordered if piece.end > frames.seconds + SLACK), None)
    if beyond is not None:
        raise DataError(
            f"{escaped(path)}: a piece reaches from {beyond.start:g} to {beyond.end:g} s, and the recording lasts "
            f"{frames.seconds:.3f} s; are the pieces of this recording?"
        )
    # What cannot be predicted as a whole is not predicted in pieces either.
    unusable = tuple(flag for flag in first.flags if flag in UNUSABLE)
    spoken = [] if unusable else activity.segments(frames)

    def windows(times: Times, own: Sequence[int]) -> Iterator[decode.Clip]:
        again = Blocks(
            path, channel=taken, allow_truncated=allow_truncated, rate=d.sample_rate, scale=first.scale
        )
        for k, wave in zip(own, cut(again, times, d.sample_rate), strict=False):
            if len(wave) == 0:
                raise AudioError(f"{escaped(path)}: changed while it was read; predict it again")
            clip = decode.from_samples(wave, d.sample_rate, target=d.sample_rate)
            yield replace(clip, turns=_turns(ordered, k)) if d.takes_words else clip

    answers: dict[int, Segment] = {}
    known: dict[str, VoiceProfile] = {}
    for speaker in dict.fromkeys(piece.speaker for piece in ordered):
        own = [k for k, piece in enumerate(ordered) if piece.speaker == speaker]
        heard = [k for k in own if _overlap(ordered[k], spoken) >= SPOKEN]
        times = [(ordered[k].start, min(ordered[k].end, frames.seconds)) for k in heard]
        voice = profile
        if enrol is not None and speaker and times:
            voice = _known(enrol, windows(times, heard))
        if voice is not None:
            known[speaker] = voice
        predicted = dict(zip(heard, predict(windows(times, heard), voice), strict=True)) if times else {}
        for k in own:
            nobody = prediction(unusable or ("no_speech",), 0.0)
            answers[k] = _segment(ordered[k], predicted.get(k, nobody))
    found = quality(frames)
    ranges = {name: ends for name, ends in d.training_range.items() if name in OF_THE_WHOLE}
    outside = outside_training_range(found, ranges) if spoken else ("no_speech",)
    flags = (*first.flags, *outside)
    listed = tuple(answers[k] for k in range(len(ordered)))

    def of(part: tuple[Segment, ...], voice: VoiceProfile | None) -> Timeline:
        kind = "none" if voice is None else "clips" if enrol is None else "recording"
        return Timeline(part, d.target.classes, found, flags, 0 if voice is None else voice.clips, kind)

    names = dict.fromkeys(each.speaker for each in listed if each.speaker)
    speakers = {
        name: of(tuple(each for each in listed if each.speaker == name), known.get(name)) for name in names
    }
    return Segments(listed, of(listed, profile if enrol is None else None), speakers)


def of_channels(timelines: Sequence[Timeline]) -> Segments:
    """Return the timelines of the channels of one recording as speakers, ``channel 0`` and so on."""
    speakers = {f"channel {number}": each for number, each in enumerate(timelines)}
    every = [
        Segment(step.start, step.end, step.label, step.probabilities, step.flags, step.dimensions, name)
        for name, own in speakers.items()
        for step in own.steps
    ]
    every.sort(key=lambda segment: (segment.start, segment.end))
    flags = dict.fromkeys(flag for each in timelines for flag in each.flags)
    loudest = max(timelines, key=lambda each: each.quality.speech)
    return Segments(
        tuple(every), Timeline(tuple(every), loudest.classes, loudest.quality, tuple(flags)), speakers
    )


def _turns(ordered: Sequence[Piece], k: int) -> tuple[Turn, ...]:
    """Return what was said in a piece and in those before it; nothing where that of its own is not known."""
    try:
        return turns_of(
            [
                (each.speaker or None, each.text)
                for each in ordered[max(0, k - MAX_CONTEXT) : k + 1]
                if each.text
            ]
            if ordered[k].text
            else None
        )
    except UsageError as error:
        raise DataError(f"the piece from {ordered[k].start:g} s: {error}") from error


def _known(enrol: Enrol, clips: Iterator[decode.Clip]) -> VoiceProfile | None:
    """Return the profile of a speaker's pieces; None where no piece can be used."""
    try:
        return enrol(clips)
    except AudioError:
        raise
    except DataError:
        return None


def _overlap(piece: Piece, spoken: Times) -> float:
    """Return for how many seconds of a piece somebody speaks."""
    return sum(max(0.0, min(piece.end, end) - max(piece.start, start)) for start, end in spoken)


def _segment(piece: Piece, found: Prediction) -> Segment:
    left = [flag for flag in NOT_OF_WINDOWS if flag != "no_speech"]
    flags = tuple(flag for flag in found.flags if flag not in left)
    return Segment(
        piece.start, piece.end, found.label, found.probabilities, flags, found.dimensions, piece.speaker,
        piece.text,
    )  # fmt: skip
