"""Times in tables: seconds, or what pandas writes for a duration (``0 days 00:00:01.5``, ``NaT``)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

_DURATION = re.compile(r"(?:(\d+) days?)?\s*(?:\+?(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?))?", re.ASCII)


def in_seconds(cell: Any) -> Any:
    """Return the seconds of a duration, None for ``NaT``, and whatever else a cell holds as it is.

    >>> in_seconds("0 days 00:01:02.500000")
    62.5
    """
    if isinstance(cell, timedelta):
        return cell.total_seconds()
    if not isinstance(cell, str):
        return cell
    text = cell.strip()
    found = _DURATION.fullmatch(text)
    if text == "NaT":
        return None
    if not text or not found:
        return cell
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
