"""What every corpus reader promises, checked on whatever readers the package holds."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

import polars as pl
import pytest

import unheard.corpora
from unheard.corpora import LeftOut, names, read, survey
from unheard.corpora.table import SCHEMA, classes, read_table, write_table
from unheard.errors import DataError

sys.path.insert(0, str(Path(__file__).parents[1] / "trees"))
from miniature import TREES, tone

READERS = {
    module.NAME: module
    for module in (
        importlib.import_module(f"unheard.corpora.{info.name}")
        for info in pkgutil.iter_modules(unheard.corpora.__path__)
    )
    if hasattr(module, "NAME")
}
#: Readers of any corpus in a format: the data say the corpus and its classes.
OPEN = ("audformat", "emobox", "generic", "huggingface")
every_corpus = pytest.mark.parametrize("name", sorted(READERS))


def test_every_module_with_a_name_is_offered_and_has_a_tree():
    assert sorted(READERS) == sorted(names()) == sorted(TREES)


@every_corpus
def test_constants(name):
    reader = READERS[name]
    assert name == reader.NAME
    assert reader.CITATION and reader.LICENCE and reader.DESCRIPTION and reader.__doc__
    assert len(set(reader.LABELS)) == len(reader.LABELS)
    assert reader.LABELS or name in OPEN


@every_corpus
def test_reads_the_owners_layout(name, tmp_path):
    ids = TREES[name](tmp_path / "corpus")
    table, left, _ = survey(name, tmp_path / "corpus")
    assert set(table["id"]) == ids
    assert table["id"].to_list() == sorted(ids)
    assert table["corpus"].n_unique() == 1 and (name in OPEN or table["corpus"][0] == name)
    assert classes(table) == (READERS[name].LABELS or tuple(sorted(set(table["label"].drop_nulls()))))
    assert table["duration"].null_count() == 0 and (table["duration"] > 0).all()
    # Graders who do not agree leave votes and no label.
    voted = table["votes"].is_not_null() if "votes" in table.columns else False
    assert (table["label"].is_not_null() | voted).all()
    assert set(table.columns) <= set(SCHEMA)
    assert all(Path(path).is_file() and Path(path).is_absolute() for path in table["path"])
    assert all(isinstance(item, LeftOut) and item.reason for item in left)
    # Every file is a recording of the table, or left out with a reason; none is both.
    files = {str(path) for path in (tmp_path / "corpus").rglob("*") if path.is_file()}
    used, told = set(table["path"]), [str(tmp_path / "corpus" / item.path) for item in left]
    assert files == used | set(told) and not used & set(told) and len(told) == len(set(told))


@every_corpus
def test_same_table_twice_and_through_a_file(name, tmp_path):
    TREES[name](tmp_path / "corpus")
    table = read(name, tmp_path / "corpus")
    assert table.equals(read(name, tmp_path / "corpus"))
    write_table(table, tmp_path / "table.parquet")
    assert read_table(tmp_path / "table.parquet").select(table.columns).equals(table)
    again = read("generic", tmp_path / "table.parquet")
    assert again.select(table.columns).equals(table)
    assert classes(again) == classes(table)


@every_corpus
def test_a_broken_recording_stays_with_unknown_duration(name, tmp_path):
    TREES[name](tmp_path / "corpus")
    whole = read(name, tmp_path / "corpus")
    Path(whole["path"][0]).write_bytes(b"not audio at all")
    broken = read(name, tmp_path / "corpus")
    assert broken["id"].equals(whole["id"])
    # Several clips may be pieces of one recording.
    assert broken["duration"].is_null().to_list() == [path == whole["path"][0] for path in whole["path"]]


@every_corpus
def test_strangers_are_left_out_with_a_reason(name, tmp_path):
    ids = TREES[name](tmp_path / "corpus")
    tone(tmp_path / "corpus" / "a stranger.wav")
    (tmp_path / "corpus" / ".hidden.wav").write_bytes(b"")
    (tmp_path / "corpus" / "broken.wav").symlink_to(tmp_path / "nowhere")
    table, left, _ = survey(name, tmp_path / "corpus")
    assert set(table["id"]) == ids
    assert {"a stranger.wav", ".hidden.wav", "broken.wav"} <= {item.path for item in left}


@every_corpus
def test_an_empty_or_missing_folder_is_a_clear_error(name, tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        read(name, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        read(name, tmp_path / "empty")


@every_corpus
def test_one_gender_a_speaker(name, tmp_path):
    TREES[name](tmp_path / "corpus")
    table = read(name, tmp_path / "corpus").filter(pl.col("speaker").is_not_null())
    assert table.group_by("speaker").agg(pl.col("gender").n_unique())["gender"].to_list() == [1] * (
        table["speaker"].n_unique()
    )
