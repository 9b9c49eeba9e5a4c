"""The medium of an extractor: what opens the clips that it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unheard.audio.medium import AudioMedium
from unheard.audio.resample import RATE
from unheard.errors import unknown
from unheard.files import FileDigests, digest
from unheard.inputs import Clip, Medium
from unheard.text.medium import TextMedium
from unheard.video.medium import VideoMedium


class IdMedium:
    """The ids of clips, for features that somebody else computed and that are looked up."""

    @property
    def name(self) -> str:
        """Return the name ``id``."""
        return "id"

    def key(self, clip: Clip) -> str:
        """Return a SHA-256 of the id."""
        return digest({"medium": self.name, "id": clip.id})

    def size(self, clip: Clip) -> float:
        """Return 0: the length is not known before the look-up."""
        return 0.0

    def open(self, clip: Clip) -> str:
        """Return the id."""
        return clip.id


#: Name of a medium to what makes it of the options of an extraction.
MEDIA: dict[str, Callable[..., Medium[Any]]] = {
    "audio": AudioMedium,
    "text": lambda *, context=0, **_: TextMedium(context),
    "video": lambda *, allow_truncated=False, digests=None, **_: VideoMedium(
        allow_truncated, digests or FileDigests()
    ),
    "id": lambda **_: IdMedium(),
}


def medium_of(name: str, *, rate: int = RATE, trim: Any = None, **options: Any) -> Medium[Any]:
    """Return a medium by its name.

    Parameters
    ----------
    name
        ``audio``, ``text``, ``video`` or ``id``.
    rate, trim
        Hz, and what of a recording's ends is cut off.
    options
        Further fields of :class:`unheard.audio.medium.AudioMedium`, or ``context`` of text.
    """
    if name not in MEDIA:
        raise unknown("medium", name, MEDIA)
    cut = tuple(trim) if isinstance(trim, list | tuple) else trim
    return MEDIA[name](rate=rate, trim=cut, **options)
