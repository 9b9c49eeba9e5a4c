"""``unheard synthesize``: a corpus of synthetic speech to try everything on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unheard.cli.terminal import bars, say


def synthesize(
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
    speakers: Annotated[int, typer.Option(min=1, max=99, help="Speakers; odd ones are men.")] = 24,
    seed: Annotated[int, typer.Option(help="Same seed, same corpus.")] = 0,
    emotion: Annotated[float, typer.Option(min=0, help="How strongly all speakers share an emotion.")] = 1.0,
    style: Annotated[float, typer.Option(min=0, help="Each speaker's own way of an emotion.")] = 1.0,
    identity: Annotated[
        float, typer.Option(min=0, help="Pitch, formants, voice and room of a speaker.")
    ] = 1.0,
) -> None:
    """Write a RAVDESS-shaped corpus of synthetic speech with known strengths of emotion, style and identity."""
    from unheard.corpora.synthetic import write

    with bars() as advance:
        write(
            out, speakers=speakers, seed=seed, emotion=emotion, style=style, identity=identity,
            progress=lambda done, total: advance("clips", done, total),
        )  # fmt: skip
    folds = f"group-{min(6, speakers)}" if speakers >= 3 else "random-3"
    say(
        f"{out}: synthetic corpus (unheard run functionals --data {out} --protocol {folds} --out runs/synthetic)"
    )
