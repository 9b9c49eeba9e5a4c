"""``unheard doctor``: what this machine and this installation can do."""

from __future__ import annotations

from typing import Annotated

import typer

from unheard.cli.terminal import print_json, show


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what is installed and what would be used: versions, extras, threads, memory, cache, GPU, codecs."""
    from unheard.doctor import examined, told

    found = examined()
    if as_json:
        print_json(found)
        return
    lines = told(found)
    width = max(len(name) for name, _, _ in lines)
    for name, how, well in lines:
        look = "plain" if well else "dim" if name.startswith("extra") else "bad"
        show(f"{name:{width}}  {how}", look)
