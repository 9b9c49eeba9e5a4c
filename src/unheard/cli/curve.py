"""``unheard curve``: the score of several recipes over the amount of training data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from unheard.cli.terminal import bars, number_list, print_json, say, show_result
from unheard.errors import UsageError


def curve(
    recipe: Annotated[list[str], typer.Argument(help="Names of recipes (`unheard recipes`), or YAML files.")],
    data: Annotated[
        Path, typer.Option("--data", "-d", help="Corpus folder, prepared table, or list of files.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for curve.json, curve.csv, curve.html and the points.")
    ] = Path("curve"),
    by: Annotated[
        str, typer.Option("--by", help="What is counted: clips (of each class) or speakers.")
    ] = "clips",
    sizes: Annotated[
        str | None,
        typer.Option("--sizes", help="Numbers of them: 8,16,32. Default: the largest and its halves."),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option("--draws", min=1, help="Draws of the training clips. Default: 10, networks 3."),
    ] = None,
    score: Annotated[
        float | None,
        typer.Option(
            "--score", help="UAR in percent for the data ratio. Default: the best of the weaker recipe."
        ),
    ] = None,
    protocol: Annotated[
        str | None, typer.Option("--protocol", "-p", help="Folds; default: those of the recipes.")
    ] = None,
    corpus: Annotated[
        str | None, typer.Option("--corpus", help="Reader; default: the recipes', or generic.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option("--labels", help="Other classes, as for unheard run; default: the recipes'.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change one field of every recipe: head.grid=[0.01].")
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option("--weights", "-w", help="RECIPE=PATH: the encoder of that recipe; once a recipe."),
    ] = None,
    folds: Annotated[str | None, typer.Option("--folds", help="Use a part of the folds: 0-3 or 0,4.")] = None,
    validation: Annotated[
        str | None,
        typer.Option("--val", help="Take validation speakers out of training: next-fold or speakers."),
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Number of processes that compute features.")
    ] = 1,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the points that are there; sizes and draws may be added."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Start again in a folder that holds a curve.")
    ] = False,
    max_bad: Annotated[
        float, typer.Option("--max-bad", min=0, max=1, help="Share of unusable recordings.")
    ] = 0.01,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Say what more training clips or speakers are worth, and how many more one recipe needs than another."""
    from unheard import protocols
    from unheard.analysis.learning_curves import PAGE, SCORES, TABLE, learning_curves
    from unheard.corpora.paths import refuse_absent
    from unheard.corpora.relabel import mapping_of, relabel
    from unheard.corpora.source import utterances
    from unheard.recipes import recipe as recipes
    from unheard.recipes.changes import parse_changes

    changed = parse_changes(changes or [])
    encoders = _weights(weights or [], recipe)
    stated = [
        recipes.load(name, changed | ({"encoder.model": encoders[name]} if name in encoders else {}))
        for name in recipe
    ]
    table = utterances(data, corpus or _same(stated, "corpus", "--corpus"), say=say)
    if any(
        (own.features or {}).get("name") != "precomputed" for one in stated for own in one.inputs.values()
    ):
        refuse_absent(table, data)
    mapping = labels or _same(stated, "labels", "--labels")
    if mapping is not None:
        table = relabel(table, mapping_of(table, mapping))
    chosen = protocols.make(protocol or _same(stated, "protocol", "--protocol"), table, validation=validation)
    with bars() as advance:
        found = learning_curves(
            stated, table, chosen, out,
            by=by, sizes=number_list(sizes), draws=draws, score=None if score is None else score / 100,
            only=number_list(folds), jobs=jobs, resume=resume, force=force, max_bad=max_bad,
            progress=advance, say=say,
        )  # fmt: skip
    if as_json:
        print_json(found)
    else:
        show_result(lines(found))
    say(f"figure: {out / PAGE}, numbers: {out / SCORES}, table: {out / TABLE}")


def lines(found: Mapping[str, Any]) -> list[str]:
    """Return the result as text: who was tested, a table with a line a point, and the data ratios."""
    from unheard.metrics.formatting import and_interval, percent
    from unheard.report.figures.learning_curves import OF
    from unheard.report.learning_curves import sentences

    first, *rest = sentences(found)
    said = [first] + ([f"  {' · '.join(found['stamps'])}"] if found["stamps"] else [])
    table = [["recipe", OF[found["by"]], "clips", "UAR %", "accuracy %", "UAR over draws"]]
    for one in found["curves"]:
        for point in one["points"]:
            uar, accuracy = point["uar"], point["accuracy"]
            table.append(
                [
                    one["recipe"],
                    f"{point['n']:,}",
                    f"{point['n_train_clips']:,.0f}",
                    percent(uar["pooled"]) + and_interval(uar["low"], uar["high"]),
                    percent(accuracy["pooled"]) + and_interval(accuracy["low"], accuracy["high"]),
                    f"{percent(uar['least'])} to {percent(uar['most'])}, {one['draws']}",
                ]
            )
    widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
    said += [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
    return said + rest


def _same(recipes: Sequence[Any], field: str, option: str) -> Any:
    """Return what all recipes have in a field; recipes for any corpus go with those for one."""
    found = {getattr(one, field) for one in recipes}
    if field == "corpus" and len(found) > 1:
        found.discard(None)
    if len(found) > 1:
        listed = ", ".join(f"{one.recipe}: {getattr(one, field)}" for one in recipes)
        raise UsageError(f"one curve has one {field}, and the recipes differ ({listed}); give {option}")
    return found.pop()


def _weights(given: Sequence[str], recipes: Sequence[str]) -> dict[str, str]:
    """Return the weights by recipe of ``RECIPE=PATH``."""
    found = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not (equals and path and name in recipes):
            raise UsageError(f"--weights takes RECIPE=PATH, for one of {', '.join(recipes)}; found {text!r}")
        found[name] = path
    return found
