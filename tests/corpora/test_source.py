"""What a user points at becomes an utterance table, whoever wrote it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from unheard.corpora.source import utterances as read
from unheard.corpora.table import classes, utterances, write_table
from unheard.errors import DataError, UsageError

LABELS = ("sad", "calm", "angry")


@pytest.fixture
def own() -> pl.DataFrame:
    """A table as somebody else's script writes it: no corpus, no id, classes in an order of their own."""
    return pl.DataFrame(
        {
            "path": ["c.wav", "a.wav", "b.wav"],
            "label": pl.Series(["sad", "angry", "sad"], dtype=pl.Enum(LABELS)),
            "speaker": [1, 2, 1],
        }
    )


def test_an_own_parquet_with_ordered_classes_is_read_as_any_table(own: pl.DataFrame, tmp_path: Path) -> None:
    own.write_parquet(tmp_path / "own.parquet")
    found = read(tmp_path / "own.parquet")
    assert found["id"].to_list() == ["a", "b", "c"]
    assert found["speaker"].to_list() == ["2", "1", "1"]
    assert found["corpus"].unique().to_list() == ["generic"]
    assert classes(found) == LABELS
    only_corpus = own.with_columns(corpus=pl.lit("mine"))
    only_corpus.write_parquet(tmp_path / "own.parquet")
    assert read(tmp_path / "own.parquet")["corpus"].unique().to_list() == ["mine"]


def test_a_prepared_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    rows = [{"id": f"{k}", "path": f"{k}.wav", "label": LABELS[k]} for k in range(3)]
    table = utterances(rows, corpus="made", labels=LABELS)
    write_table(table, tmp_path / "made.parquet")
    assert read(tmp_path / "made.parquet").equals(read(tmp_path / "made.parquet", "made"))
    assert read(tmp_path / "made.parquet").select(table.columns).equals(table)
    with pytest.raises(UsageError, match="holds the corpus made, asked for emodb"):
        read(tmp_path / "made.parquet", "emodb")


@pytest.mark.parametrize("name", ["absent", "absent.parquet", "x" * 300, "x" * 5000 + ".parquet"])
def test_a_path_that_is_not_there_or_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        read(tmp_path / name)


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match=r"t\.parquet"):
        read(tmp_path / "t.parquet")
