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
    """Features that were computed once are kept; all of it can be computed again."""
    from unheard.features.cache import default_cache

    kept = default_cache()
    if verify:
        show(f"{kept.verify()} damaged entries dropped")
    if clear:
        kept.clear()
    if size or not (verify or clear):
        show(f"{kept.folder}: {kept.size() / 1e6:.1f} MB")
