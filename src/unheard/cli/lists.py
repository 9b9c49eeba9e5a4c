"""``unheard list``: what the package has."""

from __future__ import annotations

from typing import Annotated

import typer

from unheard.cli.terminal import print_json, show


def list_(
    kind: Annotated[str, typer.Argument(help="corpora, encoders, heads, features, protocols or recipes.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the corpora, encoders, heads, features, protocols or recipes that there are, a line each."""
    from unheard.listing import listed

    found = listed(kind)
    if as_json:
        print_json(found)
        return
    width = max(map(len, found))
    for name, own in found.items():
        show(f"{name:{width}}  {own['about']}".rstrip())
