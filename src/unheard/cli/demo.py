"""``unheard demo``: a page in the browser on which a model is tried."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from unheard.cli.terminal import say
from unheard.errors import need


def demo(
    model: Annotated[
        Path | None, typer.Option("--bundle", "--model", "-m", help="Bundle folder; none: the default model.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port.")] = 7860,
    share: Annotated[
        bool, typer.Option("--share", help="Let Gradio's servers show the page to whoever has its link.")
    ] = False,
) -> None:
    """Try a model on a page in the browser: upload or record, see the answer over time, let it know a voice.

    Nothing is kept, and nothing leaves this machine unless --share or --host asks for it.
    """
    need("gradio", "demo")
    from unheard.bundle.default import default_model
    from unheard.bundle.runtime import load
    from unheard.cli.notice import notice_once
    from unheard.demo.page import build, served

    bundle = load(default_model() if model is None else model)
    if model is None:
        notice_once(bundle.description)
    with TemporaryDirectory(prefix="unheard-examples-") as place:
        page = build(bundle, _examples(Path(place)))
        with served(page, host, port, share=share) as address:
            say(f"{bundle.description.name!r} can be tried at {address}; Ctrl+C ends it")
            threading.Event().wait()


def _examples(folder: Path) -> list[Path]:
    """Return recordings to try; none where the packages are missing that tables of corpora need."""
    if importlib.util.find_spec("polars") is None:
        return []
    from unheard.demo.examples import write

    return write(folder)
