"""A table with what a recogniser heard in each clip, beside the owner's text; what is done is not done again."""

from __future__ import annotations

import json
import os
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from unheard.audio.medium import AudioMedium
from unheard.corpora.table import check, clips, complete
from unheard.errors import DataError, need
from unheard.formats import json_text
from unheard.transcription.recognizers import Recognizer, Transcript

_NO_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation + "‘’“”…–—¿¡", ""))


def transcribe(
    table: pl.DataFrame,
    recognizer: Recognizer,
    notebook: Path,
    *,
    channel: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Return the table with the columns ``recognized``, ``words`` and ``recognizer``, and clips without, and why.

    Parameters
    ----------
    table
        Utterances with recordings.
    recognizer
        What hears the words.
    notebook
        File of lines of JSON into which each transcript is written when it is there, and from which a call after a
        kill goes on. Clips are known in it by their sound and the recogniser.
    channel
        Channel of recordings; None for the mean of all.
    progress
        Called with (clips done, all clips).
    """
    medium = AudioMedium()
    known = read_notebook(notebook)
    found: dict[str, Transcript] = {}
    bad: dict[str, str] = {}
    listed = clips(table, channel)
    with notebook.open("a", encoding="utf-8") as lines:
        for number, clip in enumerate(listed, 1):
            try:
                key = f"{medium.key(clip)}-{recognizer.key}"
                if key not in known:
                    known[key] = recognizer.transcribe(medium.open(clip))
                    lines.write(json.dumps({"key": key, **known[key].plain()}) + "\n")
                    lines.flush()
                found[clip.id] = known[key]
            except DataError as error:
                bad[clip.id] = str(error)
            if progress is not None:
                progress(number, len(listed))
    return with_transcripts(table, found, recognizer.name), bad


def with_transcripts(table: pl.DataFrame, found: Mapping[str, Transcript], recognizer: str) -> pl.DataFrame:
    """Return the table with transcripts by the id of the clip; a language that was not known is the recognised."""
    rows = [
        {
            "id": clip,
            "recognized": transcript.text,
            "words": [word.__dict__ for word in transcript.words],
            "recognizer": recognizer,
            "heard": transcript.language or None,
        }
        for clip, transcript in found.items()
    ]
    whole = complete(table)
    types = {name: whole.schema[name] for name in ("id", "recognized", "words", "recognizer")}
    heard = pl.DataFrame(rows, schema={**types, "heard": pl.String()})
    joined = whole.drop("recognized", "words", "recognizer").join(heard, on="id", how="left")
    return check(
        complete(joined.with_columns(language=pl.coalesce("language", "heard")).drop("heard")).sort("id")
    )


def read_notebook(path: Path) -> dict[str, Transcript]:
    """Return the transcripts in a notebook by their keys; a last line that a kill cut off is cut away."""
    if not path.is_file():
        return {}
    whole, _, cut = path.read_bytes().rpartition(b"\n")
    if cut:
        os.truncate(path, len(whole) + 1 if whole else 0)
    found = {}
    for number, line in enumerate(whole.split(b"\n") if whole else [], 1):
        try:
            values = json_text.parse_object(line.decode(), f"{path}: line {number}")
            found[str(values["key"])] = Transcript.of_plain(values)
        except (DataError, UnicodeDecodeError, KeyError) as error:
            raise DataError(
                f"{path}: line {number} is no transcript ({error}); remove the file to begin again"
            ) from error
    return found


@dataclass(frozen=True)
class Errors:
    """Errors of recognised text against the owner's: shares of the owner's words and characters, and the clips."""

    words: float
    characters: float
    clips: int
    exact: int

    def __str__(self) -> str:
        return (
            f"WER {100 * self.words:.1f} %, CER {100 * self.characters:.1f} % over {self.clips:,} clips with the "
            f"owner's text, {self.exact:,} of them without an error"
        )


def errors(table: pl.DataFrame) -> Errors | None:
    """Return word and character errors over all clips that have both texts, by jiwer's definitions.

    Both are compared in small letters and without punctuation. None where no clip has both.
    """
    both = table.filter(pl.col("text").is_not_null() & pl.col("recognized").is_not_null())
    pairs = [(normal(own), normal(heard)) for own, heard in both.select("text", "recognized").iter_rows()]
    pairs = [(own, heard) for own, heard in pairs if own]
    if not pairs:
        return None
    jiwer = need("jiwer", "words")
    own, heard = [list(side) for side in zip(*pairs, strict=True)]
    exact = sum(one == other for one, other in pairs)
    return Errors(float(jiwer.wer(own, heard)), float(jiwer.cer(own, heard)), len(pairs), exact)


def normal(text: str) -> str:
    """Return a text in small letters, without punctuation, and with single blanks."""
    return " ".join(text.lower().translate(_NO_PUNCTUATION).split())


def notebook_of(out: str | os.PathLike[str]) -> Path:
    """Return the file beside a table in which its transcripts are noted until it is written."""
    path = Path(out)
    return path.with_name(f"{path.stem}.transcripts.jsonl")
