"""``unheard quickstart``: everything once, on synthetic speech."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unheard.cli.terminal import bars, say, show


def quickstart(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to make.")] = Path("quickstart"),
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Number of processes.")] = 2,
    force: Annotated[bool, typer.Option("--force", help="Start again in that folder.")] = False,
) -> None:
    """Make a small synthetic corpus, score one system with and without a leak, export it, predict, report."""
    from unheard.cli.prediction import lines
    from unheard.cli.summary import premium_line, score_lines
    from unheard.quickstart import quickstart as once

    with bars() as advance:
        tour = once(out, jobs=jobs, force=force, progress=advance)
    for run in (tour.leaky, tour.independent):
        for text in score_lines(run.scores):
            show(text)
    show(premium_line(tour.leaky.scores, tour.independent.scores, tour.premium))
    show(f"a speaker whom this model was not trained on, who meant {tour.truth}:")
    show("  " + lines({"path": tour.clip.name, **tour.prediction.as_dict()}, n_best=3)[0])
    if tour.default is None:
        say("no default model is installed: `unheard predict` needs --model")
    else:
        show("the default model, trained on real speech, about the same synthetic clip:")
        show("  " + lines({"path": tour.clip.name, **tour.default.as_dict()}, n_best=3)[0])
    for name, place in (("corpus", out / "corpus"), ("bundle", tour.bundle), ("report", tour.report)):
        say(f"{name}: {place}")
