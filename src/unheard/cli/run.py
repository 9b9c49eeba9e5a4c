"""``unheard run``: a recipe over the folds of a protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unheard.cli.terminal import bars, number_list, say, show_result


def run(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe (`unheard recipes`), or a YAML file.")],
    data: Annotated[
        Path, typer.Option("--data", "-d", help="Corpus folder, prepared table, or list of files.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder to make.")],
    protocol: Annotated[
        str | None, typer.Option("--protocol", "-p", help="Folds; default: the recipe's.")
    ] = None,
    corpus: Annotated[
        str | None, typer.Option("--corpus", help="Reader; default: the recipe's, or generic.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change one recipe field: head.dropout=0.3, refit=val.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights", "-w", help="Encoder: folder, file or hub name; short for --set encoder.model=…"
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            help="Other classes: merge, iemocap-4, seven, FILE.yaml, or OLD=NEW,DROPPED=,KEPT.",
        ),
    ] = None,
    folds: Annotated[str | None, typer.Option("--folds", help="Run a part of the folds: 0-3 or 0,4.")] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Number of folds at a time; the result is the same.")
    ] = 2,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the run in this folder stopped.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Start again in a folder that holds a run.")] = False,
    speakers: Annotated[
        str | None, typer.Option("--speakers", help="merge: nearly equal names are one person; or OLD=NEW,…")
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option("--val", help="Take validation speakers out of training: next-fold or speakers."),
    ] = None,
    declare_leaky: Annotated[
        bool,
        typer.Option("--declare-leaky", help="Run folds that share speakers; everything is stamped LEAKY."),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first recording that cannot be used.")
    ] = False,
    max_bad: Annotated[
        float, typer.Option("--max-bad", min=0, max=1, help="Share of unusable recordings.")
    ] = 0.01,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", help="CSV that gets a row for this test-set evaluation.")
    ] = None,
    decided: Annotated[
        str, typer.Option("--decided", help="What was decided because of it, for the ledger.")
    ] = "",
) -> None:
    """Train and score a recipe on speakers it has never heard, and leave a run folder with a report."""
    from unheard import protocols
    from unheard.cli.summary import score_lines
    from unheard.corpora.names import mistyped
    from unheard.corpora.paths import refuse_absent
    from unheard.corpora.relabel import mapping_of, relabel
    from unheard.corpora.source import utterances
    from unheard.errors import UsageError
    from unheard.metrics.formatting import counted
    from unheard.protocols.fold import check_labels
    from unheard.recipes import recipe as recipes
    from unheard.recipes.changes import parse_changes
    from unheard.runs.reporting import report
    from unheard.runs.run import run as run_recipe

    changed = parse_changes(changes or []) | ({} if weights is None else {"encoder.model": weights})
    changed |= {} if protocol is None else {"protocol": protocol}
    changed |= {} if labels is None else {"labels": labels}
    stated = recipes.load(recipe, changed)
    if stated.corpus is not None and corpus is None and data.is_file() and data.suffix != ".parquet":
        raise UsageError(
            f"recipe {stated.recipe} is for the folder of the corpus {stated.corpus}, and {data} is a list of "
            "files; take a recipe for any corpus, such as functionals (`unheard recipes` lists them), or "
            f"--corpus generic where its column corpus says {stated.corpus}"
        )
    table = utterances(data, corpus or stated.corpus, speakers=speakers, say=say)
    if stated.labels is not None:
        mapping = mapping_of(table, stated.labels)
        table = relabel(table, mapping)
        say(str(mapping))
    if stated.target.classes == "label":
        check_labels(table)
        labels_found = dict(table["label"].cast(str).drop_nulls().value_counts().iter_rows())
        for rare, common in mistyped(labels_found).items():
            say(f"{rare} is a class of its own; if {common} was meant: --labels {rare}={common}")
    if any((own.features or {}).get("name") != "precomputed" for own in stated.inputs.values()):
        refuse_absent(table, data)
    chosen = protocols.make(
        stated.protocol, table, declare_leaky=declare_leaky, validation=validation,
        classes=stated.target.classes, dimensions=stated.target.dimensions,
    )  # fmt: skip
    asked = number_list(folds)
    count = len(chosen.folds) if asked is None else len(asked)
    clips = len({i for fold in chosen.folds for part in fold for i in part})
    work = f"{counted(clips, 'clip')}, {counted(count, 'fold')} × {counted(len(stated.seeds), 'seed')}"
    say(f"{stated.recipe} on {chosen.name}: {work} → {out}")
    if "LEAKY" in chosen.stamps:
        say("LEAKY: speakers are in two splits; this score says nothing about people it has not heard")
    elif "UNVERIFIED" in chosen.stamps:
        say("UNVERIFIED: speakers are unknown, so nobody can say whether some are in two splits")
    if stated.random_weights:
        say("RANDOM WEIGHTS: the encoder has learned nothing; this score says what an untrained one gives")
    if stated.training is not None:
        say(
            f"fine-tuning: at most {stated.training['epochs']} epochs a fold, each kept in {out / 'checkpoints'} "
            "until its fold is done, so that --resume goes on; such a run cannot be exported"
        )
    with bars() as advance:
        made = run_recipe(
            stated, table, chosen, out,
            only=asked, jobs=jobs, resume=resume, force=force, strict=strict, max_bad=max_bad,
            ledger=ledger, decided=decided, progress=advance, say=say,
        )  # fmt: skip
    show_result(score_lines(made.scores))
    bad = (made.folder / "errors.jsonl").read_text(encoding="utf-8").count("\n")
    if bad:
        say(f"{counted(bad, 'recording')} could not be used: {made.folder / 'errors.jsonl'}")
    if not made.audit["passed"]:
        say("the audit found errors: see the report, or `unheard audit`")
    say(f"report: {report([made], made.folder / 'report.html')}")
