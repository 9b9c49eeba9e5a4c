"""``unheard download``: a corpus from its owner."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from unheard.cli.terminal import bars, say


def download(
    corpus: Annotated[str, typer.Argument(help="ravdess, ravdess-song, emodb or nemo.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to make; default: data/CORPUS.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Agree to the licence that is shown.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be fetched, and stop.")] = False,
) -> None:
    """Fetch a corpus from where its owner keeps it: plan and licence first, then with checksum and resume."""
    from unheard.downloading.download import download as fetch_corpus
    from unheard.downloading.sources import source
    from unheard.errors import UsageError

    chosen = source(corpus)
    for line in chosen.plan:
        say(line)
    if plan:
        return
    if not yes:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError("the licence above must be agreed to: give --yes")
        typer.confirm("Do you agree to the licence?", abort=True, err=True)
    folder = out or Path("data") / corpus
    with bars() as advance:
        recordings = fetch_corpus(chosen, folder, progress=advance)
    reader = corpus.removesuffix("-song")
    say(
        f"{folder}: {recordings:,} recordings; next: unheard prepare {reader} {folder} --out {corpus}.parquet"
    )
