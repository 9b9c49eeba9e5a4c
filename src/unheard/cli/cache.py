"""``unheard cache``: look at, verify or empty the cache."""

from __future__ import annotations

from typing import Annotated

import typer

from unheard.cli.terminal import show


def cache(
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every shard; drop what is damaged.")
    ] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Remove every store.")] = False,
    size: Annotated[bool, typer.Option("--size", help="Print the size (default).")] = False,
) -> None:
    """Features and layers of encoders that were computed once are stored; all of it can be computed again."""
    from unheard.extraction import maintenance
    from unheard.extraction.store import default_bound, default_folder

    root = default_folder()
    if verify:
        show(f"{maintenance.verify(root)} damaged shards dropped")
    if clear:
        maintenance.clear(root)
        maintenance.clear_former()
    if size or not (verify or clear):
        found = maintenance.sizes(root)
        taken = sum(taken for _, taken in found.values())
        show(f"{root}: {taken / 1e6:.1f} MB of at most {default_bound() / 1e9:g} GB (UNHEARD_CACHE_MAX)")
        for folder, (words, taken) in found.items():
            show(f"  {folder.name[:12]}: {words}: {taken / 1e6:.1f} MB")
