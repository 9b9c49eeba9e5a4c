"""``unheard crosscorpus``: how far runs carry to corpora from which they learned nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from unheard.cli.terminal import print_json, show_result


def crosscorpus(
    runs: Annotated[list[Path], typer.Argument(help="Run folders of joined tables on leave-corpus.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Say what runs reach on each corpus that they left out: among its classes, as answered, knowing voices.

    A run of two joined corpora trains on each and tests on the other; one of more leaves each out once.
    """
    from unheard.analysis.cross_corpus import cross_corpus
    from unheard.runs.folder import open_run

    found = cross_corpus([open_run(path) for path in runs])
    if as_json:
        print_json(found)
    else:
        show_result(lines(found))


def lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the result as text: a heading, and some lines for each corpus that was tested."""
    from unheard.cli.summary import enrolment_lines
    from unheard.metrics.formatting import counted, headline, percent

    said = ["UAR in percent [95 % over speakers] on corpora from which nothing was learned"]
    for row in found:
        taught, among, answered = ", ".join(row["taught"]), row["among"], row["answered"]
        said.append(
            f"{row['tested']}, taught by {taught} ({row['recipe']}): {headline(among['uar'])} among its "
            f"{len(row['classes'])} classes, {percent(answered['uar']['pooled'])} among all"
        )
        said.append(
            f"  {counted(row['n_clips'], 'clip')} of {counted(row['n_speakers'], 'speaker')}; accuracy "
            f"{percent(among['accuracy']['pooled'])}, ECE {among['ece']['pooled']:.3f}"
        )
        said += enrolment_lines(row["enrolment"])
        said += [f"  {one['code']}: {one['message']}" for one in row["findings"]]
    return said
