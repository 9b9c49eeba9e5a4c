"""``unheard export``: from a run to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unheard.cli.terminal import say


def export(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Bundle folder to make.")],
    fold: Annotated[
        int | None,
        typer.Option("--fold", help="Take this fold's model instead of retraining on all speakers."),
    ] = None,
    speakers: Annotated[
        str | None, typer.Option("--speakers", help="Retrain on these alone: names with commas.")
    ] = None,
    coverage: Annotated[
        float,
        typer.Option(
            "--coverage",
            min=0,
            max=1,
            help="Share of validation clips that are sure enough for a prediction.",
        ),
    ] = 0.9,
    encoder_data: Annotated[
        list[str] | None,
        typer.Option(
            "--encoder-data",
            help="CORPUS:FOLDER that the encoder learned from: recordings like these are not warned of either.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing bundle.")] = False,
) -> None:
    """Write a bundle that predicts without torch: the model, its features, calibration, card and self-test."""
    from unheard.corpora.source import of_reader
    from unheard.exporting.from_run import export as export_run
    from unheard.runs.folder import open_run

    declared = None if speakers is None else [name.strip() for name in speakers.split(",")]
    made = export_run(
        open_run(run), out, fold=fold, speakers=declared, coverage=coverage,
        encoder_heard=[of_reader(source) for source in encoder_data or ()], force=force,
    )  # fmt: skip
    say(f"bundle: {made} (unheard predict CLIP --model {made})")
