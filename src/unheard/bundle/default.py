"""The default model: the bundle that is installed with the package, taken where no other is named."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from unheard.bundle.manifest import MANIFEST
from unheard.errors import UsageError

#: Bytes that the default model may have.
MAX_BYTES = 16_000_000


def default_model() -> Path:
    """Return the folder of the default model; ``runtime.load`` opens it as it opens any bundle.

    Raises
    ------
    UsageError
        Where this installation has none.
    """
    folder = _place()
    if not (folder / MANIFEST).is_file():
        raise UsageError(
            "no model is installed with this copy of unheard: name a bundle with --model FOLDER (in Python "
            "model=FOLDER); `unheard export RUN --out FOLDER` makes one, and docs/default-model.md tells how the "
            f"default model is made. Looked in {folder}"
        )
    return folder


def has_default_model() -> bool:
    """Return whether a default model is installed."""
    return (_place() / MANIFEST).is_file()


def _place() -> Path:
    return Path(str(resources.files("unheard"))) / "models" / "default"
