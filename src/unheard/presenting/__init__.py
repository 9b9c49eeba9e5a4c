"""The answers to one recording, in the forms of other programs, as a picture and as a page."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unheard.presenting.shown import Shown

#: Endings of files of which each holds one recording.
ENDINGS = (".html", ".svg", ".png", ".srt", ".vtt", ".TextGrid", ".labels.txt")


def ending(path: str | os.PathLike[str]) -> str | None:
    """Return the one of :data:`ENDINGS` that a file name has, whatever its case; None where it has none."""
    name = os.fspath(path).lower()
    return next((each for each in ENDINGS if name.endswith(each.lower())), None)


def content(shown: Shown, form: str) -> bytes:
    """Return the content of a file with one of :data:`ENDINGS`.

    Raises
    ------
    AudioError
        A picture or a page is asked for, and the sound can no longer be read.
    """
    from unheard.presenting import audacity, bitmap, captions, drawing, page, praat

    if form == ".png":
        return bitmap.png(shown)
    write = {
        ".html": page.page,
        ".svg": drawing.svg,
        ".srt": captions.srt,
        ".vtt": captions.vtt,
        ".TextGrid": praat.text_grid,
        ".labels.txt": audacity.labels,
    }
    return write[form](shown).encode()
