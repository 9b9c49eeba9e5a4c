"""All layer-wise stores of a folder: how large they are, whether they are whole, and away with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from unheard.extraction.shard import read_index
from unheard.extraction.store import described, intact

_STORE = re.compile(r"[0-9a-f]{64}")
_OURS = re.compile(r"[0-9a-f]{32}\.shard|\.[0-9a-f]{32}\.shard\..*\.part|store\.json|\.store\.json\..*\.part")


def sizes(root: Path) -> dict[Path, tuple[str, int]]:
    """Return, for each store by its folder, what it holds in words and the bytes that it takes."""
    found = {}
    for folder in _stores(root):
        said = described(folder)
        words = "unknown content"
        if said is not None:
            model, keep = said.settings.get("model"), said.keep
            kept = "pooled" if keep.form == "pooled" else f"{keep.type} frames"
            averaged = f" averaged by {keep.average}" if keep.average > 1 else ""
            entries = said.names[0] if len(said.names) == 1 else f"{said.names[0]} … {said.names[-1]}"
            words = f"{said.settings['name']}{f' ({model})' if model else ''}, {kept}{averaged}, {entries}"
        found[folder] = (words, sum(path.stat().st_size for path in _files(folder)))
    return found


def verify(root: Path) -> int:
    """Read every shard, drop what is damaged, and return how many were."""
    damaged = 0
    for folder in _stores(root):
        for path in folder.glob("*.shard"):
            with suppress(FileNotFoundError):  # removed by another process meanwhile
                index = read_index(path, folder.name)
                if index is None or not intact(path, list(index.clips.values())):
                    path.unlink()
                    damaged += 1
    return damaged


def clear(root: Path) -> None:
    """Remove every store, and nothing that is none of ours."""
    for folder in _stores(root):
        for path in _files(folder):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty: something else is in it
            folder.rmdir()


def _stores(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if _STORE.fullmatch(path.name) and path.is_dir())


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if _OURS.fullmatch(path.name) and path.is_file())
