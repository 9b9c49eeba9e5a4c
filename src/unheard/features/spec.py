"""Features by name: settings become a spec that computes them, and a spec becomes settings and a digest again.

A spec is a frozen dataclass of plain values. Every spec that works on a waveform takes one key more, ``trim``: by
which decibels silence is cut off both ends of a recording first (``unheard.audio.trim``).
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unheard.audio.trim import Cut, limits, trim
from unheard.errors import UsageError, unknown
from unheard.files import digest
from unheard.settings import fitting

#: Module and class behind each name, and the fields that the name itself decides.
SPECS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "logmel": ("unheard.features.logmel", "LogMel", {}),
    "mfbf0": ("unheard.features.mfbf0", "MFBF0", {}),
    "functionals": ("unheard.features.functionals", "Functionals", {}),
    "egemaps": ("unheard.features.opensmile", "OpenSmile", {"set": "egemaps"}),
    "compare": ("unheard.features.opensmile", "OpenSmile", {"set": "compare"}),
    "precomputed": ("unheard.features.precomputed", "Precomputed", {}),
}

#: Fields that came later and their defaults: settings name what differs, so that digests stay as they were.
LATER: dict[str, dict[str, Any]] = {"functionals": {"hop": 0.01}}


class Spec(Protocol):
    """What computes features."""

    @property
    def version(self) -> int | str:
        """Version of the code that computes; another one makes other cache entries."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the dimensions, in order."""
        ...

    def compute(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (frames, dims) or (dims,) of a waveform (n,) at 16 kHz."""
        ...


@dataclass(frozen=True)
class Trimmed:
    """A spec applied to what is left of a recording without the silence at its ends.

    Parameters
    ----------
    spec : what computes.
    decibels : below the loudest frame, or these and decibels above the noise.
    """

    spec: Spec
    decibels: Cut

    def __post_init__(self) -> None:
        limits(self.decibels)

    @property
    def version(self) -> int | str:
        """Version of the spec."""
        return self.spec.version

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the dimensions."""
        return self.spec.names

    @property
    def frames_per_second(self) -> float | None:
        """Frames a second, ``None`` where there is one row a recording."""
        return getattr(self.spec, "frames_per_second", None)

    def compute(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        """Trim, then compute."""
        return self.spec.compute(trim(wave, self.decibels))


def build(settings: Mapping[str, Any]) -> Spec:
    """Return the spec that settings describe.

    Parameters
    ----------
    settings : ``{"name": "functionals", "trim": 40}``; what is not said takes its default.

    Raises
    ------
    UsageError
        Where a name or key is unknown or a value is of the wrong kind or out of bounds.
    """
    given = dict(settings)
    name = given.pop("name", None)
    if name is None:
        raise UsageError(f"features need a name; choose from: {', '.join(SPECS)}")
    if name not in SPECS:
        raise unknown("features", name, SPECS)
    module, attribute, decided = SPECS[name]
    maker = getattr(import_module(module), attribute)
    decibels = None if name == "precomputed" else given.pop("trim", None)
    hints = typing.get_type_hints(maker)
    free = [field.name for field in fields(maker) if field.name not in decided]
    for key, value in given.items():
        if key not in free:
            raise unknown(
                f"key of the features {name!r}", key, free if name == "precomputed" else [*free, "trim"]
            )
        given[key] = fitting(value, hints[key], f"features {name!r}: {key}")
    try:
        spec: Spec = maker(**decided, **given)
    except TypeError as error:
        raise UsageError(f"features {name!r}: {error}") from error
    if decibels is None:
        return spec
    below, above = limits(decibels)
    return Trimmed(spec, below if above is None else [below, above])


def settings(spec: Spec) -> dict[str, Any]:
    """Return the settings of a spec in full, defaults included, in plain values; ``build`` makes it again.

    The defaults of ``LATER`` are left out.
    """
    inner, decibels = (spec.spec, spec.decibels) if isinstance(spec, Trimmed) else (spec, None)
    plain = asdict(typing.cast(Any, inner))
    values = {key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()}
    for name, (module, attribute, decided) in SPECS.items():
        same = (module, attribute) == (type(inner).__module__, type(inner).__qualname__)
        if same and all(values[key] == value for key, value in decided.items()):
            known = {**decided, **LATER.get(name, {})}
            own = {key: value for key, value in values.items() if key not in known or value != known[key]}
            return {"name": name, **own} if name == "precomputed" else {"name": name, "trim": decibels, **own}
    raise unknown("spec", type(inner).__qualname__, [attribute for _, attribute, _ in SPECS.values()])


def spec_hash(spec: Spec) -> str:
    """SHA-256 over the settings and the version of what computes, in hexadecimal.

    Where precomputed features lie does not matter; their content does, and is part of their settings.
    """
    kept = {key: value for key, value in settings(spec).items() if key != "path"}
    return digest({"settings": kept, "version": spec.version})
