"""A mapping of labels, and what becomes of classes, probabilities and tables by it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from unheard.errors import UsageError
from unheard.label_files import parse, stored
from unheard.labels import Labels

ANSWER = {"angry": 0.5, "calm": 0.25, "neutral": 0.125, "sad": 0.125}


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("calm=neutral", {"angry": 0.5, "neutral": 0.375, "sad": 0.125}),
        ("calm=,sad=", {"angry": 0.8, "neutral": 0.2}),
        ("sad,angry", {"angry": 0.8, "sad": 0.2}),
        ("sad=low,calm=low,neutral=", {"angry": 0.5 / 0.875, "low": 0.375 / 0.875}),
        ("seven", {"angry": 0.5, "neutral": 0.375, "sad": 0.125}),
    ],
)
def test_probabilities_are_added_and_scaled(text: str, shares: dict[str, float]) -> None:
    labels = parse(text)
    labels.check(ANSWER, "the model")
    assert labels.classes(list(ANSWER)) == tuple(shares)
    assert labels.shares(ANSWER) == pytest.approx(shares)


def test_classes_with_nothing_left_are_equal() -> None:
    assert parse("sad,calm").shares({"angry": 1.0, "sad": 0.0, "calm": 0.0}) == {"sad": 0.5, "calm": 0.5}


def test_a_mapping_says_itself_with_its_version() -> None:
    assert str(parse("calm=neutral,sad=")) == "labels by calm=neutral,sad=: calm → neutral, sad → (dropped)"
    assert str(parse("sad,calm")) == "labels by sad,calm: chosen; what is not named is dropped"
    for name in stored():
        assert str(parse(name)).startswith(f"labels by {name}, version ")


def test_labels_that_are_not_there_are_refused_where_somebody_typed_them() -> None:
    with pytest.raises(UsageError, match="unknown label of the model 'anger'; did you mean 'angry'"):
        parse("anger=rage").check(ANSWER, "the model")
    with pytest.raises(UsageError, match="none of the classes angry, calm, neutral, sad is left"):
        Labels({"x": "x"}, others=False, version=1).check(ANSWER, "the model")
    with pytest.raises(UsageError, match="did you mean 'seven'"):
        parse("sevn")


def test_typed_labels_need_the_core_packages_alone() -> None:
    code = "import sys; sys.modules['yaml'] = sys.modules['polars'] = None; import unheard.label_files as files; "
    subprocess.run([sys.executable, "-c", code + "files.parse('a=b,c')"], check=True)


def test_merge_is_for_tables_alone_and_says_where_nothing_was_merged():
    with pytest.raises(UsageError, match="'merge' is for tables"):
        parse("merge")
    assert str(Labels({}, name="merge")) == "labels by merge: as they are"
