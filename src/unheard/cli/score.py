"""``unheard score``: anybody's predictions, scored as ours are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unheard.cli.terminal import print_json, say, show


def score(
    predictions: Annotated[
        Path, typer.Argument(help="CSV with id, p_CLASS… or logit_CLASS…, maybe fold and label.")
    ],
    table: Annotated[
        Path, typer.Option("--table", "-t", help="Prepared table, corpus folder or list of files.")
    ],
    protocol: Annotated[str, typer.Option("--protocol", "-p", help="Folds whose test sides were predicted.")],
    corpus: Annotated[str | None, typer.Option("--corpus", help="Reader for a folder.")] = None,
    declare_leaky: Annotated[
        bool, typer.Option("--declare-leaky", help="Score folds that share speakers; stamped LEAKY.")
    ] = False,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the system; default: the file's.")
    ] = None,
    ids: Annotated[Path | None, typer.Option("--ids", help="CSV with two columns: their id, our id.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder to make, for compare and report.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a run in that folder.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Score predictions of any system on guarded folds, with intervals over speakers; nothing is fitted."""
    from unheard import protocols
    from unheard.cli.summary import score_lines
    from unheard.experiment.foreign import score as score_foreign
    from unheard.experiment.source import utterances

    rows = utterances(table, corpus)
    made = score_foreign(
        predictions,
        rows,
        protocols.make(protocol, rows, declare_leaky=declare_leaky),
        system=name or predictions.stem,
        ids=ids,
        out=out,
        force=force,
    )
    if as_json:
        print_json(made)
        return
    for line in score_lines(made):
        show(line)
    show(
        "  "
        + ", ".join(
            f"{metric.upper()} {made['metrics'][metric]['mean']:.3f}" for metric in ("ece", "nll", "brier")
        )
    )
    if out is not None:
        say(f"run folder: {out}")
