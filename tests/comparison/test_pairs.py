from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from unheard.comparison.pairs import pair
from unheard.errors import DataError

Make = Callable[..., pl.DataFrame]


def row(id: str, predicted: str | None, **more: object) -> dict[str, object]:
    return {"id": id, "speaker": "x", "label": "sad", "predicted": predicted, **more}


def test_accuracy_of_a_clip_is_a_mean_over_seeds_of_means_over_folds(table: Make) -> None:
    a = table(
        [
            row("1", "sad", seed=0, fold=0),
            row("1", "happy", seed=0, fold=1),
            row("1", "happy", seed=1, fold=0),
            row("2", "sad"),
        ]
    )
    b = table([row("2", "happy"), row("1", "sad")])
    both = pair(a, b)
    assert both.clips.select("id", "a", "b").rows() == [("1", 0.25, 1.0), ("2", 1.0, 0.0)]
    # By fold: seeds averaged, and only where both tested the clip in that fold.
    assert both.by_fold.rows() == [(0, "1", 0.5, 1.0), (0, "2", 1.0, 0.0)]


def test_clips_of_one_only_are_left_out_and_counted(table: Make) -> None:
    a, b = (table([row(i, "sad") for i in ids]) for ids in ("123", "34"))
    both = pair(a, b)
    assert both.clips["id"].to_list() == ["3"]
    assert (both.only_a, both.only_b) == (2, 1)
    assert both.by_fold["id"].to_list() == ["3"]


def test_no_answer_is_an_error_unless_asked(table: Make) -> None:
    a, b = table([row("1", None), row("2", "sad")]), table([row("1", "sad"), row("2", "sad")])
    both = pair(a, b)
    assert both.clips["a"].to_list() == [0.0, 1.0]
    assert (both.unanswered_a, both.unanswered_b, both.dropped) == (1, 0, 0)
    both = pair(a, b, answered_only=True)
    assert both.clips["id"].to_list() == ["2"]
    assert both.by_fold["id"].to_list() == ["2"]
    assert (both.unanswered_a, both.unanswered_b, both.dropped) == (0, 0, 1)
    with pytest.raises(DataError, match="no clip got a prediction from both"):
        pair(a.head(1), b, answered_only=True)


def test_a_speaker_that_one_table_knows_is_known(table: Make) -> None:
    a, b = table([row("1", "sad", speaker=None)]), table([row("1", "sad")])
    assert pair(a, b).clips["unit"].to_list() == ["speaker x"]
    assert pair(b, a).clips["speaker"].to_list() == ["x"]
    assert pair(a, a).clips["unit"].to_list() == ["clip 1"]


def test_class_order_does_not_matter(table: Make) -> None:
    a = table([row("1", "sad"), row("2", "happy")])
    b = table([row("1", "sad"), row("2", "happy")], ("sad", "happy", "angry", "neutral"))
    both = pair(a, b)
    assert both.clips["a"].to_list() == both.clips["b"].to_list() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("b", "says"),
    [
        ([row("7", "sad")], r"no clip in common \(1 … against 7 …\)"),
        ([row("1", "sad", label="happy")], "the label of a clip differs between the two tables: 1"),
        ([row("1", "sad", speaker="y")], "the speaker of a clip differs between the two tables: 1"),
        ([row("1", "sad"), row("1", "sad", seed=1, speaker="y")], "two labels or two speakers within one"),
    ],
)
def test_tables_that_contradict_are_refused(table: Make, b: list[dict[str, object]], says: str) -> None:
    with pytest.raises(DataError, match=says):
        pair(table([row("1", "sad")]), table(b))
