"""Frames of a video, decoded by PyAV one after the other, upright and in time with the sound of the same file.

Times are seconds on the clock of the sound: 0 is where the first sample of the first track of sound is presented,
as FFmpeg tells it, so that a piece of a file means the same in both. A video without sound begins with its first
frame. FFmpeg is given an open file and the one format that its first bytes say; it opens nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unheard.audio.container import FFMPEG, Kind, kind_of
from unheard.audio.content import Content
from unheard.errors import DataError, need
from unheard.files import open_regular

if TYPE_CHECKING:
    import av

#: Pixels of a frame, of 8K television: more are refused.
MAX_PIXELS = 7680 * 4320
#: The longer side of a frame as it is given: larger ones are made smaller.
LONGEST_SIDE = 1280
#: Seconds of a video, and frames a second that can be asked for.
MAX_SECONDS, MAX_RATE = 24 * 3600.0, 240.0
#: Seconds by which pictures may end before their header says: the last frame of many files does not decode.
SLACK = 0.5
#: Containers of FFmpeg that may hold pictures.
WITH_PICTURES = {kind: FFMPEG[kind] for kind in (Kind.MP4, Kind.MATROSKA, Kind.FLV, Kind.AVI)}

Image = NDArray[np.uint8]


class Frame(NamedTuple):
    """A picture at a time in seconds: (height, width, 3) uint8, red, green and blue."""

    time: float
    image: Image


class _Shown(NamedTuple):
    """A decoded frame, when it is shown and until when."""

    time: float
    end: float
    frame: av.VideoFrame
    stretch: float

    def image(self) -> Image:
        """Return it as it is to be seen: in square pixels, turned upright, not larger than needed."""
        width, height = self.frame.width * self.stretch, float(self.frame.height)
        smaller = min(1.0, LONGEST_SIDE / max(width, height))
        image = self.frame.to_ndarray(
            format="rgb24", width=max(1, round(width * smaller)), height=max(1, round(height * smaller))
        )
        return np.ascontiguousarray(np.rot90(image, round(self.frame.rotation / 90)))


@dataclass(frozen=True)
class Video:
    """A stretch of a video, which is decoded when its frames are asked for.

    Parameters
    ----------
    path
        Place of the file.
    start, end
        Seconds on the clock of the sound; None stands for the file's own ends.
    allow_truncated
        Whether what is there of a file that ends early is taken.
    """

    path: str
    start: float | None = None
    end: float | None = None
    allow_truncated: bool = False

    def frames(self, rate: float | None = None) -> Iterator[Frame]:
        """Yield frames upright, with square pixels, the longer side at most 1280 pixels.

        Parameters
        ----------
        rate
            Frames a second: at each of these times, counted from the start, the frame that is shown then. One that
            is shown at several of them comes several times, as the same array. None: each frame once, at its own
            time.

        Raises
        ------
        DataError
            No video, no picture in it, nothing that decodes, less than its header promises, or beyond bounds. The
            message does not name the file.
        MachineError
            PyAV is not installed.
        """
        if rate is not None and not 0 < rate <= MAX_RATE:
            raise DataError(
                f"{rate:g} frames a second are asked for, expected more than 0 and at most {MAX_RATE:g}"
            )
        with _opened(self.path) as container:
            shown = self._cut(self._shown(container))
            if rate is None:
                yield from (Frame(one.time, one.image()) for one in shown)
            else:
                yield from _sampled(shown, self.start or 0.0, rate)

    def seconds(self) -> float:
        """Return how many seconds it lasts by its header; 0 where that is not known."""
        first = self.start or 0.0
        if self.end is not None:
            return max(0.0, self.end - first)
        try:
            with _opened(self.path) as container:
                return max(0.0, (container.duration or 0) / 1e6 - first)
        except DataError:
            return 0.0

    def _shown(self, container: Any) -> Iterator[_Shown]:
        """Yield the frames in the order in which they are shown."""
        track = container.streams.video[0]
        tick = float(track.time_base)
        usual = float(1 / Fraction(track.average_rate)) if track.average_rate else 0.04
        stretch = float(track.sample_aspect_ratio or 1)
        origin = _origin(container)
        waiting: _Shown | None = None
        for frame in _decoded(container, track):
            ticks = frame.pts if frame.pts is not None else frame.dts
            time = (waiting.end if waiting else 0.0) if ticks is None else ticks * tick - origin
            if waiting is not None:
                if time <= waiting.time:
                    continue  # a time that goes back says nothing
                yield waiting._replace(end=time)
            waiting = _Shown(time, time + usual, frame, stretch)
            if time > MAX_SECONDS:
                raise DataError(f"more than {MAX_SECONDS / 3600:.0f} h of video; cut it into shorter files")
        if waiting is None:
            raise DataError("truncated: no picture in it decodes; copy it again from its source")
        yield waiting
        if track.duration and not self.allow_truncated:
            promised = (track.duration + (track.start_time or 0)) * tick - origin
            if waiting.end < promised - SLACK:
                raise DataError(
                    f"truncated: {waiting.end:.2f} of {promised:.2f} s of picture; copy it again from its source"
                )

    def _cut(self, shown: Iterator[_Shown]) -> Iterator[_Shown]:
        """Yield what is shown within the piece."""
        first, last = self.start or 0.0, self.end
        some = False
        for one in shown:
            if last is not None and one.time >= last:
                break
            if one.end > first:
                some = True
                yield one if last is None else one._replace(end=min(one.end, last))
        if not some:
            raise DataError(f"no picture from {first:g} s" + ("" if last is None else f" to {last:g} s"))


def _sampled(shown: Iterator[_Shown], start: float, rate: float) -> Iterator[Frame]:
    """Yield what is shown at ``start + k / rate``; the first frame stands for the time shortly before it, too."""
    number = 0
    for one in shown:
        if number == 0 and one.time - start >= 1 / rate:  # the picture begins later than the sound
            number = int(np.ceil((one.time - start) * rate - 1e-6))
        image = None
        while start + number / rate < one.end - 1e-6:
            image = one.image() if image is None else image
            yield Frame(start + number / rate, image)
            number += 1


def _origin(container: Any) -> float:
    """Return when FFmpeg presents the first sample of sound, or without sound the first picture."""
    for track in (*container.streams.audio[:1], container.streams.video[0]):
        if track.start_time is not None:
            return float(track.start_time * track.time_base)
    return 0.0


def _decoded(container: Any, track: Any) -> Iterator[av.VideoFrame]:
    """Yield decoded frames to the end, or to where decoding fails after some."""
    import av

    some = False
    try:
        for packet in container.demux(track):
            for frame in packet.decode():
                _check_size(frame.width, frame.height)
                some = True
                yield frame
    except (av.error.FFmpegError, ValueError) as error:
        if not some:
            raise DataError(f"decoding fails ({_words(error)}); copy it again from its source") from error


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    """Open a file that has a picture; what FFmpeg raises becomes a DataError."""
    need("av", "video")
    import av

    with open_regular(path) as file:
        content = Content(file)
        kind = kind_of(content) if content.size else None
        if kind not in WITH_PICTURES:
            found = "has zero bytes" if not content.size else f"is {kind or 'no video'}"
            raise DataError(f"{found}; expected a video ({', '.join(WITH_PICTURES)})")
        try:
            container: Any = av.open(file, "r", format=WITH_PICTURES[kind], metadata_errors="ignore")
        except (av.error.FFmpegError, ValueError) as error:
            raise DataError(
                f"truncated or damaged {kind} ({_words(error)}); copy it again from its source"
            ) from error
        with container:
            if not container.streams.video:
                raise DataError(f"{kind} without a picture")
            track = container.streams.video[0]
            track.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
            track.codec_context.thread_count = 1
            _check_size(track.codec_context.width, track.codec_context.height)
            yield container


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise DataError(
            f"frames of {width} × {height} pixels, at most {MAX_PIXELS:,} are read; make it smaller"
        )


def _words(error: Any) -> str:
    return getattr(error, "strerror", None) or str(error)
