"""``unheard space``: a folder that runs the page of a model as a Hugging Face Space."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from unheard.cli.terminal import say
from unheard.errors import need


def space(
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
    model: Annotated[
        Path | None, typer.Option("--bundle", "--model", "-m", help="Bundle folder; none: the default model.")
    ] = None,
) -> None:
    """Write a folder that runs the page of unheard demo as a Hugging Face Space; push it to a Space of your own.

    It runs on any machine, too: pip install -r requirements.txt, then python app.py.
    """
    need("gradio", "demo")
    need("polars", "eval")
    from unheard.demo.examples import write as write_examples
    from unheard.demo.space import write

    with TemporaryDirectory(prefix="unheard-examples-") as place:
        write(out, model, write_examples(Path(place)))
    say(f"{out}: try it with `python {out / 'app.py'}`, or push it to a Space")
