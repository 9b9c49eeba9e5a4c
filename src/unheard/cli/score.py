"""``unheard score``: predictions of any system, or of a bundle, scored as those of runs are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unheard.cli.terminal import bars, print_json, say, show_result
from unheard.errors import UsageError, first_five

if TYPE_CHECKING:
    import polars as pl

    from unheard.labels import Labels


def score(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="Predictions (id, p_CLASS… or prediction, …), a bundle, or default: the default model."
        ),
    ],
    table: Annotated[
        Path, typer.Option("--table", "-t", help="Prepared table, corpus folder or list of files.")
    ],
    protocol: Annotated[
        str | None,
        typer.Option("--protocol", "-p", help="Folds whose test clips are scored; a bundle needs none."),
    ] = None,
    corpus: Annotated[str | None, typer.Option("--corpus", help="Reader for a folder.")] = None,
    declare_leaky: Annotated[
        bool, typer.Option("--declare-leaky", help="Score folds that share speakers; stamped LEAKY.")
    ] = False,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the system; default: the name of the file.")
    ] = None,
    ids: Annotated[
        Path | None,
        typer.Option("--ids", help="CSV with two columns: id in the predictions, id in the table."),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            help="Other classes, of a bundle too: merge, iemocap-4, seven, FILE.yaml, or OLD=NEW,DROPPED=,KEPT.",
        ),
    ] = None,
    speakers: Annotated[
        str | None, typer.Option("--speakers", help="merge: nearly equal names are one person; or OLD=NEW,…")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder to write, for compare and report.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a run in that folder.")] = False,
    details: Annotated[
        bool, typer.Option("--details", help="Print every score, and the spread over folds.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    enrol: Annotated[
        bool,
        typer.Option("--enrol", help="For a bundle that adapts: score it knowing clips of a speaker, too."),
    ] = False,
) -> None:
    """Score predictions of any system on guarded folds, with intervals over speakers; nothing is fitted.

    A bundle predicts all labelled clips of the table, or those that a protocol tests; CONTAMINATED says that it
    was trained on some of the speakers.
    """
    from unheard.corpora.relabel import mapping_of, relabel
    from unheard.corpora.source import utterances
    from unheard.label_files import MERGE, parse

    if labels is not None and labels != MERGE:
        parse(labels)  # a name that nobody knows is said before a table is read

    if str(predictions) == "default" and not predictions.exists():
        from unheard.bundle.default import default_model

        predictions = Path(default_model())
    if os.path.isfile(predictions / "manifest.json"):  # noqa: PTH113 - Path.is_file raises where a name is too long
        if declare_leaky or name or ids or out:
            raise UsageError(
                f"{predictions} is a bundle: it takes --table, --protocol, --corpus, --labels, --enrol and --json "
                "alone"
            )
        rows = utterances(table, corpus, speakers=speakers, say=say)
        mapping = None if labels is None else mapping_of(rows, labels)
        _score_bundle(predictions, rows, protocol, mapping, as_json, details, enrol)
        return
    if not os.path.isfile(predictions):  # noqa: PTH113 - as above
        there = os.path.isdir(predictions)  # noqa: PTH112
        what = "no bundle (it has no manifest.json)" if there else "no such file or bundle"
        raise UsageError(f"{predictions}: {what}")
    if enrol:
        raise UsageError("--enrol is for bundles that adapt; predictions of others know what they know")
    if protocol is None:
        raise UsageError("name the folds that were predicted: --protocol")
    from unheard import protocols
    from unheard.cli.summary import brief_lines, score_lines
    from unheard.external.predictions import score as score_external

    rows = utterances(table, corpus, speakers=speakers, say=say)
    if labels is not None:
        mapping = mapping_of(rows, labels)
        rows = relabel(rows, mapping)
        say(str(mapping))
    made = score_external(
        predictions,
        rows,
        protocols.make(protocol, rows, declare_leaky=declare_leaky),
        system=name or predictions.stem,
        ids=ids,
        out=out,
        force=force,
        say=say,
    )
    if as_json:
        print_json(made)
        return
    show_result(score_lines(made, calibration=True) if details else brief_lines(made, made["recipe"]))
    if out is not None:
        say(f"run folder: {out}")


def _score_bundle(
    bundle: Path,
    rows: pl.DataFrame,
    protocol: str | None,
    labels: Labels | None,
    as_json: bool,
    details: bool,
    enrol: bool,
) -> None:
    from unheard import protocols
    from unheard.cli.summary import brief_lines, bundle_lines, enrolment_lines
    from unheard.external.score_bundle import score_bundle
    from unheard.metrics.formatting import counted

    if protocol is not None:
        folds = protocols.make(protocol, rows, declare_leaky=True).folds
        rows = rows.filter(rows["id"].is_in([i for parts in folds for i in parts.test]))
    with bars() as advance:
        made = score_bundle(
            bundle,
            rows,
            labels=labels,
            progress=lambda done, total: advance("clips", done, total),
            enrol=enrol,
        )
    if as_json:
        print_json(made)
        return
    brief = brief_lines(made, f"{made['bundle']} on {made['corpus']}")
    knowing = enrolment_lines(made.get("enrolment", ()))
    show_result([*brief, *(bundle_lines(made) if details else ()), *knowing])
    for one in made["findings"]:
        say(f"{one['code']}: {one['message']}")
    if made["mapping"]:
        say(made["mapping"])
    if made["n_left_out"]:
        say(f"{counted(made['n_left_out'], 'clip')} left out: the model does not have their labels")
    if made["heard_clips"]:
        say(
            f"{len(made['heard_clips'])} of {made['n_clips']} clips are recordings that the bundle was trained "
            f"on, whatever their names: {first_five(made['heard_clips'])}"
        )
    if made["heard_perhaps"]:
        say(
            f"the bundle was trained on speakers who are called {first_five(made['heard_perhaps'])}, too; a table "
            "whose column 'corpus' names its corpus, in training and here, tells whether these are the same people"
        )
    if made["heard"]:
        known = f"{len(made['heard'])} of these speakers: {first_five(made['heard'])}"
        say(f"the bundle, or its encoder, was trained on {known}")
