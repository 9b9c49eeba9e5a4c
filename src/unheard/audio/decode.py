"""Decode a recording, or a piece of one, to mono float32 at 16 kHz or another rate.

Samples are relative to full scale: ±1 is as loud as integers go. Decoding runs in blocks, so memory grows with
what is in the file and not with what its header says.
"""

from __future__ import annotations

import numbers
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from unheard.audio import media
from unheard.audio.container import FFMPEG, kind_of
from unheard.audio.content import Content
from unheard.audio.flags import UNUSABLE, Meter
from unheard.audio.resample import QUALITY, RATE, Resampler
from unheard.audio.source import LONGEST, MAX_CHANNELS, SLACK, Decoder, check_bounds, checked_rate, opened
from unheard.errors import AudioError
from unheard.files import open_regular
from unheard.inputs import Turn

MOST_SAMPLES = 250_000_000  # of a waveform that is taken at once, 1 GB: 4.3 hours at 16 kHz

#: What decides about the samples besides the file; part of every cache key (:func:`versions`).
VERSIONS = {
    "decode": "1",
    "libsndfile": str(soundfile.__libsndfile_version__),
    "soxr": f"{soxr.__version__} {QUALITY}",
}

Wave = NDArray[np.float32]


def versions(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return what decides about the samples of a file besides its content.

    Raises
    ------
    AudioError
        Where it cannot be opened.
    """
    with open_regular(path, AudioError) as file:
        return VERSIONS | (media.version() if kind_of(Content(file)) in FFMPEG else {})


@dataclass(frozen=True, eq=False)
class Clip:
    """A decoded recording.

    Attributes
    ----------
    wave : (n,) float32 at ``rate``, mono.
    flags : flags of what is wrong with it, see ``unheard.audio.flags``.
    source_rate, source_channels : sampling rate of the file in Hz, and its number of channels.
    rate : Hz.
    turns : what was said in it, the last, and before it; none where that is not known.
    """

    wave: Wave
    flags: tuple[str, ...]
    source_rate: int
    source_channels: int
    rate: int = RATE
    turns: tuple[Turn, ...] = ()

    @property
    def seconds(self) -> float:
        """Return the duration in seconds."""
        return len(self.wave) / self.rate

    @property
    def usable(self) -> bool:
        """Return whether anything can be said about it: not silent, constant, too short or non-finite."""
        return not set(self.flags) & set(UNUSABLE)


def load(
    path: str | os.PathLike[str],
    start: float | None = None,
    end: float | None = None,
    *,
    channel: int | None = None,
    allow_truncated: bool = False,
    rate: int = RATE,
) -> Clip:
    """Decode a file, or the piece of it between two times.

    Parameters
    ----------
    path : a recording in any container that is read (``unheard.audio.container``), whatever its name.
    start, end : seconds; ``None`` for the file's beginning and end.
    channel : the channel to take, counted from 0; ``None`` averages all.
    allow_truncated : take what is there of a file that ends early, flagged ``truncated``, instead of refusing it.
    rate : Hz of the waveform, resampled directly from the file's own.

    Raises
    ------
    AudioError
        Where the file is missing, unreadable, no audio, truncated or out of bounds (1-768 kHz, 64 channels,
        24 hours), holds more than ``MOST_SAMPLES``, or lacks the piece or the channel. Silent, constant, very
        short and non-finite recordings come back with a flag; ``check_trainable`` refuses them.
    """
    with opened(path) as source:
        check_source(source, channel, allow_truncated)
        return _decode(source, start, end, channel, allow_truncated, checked_rate(rate))


def duration(path: str | os.PathLike[str]) -> float | None:
    """Return the seconds that a file's header promises; None where it promises nothing.

    Raises
    ------
    AudioError
        Where the file is missing, unreadable, no audio or out of bounds.
    """
    with opened(path) as source:
        frames = source.promised or source.frames
        return None if frames is None else frames / source.rate


def channels(path: str | os.PathLike[str]) -> int:
    """Return the number of channels of a file; errors are those of :func:`duration`."""
    with opened(path) as source:
        return source.channels


def from_samples(
    samples: NDArray[np.floating], rate: int, channel: int | None = None, *, target: int = RATE
) -> Clip:
    """Make a clip of samples that are already decoded, with the same flags as ``load``.

    Parameters
    ----------
    samples : (n,) or (n, channels) floats, full scale ±1.
    rate : Hz.
    channel : the channel to take, counted from 0; ``None`` averages all.
    target : Hz of the clip's waveform.

    Raises
    ------
    AudioError
        Where shape, type or rate are out of bounds.
    """
    values = np.asarray(samples)
    if values.dtype.kind != "f":
        raise AudioError(f"samples are {values.dtype}; give floats, full scale ±1 (16-bit integers / 32768)")
    if values.ndim not in (1, 2) or values.size == 0:
        raise AudioError(f"samples have shape {values.shape}; expected (n,) or (n, channels), n at least 1")
    values = values.reshape(len(values), -1)
    channels = values.shape[1]
    if channels > len(values) and channels > MAX_CHANNELS:
        raise AudioError(
            f"samples have shape {values.shape}, which is {channels} channels; expected (n,) or (n, channels): "
            "transpose them (samples.T)"
        )
    rate, target = checked_rate(rate), checked_rate(target)
    check_bounds(rate, channels, len(values))
    check_channel(channel)
    if channel is not None and channel >= channels:
        raise AudioError(f"the samples have no channel {channel}; they have {channels}, counted from 0")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is flagged
        block = values.astype(np.float32)
    meter = Meter()
    wave = _mono_wave([block], rate, target, channel, meter)
    flags = meter.flags(wave, len(values) / rate, target) + channel_flags(channels, channel)
    return Clip(wave, flags, rate, channels, target)


def check_trainable(clip: Clip) -> None:
    """Refuse a recording from which nothing can be learnt.

    Raises
    ------
    AudioError
        Where the clip is flagged silent, constant, too short or non-finite.
    """
    reasons = {
        "non_finite": "holds NaN or infinite samples",
        "cancelled": "has channels that cancel each other (take one of them: the column or option `channel`)",
        "silent": "is silent (nothing above -90 dB of full scale)",
        "constant": "has the same value throughout",
        "too_short": f"lasts {clip.seconds:.3f} s, shorter than 0.1 s",
    }
    found = [reasons[flag] for flag in UNUSABLE if flag in clip.flags]
    if found:
        raise AudioError(f"the recording {' and '.join(found)}; leave it out or record it again")


def mono_blocks(
    decoded: Iterable[Wave], rate: int, target: int, channel: int | None, meter: Meter
) -> Iterator[Wave]:
    """Take one channel or the mean of all, at the target rate, and let the meter hear it on the way."""
    resampler = Resampler(rate, target)
    some = False
    for block in decoded:
        used = meter.clean(block if channel is None else block[:, channel : channel + 1])
        mono = used[:, 0].copy() if used.shape[1] == 1 else used.mean(axis=1)
        meter.mono(mono)
        some = True
        yield resampler.add(mono)
    if some:
        yield resampler.end()


def check_channel(channel: object) -> None:
    """Refuse what is no number of a channel; None stands for the mean of all.

    Raises
    ------
    AudioError
        Neither None nor a whole number from 0 on.
    """
    whole = isinstance(channel, numbers.Integral) and not isinstance(channel, bool)
    if channel is not None and not (whole and channel >= 0):  # type: ignore[operator]
        raise AudioError(
            f"channel {channel!r}, expected a whole number, counted from 0, or None for the mean of all"
        )


def check_source(source: Decoder, channel: int | None, allow_truncated: bool) -> None:
    """Refuse a file without that channel, and one that is cut where that is not allowed."""
    check_channel(channel)
    if channel is not None and channel >= source.channels:
        raise AudioError(f"has no channel {channel}; it has {source.channels}, counted from 0")
    if source.cut and not allow_truncated:
        raise _truncated(source.frames or 0, source.promised, source.rate)


def check_end(
    source: Decoder, first: int, expected: int | None, allow_truncated: bool, end: float | None = None
) -> bool:
    """Return whether decoding ended before it should have; refused where that is not allowed.

    Refused, too, where nothing was decoded from the ``first`` sample on.
    """
    short = expected is not None and source.place < expected - source.slack * source.rate
    if short and source.frames is None:
        raise AudioError(f"ends at {source.place / source.rate:.3f} s, before the piece does ({end:.3f} s)")
    if short and not allow_truncated:
        raise _truncated(source.place, source.promised or source.frames, source.rate)
    if source.place <= first:
        raise AudioError("holds no samples; copy it again from its source")
    return short


def _decode(
    source: Decoder,
    start: float | None,
    end: float | None,
    channel: int | None,
    allow_truncated: bool,
    rate: int,
) -> Clip:
    first, last = _piece(source, start, end)
    meter = Meter(source.subtype)
    wave = _mono_wave(source.blocks(first, last), source.rate, rate, channel, meter)
    short = check_end(source, first, last if last is not None else source.frames, allow_truncated, end)
    flags = meter.flags(wave, (source.place - first) / source.rate, rate)
    flags += channel_flags(source.channels, channel)
    flags += ("truncated",) if short or source.cut else ()
    return Clip(wave, flags, source.rate, source.channels, rate)


def _piece(source: Decoder, start: float | None, end: float | None) -> tuple[int, int | None]:
    """Return the first sample of the piece and the one after its last, ``None`` for the end of the file."""
    begin = 0.0 if start is None else start
    if not 0 <= begin < (LONGEST if end is None else min(end, LONGEST)):
        raise AudioError(f"start {start} and end {end}: not a piece of time in seconds")
    first = round(begin * source.rate)
    last = None if end is None else round(min(end, LONGEST) * source.rate)
    if source.frames is not None:
        there = f"the file lasts {source.frames / source.rate:.3f} s"
        if first and first >= source.frames:
            raise AudioError(f"the piece starts at {begin:.3f} s, but {there}; is its row right?")
        if last is not None and last > source.frames:
            if last > source.frames + SLACK * source.rate and not source.cut:
                raise AudioError(f"the piece ends at {end:.3f} s, but {there}; is its row right?")
            last = source.frames
    return first, last


def _mono_wave(decoded: Iterable[Wave], rate: int, target: int, channel: int | None, meter: Meter) -> Wave:
    wave: Wave = np.empty(0, np.float32)
    for block in mono_blocks(decoded, rate, target, channel, meter):
        place = len(wave)
        if place + len(block) > MOST_SAMPLES:
            hours = MOST_SAMPLES / target / 3600
            raise AudioError(
                f"more than {hours:.1f} h, which is all that is taken at once; name a piece (start and end), "
                "or predict it step by step, by a timeline"
            )
        # Where it stands, so that it is in memory once and not twice.
        wave.resize(place + len(block), refcheck=False)
        wave[place:] = block
    meter.check_scale()
    if meter.scale != 1.0:
        wave /= np.float32(meter.scale)
    return wave


def channel_flags(channels: int, channel: int | None) -> tuple[str, ...]:
    """Return the flag that says what was made of several channels."""
    if channels == 1:
        return ()
    return ("several_channels",) if channel is None else ("one_of_channels",)


def _truncated(decoded: int, promised: int | None, rate: int) -> AudioError:
    seconds = (promised or 0) / rate
    said = f"{seconds:.3f} s" if seconds < 3600 else f"the {seconds / 3600:.1f} h that its header says"
    of = "an unknown length" if promised is None else said
    return AudioError(
        f"truncated: {decoded / rate:.3f} of {of}; copy it again from its source, "
        "or allow truncated files to take what is there"
    )
