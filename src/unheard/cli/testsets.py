"""``unheard testsets``: one training, many test sets in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from unheard.cli.terminal import bars, print_json, say, show_result
from unheard.errors import UsageError


def testsets(
    run: Annotated[Path, typer.Argument(help="Run folder, whose models are tested as they are.")],
    on: Annotated[
        list[str],
        typer.Option(
            "--on", help="NAME=TABLE, or NAME=TABLE@PART for one of the owner's parts; give it once a set."
        ),
    ],
    classes: Annotated[
        str | None,
        typer.Option("--classes", help="Classes that are scored, such as six of nine: happy,angry,…"),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option("--labels", help="Other names for the labels of the sets; default: the recipe's."),
    ] = None,
    drop_heard: Annotated[
        bool,
        typer.Option("--drop-heard", help="Leave out and count speakers of the training, and do not refuse."),
    ] = False,
    weights: Annotated[
        str | None, typer.Option("--weights", "-w", help="Where the encoder's weights are now.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Number of processes.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Score a run's models on several other test sets: releases, corpora, noisy copies, lists of your own.

    Each set is guarded for speakers of the training. Of classes the answer is taken among those that are scored;
    the answer among all stands beside it, and so do figures that the recipe quotes for a set of that name.
    """
    from unheard.analysis.test_sets import TestSet, score_test_sets
    from unheard.corpora.source import utterances
    from unheard.runs.folder import open_run

    opened = open_run(run)
    heard = "drop" if drop_heard else "refuse"
    mapping = labels or opened.recipe.labels
    known = opened.scores["labels"]
    sets = []
    for name, path, part in map(_parted, on):
        table = _relabelled(utterances(path, say=say), mapping, known)
        sets.append(TestSet(name, table if part is None else _part(table, name, part), heard))
    asked = None if classes is None else [word.strip() for word in classes.split(",") if word.strip()]
    with bars() as advance:
        found = score_test_sets(
            opened, sets, classes=asked, weights=weights, jobs=jobs, progress=advance, say=say
        )
    if as_json:
        print_json(found)
    else:
        show_result(lines(opened.scores["recipe"], found))


def lines(recipe: str, found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the result as text: a heading, then a few lines for each set."""
    from unheard.metrics.blocks import stored_dimensions
    from unheard.metrics.formatting import counted, headline, percent

    said = [f"{recipe} on {counted(len(found), 'test set')} [95 % over speakers]"]
    for row in found:
        who = counted(row["n_speakers"], "speaker") if row["n_speakers"] else "unknown speakers"
        said.append(f"{row['set']}: {counted(row['n_clips'], 'clip')} of {who} ({row['corpus']})")
        said += [f"  {' · '.join(row['stamps'])}"] if row["stamps"] else []
        if row["metrics"]:
            said.append(
                f"  UAR {headline(row['metrics']['uar'])} among {len(row['classes'])} classes, "
                f"{percent(row['answered']['uar']['pooled'])} as answered among all; accuracy "
                f"{headline(row['metrics']['accuracy'])}"
            )
        dimensions = row.get("dimensions") or {}
        for name in stored_dimensions(row):
            said.append(f"  CCC of {name} {headline(dimensions[f'{name}.ccc'], in_percent=False)}")
        said += [f"  published: {_quoted(one)}" for one in row["published"]]
        notes = {"n_left_out": "of labels that are not scored", "n_heard": "of speakers of the training"}
        said += [f"  left out: {counted(row[key], 'clip')} {why}" for key, why in notes.items() if row[key]]
    return said


def _quoted(one: Mapping[str, Any]) -> str:
    """Return a published figure as text: its system, and what it reached."""
    plain = ("system", "protocol", "train_speakers", "source")
    values = [
        f"{key.replace('_', ' ')} {value:g}"
        for key, value in one.items()
        if key not in plain and value is not None
    ]
    return (
        f"{', '.join(values)} ({one['system']}, {one['train_speakers']} training speakers; {one['source']})"
    )


def _parted(text: str) -> tuple[str, str, str | None]:
    """Return name, path and part of ``NAME=PATH@PART``."""
    name, equals, rest = text.partition("=")
    if not (name and equals and rest):
        raise UsageError(f"--on takes NAME=TABLE or NAME=TABLE@PART; found {text!r}")
    if Path(rest).exists() or "@" not in rest:
        return name, rest, None
    path, _, part = rest.rpartition("@")
    return name, path, part


def _part(table: Any, name: str, part: str) -> Any:
    from unheard.errors import first_five

    rows = table.filter(table["split"] == part)
    if rows.is_empty():
        there = first_five(table["split"].drop_nulls().unique().sort()) or "nothing"
        raise UsageError(f"{name}: no clip is of the part {part!r}; column 'split' holds {there}")
    return rows


def _relabelled(table: Any, mapping: str | None, known: Sequence[str]) -> Any:
    from unheard.corpora.relabel import mapping_of, relabel

    return table if mapping is None else relabel(table, mapping_of(table, mapping), also=known)
