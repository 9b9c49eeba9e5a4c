"""Settings and descriptions of encoders as older recipes, run folders and ``encoder.json`` files hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Fields of a description as they were called, and as they are; ``entry`` was the name of a layer.
_FIELDS = {"front": "frontend", "entries": "layers", "least": "min_samples", "heard": "trained_on"}


def renamed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with today's family and keys; settings of today are returned as they are.

    ``efficientat`` was a family of its own, whose ``width`` is now that of the converted network.
    """
    if settings.get("name") != "efficientat":
        return dict(settings)
    return {**{key: value for key, value in settings.items() if key != "width"}, "name": "onnx"}


def description_today(content: Any) -> Any:
    """Return the content of a description in today's words; what is no description is returned as it is."""
    return _described(content, _FIELDS, {"entry": "name"})


def description_then(content: Any) -> Any:
    """Return the content of a description in the first words, over which its digest is taken for good."""
    return _described(content, {new: old for old, new in _FIELDS.items()}, {"name": "entry"})


def _described(content: Any, fields: Mapping[str, str], of_layers: Mapping[str, str]) -> Any:
    if not isinstance(content, dict):
        return content
    made = {fields.get(key, key): value for key, value in content.items()}
    for key in ("layers", "entries"):
        if isinstance(made.get(key), list):
            made[key] = [
                {of_layers.get(name, name): value for name, value in layer.items()}
                if isinstance(layer, dict)
                else layer
                for layer in made[key]
            ]
    return made
