"""Sounds inside a page: short, few and small, so that a page with sound can still be mailed."""

from __future__ import annotations

import base64
import io
from typing import Any

from unheard.audio.decode import load
from unheard.errors import AudioError, need

#: Recordings of one system that a page may hold, and seconds of each.
MOST, SECONDS = 10, 10.0
_RATE = 16_000


def player(path: str, start: float | None = None, end: float | None = None, name: str = "") -> Any:
    """Return an ``<audio>`` element that holds a recording as MP3 (mono, about 5 kB a second).

    Only the first ten seconds are taken. A recording that cannot be read gives the reason as text.
    """
    soundfile, markup = need("soundfile", "eval"), need("markupsafe", "eval")
    try:
        wave = load(path, start, end, allow_truncated=True, rate=_RATE).wave[: int(SECONDS * _RATE)]
    except AudioError as error:
        return str(error)
    file = io.BytesIO()
    soundfile.write(file, wave, _RATE, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.9)
    inside = base64.b64encode(file.getvalue()).decode()
    return markup.Markup(
        '<audio controls preload="none" aria-label="{}" src="data:audio/mpeg;base64,{}"></audio>'
    ).format(name, inside)
