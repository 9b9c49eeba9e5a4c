"""Paths of a machine in a page that is meant to be shared: only their last parts are shown."""

from __future__ import annotations

import re

#: A path from the root of a machine, or from a home folder, inside a text; names with blanks end it.
_PATH = re.compile(
    r"(?<![\w./~\\:<])(?:~[\w.-]*[/\\]|/|[A-Za-z]:[/\\])(?:[^\s/\\,;:'\"()<>|]+[/\\])+[^\s,;:'\"()<>|]*"
)


def without_places(text: str) -> str:
    """Return a text in which a path keeps its last two parts: ``/home/me/Actor_01/a.wav`` → ``…/Actor_01/a.wav``.

    A text that is a path as a whole may hold blanks.
    """
    if re.match(r"(?:~[\w.-]*[/\\]|/|[A-Za-z]:[/\\])", text) and "\n" not in text and len(text) < 4096:
        return _last_parts(text) if _rooted(text) else text
    return _PATH.sub(lambda match: _last_parts(match[0]), text)


def _rooted(text: str) -> bool:
    return len(re.findall(r"[/\\]", text)) >= 2


def _last_parts(path: str) -> str:
    parts = [part for part in re.split(r"[/\\]", path) if part]
    return "/".join(["…", *parts[-2:]]) if len(parts) > 2 else "/".join(["…", *parts[-1:]])
