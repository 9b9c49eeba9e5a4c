"""Maintenance of all stores in a folder: their sizes, their verification and their removal."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from unheard.extraction.shard import read_index
from unheard.extraction.store import intact, metadata_of
from unheard.files import cache_folder

#: Folders of the cache that earlier versions wrote and that nothing reads any more.
FORMER = ("features", "layers")

_STORE = re.compile(r"[0-9a-f]{64}")
_OURS = re.compile(r"[0-9a-f]{32}\.shard|\.[0-9a-f]{32}\.shard\..*\.part|store\.json|\.store\.json\..*\.part")


def sizes(root: Path) -> dict[Path, tuple[str, int]]:
    """Return a description of the content and the size in bytes of each store, by its folder."""
    found = {}
    for folder in _stores(root):
        metadata = metadata_of(folder)
        words = "unknown content"
        if metadata is not None:
            model, names = metadata.settings.get("model"), [layer.name for layer in metadata.layers]
            layers = names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"
            called = f"{metadata.settings['name']}{f' ({model})' if model else ''}"
            words = f"{called}, {metadata.storage.words()}, {layers}"
        found[folder] = (words, sum(path.stat().st_size for path in _files(folder)))
    return found


def verify(root: Path) -> int:
    """Read every shard, remove the damaged ones, and return how many these were."""
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
    """Remove every store; files that are not of a store stay."""
    for folder in _stores(root):
        for path in _files(folder):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty: something else is in it
            folder.rmdir()


def clear_former() -> None:
    """Remove the folders that earlier versions wrote into the user's cache."""
    for name in FORMER:
        shutil.rmtree(cache_folder() / name, ignore_errors=True)


def _stores(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if _STORE.fullmatch(path.name) and path.is_dir())


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if _OURS.fullmatch(path.name) and path.is_file())
