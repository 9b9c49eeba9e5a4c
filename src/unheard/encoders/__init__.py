"""Pretrained networks, frozen: waveforms or texts in, the frames of every layer out; one file a family.

An encoder sees the clip and nothing else: no label, no speaker, no fold. What it is made of is said by plain
settings, such as ``{"name": "wavlm", "model": "microsoft/wavlm-large", "cut": 12}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from unheard.encoders import families
from unheard.encoders.contract import WEIGHTS, Encoder, Export, Layers, Wave, is_random, top_layer
from unheard.encoders.old_names import renamed
from unheard.errors import DataError, UsageError
from unheard.settings import construct, identity, named, plain, resolve

__all__ = [
    "ENCODERS",
    "WEIGHTS",
    "Encoder",
    "Export",
    "Layers",
    "LazyEncoder",
    "Wave",
    "checked",
    "chosen",
    "is_random",
    "key",
    "load",
    "tunable",
    "version",
]

#: Name of a family to its module (``unheard.encoders.families`` says what it holds). A module that is put next to
#: them is found; it is imported when its family is named.
ENCODERS = {module.name: f"{families.__name__}.{module.name}" for module in iter_modules(families.__path__)}


def tunable() -> list[str]:
    """Return the names of the families whose networks can be trained together with a head."""
    return [name for name, module in ENCODERS.items() if import_module(module).Options.tunable]


def checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings in full, defaults included; nothing is opened.

    Raises
    ------
    UsageError
        Unknown family or key (with near matches), or a value that does not fit.
    """
    settings = renamed(settings)
    options, _ = _options(settings)
    return {"name": settings["name"], **plain(options)}


def load(settings: Mapping[str, Any]) -> Encoder:
    """Find the model, read its configuration and weights, and return the encoder.

    Raises
    ------
    UsageError
        Unknown family, key or model name (with near matches); no ``model``; a cut above the last layer.
    DataError
        A folder without weights, weights that do not fit their configuration or hold NaN, no declared rate, or
        another digest than ``sha256``.
    MachineError
        A gated model without token, no network, no such device, a package that is not installed.
    """
    settings = renamed(settings)
    options, module = _options(settings)
    if not options.model and options.weights != "random":
        raise UsageError(
            f"encoder {settings['name']!r}: no weights are named; give a folder, a file or a hub name as "
            "encoder.model (--weights on the command line)"
        )
    encoder: Encoder = module.load(options)
    found = encoder.settings["sha256"]
    if options.sha256 not in ("", found):
        raise DataError(
            f"{options.model or settings['name']}: sha256 of weights and configuration is {found}, expected "
            f"{options.sha256}; this is another model, or another version of it"
        )
    if encoder.medium != "audio" and options.trim is not None:
        raise UsageError(f"encoder.trim is for audio, and {options.model} takes {encoder.medium}")
    cut = top_layer(options.cut, len(encoder.layers) - 1, options.model)
    encoder.layers = encoder.layers[: cut + 1]
    # Said in full: the whole network and one cut at its last layer are the same, and so is what they store.
    encoder.settings = {"name": settings["name"], **plain(options), **encoder.settings, "cut": cut}
    return encoder


def key(settings: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what an encoder's output depends on: settings with ``sha256``, and code versions.

    Where the weights lie does not matter; their content does, so settings without ``sha256`` have no key.
    """
    settings = renamed(settings)
    if not settings.get("sha256"):
        raise UsageError("encoder.sha256 is empty: load the encoder and take its settings")
    return identity(chosen(settings), version(settings))


def chosen(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the name of an encoder and the settings that differ from their defaults, in plain values."""
    options, _ = _options(settings)
    return named(settings, options)


def version(settings: Mapping[str, Any]) -> int:
    """Return the version of the code that computes an encoder's family."""
    found: int = resolve(ENCODERS, settings, "encoder").VERSION
    return found


class LazyEncoder:
    """An encoder by its settings, loaded when it is first needed and never twice: what a run hands around.

    Parameters
    ----------
    settings
        As :func:`load` takes them. With ``sha256`` and ``cut`` among them, what is stored needs no weights.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = checked(settings)
        self._encoder: Encoder | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Settings in full; ``sha256`` and ``cut`` may be missing until it is loaded."""
        return self._settings if self._encoder is None else self._encoder.settings

    @property
    def medium(self) -> str | None:
        """Name of the medium that it takes; None where it has to be loaded to know."""
        if self._encoder is not None:
            return self._encoder.medium
        options, _ = _options(self._settings)
        medium: str | None = options.medium
        return medium

    @property
    def is_known(self) -> bool:
        """Whether the settings say which weights and layers they mean, so that what is stored can be found."""
        return bool(self.settings["sha256"]) and self.settings["cut"] is not None and self.medium is not None

    def load(self) -> Encoder:
        """Return the encoder; see :func:`unheard.encoders.load` for the errors."""
        if self._encoder is None:
            self._encoder = load(self._settings)
        return self._encoder


def _options(settings: Mapping[str, Any]) -> tuple[Any, Any]:
    module = resolve(ENCODERS, settings, "encoder")
    return construct(module.Options, settings, "encoder"), module
