"""Videos as a medium: known by the content of their files, measured by their headers, decoded when looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import metadata

from unheard.errors import DataError
from unheard.files import FileDigests, digest
from unheard.inputs import Clip, Piece
from unheard.video.frames import Video


@dataclass(frozen=True)
class VideoMedium:
    """The pictures of clips, as :class:`unheard.video.frames.Video`.

    Parameters
    ----------
    allow_truncated
        Whether what is there of a file that ends early is taken.
    digests
        Remembers what files hold: several media that share it read each file once.
    """

    allow_truncated: bool = False
    digests: FileDigests = field(default_factory=FileDigests, compare=False, repr=False)

    @property
    def name(self) -> str:
        """Return the name ``video``."""
        return "video"

    def key(self, clip: Clip) -> str:
        """Return a SHA-256 of the file's content, the piece, and the version that decodes it.

        Raises
        ------
        DataError
            The clip has no video, or it cannot be read.
        """
        piece = _piece(clip)
        return digest(
            {
                "medium": self.name,
                "content": self.digests.of(piece.path),
                "piece": [float(piece.start or 0.0), None if piece.end is None else float(piece.end)],
                "allow_truncated": self.allow_truncated,
                "av": metadata.version("av"),
            }
        )

    def size(self, clip: Clip) -> float:
        """Return how many seconds a clip lasts by its header; 0 where that is not known."""
        return 0.0 if clip.video is None else self.open(clip).seconds()

    def open(self, clip: Clip) -> Video:
        """Return the clip's video; it is decoded, and may be refused, when its frames are asked for."""
        piece = _piece(clip)
        return Video(piece.path, piece.start, piece.end, self.allow_truncated)


def _piece(clip: Clip) -> Piece:
    if clip.video is None:
        raise DataError("has no video")
    return clip.video
