"""``unheard layers``: what each layer of an encoder knows, and where to cut it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from unheard.cli.terminal import bars, say, show


def layers(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe with an encoder, or a YAML file.")],
    data: Annotated[
        Path, typer.Option("--data", "-d", help="Corpus folder, prepared table, or list of files.")
    ],
    weights: Annotated[
        str | None, typer.Option("--weights", "-w", help="Encoder: folder, file or hub name.")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option("--protocol", "-p", help="Folds; default: the recipe's.")
    ] = None,
    fold: Annotated[int, typer.Option("--fold", min=0, help="Fold whose training speakers are used.")] = 0,
    corpus: Annotated[
        str | None, typer.Option("--corpus", help="Reader; default: the recipe's, or generic.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change one recipe field: encoder.trim=30.")
    ] = None,
    targets: Annotated[
        str, typer.Option("--targets", help="Targets of saliency: labels, votes or dimensions.")
    ] = "labels",
    run: Annotated[
        Path | None,
        typer.Option("--run", help="Run whose head learned layer weights, to show next to the scores."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for layers.json and layers.html.")] = Path(
        "layers"
    ),
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Say what each layer knows: saliency, and a probe's scores for emotion and speaker, on training speakers."""
    from unheard import protocols
    from unheard.analysis.inspection import inspect
    from unheard.corpora.source import utterances
    from unheard.files import new_output
    from unheard.metrics.formatting import counted
    from unheard.recipes import recipe as recipes
    from unheard.recipes.changes import parse_changes
    from unheard.runs.folder import open_run

    for name in ("layers.json", "layers.html"):
        new_output(out / name, force)
    changed = parse_changes(changes or []) | ({} if weights is None else {"encoder.model": weights})
    stated = recipes.load(recipe, changed)
    table = utterances(data, corpus or stated.corpus)
    chosen = protocols.make(protocol or stated.protocol, table)
    with bars() as advance:
        found = inspect(
            stated, table, chosen, fold=fold, targets=targets, run=None if run is None else open_run(run),
            out=out, progress=advance, say=say,
        )  # fmt: skip
    for line in lines(found):
        show(line)
    if found["n_unreadable"]:
        say(f"{counted(found['n_unreadable'], 'recording')} could not be used")
    say(f"figure: {out / 'layers.html'}, numbers: {out / 'layers.json'}")


def lines(found: Mapping[str, Any]) -> list[str]:
    """Return the result as text: sentences, a table of layers, and the scores for training speakers apart."""
    from unheard.metrics.formatting import and_interval, percent
    from unheard.report.layers import sentences

    layers = found["layers"]
    first, *rest = sentences(found)
    said = [first] + ([f"  {' · '.join(found['stamps'])}"] if found["stamps"] else [])
    weighted = all("weight" in layer for layer in layers)
    heading = ["layer", "name", "saliency", "r alone", *(["emotion UAR %"] if found["emotion"] else [])]
    rows = [heading + (["learned weight"] if weighted else [])]
    for layer in layers:
        cells = [
            str(layer["layer"]),
            layer["name"],
            *(_number(layer["saliency"][p]) for p in ("score", "correlation")),
        ]
        if found["emotion"]:
            score = layer["emotion"]
            cells.append(percent(score["uar"]) + and_interval(score["low"], score["high"]))
        rows.append(cells + ([f"{layer['weight']:.3f}"] if weighted else []))
    said += _columns(rows) + rest
    if weighted:
        said.append(f"Uniform weights would be {1 / len(layers):.3f}.")
    if found["speaker"]:
        told = found["speaker"]
        said.append(
            f"Who of {told['classes']} training speakers is speaking, on other {told['held_out']} of theirs "
            f"(no score for unheard people; chance {percent(told['chance'])} %):"
        )
        scores = [(e, e["speaker"]) for e in layers]
        said += _columns(
            [["layer", "name", "speaker UAR %"]]
            + [
                [str(e["layer"]), e["name"], percent(s["uar"]) + and_interval(s["low"], s["high"])]
                for e, s in scores
            ]
        )
    return said


def _number(band: Mapping[str, float | None]) -> str:
    text = f"{band['value']:.3f}"
    return text if band["low"] is None else f"{text} [{band['low']:.3f}, {band['high']:.3f}]"


def _columns(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
