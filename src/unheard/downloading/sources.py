"""Where corpora are kept, under which licence, and by what their archives are known: ``sources.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from unheard.errors import unknown
from unheard.formats import json_text


@dataclass(frozen=True)
class Archive:
    """One zip file: ``bytes`` and a digest where its owner publishes them, and bytes that it may hold unpacked."""

    name: str
    url: str
    unpacked_bytes: int
    bytes: int | None = None
    md5: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Source:
    """A corpus; ``keep`` are patterns of the files that are unpacked, ``top`` that one folder holds them all."""

    name: str
    about: str
    licence: str
    licence_url: str
    citation: str
    archives: tuple[Archive, ...]
    keep: tuple[str, ...]
    recordings: int
    top: bool = False

    @property
    def plan(self) -> list[str]:
        """Return in lines what is fetched from where, how it is checked, and under which licence."""
        lines = [self.about]
        for archive in self.archives:
            size = "size not published" if archive.bytes is None else f"{archive.bytes / 1e6:.0f} MB"
            known = "sha256" if archive.sha256 else "md5" if archive.md5 else ""
            check = (
                f"checked by its {known}" if known else "no checksum published: its recordings are counted"
            )
            lines.append(f"  from {archive.url} ({size}; {check})")
        return [*lines, f"  licence: {self.licence} ({self.licence_url})", f"  please cite: {self.citation}"]


def names() -> list[str]:
    """Return the corpora that can be fetched."""
    return list(_stored())


def source(name: str) -> Source:
    """Return a corpus by its name.

    Raises
    ------
    UsageError
        Its owner gives no way to fetch it, or there is no such corpus (with near matches).
    """
    stored = _stored()
    if name not in stored:
        raise unknown("corpus to download", name, stored)
    return read(name, stored[name])


def read(name: str, plain: Mapping[str, Any]) -> Source:
    """Return a source of plain values."""
    archives = tuple(Archive(**archive) for archive in plain["archives"])
    return Source(name, **{**plain, "archives": archives, "keep": tuple(plain["keep"])})


def _stored() -> Mapping[str, Any]:
    text = files("unheard.downloading").joinpath("sources.json").read_bytes()
    found: Mapping[str, Any] = json_text.parse(text, "sources.json")
    return found
