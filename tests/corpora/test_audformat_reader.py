"""Databases in audformat: what header and tables say of each segment, in every shape that they are saved in."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from unheard.corpora import read, survey
from unheard.corpora.times import in_seconds
from unheard.errors import DataError

sys.path.insert(0, str(Path(__file__).parents[1] / "trees"))
from miniature import TREES, tone, write


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def rows(folder):
    return {
        row["id"]: {key: value for key, value in row.items() if value is not None and key != "path"}
        for row in read("audformat", folder).to_dicts()
    }


def test_what_a_database_says(tmp_path):
    TREES["audformat"](tmp_path)
    clips = rows(tmp_path)
    assert clips["a_0.000-0.400"] == {
        "corpus": "mini", "id": "a_0.000-0.400", "start": 0.0, "end": 0.4, "duration": 0.4, "speaker": "3",
        "gender": "male", "age": 31.0, "language": "de", "sentence": "a01", "channel": "speech", "label": "anger",
        "text": "Der Lappen liegt auf dem Eisschrank.", "activation": 1.0, "split": "train", "licence": "CC0-1.0",
    }  # fmt: skip
    # 2 on a scale from 1 to 5.
    assert clips["a_0.400-"]["activation"] == 0.25 and clips["a_0.400-"]["duration"] == pytest.approx(0.6)
    # From the beginning to NaT is the whole file.
    assert not {"start", "end", "text"} & set(clips["b"])
    assert clips["b"]["speaker"] == "8" and clips["b"]["split"] == "test"


def test_parquet_and_csv_say_the_same(tmp_path):
    TREES["audformat"](tmp_path)
    plain = read("audformat", tmp_path)
    times = [[timedelta(0), timedelta(seconds=0.4)], [timedelta(seconds=0.4), None]]
    columns = {"file": ["wav/a.wav"] * 2, "start": times[0], "end": times[1]}
    frame = pl.DataFrame({**columns, "emotion": ["anger", "neutral"], "arousal": [5.0, 2.0]})
    frame.with_columns(
        pl.col("emotion").cast(pl.Categorical), pl.col("start", "end").cast(pl.Duration("ns"))
    ).write_parquet(tmp_path / "db.emotion.train.parquet")
    (tmp_path / "db.emotion.train.csv").unlink()
    pl.DataFrame(
        {"file": ["wav/a.wav", "wav/b.wav"], "speaker": [3, 8], "transcription": ["a01", None]}
    ).write_parquet(tmp_path / "db.files.parquet")
    (tmp_path / "db.files.csv").unlink()
    assert read("audformat", tmp_path).equals(plain)


def test_speakers_in_a_table_of_their_own(tmp_path):
    TREES["audformat"](tmp_path)
    change(
        tmp_path / "db.yaml",
        "    labels:\n      3: {gender: male, age: 31}\n      8: {gender: female, age: 34}\n",
        "    labels: people\n",
    )
    with (tmp_path / "db.yaml").open("a") as file:
        file.write(
            "misc_tables:\n  people:\n    levels: {id: int}\n    columns:\n      gender: {}\n      age: {}\n"
        )
    write(tmp_path / "db.people.csv", "id,gender,age\n3,male,31\n8,female,34\n")
    clips = rows(tmp_path)
    assert (clips["b"]["gender"], clips["b"]["age"]) == ("female", 34.0)


def votes_of(tmp_path, columns, cells):
    """A database of one clip whose table has these columns."""
    specs = "".join(f"      {name}: {{scheme_id: emotion, rater_id: {rater}}}\n" for name, rater in columns)
    write(
        tmp_path / "db.yaml",
        "name: mini\nschemes:\n  emotion: {dtype: str}\ntables:\n  files:\n    type: filewise\n    columns:\n"
        + specs,
    )
    tone(tmp_path / "a.wav")
    write(tmp_path / "db.files.csv", f"file,{','.join(name for name, _ in columns)}\na.wav,{cells}\n")
    return rows(tmp_path)["a"]


@pytest.mark.parametrize(
    ("columns", "cells", "label", "voters"),
    [
        ([("r1", "r1"), ("r2", "r2"), ("r3", "r3")], "joy,sad,joy", "joy", ["r1", "r2", "r3"]),
        ([("r1", "r1"), ("r2", "r2")], "joy,joy", "joy", ["r1", "r2"]),
        ([("r1", "r1"), ("r2", "r2"), ("gold", "gold")], "joy,joy,sad", "sad", ["r1", "r2"]),
        ([("emotion", "only")], "joy", "joy", None),
    ],
)
def test_raters_and_gold(columns, cells, label, voters, tmp_path):
    row = votes_of(tmp_path, columns, cells)
    assert row["label"] == label
    assert [vote["grader"] for vote in row.get("votes", [])] == (voters or [])


def test_two_raters_who_differ_give_no_label(tmp_path):
    tone(tmp_path / "b.wav")
    columns = [("r1", "r1"), ("r2", "r2")]
    row = votes_of(tmp_path, columns, "joy,sad\nb.wav,joy,joy")
    assert "label" not in row and [vote["label"] for vote in row["votes"]] == ["joy", "sad"]


def test_a_missing_recording_stays_and_a_stranger_is_left_out(tmp_path):
    TREES["audformat"](tmp_path)
    (tmp_path / "wav" / "b.wav").unlink()
    tone(tmp_path / "wav" / "c.wav")
    table, left, _ = survey("audformat", tmp_path)
    assert table["duration"].null_count() == 1
    assert {item.path: item.reason for item in left}[
        "wav/c.wav"
    ] == "in no table with an emotion or a dimension"


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("db.emotion.train.csv", ",5.0", ",6.0", "table emotion.train, column 'arousal': 6 is out of bounds"),
        ("db.emotion.train.csv", "file,start", "file,begin", "lacks the column start"),
        ("db.emotion.train.csv", "0 days 00:00:00.400000,anger", "soon,anger", "row 2, column 'end': 'soon'"),
        ("db.yaml", "tables:", "table:", "expected the header of a database"),
        (
            "db.yaml",
            "  emotion:\n",
            "  emotion: [a]\n  emotions:\n",
            "'emotion': expected a mapping, found list",
        ),
    ],
)
def test_what_does_not_hold(file, old, new, message, tmp_path):
    TREES["audformat"](tmp_path)
    change(tmp_path / file, old, new)
    with pytest.raises(DataError, match=message):
        read("audformat", tmp_path)


def test_a_database_without_emotions_is_refused(tmp_path):
    TREES["audformat"](tmp_path)
    text = (tmp_path / "db.yaml").read_text()
    (tmp_path / "db.yaml").write_text(
        text.replace("scheme_id: emotion", "scheme_id: mood").replace("emotion: {", "x: {")
    )
    change(tmp_path / "db.yaml", "arousal: {scheme_id: arousal}", "energy: {}")
    with pytest.raises(DataError, match="no table has a column of the scheme emotion, arousal"):
        read("audformat", tmp_path)


def test_nothing_is_unpickled(tmp_path):
    TREES["audformat"](tmp_path)
    (tmp_path / "db.files.csv").rename(tmp_path / "db.files.pkl")
    with pytest.raises(
        DataError, match="as a pickle alone, which is not read; save the database with storage_format='csv'"
    ):
        read("audformat", tmp_path)


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        ("0 days 00:00:01.500000", 1.5),
        ("0 days", 0.0),
        ("1 day 01:00:00", 90_000.0),
        ("2 days 00:01:02", 2 * 86_400 + 62.0),
        ("00:01:02.25", 62.25),
        (timedelta(minutes=1), 60.0),
        ("NaT", None),
        (None, None),
        ("", ""),
        ("1.5", "1.5"),
        (2.5, 2.5),
        ("00:61:00", "00:61:00"),
    ],
)
def test_durations(cell, seconds):
    assert in_seconds(cell) == seconds
