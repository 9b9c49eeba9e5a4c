"""``unheard recipes``: what can be run."""

from __future__ import annotations

from typing import Annotated

import typer

from unheard.cli.terminal import print_json, show


def recipes(
    name: Annotated[str | None, typer.Argument(help="Print this recipe whole.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the recipes and protocols of the package, or print one recipe."""
    import yaml

    from unheard import protocols
    from unheard.recipes import recipe

    if name is not None:
        plain = recipe.load(name).plain()
        if as_json:
            print_json(plain)
        else:
            for line in yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).rstrip().split("\n"):
                show(line)
        return
    listed = [recipe.load(known) for known in recipe.names()]
    if as_json:
        print_json({"recipes": [r.plain() for r in listed], "protocols": protocols.names()})
        return
    width = max(len(r.recipe) for r in listed)
    for r in listed:
        show(f"{r.recipe:{width}}  {r.protocol:18}  {r.about}")
    show(f"protocols: {', '.join(protocols.names())}")
