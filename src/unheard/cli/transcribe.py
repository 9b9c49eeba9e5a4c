"""``unheard transcribe``: what was said in each clip of a table, by a speech recogniser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unheard.cli.terminal import bars, say


def transcribe(
    data: Annotated[Path, typer.Argument(help="Prepared table (.parquet), or folder of a corpus.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Table to write (.parquet).")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Folder of a Whisper, or a name that the backend knows.")
    ] = "base",
    backend: Annotated[
        str, typer.Option("--backend", help="faster-whisper (extra words) or transformers (extra text).")
    ] = "faster-whisper",
    language: Annotated[
        str | None, typer.Option("--language", help="Two letters, such as en; default: it finds out.")
    ] = None,
    corpus: Annotated[str | None, typer.Option("--corpus", help="Reader; default: generic.")] = None,
    channel: Annotated[int | None, typer.Option("--channel", min=0, help="Take one channel.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing table.")] = False,
) -> None:
    """Write the table with recognised words and their times; goes on where it was stopped."""
    from unheard.corpora.source import utterances
    from unheard.corpora.table import write_table
    from unheard.errors import UsageError
    from unheard.files import new_output
    from unheard.transcription.recognizers import load
    from unheard.transcription.transcribe import errors, notebook_of
    from unheard.transcription.transcribe import transcribe as recognised

    if out.suffix != ".parquet":
        raise UsageError(f"{out}: a table is written as Parquet; name it {out.with_suffix('.parquet')}")
    new_output(out, force)
    table = utterances(data, corpus)
    recognizer = load(model, backend, language)
    notebook = notebook_of(out)
    with bars() as advance:
        made, bad = recognised(
            table, recognizer, notebook, channel=channel, progress=lambda d, n: advance("clips", d, n)
        )
    write_table(made, out, {"words": f"recognised by {recognizer.name}"})
    notebook.unlink(missing_ok=True)
    for clip, reason in bad.items():
        say(f"left out: {clip}: {reason}")
    silent = int((made["recognized"] == "").sum())
    say(f"{out}: {len(made) - len(bad):,} clips by {recognizer.name}, {silent:,} of them without a word")
    if (found := errors(made)) is not None:
        say(str(found))
    say("a recipe's input reads them with transcript: recognized")
