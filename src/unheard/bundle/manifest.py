"""``manifest.json``: the SHA-256 of every file of a bundle, and the reading that trusts nothing else.

Each file is read once; the bytes that were checked are the bytes that are used.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from unheard.bundle.fields import load_json
from unheard.bundle.schema import INPUT_NAME, SCHEMA, check_version
from unheard.bundle.text_schema import TOKENIZER
from unheard.errors import BundleError, UsageError, first_five
from unheard.files import file_digest, read_bytes, write_json
from unheard.formats.printable import check_printable

MANIFEST = "manifest.json"
#: Files that every bundle has, with the number of bytes that each may have at most.
FILES = {"bundle.json": 2**22, "card.md": 2**22, "golden.npz": 2**25, "model.onnx": 2**31 - 1}
#: Files that some bundles have.
OPTIONAL = {"adaptation.npz": 2**25, "known-clips.npz": 2**28}
#: Most bytes of the file that makes tokens for an input of words, NAME.tokenizer.json.
MAX_TOKENIZER = 2**25
#: Most bytes of the graph of an encoder, NAME.onnx, of which a bundle may have several.
MAX_GRAPH = 2**31 - 1
#: What file managers put into every folder (small letters), besides names that begin with ``._``.
FOREIGN = {".ds_store", ".directory", ".localized", "desktop.ini", "thumbs.db", "ehthumbs.db", "icon\r"}


def foreign_files(folder: Path) -> list[str]:
    """Return the names of files that a file manager left in a bundle's folder; they are not opened."""
    return sorted(path.name for path in folder.iterdir() if _is_foreign(path.name))


def _is_foreign(name: str) -> bool:
    return name.lower() in FOREIGN or name.startswith("._")


def write_manifest(folder: Path) -> None:
    """Write the manifest over the files that lie in the folder."""
    names = sorted({path.name for path in folder.iterdir()} - {MANIFEST, *foreign_files(folder)})
    digests = {name: file_digest(folder / name) for name in names}
    write_json(folder / MANIFEST, {"schema": SCHEMA, "files": digests})


def read_verified(folder: Path) -> dict[str, bytes]:
    """Read every file of a bundle, name to bytes; what a file manager left there is not opened.

    Raises
    ------
    UsageError
        There is no such folder.
    BundleError
        No bundle, a newer schema, a name that leaves the folder, or a missing, extra, linked, oversized or
        altered file.
    """
    if not os.path.exists(folder):  # noqa: PTH110 - Path.exists raises where a name is too long
        raise UsageError(f"{folder}: no such bundle folder")
    if not folder.is_dir():
        raise BundleError(f"{folder}: not the folder of a bundle but a file")
    listed = listed_files(folder)
    there = {path.name: path for path in folder.iterdir()}
    extra = sorted(there.keys() - listed.keys() - {MANIFEST, *foreign_files(folder)})
    if extra:
        raise BundleError(
            f"{folder}: not listed in {MANIFEST}: {first_five(extra)}; a bundle holds nothing else"
        )
    missing = sorted((listed.keys() | FILES.keys()) - there.keys())
    if missing:
        raise BundleError(f"{folder}: missing: {first_five(missing)}; copy the whole bundle again")
    files = {}
    for name, digest in listed.items():
        most = MAX_TOKENIZER if name.endswith(TOKENIZER) else MAX_GRAPH
        data = _bytes(there[name], (FILES | OPTIONAL).get(name, most))
        found = hashlib.sha256(data).hexdigest()
        if found != digest:
            raise BundleError(
                f"{folder / name} was altered: its SHA-256 begins {found[:12]}, {MANIFEST} says {digest[:12]}; "
                "copy the bundle again"
            )
        files[name] = data
    check_card(files["card.md"])
    return files


def check_card(data: bytes) -> None:
    """Refuse a card that is no text, or that would change a terminal on which it is shown."""
    try:
        check_printable(data.decode("utf-8"), allowed="\n\t")
    except UnicodeDecodeError as fault:
        raise BundleError(f"card.md: not UTF-8 (byte {fault.start})") from fault
    except ValueError as fault:
        raise BundleError(f"card.md: {fault}, which it may not hold") from fault


def listed_files(folder: Path) -> dict[str, str]:
    """Return the file names and digests that the manifest lists."""
    path = folder / MANIFEST
    if not path.exists():
        raise BundleError(f"{folder}: no {MANIFEST}, so this is no bundle (unheard export makes one)")
    manifest = load_json(_bytes(path, 2**20), MANIFEST)
    check_version(manifest.get("schema"), MANIFEST)
    listed = manifest.get("files")
    if not isinstance(listed, dict) or not all(isinstance(digest, str) for digest in listed.values()):
        raise BundleError(f"{path}: 'files' must map names to SHA-256 digests")
    outside = [name for name in listed if Path(name).name != name or "\\" in name or name in ("", ".", "..")]
    if outside:
        raise BundleError(f"{path} lists a path that leaves the folder: {first_five(map(repr, outside))}")
    unknown = sorted(name for name in listed if name not in FILES | OPTIONAL and not _is_input(name))
    if unknown:
        raise BundleError(f"{path} lists files that no bundle has: {first_five(unknown)}")
    return listed


def _is_input(name: str) -> bool:
    """Return whether a file is of an encoder: its graph, or what makes tokens for it."""
    return any(
        name.endswith(ending) and INPUT_NAME.fullmatch(name.removesuffix(ending)) is not None
        for ending in (".onnx", TOKENIZER)
    )


def _bytes(path: Path, most: int) -> bytes:
    # A link could lead anywhere.
    if path.is_symlink():
        raise BundleError(f"{path}: not a file but a link, expected a regular file")
    return read_bytes(path, most, BundleError)
