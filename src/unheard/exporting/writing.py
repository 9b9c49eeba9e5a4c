"""A bundle's folder: written under another name, opened as its users will open it, and only then renamed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from unheard.bundle.golden import Golden
from unheard.bundle.known_clips import FILE as KNOWN_CLIPS
from unheard.bundle.manifest import MANIFEST, listed_files, write_manifest
from unheard.bundle.runtime import load
from unheard.bundle.schema import Description, to_plain
from unheard.errors import UnheardError, UsageError, first_five
from unheard.exporting.card import card
from unheard.exporting.golden import pack
from unheard.files import write_bytes, write_json, write_text
from unheard.temporary import held, part_folder


def write_bundle(
    target: Path,
    description: Description,
    files: Mapping[str, bytes],
    stored: Golden,
    *,
    force: bool = False,
) -> Path:
    """Write a bundle into the folder ``target`` and return it.

    Parameters
    ----------
    files
        File name to bytes: the graphs (``model.onnx``, ``NAME.onnx`` of an input), and ``adaptation.npz`` where
        inputs are standardised by speaker.
    force
        Replace an older bundle. A folder with anything else in it is never touched.

    Raises
    ------
    UsageError
        ``target`` exists, or the description holds what JSON does not.
    BundleError
        The bundle cannot be opened, or does not give its own golden outputs.
    """
    check_target(target, force)
    with part_folder(target) as part:
        _write(part, description, files, stored)
        # Whatever a user's machine would refuse is refused here first.
        load(part)
        part.chmod(0o755)
        _put(part, target)
    return target


def check_target(target: Path, force: bool) -> None:
    """Refuse an existing folder, with ``force`` unless it is a bundle and nothing else, or empty.

    Where a process was killed while it replaced a bundle, the older one comes back, or goes if it has a successor.
    """
    aside = _aside(target)
    with suppress(OSError, UnheardError), held(aside):
        if target.exists():
            _remove(aside)
        else:
            aside.rename(target)
    if not target.exists() and not target.is_symlink():
        return
    if not force:
        raise UsageError(f"{target} exists; choose another name or give --force (force=True in Python)")
    if target.is_symlink() or not target.is_dir():
        raise UsageError(f"{target} is not a folder; choose another name")
    there = sorted(path.name for path in target.iterdir())
    if not there:
        return
    try:
        ours = {MANIFEST, *listed_files(target)}
    except UnheardError as error:
        raise UsageError(f"{target} is not a bundle, so it is not replaced: {error}") from error
    strange = [name for name in there if name not in ours]
    if strange:
        raise UsageError(
            f"{target} holds what no bundle has ({first_five(strange)}), so it is not replaced; "
            "choose another name"
        )


def _write(folder: Path, description: Description, files: Mapping[str, bytes], stored: Golden) -> None:
    plain = to_plain(description)
    try:
        json.dumps(plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(f"a bundle's description holds plain finite values only: {error}") from error
    for name, data in files.items():
        write_bytes(folder / name, data)
    write_bytes(folder / "golden.npz", pack(stored))
    write_json(folder / "bundle.json", plain)
    write_text(folder / "card.md", card(description, knows_clips=KNOWN_CLIPS in files))
    write_manifest(folder)


def _put(part: Path, target: Path) -> None:
    """Give the finished folder its name; an older bundle makes way for it, and comes back if that fails."""
    if not target.exists():
        part.rename(target)
        return
    aside = _aside(target)
    with held(target):
        target.rename(aside)
        try:
            part.rename(target)
        except BaseException:
            aside.rename(target)
            raise
        _remove(aside)


def _remove(folder: Path) -> None:
    """Remove a bundle file by file: had anything else got in meanwhile, it would stay, and so would the folder."""
    # The manifest goes last: without it nobody would know what belongs to the bundle.
    for name in [*listed_files(folder), MANIFEST] if any(folder.iterdir()) else []:
        (folder / name).unlink(missing_ok=True)
    folder.rmdir()


def _aside(target: Path) -> Path:
    """Return where an older bundle lies while the new one takes its name."""
    return target.with_name(f".{target.name}.unheard.old")
