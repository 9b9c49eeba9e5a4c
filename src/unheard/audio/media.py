"""The sound of videos and of compressed recordings, decoded by PyAV where it is installed (extra ``media``).

FFmpeg, which PyAV brings along, is given an open file and the one format that its first bytes say: it opens
nothing else, neither files nor addresses. Only the first track of sound is decoded.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from unheard.audio.container import FFMPEG, Kind
from unheard.errors import AudioError

if TYPE_CHECKING:
    import av

SLACK = 0.2  # seconds by which tracks are shorter than their headers say: what encoders put before the sound
SOME = 1 << 15  # samples of all channels together that a block has at least

Wave = NDArray[np.float32]


def installed() -> bool:
    """Return whether PyAV is there."""
    return importlib.util.find_spec("av") is not None


def version() -> dict[str, str]:
    """Return what decides about the samples besides the file; nothing where PyAV is not installed."""
    return {"av": metadata.version("av")} if installed() else {}


class MediaSource:
    """An open file whose first track of sound PyAV decodes; attributes as of ``unheard.audio.source.Source``.

    Parameters
    ----------
    file
        The open file.
    kind
        Its container, one of ``FFMPEG``.

    Raises
    ------
    AudioError
        It holds no sound, or nothing in it decodes.
    """

    slack = SLACK

    def __init__(self, file: BinaryIO, kind: Kind) -> None:
        import av

        self._error = av.error.FFmpegError
        try:
            self._container = av.open(file, "r", format=FFMPEG[kind], metadata_errors="ignore")
        except (self._error, ValueError) as error:
            raise AudioError(
                f"truncated or damaged {kind} ({_words(error)}); copy it again from its source"
            ) from error
        try:
            if not self._container.streams.audio:
                raise AudioError(f"{kind} without sound")
            self._track = self._container.streams.audio[0]
            self._resampler = av.AudioResampler(format="flt")
            self._waves = self._decoded()
            self._first = next(self._waves, None)
        except BaseException:
            self._container.close()
            raise
        if self._first is None:
            self._container.close()
            raise AudioError(f"truncated: no sound in this {kind} decodes; copy it again from its source")
        self.subtype = self._track.codec_context.name
        self.promised = self.frames = self._promise(kind)
        self.cut = False
        self.place = 0

    def check(self) -> None:
        """Refuse nothing more."""

    def blocks(self, first: int, last: int | None) -> Iterator[Wave]:
        """Decode the samples from ``first`` up to ``last``, or to the end; ``place`` says how far that went.

        What lies before is decoded, too: no format of these can be entered at a sample.

        Yields
        ------
        (n, channels) float32.
        """
        waiting: list[Wave] = []
        for wave in self._all():
            before = self.place
            self.place += len(wave) if last is None else min(len(wave), last - before)
            wave = wave[max(0, first - before) : self.place - before]
            if len(wave):
                waiting.append(wave)
            if sum(each.size for each in waiting) >= SOME:
                yield np.concatenate(waiting)
                waiting = []
            if self.place == last:
                break
        if waiting:
            yield np.concatenate(waiting)

    def close(self) -> None:
        """Close FFmpeg's handle."""
        self._container.close()

    def _all(self) -> Iterator[Wave]:
        if self._first is not None:
            yield self._first
            self._first = None
        yield from self._waves

    def _decoded(self) -> Iterator[Wave]:
        """Yield (n, channels) float32 to the end, or to where decoding fails."""
        some = False
        try:
            for packet in self._container.demux(self._track):
                for frame in packet.decode():
                    for wave in self._samples(frame):
                        some = True
                        yield wave
        except (self._error, ValueError) as error:
            if not some or self.frames is None:
                raise AudioError(
                    f"decoding fails ({_words(error)}); copy it again from its source"
                ) from error

    def _samples(self, frame: av.AudioFrame) -> Iterator[Wave]:
        rate, channels = frame.sample_rate, frame.layout.nb_channels
        if not hasattr(self, "rate"):
            self.rate, self.channels = rate, channels
        if (rate, channels) != (self.rate, self.channels):
            raise AudioError("changes its sampling rate or its channels on the way; convert it first")
        for each in self._resampler.resample(frame):
            yield np.array(each.to_ndarray(), dtype=np.float32).reshape(-1, channels)

    def _promise(self, kind: Kind) -> int | None:
        """Return the samples that the header promises of this track; None where it speaks of all or of none."""
        alone = len(self._container.streams) == 1
        told = kind is Kind.MP4 or (alone and kind in (Kind.MATROSKA, Kind.FLV))
        if not told or self._track.duration is None or self._track.time_base is None:
            return None
        return max(0, int(self._track.duration * self._track.time_base * self.rate))


def _words(error: Any) -> str:
    return getattr(error, "strerror", None) or str(error)
