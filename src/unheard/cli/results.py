"""``unheard results``: what is stored, and whether the numbers in a text are those."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unheard.cli.terminal import say, show


def results(
    check: Annotated[list[Path] | None, typer.Option("--check", help="Text whose tables must agree.")] = None,
    store: Annotated[list[Path] | None, typer.Option("--store", help="Run folder to store.")] = None,
    against: Annotated[
        list[Path] | None, typer.Option("--against", help="Run folder that the stored one is compared with.")
    ] = None,
    folder: Annotated[Path, typer.Option("--folder", help="Folder of stored results.")] = Path("results"),
) -> None:
    """Store small results, and check every figure of a text against them.

    --check recomputes the scores from the stored predictions, compares them with the stored results and with the
    tables of the text, and ends with 1 where anything has drifted.
    """
    from unheard.analysis.stored_results import check as check_text
    from unheard.analysis.stored_results import store as store_run
    from unheard.errors import UsageError
    from unheard.runs.folder import open_run

    if not check and not store:
        raise UsageError("give --check README.md or --store RUN")
    if against and not store:
        raise UsageError("--against needs --store RUN, whose comparison is kept")
    others = [open_run(run) for run in against or ()]
    for run in store or ():
        say(f"stored: {store_run(open_run(run), folder, others)}")
    drifted = 0
    for text in check or ():
        seen, problems = check_text(text, folder)
        for problem in problems:
            show(problem)
        show(f"{text}: {seen} figures checked, {len(problems)} differ")
        drifted += len(problems) + (seen == 0)
    raise typer.Exit(1 if drifted else 0)
