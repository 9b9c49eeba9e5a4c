"""``unheard report``: one page over runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unheard.cli.terminal import say


def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Page; default: report.html, of one run in its folder.")
    ] = None,
    paths: Annotated[
        bool, typer.Option("--paths", help="Show paths of this machine whole, not their last parts alone.")
    ] = False,
    with_audio: Annotated[
        bool,
        typer.Option(
            "--with-audio",
            help="Put the recordings of the worst mistakes into the page: ten a run, ten seconds each.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing page.")] = False,
) -> None:
    """Write one self-contained offline page over one run or several."""
    from unheard.files import new_output
    from unheard.runs.folder import open_run
    from unheard.runs.reporting import report as write_report

    if out is None and len(runs) == 1:
        target = runs[0] / "report.html"  # made from the run, and made again as often as one likes
    else:
        target = new_output(out or Path("report.html"), force)
    opened = [open_run(path) for path in runs]
    say(f"report: {write_report(opened, target, paths=paths, audio=with_audio)}")
