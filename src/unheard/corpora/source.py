"""Utterances from whatever a user points at: a prepared table, a corpus folder, a list of files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import polars as pl

from unheard import corpora
from unheard.corpora.speakers import renamed
from unheard.corpora.table import REQUIRED, corpus_of, notes_of, read_table
from unheard.errors import UsageError
from unheard.formats.parquet import read_schema


def utterances(
    path: str | os.PathLike[str],
    corpus: str | None = None,
    *,
    speakers: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> pl.DataFrame:
    """Return the utterance table of a path.

    Parameters
    ----------
    path
        A table that ``unheard prepare`` wrote (.parquet), the folder of a corpus, or a list of files with labels.
    corpus
        Reader to use for a folder or list. Where None, a folder with ``db.yaml`` is read as ``audformat``, one
        with a ``metadata`` file or Parquet files that hold sounds as ``huggingface``, and anything else as
        ``generic``. A folder that our synthesiser wrote is always read as ``synthetic``.
    speakers
        Other names of speakers, as :func:`unheard.corpora.speakers.renamed` takes them.
    say
        Function that is called with what was taken for what in a folder or list.
    """
    table = _utterances(path, corpus, say)
    return table if speakers is None else renamed(table, speakers)


def _utterances(path: str | os.PathLike[str], corpus: str | None, say: Callable[[str], None]) -> pl.DataFrame:
    source = Path(path)
    if not os.path.exists(source):  # noqa: PTH110 - Path.exists raises where a name is too long
        raise UsageError(f"{source}: no such file or folder")
    if (source / "synthetic.json").is_file():
        return corpora.read("synthetic", source)
    if source.suffix == ".parquet" and source.is_file() and _is_ours(source):
        table = read_table(source)
        if corpus not in (None, "generic", corpus_of(table)):
            raise UsageError(f"{source} holds the corpus {corpus_of(table)}, asked for {corpus}")
        for note in notes_of(source).values():
            say(f"{source.name}: made with {note}")
        return table
    found = corpora.survey(corpus or corpora.reader_of(source), source)
    for remark in found.remarks:
        say(remark.text)
    return found.table


def of_reader(source: str) -> pl.DataFrame:
    """Return the utterance table of ``CORPUS:FOLDER``, or of what :func:`utterances` takes without a corpus."""
    reader, colon, folder = source.partition(":")
    return utterances(folder, reader) if colon and reader in corpora.READERS else utterances(source)


def _is_ours(source: Path) -> bool:
    """Return whether it has what every table of ours has; what has not is read as any table is."""
    schema = read_schema(source)
    return isinstance(schema.get("label"), pl.Enum) and set(REQUIRED) <= set(schema)
