"""Settings of encoders that older recipes and run folders hold, in today's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def renamed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with today's family and keys; settings of today are returned as they are.

    ``efficientat`` was a family of its own, whose ``width`` is now that of the converted network.
    """
    if settings.get("name") != "efficientat":
        return dict(settings)
    return {**{key: value for key, value in settings.items() if key != "width"}, "name": "onnx"}
