"""``unheard fuse``: one system of the predictions of several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unheard.cli.terminal import say, show


def fuse(
    runs: Annotated[list[Path], typer.Argument(help="Two or more run folders of one protocol.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder to make.")],
    weights: Annotated[
        str,
        typer.Option(
            "--weights",
            help="fitted: on each fold's validation rows. equal: the plain mean, fixed in advance. "
            "cross-fitted: on other folds' test rows, and stamped.",
        ),
    ] = "fitted",
    method: Annotated[
        str,
        typer.Option(
            "--method",
            help="mean: the weighted mean. mean-temperature: a temperature after it. vector: a scale and "
            "an offset a class. product: of experts. stacking: logistic regression on all scores.",
        ),
    ] = "mean",
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the system; default: the runs' names.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a run in that folder.")] = False,
    noise: Annotated[
        bool,
        typer.Option(
            "--noise",
            help="Also fuse what `unheard noise` predicted of the runs: fitted without noise, and for each ratio.",
        ),
    ] = False,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", help="CSV that gets a row for this test-set evaluation.")
    ] = None,
    decided: Annotated[
        str, typer.Option("--decided", help="What was decided because of it, for the ledger.")
    ] = "",
) -> None:
    """Fuse runs: a weighted mean of calibrated probabilities, scored and compared with the best of them."""
    from unheard.analysis.noisy_fusion import IN_NOISE, fused_in_noise, noisy_lines
    from unheard.cli.summary import fusion_lines, score_lines
    from unheard.files import write_json
    from unheard.fusion.fuse import fuse as fuse_runs
    from unheard.runs.folder import open_run
    from unheard.runs.reporting import report

    opened = [open_run(path) for path in runs]
    in_noise = fused_in_noise(opened) if noise else None
    made = fuse_runs(
        opened,
        out,
        weights=weights,
        method=method,
        name=name,
        force=force,
        ledger=ledger,
        decided=decided,
        say=say,
    )
    for line in (*score_lines(made.scores), *fusion_lines(made.scores["fusion"])):
        show(line)
    if in_noise is not None:
        write_json(made.folder / IN_NOISE, in_noise)
        for line in noisy_lines(in_noise):
            show(line)
        say(f"in noise: {made.folder / IN_NOISE}")
    say(f"report: {report([made], made.folder / 'report.html')}")
