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
    say(f"report: {write_report([open_run(path) for path in runs], target)}")
