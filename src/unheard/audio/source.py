"""An audio file opened for decoding in blocks, with its header checked before anything is allocated.

This is the one way to open a recording. The file is recognised by its content, not its name. What it holds may
still be less, or more, than its header says: ``Source.blocks`` stops where the audio does, and at the longest
duration allowed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from shlex import quote
from typing import BinaryIO, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from unheard.audio import media, mpeg
from unheard.audio.container import FFMPEG, Container, container
from unheard.audio.content import Content, Mended
from unheard.audio.quiet import quiet
from unheard.errors import AudioError, escaped
from unheard.files import open_regular

RATES = (1_000, 768_000)  # Hz
MAX_CHANNELS = 64
LONGEST = 24 * 3600  # seconds
SLACK = 0.1  # seconds: tables round times, and MP3 encoders and decoders disagree about a frame or two
BLOCK = 1 << 17  # samples of all channels together, decoded at a time

Wave = NDArray[np.float32]
_UNKNOWN = 1 << 62  # libsndfile says about 2^63 frames where a FLAC header leaves their number open,
_BAD_SEEK = 39  # and fails so behind the last of them
_UNSEEKABLE = 40


class Decoder(Protocol):
    """What decodes an open file; attributes as of :class:`Source`."""

    rate: int
    channels: int
    subtype: str
    frames: int | None
    cut: bool
    promised: int | None
    place: int

    @property
    def slack(self) -> float:
        """Return by how many seconds it may end before its header says."""

    def check(self) -> None:
        """Refuse what cannot be read rightly."""

    def blocks(self, first: int, last: int | None) -> Iterator[Wave]:
        """Decode the samples from ``first`` up to ``last``, (n, channels) float32 each, or to the end."""

    def close(self) -> None:
        """Close what the library holds."""


class Source:
    """An open file that libsndfile decodes.

    Attributes
    ----------
    rate : Hz.
    channels : their number.
    subtype : libsndfile's name for the form of its samples.
    frames : samples a channel that libsndfile finds; ``None`` where the header leaves that open.
    cut : whether the container promises more than the file holds.
    promised : samples a channel that it promises; ``None`` where that is not known.
    place : position of decoding, in samples a channel from the beginning.
    """

    def __init__(self, file: BinaryIO, content: Content, found: Container, convert: str) -> None:
        self._content = content
        part = found.part
        self.cut = part is None or part < 1
        # A number instead of a name: libsndfile then looks at the content alone.
        read = file.fileno() if found.mended is None else Mended(self._content, *found.mended)
        try:
            with quiet():
                self._sound = soundfile.SoundFile(read, closefd=False)
        except soundfile.LibsndfileError as error:
            reason = error.error_string.rstrip(".")
            raise AudioError(
                f"truncated: nothing in it decodes ({reason}); copy it again from its source"
                if self.cut
                else f"not audio that libsndfile can read ({reason}); convert it first, for instance `{convert}`"
            ) from error
        self.rate: int = self._sound.samplerate
        self.channels: int = self._sound.channels
        self.subtype: str = self._sound.subtype
        self.frames: int | None = self._sound.frames if self._sound.frames < _UNKNOWN else None
        self.promised = None if self.frames is None or not part else round(self.frames / part)
        if self.subtype.startswith("MPEG") and self.frames is not None:
            # There libsndfile reports what the file's own tag promises.
            self.promised, self.frames = self.frames, round(self.frames * (part or 0))
        self.place = 0
        self._failed = False

    @property
    def slack(self) -> float:
        """Return 0.1 s for MP3, about whose ends encoders and decoders disagree, else 0."""
        return SLACK if self.subtype.startswith("MPEG") else 0.0

    def check(self) -> None:
        """Refuse an MP3 whose end libsndfile would leave out in silence."""
        if self.subtype != "MPEG_LAYER_III" or self.promised is None:
            return
        length = 0.0 if mpeg.tag(self._content) else mpeg.counted_samples(self._content) / self.rate
        if self.promised / self.rate < length - 0.1:
            raise AudioError(
                f"an MP3 of {length:.1f} s and varying bit rate without a length tag, of which libsndfile reads "
                f"only {self.promised / self.rate:.1f} s; convert it to another format"
            )

    def blocks(self, first: int, last: int | None) -> Iterator[Wave]:
        """Decode the samples from ``first`` up to ``last``, or to the end; ``place`` says how far that went.

        Yields
        ------
        (n, channels) float32, valid until the next block.
        """
        length = max(1, BLOCK // self.channels)
        buffer = np.empty((length, self.channels), dtype=np.float32)
        ends = [last, self.promised or self.frames, LONGEST * self.rate + 1]
        limit = min(end for end in ends if end is not None)
        self._go_to(first, buffer)
        while self.place < limit and not self._failed:
            block = self._read(buffer[: limit - self.place])
            if len(block) == 0:
                break
            self.place += len(block)
            yield block
        if self.place > LONGEST * self.rate:
            raise AudioError(f"more than {LONGEST // 3600} h of audio; cut it into shorter files")

    def close(self) -> None:
        """Close libsndfile's handle."""
        with quiet():
            self._sound.close()

    def _go_to(self, first: int, buffer: Wave) -> None:
        if first == 0:
            return
        try:
            with quiet():
                self.place = self._sound.seek(first)
        except soundfile.LibsndfileError as error:
            if error.code != _UNSEEKABLE:
                raise _undecodable(error) from error
            while self.place < first and len(block := self._read(buffer[: first - self.place])):
                self.place += len(block)

    def _read(self, buffer: Wave) -> Wave:
        """Fill the buffer as far as the file goes; what was decoded before a fault is not lost."""
        buffer[:] = np.nan
        try:
            with quiet():
                block: Wave = self._sound.read(out=buffer)
            return block
        except soundfile.LibsndfileError as error:
            # soundfile does not say how much came before the fault. Only integer formats get here, without NaN.
            self._failed = True
            filled = np.flatnonzero(~np.isnan(buffer[:, 0]))
            if self.frames is None and error.code != _BAD_SEEK:
                raise _undecodable(error) from error
            return buffer[: filled[-1] + 1] if len(filled) else buffer[:0]


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Decoder]:
    """Open a file for decoding; whatever libraries raise meanwhile becomes an error that names the file.

    Raises
    ------
    AudioError
        Where it is missing, unreadable, not a regular file, empty, no audio, or out of bounds, or where decoding
        fails.
    """
    if not isinstance(path, str | os.PathLike):
        raise AudioError(
            f"expected the path of a recording, found {type(path).__name__}; write the bytes of a recording to a "
            "file, or give its samples and their rate"
        )
    name = f"{escaped(os.fspath(path))}: "
    try:
        with open_regular(path, AudioError) as file:
            source = _decoder(file, convert_line(path))
            try:
                check_bounds(source.rate, source.channels, source.promised or source.frames or 0)
                source.check()
                yield source
            finally:
                source.close()
    except AudioError as error:
        said = str(error).removeprefix(name)
        if said == "no such file" and "://" in name:
            said = "an address, and files are read: download it first"
        raise AudioError(name + said) from error
    except (OSError, ArithmeticError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AudioError(f"{name}cannot be decoded ({reason}); copy it again from its source") from error


def convert_line(path: str | os.PathLike[str]) -> str:
    """Return the command that makes a WAV of a file."""
    name = os.fsdecode(path)
    target = str(PurePath(name).with_suffix(".wav")) if PurePath(name).name else "out.wav"
    return f"ffmpeg -i {quote(name)} {quote(target if target != name else name + '.wav')}"


def _decoder(file: BinaryIO, convert: str) -> Decoder:
    content = Content(file)
    if content.size == 0:
        raise AudioError("has zero bytes; copy it again from its source")
    found = container(content, convert)
    if found.kind not in FFMPEG:
        return Source(file, content, found, convert)
    if not media.installed():
        raise AudioError(
            f"{found.kind} is read by PyAV, which is not installed: pip install 'unheard[media]', or convert it, "
            f"for instance `{convert}`"
        )
    return media.MediaSource(file, found.kind)


def checked_rate(rate: float) -> int:
    """Return a sampling rate in Hz as an int: any whole number within bounds, of whatever type of number.

    Raises
    ------
    AudioError
        It is none.
    """
    found = np.asarray(rate)
    number = float(found) if found.ndim == 0 and found.dtype.kind in "iuf" else np.nan
    if not RATES[0] <= number <= RATES[1] or number != int(number):
        raise AudioError(
            f"sampling rate {rate!r} Hz, expected a whole number from {RATES[0]} to {RATES[1]} Hz"
        )
    return int(number)


def check_bounds(rate: float, channels: int, frames: int) -> None:
    """Refuse a rate, a number of channels or a duration that no recording of speech has."""
    if not RATES[0] <= rate <= RATES[1]:
        raise AudioError(
            f"sampling rate {rate:g} Hz, expected {RATES[0]} to {RATES[1]} Hz; is the header damaged?"
        )
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(f"{channels} channels, expected 1 to {MAX_CHANNELS}; is the header damaged?")
    if frames > LONGEST * rate:
        raise AudioError(
            f"{frames / rate / 3600:.1f} h of audio by its header, at most {LONGEST // 3600} h are read; "
            "cut it into shorter files, or repair its header"
        )


def _undecodable(error: soundfile.LibsndfileError) -> AudioError:
    return AudioError(f"decoding fails ({error.error_string.rstrip('.')}); copy it again from its source")
