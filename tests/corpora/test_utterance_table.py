from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unheard.corpora.table import (
    SCHEMA,
    classes,
    complete,
    corpus_of,
    counted,
    one_gender,
    read_table,
    table_digest,
    utterances,
    write_table,
)
from unheard.errors import DataError


def row(name="a", **more):
    return {"id": name, "path": f"/somewhere/{name}.wav", "label": "sad", **more}


def table(*rows, labels=("joy", "sad")):
    return utterances(rows, corpus="mine", labels=labels)


def test_rows_are_sorted_and_classes_keep_their_order():
    made = table(row("b"), row("a", label="joy"), labels=("sad", "joy", "calm"))
    assert made["id"].to_list() == ["a", "b"]
    assert classes(made) == ("sad", "joy", "calm") and corpus_of(made) == "mine"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no utterances found for 'mine'"),
        ([row(mood="x")], "unknown column mood"),
        ([row(label="angry")], r"label outside the classes \(joy, sad\): a: 'angry'"),
        ([row(), row()], "column 'id': the same id stands in several rows: a"),
        ([row(path="")], "column 'path' is empty in row 0"),
        ([row(duration="long")], "does not fit its column"),
        ([row(gender="w")], "does not fit its column"),
        ([row(start=2.0, end=1.0)], "'start', 'end'.*: a"),
        ([row(start=-1.0)], r"'start' is outside \[0, 86400\]: a"),
        ([row(valence=1.5)], r"'valence' is outside \[0, 1\]: a"),
        ([row(activation=float("nan"))], r"'activation' is outside \[0, 1\]: a"),
        ([row(str(k), label="?") for k in range(8)], "4: '[?]' and 3 more"),
    ],
)
def test_what_does_not_hold_is_refused(rows, message):
    with pytest.raises(DataError, match=message):
        table(*rows)


def test_through_a_file_and_back(tmp_path):
    vote = {"grader": "1", "label": "sad", "weight": 1.0, "modality": None}
    made = table(row("a", votes=[vote], start=0.5, end=1.0, gender="female"), row("b", label=None))
    write_table(made, tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").equals(complete(made))
    assert list(complete(made).columns) == list(SCHEMA)


def test_a_file_that_is_not_a_table(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "t.parquet")
    (tmp_path / "t.parquet").write_bytes(b"nothing")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_table(tmp_path / "t.parquet")
    pl.DataFrame({"id": ["a"]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="lacks the column corpus, path, label"):
        read_table(tmp_path / "t.parquet")


def test_the_digest_is_of_the_content_and_not_of_the_place():
    made = table(row("a"), row("b"))
    moved = made.with_columns(path="/elsewhere/" + pl.col("path"))
    assert table_digest(made) == table_digest(moved) == table_digest(made.reverse())
    assert table_digest(made) != table_digest(table(row("a"), row("b", label="joy")))
    assert table_digest(made) != table_digest(table(row("a"), row("b"), labels=("sad", "joy")))


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from(["female", "male", None])), max_size=12))
def test_one_gender_keeps_what_is_not_contradicted(pairs):
    rows = [row(str(k), speaker=speaker, gender=gender) for k, (speaker, gender) in enumerate(pairs)]
    kept = one_gender(rows)
    for before, after in zip(rows, kept, strict=True):
        given_to = {r["gender"] for r in rows if r["speaker"] == before["speaker"]} - {None}
        assert after == ({**before, "gender": None} if len(given_to) == 2 else before)


def test_rows_of_unknown_speakers_keep_their_genders():
    rows = [row("a", speaker=None, gender="female"), row("b", speaker=None, gender="male")]
    assert one_gender(rows) == rows


def test_votes_without_dimensions_are_read_from_older_tables_and_keep_their_digest(tmp_path):
    vote = {"grader": "1", "label": "sad", "weight": 1.0, "modality": None}
    made = table(row("a", votes=[vote]), row("b"))
    names = ("grader", "label", "weight", "modality")
    older = pl.List(pl.Struct([pl.Field(n, pl.Float64 if n == "weight" else pl.String) for n in names]))
    complete(made).with_columns(votes=pl.Series([[vote], None], dtype=older)).write_parquet(
        tmp_path / "t.parquet"
    )
    again = read_table(tmp_path / "t.parquet")
    assert again.equals(complete(made)) and table_digest(again) == table_digest(made)
    graded = table(row("a", votes=[vote | {"valence": 0.5}]), row("b"))
    assert table_digest(graded) != table_digest(made)


def test_the_dimensions_of_votes_are_mapped_with_those_of_the_clip():
    votes = [
        {"label": "sad", "weight": 1.0, "activation": 1.0},
        {"weight": 1.0, "activation": 5.0, "valence": 2.0},
    ]
    made = utterances([row(votes=votes, activation=3.0)], corpus="mine", labels=("sad",), scale=(1.0, 5.0))
    assert made["activation"].to_list() == [0.5]
    assert [(vote["activation"], vote["valence"]) for vote in made["votes"][0]] == [(0.0, None), (1.0, 0.25)]
    with pytest.raises(DataError, match=r"column 'votes': activation is outside \[0, 1\]: a"):
        table(row(votes=votes))


def test_votes_on_the_sound_alone_are_counted_where_there_are_any():
    seen, heard = {"label": "sad", "modality": "video"}, {"label": "joy", "modality": "audio"}
    unknown = {"label": "sad", "modality": None}
    assert list(counted([seen, heard])) == [heard]
    assert list(counted([seen, unknown])) == [seen, unknown]
    assert list(counted(None)) == list(counted([])) == []
