"""``unheard report``: one page over runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unheard.cli.terminal import say


def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Page; default: report.html in the first run.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing page.")] = False,
) -> None:
    """Write one self-contained offline page over one run or several."""
    from unheard.experiment.folder import open_run
    from unheard.experiment.reporting import report as write_report
    from unheard.files import new_output

    # The page inside a run folder is made from it and may be made again; any other is not ours to replace.
    target = new_output(out, force) if out is not None else runs[0] / "report.html"
    say(f"report: {write_report([open_run(path) for path in runs], target)}")
