"""``unheard cache``: look at, verify or empty the cache."""

from __future__ import annotations

from typing import Annotated

import typer

from unheard.cli.terminal import show


def cache(
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every entry; drop what is damaged.")
    ] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Remove every entry.")] = False,
    size: Annotated[bool, typer.Option("--size", help="Print the size (default).")] = False,
) -> None:
    """Features and encoders' layers that were computed once are kept; all of it can be computed again."""
    from unheard.extraction import maintenance as stores
    from unheard.extraction.cache import default_cache
    from unheard.extraction.store import default_folder

    kept, layers = default_cache(), default_folder()
    if verify:
        show(f"{kept.verify()} damaged entries dropped")
        show(f"{stores.verify(layers)} damaged shards of layers dropped")
    if clear:
        kept.clear()
        stores.clear(layers)
    if size or not (verify or clear):
        show(f"{kept.folder}: {kept.size() / 1e6:.1f} MB")
        found = stores.sizes(layers)
        show(f"{layers}: {sum(taken for _, taken in found.values()) / 1e6:.1f} MB")
        for folder, (words, taken) in found.items():
            show(f"  {folder.name[:12]}: {words}: {taken / 1e6:.1f} MB")
