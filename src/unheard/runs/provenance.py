"""What made a run: versions, hardware, and hashes of data, code and settings."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from unheard._version import __version__
from unheard.files import digest, file_digest
from unheard.protocols.fold import Protocol
from unheard.recipes.recipe import Recipe

PACKAGES = (
    *("numpy", "scipy", "scikit-learn", "polars", "soundfile", "soxr"),
    *("onnxruntime", "torch", "lightning", "peft", "opensmile"),
)


def provenance(recipe: Recipe, protocol: Protocol, data_hash: str) -> dict[str, Any]:
    """Return plain values for ``provenance.json``."""
    return {
        "unheard": __version__,
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "hardware": {"machine": platform.machine(), "processor": _processor(), "cores": os.cpu_count()},
        "system": f"{platform.system()} {platform.release()}",
        "seeds": list(recipe.seeds),
        "threads": recipe.threads,
        "settings_hash": recipe.settings_hash,
        "protocol_hash": protocol.hash,
        "data_hash": data_hash,
        "code_hash": code_digest(),
    }


def code_digest() -> str:
    """Return the SHA-256 over the package's own source files."""
    root = Path(__file__).parents[1]
    return digest({str(p.relative_to(root)): file_digest(p) for p in sorted(root.rglob("*.py"))})


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
