from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from unheard.errors import DataError, UsageError
from unheard.metrics.rows import labelled_rows, marks, units

Make = Callable[..., pl.DataFrame]


def row(id: str, speaker: str | None, **more: object) -> dict[str, object]:
    return {"id": id, "speaker": speaker, "label": "sad", "predicted": "sad", **more}


def test_units_are_speakers_and_else_clips(table: Make) -> None:
    # A speaker of the name of a clip is not that clip.
    t = table([row("1", "x"), row("2", "x"), row("3", None), row("4", "3")])
    names, _ = units(labelled_rows(t).frame)
    assert names == ["clip 3", "speaker 3", "speaker x"]


def test_a_speaker_of_two_genders_is_of_unknown_gender(table: Make) -> None:
    t = table(
        [
            row("1", "a", gender="female"),
            row("2", "a", gender=None),
            row("3", "b", gender="female"),
            row("4", "b", gender="male"),
            row("5", "c", gender="other"),
        ]
    )
    names, strata = units(labelled_rows(t).frame)
    assert dict(zip(names, strata.tolist(), strict=True)) == {"speaker a": 0, "speaker b": 3, "speaker c": 2}


def test_validation_rows_and_clips_without_label_are_not_scored(table: Make) -> None:
    t = table([row("1", "a"), row("2", "a", part="val"), row("3", "a", label=None)])
    assert labelled_rows(t).frame["id"].to_list() == ["1"]


def test_what_is_right(table: Make) -> None:
    t = table([row("1", "a"), row("2", "a", predicted="happy"), row("3", "a", predicted=None)])
    rows = labelled_rows(t)
    assert rows.frame["right"].to_list() == [True, False, False]
    assert rows.predicted.tolist() == [2, 1, -1]


def test_nothing_to_score_is_refused(table: Make) -> None:
    with pytest.raises(DataError, match="no test row with a label"):
        labelled_rows(table([row("1", "a", part="val")]))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("system", ["x", "y"]),
        ("condition", ["clean", "babble"]),
        ("enrol_k", [0, 4]),
        ("enrol_kind", ["clips", "neutral"]),
        ("draw", [0, 1]),
        ("protocol_hash", ["p", "q"]),
    ],
)
def test_one_score_is_of_one(table: Make, column: str, values: list[object]) -> None:
    t = table([row("1", "a", **{column: values[0]}), row("2", "a", **{column: values[1]})])
    with pytest.raises(UsageError, match=f"column '{column}' holds"):
        labelled_rows(t)


def test_marks() -> None:
    assert marks(pl.Series([f"s{i}" for i in range(9)] * 2)) == ("FEW SPEAKERS",)
    assert marks(pl.Series([f"s{i}" for i in range(10)])) == ()
    assert marks(pl.Series(["a", None])) == ("UNVERIFIED",)
