"""``unheard compare`` and ``unheard premium``: paired over speakers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unheard.cli.terminal import print_json, show, show_result

if TYPE_CHECKING:
    from unheard.runs.folder import Run


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Two or more run folders of one protocol.")],
    across: Annotated[
        bool, typer.Option("--across", help="Compare runs of different folds, and say so.")
    ] = False,
    details: Annotated[
        bool, typer.Option("--details", help="Print the other tests and what was left out.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say whether one run beats another, paired over speakers, with Holm's correction over all pairs."""
    from unheard.comparison.compare import compare_all
    from unheard.comparison.wording import brief, describe
    from unheard.errors import UsageError
    from unheard.runs.content import understood
    from unheard.runs.folder import open_run
    from unheard.runs.reporting import names

    if len(runs) < 2:
        raise UsageError("compare takes two or more run folders")
    twice = [
        path for number, path in enumerate(runs) if path.resolve() in {p.resolve() for p in runs[:number]}
    ]
    if twice:
        raise UsageError(f"{twice[0]}: named twice; a run does not differ from itself")
    opened = [open_run(path) for path in runs]
    with understood(runs):
        pairs = compare_all([run.predictions for run in opened], names=names(opened), across=across)
    if as_json:
        stamps = {name: run.scores["stamps"] for name, run in zip(names(opened), opened, strict=True)}
        print_json(
            [
                {**pair.as_dict(), "stamps": {name: stamps[name] for name in (pair.a, pair.b)}}
                for pair in pairs
            ]
        )
        return
    for stamp, whose in _by_stamps(opened, names(opened)).items():
        show(f"{' and '.join(whose)}: {stamp}", "stamp")
    for pair in pairs:
        show_result((describe(pair) if details else brief(pair, alone=len(pairs) == 1)).splitlines())


def _by_stamps(runs: Sequence[Run], names: Sequence[str]) -> dict[str, list[str]]:
    """Return the names of the runs that have stamps, by their stamps."""
    found: dict[str, list[str]] = {}
    for run, name in zip(runs, names, strict=True):
        if run.scores["stamps"]:
            found.setdefault(" · ".join(run.scores["stamps"]), []).append(name)
    return found


def premium(
    first: Annotated[Path, typer.Argument(help="A run.")],
    second: Annotated[Path, typer.Argument(help="The same recipe on other folds: one of the two is leaky.")],
    details: Annotated[
        bool, typer.Option("--details", help="Print the other tests and what was left out.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how much a leaky split flatters: one recipe, with and without test speakers in training."""
    from unheard.cli.summary import premium_line
    from unheard.comparison.wording import describe, unequal_training, verdict
    from unheard.runs.folder import open_run
    from unheard.runs.leakage_gap import premium as premium_of
    from unheard.runs.leakage_gap import training_clips

    opened = sorted((open_run(first), open_run(second)), key=lambda run: "LEAKY" not in run.scores["stamps"])
    found = premium_of(*opened)
    leaky, independent = map(training_clips, opened)
    unequal = unequal_training(leaky, independent)
    if as_json:
        plain = found.as_dict()
        plain["marks"] += ["UNEQUAL TRAINING"] if unequal else []
        print_json({**plain, "training_clips": {"leaky": leaky, "independent": independent}})
        return
    said = describe(found) if details else verdict(found)
    if unequal:
        said += f"\n{unequal}"
    show_result([premium_line(opened[0].scores, opened[1].scores, found), *said.splitlines()])
