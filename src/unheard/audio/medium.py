"""Recordings as a medium: known by the content of their files, measured by their headers, opened as waveforms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from unheard.audio.decode import Wave, check_trainable, load, versions
from unheard.audio.noise import Noise, noisy
from unheard.audio.resample import RATE, to_rate
from unheard.audio.source import opened
from unheard.audio.trim import Cut, trim
from unheard.errors import DataError, escaped
from unheard.files import FileDigests, digest
from unheard.inputs import Clip, Piece


@dataclass(frozen=True)
class AudioMedium:
    """The recordings of clips as mono waveforms, prepared in this order: speed, noise, trimming.

    Parameters
    ----------
    rate
        Hz of the waveforms. It is the extractor's, and enters no key.
    trim
        Silence is cut off both ends (``unheard.audio.trim``); None leaves it.
    allow_truncated
        Whether what is there of a file that ends early is taken.
    speed
        Times the speed and the pitch of the recording, by resampling (Ko et al. 2015, Interspeech).
    noise
        What is added; None for nothing.
    digests
        Remembers what files hold: several media that share it read each file once.
    """

    rate: int = RATE
    trim: Cut | None = None
    allow_truncated: bool = False
    speed: float = 1.0
    noise: Noise | None = None
    digests: FileDigests = field(default_factory=FileDigests, compare=False, repr=False)

    @property
    def name(self) -> str:
        """Return the name ``audio``."""
        return "audio"

    def key(self, clip: Clip) -> str:
        """Return a SHA-256 of the file's content, the piece, how it is prepared, and the versions that decode it.

        Raises
        ------
        DataError
            There is no such file, or it cannot be read.
        """
        recorded = self._recorded(clip)
        prepared: dict[str, Any] = {"decode": versions(_piece(clip).path), "speed": self.speed}
        if self.trim is not None:
            prepared["trim"] = list(self.trim) if not isinstance(self.trim, int | float) else float(self.trim)
        if self.noise is not None:
            prepared |= self.noise.key()
        return digest({"medium": self.name, **recorded, **prepared})

    def size(self, clip: Clip) -> float:
        """Return how many seconds a clip lasts by its header; 0 where that is not known."""
        piece = clip.audio
        if piece is None:
            return 0.0
        if piece.end is not None:
            return max(0.0, piece.end - (piece.start or 0.0))
        try:
            with opened(piece.path) as source:
                return max(0.0, (source.frames or 0) / source.rate - (piece.start or 0.0))
        except DataError:
            return 0.0

    def open(self, clip: Clip) -> Wave:
        """Return the waveform (n,) float32 at :attr:`rate`, full scale ±1.

        Raises
        ------
        DataError
            It cannot be decoded or learned from: silent, constant, too short, not finite. The message does not
            name the file.
        """
        piece = _piece(clip)
        try:
            decoded = load(
                piece.path,
                piece.start,
                piece.end,
                channel=piece.channel,
                allow_truncated=self.allow_truncated,
                rate=self.rate,
            )
            check_trainable(decoded)
        except DataError as error:
            raise DataError(str(error).removeprefix(f"{escaped(piece.path)}: ")) from error
        # Taken for recorded at another rate, a waveform is faster or slower, and so is its pitch.
        wave = to_rate(decoded.wave, self.rate * self.speed, self.rate)
        if self.noise is not None:
            wave = noisy(wave, self.rate, self.noise, digest(self._recorded(clip)))
        return wave if self.trim is None else trim(wave, self.trim, self.rate)

    def _recorded(self, clip: Clip) -> dict[str, Any]:
        """Return what tells the recording from others, however it is prepared."""
        piece = _piece(clip)
        return {
            "content": self.digests.of(piece.path),
            "piece": [float(piece.start or 0.0), None if piece.end is None else float(piece.end)],
            "channel": piece.channel,
            "allow_truncated": self.allow_truncated,
        }


def _piece(clip: Clip) -> Piece:
    if clip.audio is None:
        raise DataError("has no recording")
    return clip.audio
