"""Frames of polars and pandas are read as the CSV of them is."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import polars as pl
import pytest

import unheard as ut
from unheard.corpora.frames import accept
from unheard.corpora.table import classes, table_digest, utterances
from unheard.errors import DataError, UsageError

ROWS = [
    {"path": f"wav/{k}.wav", "Emotion": ("sad", "joy", None)[k % 3], "Speaker ID": s, "rater": 1, "age": age}
    for k, (s, age) in enumerate([("01", 30), ("02", None), ("01", 31.5), ("2", None)])
]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def same_as_its_csv(frame: pd.DataFrame, **options: object) -> pl.DataFrame:
    frame.to_csv("t.csv", **options)  # type: ignore[call-overload]
    expected = ut.read("generic", "t.csv")
    for made in (accept(frame), ut.read("generic", frame)):
        assert made.drop("label").equals(expected.drop("label").select(made.drop("label").columns))
        assert made["label"].cast(pl.String).to_list() == expected["label"].cast(pl.String).to_list()
    return made


def test_other_columns_other_names_and_missing_values() -> None:
    frame = pd.DataFrame(ROWS)
    table = same_as_its_csv(frame, index=False)
    assert table["speaker"].to_list() == ["01", "02", "01", "2"]
    assert table["label"].to_list() == ["sad", "joy", None, "sad"]
    assert table["age"].to_list() == [30.0, None, 31.5, None]
    assert table["path"][0] == str(Path.cwd() / "wav" / "0.wav")
    assert accept(pl.DataFrame(ROWS)).equals(table)
    same_as_its_csv(frame.convert_dtypes(), index=False)
    same_as_its_csv(frame)  # with the column that counts the rows


def test_a_column_of_mixed_types_is_read_as_text() -> None:
    frame = pd.DataFrame(ROWS).astype({"Speaker ID": object})
    frame.loc[0, "Speaker ID"] = 1
    frame.loc[1, "Speaker ID"] = 2.0
    assert accept(frame)["speaker"].to_list() == ["1", "2", "01", "2"]


def test_an_index_of_files_and_durations_as_audformat_has() -> None:
    index = pd.MultiIndex.from_arrays(
        [["a.wav", "a.wav"], pd.to_timedelta([0, 1.5], unit="s"), pd.to_timedelta([1.5, None], unit="s")],
        names=["file", "start", "end"],
    )
    table = same_as_its_csv(pd.DataFrame({"emotion": ["x", "y"]}, index=index))
    assert table.select("id", "start", "end").rows() == [("a_0.000-1.500", 0.0, 1.5), ("a_1.500-", 1.5, None)]


def test_our_table_through_pandas_and_back_is_the_same() -> None:
    votes = [{"grader": "g", "label": "sad", "weight": 1.0, "modality": None}]
    rows = [
        {
            "id": str(k),
            "path": f"/{k}.wav",
            "label": ("sad", "angry")[k % 2],
            "speaker": f"0{k}",
            "votes": votes,
        }
        for k in range(4)
    ]
    table = utterances(rows, corpus="made", labels=("sad", "angry"))
    again = accept(table.to_pandas())
    assert table_digest(again) == table_digest(table) and classes(again) == ("sad", "angry")
    assert classes(accept(table.to_pandas().query("label != 'angry'"))) == ("sad",)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"path": ["a.wav"]}), "the frame: lacks the column 'label'"),
        (pd.DataFrame({"path": [], "label": []}), "holds no rows"),
        (pd.DataFrame([["a.wav", "x", "y"]], columns=["path", "label", "label"]), "'label' stands there more"),
        (pd.DataFrame({"path": ["a", "b"], "label": ["x", "y"], "age": [1, "old"]}), "row 2, column 'age': 'old'"),
        (pd.DataFrame({"path": ["a"], "label": [object]}), "row 1, column 'label'"),
        (pd.Series(["a"]), "found Series"),
        ([{"path": "a"}], "found list"),
    ],
)  # fmt: skip
def test_what_does_not_hold_is_refused(frame: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        accept(frame)


def test_a_frame_is_no_folder_of_a_corpus() -> None:
    with pytest.raises(UsageError, match="expected the folder of the corpus emodb, found DataFrame"):
        ut.read("emodb", pd.DataFrame(ROWS))
