"""Who and what a table holds, counted by hand."""

from __future__ import annotations

import polars as pl
import pytest

from unheard.auditing.balance import check_balance
from unheard.protocols.fold import fold, guarded


def many(**speakers):
    """``s1=("female", "aab")``: a speaker, her gender, the labels of her clips."""
    return [
        {"speaker": name, "gender": gender, "label": label}
        for name, (gender, labels) in speakers.items()
        for label in labels
    ]


def even(n):
    return {f"s{k:02d}": (("female", "male")[k % 2], "ab") for k in range(n)}


def codes(findings):
    return {f.code: f for f in findings}


def test_a_balanced_table_has_no_findings(rows_table):
    assert check_balance(rows_table(many(**even(10))), None) == []


@pytest.mark.parametrize(
    ("labels", "severity"),
    [("aab", "information"), ("aaaaab", "warning"), ("aaaab", "information"), ("aaabb", "information")],
)
def test_class_imbalance_by_ratio(rows_table, labels, severity):
    found = codes(check_balance(rows_table(many(**{k: (g, labels) for k, (g, _) in even(10).items()})), None))
    assert set(found) == {"CLASS_IMBALANCE"}
    assert found["CLASS_IMBALANCE"].severity == severity
    assert found["CLASS_IMBALANCE"].examples == (
        f"a: {10 * labels.count('a')}",
        f"b: {10 * labels.count('b')}",
    )


def test_a_class_without_clips_is_a_warning(rows_table):
    found = codes(check_balance(rows_table(many(**even(10)), labels=("a", "b", "never")), None))
    assert found["CLASS_IMBALANCE"].severity == "warning"
    assert "1 of 3 classes have none" in found["CLASS_IMBALANCE"].message


@pytest.mark.parametrize(
    ("women", "severity"), [(4, None), (3, "information"), (1, "warning"), (0, "warning")]
)
def test_gender_imbalance_by_share(rows_table, women, severity):
    people = {f"s{k}": ("female" if k < women else "male", "ab") for k in range(10)}
    found = codes(check_balance(rows_table(many(**people)), None)).get("GENDER_IMBALANCE")
    assert (found and found.severity) == severity


def test_a_speaker_with_two_genders(rows_table):
    rows = [*many(**even(10)), {"speaker": "s00", "gender": "male", "label": "a"}]
    found = codes(check_balance(rows_table(rows), None))
    assert found["GENDER_CONFLICT"].severity == "warning"
    assert found["GENDER_CONFLICT"].examples == ("s00: female, male",)


def test_gender_unknown_beside_known_ones_only(rows_table):
    rows = many(**even(10)) + many(x=(None, "ab"))
    assert codes(check_balance(rows_table(rows), None))["GENDER_UNKNOWN"].examples == ("x",)
    table = rows_table(rows).with_columns(
        pl.lit(None, dtype=pl.Enum(["female", "male", "other"])).alias("gender")
    )
    assert check_balance(table, None) == []


def test_unknown_speakers_and_missing_labels(rows_table):
    rows = [
        *many(**even(10)),
        {"speaker": None, "label": "a"},
        {"speaker": "s00", "gender": "female", "label": None},
    ]
    found = codes(check_balance(rows_table(rows), None))
    assert (found["SPEAKER_UNKNOWN"].severity, found["SPEAKER_UNKNOWN"].examples) == ("warning", ("c020",))
    assert (found["UNLABELLED"].severity, found["UNLABELLED"].examples) == ("information", ("c021",))


@pytest.mark.parametrize(
    ("speakers", "severity"), [(10, None), (9, "information"), (4, "information"), (3, "warning")]
)
def test_few_speakers(rows_table, speakers, severity):
    found = codes(check_balance(rows_table(many(**even(speakers))), None)).get("FEW_SPEAKERS")
    assert (found and found.severity) == severity


def test_of_a_protocol_tested_speakers_count(rows_table):
    table = rows_table(many(**even(12)))
    ids = table["id"].to_list()
    found = codes(check_balance(table, guarded("p", table, [fold(ids[4:], [], ids[:4])])))
    assert found["FEW_SPEAKERS"].examples == ("s00", "s01")


def test_of_a_protocol_only_its_clips_count(rows_table):
    table = rows_table(many(**even(12)) + [{"speaker": "s00", "gender": "female", "label": "a"}] * 40)
    ids = table["id"].to_list()[:24]
    protocol = guarded(
        "p", table, [fold(ids[2 * k + 2 :] + ids[: 2 * k], [], ids[2 * k : 2 * k + 2]) for k in range(12)]
    )
    assert check_balance(table, protocol) == []
    assert "CLASS_IMBALANCE" in codes(check_balance(table, None))
