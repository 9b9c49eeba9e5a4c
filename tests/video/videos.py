"""Small videos for the tests: pictures at given times, with sound beside them where asked for."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 48_000
#: Codecs of picture and sound by extension.
CODECS = {
    ".mp4": ("mpeg4", "aac"),
    ".flv": ("flv", "aac"),
    ".mkv": ("mpeg4", "aac"),
    ".webm": ("libvpx", "libopus"),
    ".avi": ("mpeg4", "ac3"),
}
FORMATS = {".mkv": "matroska"}


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """A picture of one colour, (height, width, 3)."""
    return np.full((size[1], size[0], 3), colour, np.uint8)


def write(
    path: Path,
    images: Sequence[np.ndarray],
    times: Sequence[float] | float,
    sound: np.ndarray | None = None,
    **options: str,
) -> Path:
    """Encode pictures, shown at these times in seconds or at so many a second, and (n,) samples of 48 kHz."""
    picture, voice = CODECS[path.suffix]
    shown = times if isinstance(times, Sequence) else [k / times for k in range(len(images))]
    with av.open(str(path), "w", format=FORMATS.get(path.suffix, path.suffix[1:]), options=options) as out:
        track = out.add_stream(picture, rate=25)
        track.height, track.width = images[0].shape[:2]
        track.pix_fmt = "yuv420p"
        track.bit_rate = 4_000_000
        track.codec_context.time_base = Fraction(1, 1000)
        heard = None if sound is None else out.add_stream(voice, rate=RATE, layout="mono")
        for image, time in zip(images, shown, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = round(1000 * time), Fraction(1, 1000)
            out.mux(track.encode(frame))
        out.mux(track.encode(None))
        if heard is not None:
            _encode(out, heard, sound)
    return path


def _encode(out: av.container.OutputContainer, track: av.AudioStream, sound: np.ndarray) -> None:
    whole = av.AudioFrame.from_ndarray(sound.astype(np.float32)[None], format="flt", layout="mono")
    whole.sample_rate = RATE
    resampler = av.AudioResampler(format=track.codec_context.format, layout="mono", rate=RATE)
    fifo = av.AudioFifo()
    for each in resampler.resample(whole):
        fifo.write(each)
    size = track.codec_context.frame_size or 1024
    while (piece := fifo.read(size, partial=True)) is not None:
        out.mux(track.encode(piece))
    out.mux(track.encode(None))


def turned(path: Path) -> Path:
    """Say in an MP4 that its picture is to be turned: its left comes to the top (ISO 14496-12, tkhd)."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44
    assert data[place : place + 4] == (1 << 16).to_bytes(4, "big")
    # (x, y) goes to (a x + c y, b x + d y) with a, b, _, c, d, _, … of this matrix.
    matrix = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30]
    data[place : place + 36] = b"".join(number.to_bytes(4, "big", signed=True) for number in matrix)
    path.write_bytes(data)
    return path
