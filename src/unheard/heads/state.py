"""Settings and choices of a fitted head as arrays, and the head that they describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError
from unheard.files import canonical_json
from unheard.formats import json_text
from unheard.settings import construct, plain


def settings_of(head: Any) -> dict[str, Any]:
    """Return the plain values of a head's fields, its name first."""
    return {"name": head.name, **plain(head)}


def pack(head: Any) -> dict[str, NDArray[Any]]:
    """Return settings and choices as arrays of text, for a head's state."""
    return {
        "settings": np.array(canonical_json(settings_of(head))),
        "chosen": np.array(canonical_json(head.chosen_)),
    }


def unpack(cls: Any, state: Mapping[str, NDArray[Any]]) -> Any:
    """Make the head whose settings and choices :func:`pack` stored; its arrays are still to be put back."""
    try:
        settings = json_text.parse_object(str(state["settings"]), "settings")
        chosen = json_text.parse_object(str(state["chosen"]), "chosen")
    except (KeyError, DataError) as error:
        raise DataError(f"not the state of a head {cls.name!r}: {error}") from error
    if settings.get("name") != cls.name:
        raise DataError(f"this is the state of a head {settings.get('name')!r}, not of {cls.name!r}")
    head = construct(cls, settings, "head")
    head.chosen_, head.history_ = chosen, []
    return head
