"""``unheard prepare``: from a corpus on disk to an utterance table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unheard.cli.terminal import say


def prepare(
    corpus: Annotated[
        str,
        typer.Argument(help="Reader of the corpus, such as ravdess; generic: a table or folder of your own."),
    ],
    source: Annotated[Path, typer.Argument(help="Folder of the corpus, or a table of your own (generic).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Table to write (.parquet).")],
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            help="Other classes: merge, iemocap-4, seven, FILE.yaml, or OLD=NEW,DROPPED=,KEPT with commas.",
        ),
    ] = None,
    speakers: Annotated[
        str | None, typer.Option("--speakers", help="merge: nearly equal names are one person; or OLD=NEW,…")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing table.")] = False,
) -> None:
    """Read a corpus into a table, and list every file that is left out, with the reason."""
    from collections import Counter

    from unheard import corpora
    from unheard.corpora.names import mistyped, nearly_equal, shown
    from unheard.corpora.paths import refuse_absent
    from unheard.corpora.relabel import mapping_of, relabel
    from unheard.corpora.speakers import renamed
    from unheard.corpora.table import write_table
    from unheard.errors import UsageError, first_five
    from unheard.files import new_output

    if out.suffix != ".parquet":
        raise UsageError(f"{out}: a table is written as Parquet; name it {out.with_suffix('.parquet')}")
    new_output(out, force)
    from unheard.metrics.formatting import counted

    table, left_out, remarks = corpora.survey(corpus, source, sounds=out.with_name(f"{out.stem}-sounds"))
    refuse_absent(table, source)
    chosen = None if labels is None else mapping_of(table, labels)
    if chosen is not None:
        table = relabel(table, chosen)
    if speakers is not None:
        table = renamed(table, speakers)
    made_by = {} if chosen is None else {"labels": str(chosen)}
    write_table(table, out, made_by | ({} if speakers is None else {"speakers": f"speakers by {speakers}"}))
    for remark in remarks:
        say(remark.text)
    for entry in left_out:
        say(f"left out: {entry.path}: {entry.reason}")
    speakers_found = counted(table["speaker"].drop_nulls().n_unique(), "speaker")
    clips, others = counted(len(table), "clip"), counted(len(left_out), "file")
    say(f"{out}: {clips}, {speakers_found}, {others} left out")
    nobody = table["speaker"].null_count()
    if nobody:
        say(f"  {counted(nobody, 'clip')} of an unknown speaker")
    for reason, count in Counter(entry.reason for entry in left_out).most_common():
        say(f"  {count:5d}  {reason}")
    for column in ("speaker", "label"):
        for group in nearly_equal(table[column].cast(str).drop_nulls().unique()):
            say(
                f"  {' and '.join(map(shown, group))} look like one {column}: --{column}s merge makes one of them"
            )
    counts = dict(table["label"].cast(str).drop_nulls().value_counts().iter_rows())
    for rare, common in mistyped(counts).items():
        say(f"  {rare} is a class of its own; if {common} was meant: --labels {rare}={common}")
    unopened = table.filter(table["duration"].is_null())
    if len(unopened):
        listed = first_five(unopened["path"])
        say(f"  {counted(len(unopened), 'clip')} without a file, or with one that cannot be opened: {listed}")
    if chosen is not None:
        say(f"  {chosen}")
    for label, count in table["label"].value_counts(sort=True).iter_rows():
        say(f"  {count:5d}  {label if label is not None else '(no label)'}")
