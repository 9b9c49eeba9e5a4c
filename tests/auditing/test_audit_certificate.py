"""A certificate is plain, ordered, reproducible, and knows when it has been touched."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unheard.auditing import Certificate, Finding
from unheard.auditing.certificate import MAX_EXAMPLES, SEVERITIES, finding
from unheard.errors import DataError

some = st.builds(
    Finding,
    st.sampled_from(["A", "B", "C"]),
    st.sampled_from(SEVERITIES),
    st.text(max_size=5),
    st.integers(0, 9),
    st.lists(st.text(max_size=3), max_size=3).map(tuple),
)


def certificate(findings):
    return Certificate("t" * 64, "loso", "p" * 64, 10, 2, tuple(findings), {"b": "2", "a": "1"})


@given(st.lists(some, max_size=6), st.randoms())
def test_order_of_findings_does_not_matter_and_json_gives_it_back(findings, dice):
    made = certificate(findings)
    mixed = list(findings)
    dice.shuffle(mixed)
    text = json.dumps(made.as_dict(), sort_keys=False, allow_nan=False)
    assert json.dumps(certificate(mixed).as_dict(), sort_keys=False) == text
    again = Certificate.from_dict(json.loads(text))
    assert again == made
    assert again.hash == made.hash
    ranks = [SEVERITIES.index(f.severity) for f in made.findings]
    assert ranks == sorted(ranks, reverse=True)


@given(st.lists(some, max_size=6))
def test_passed_is_the_absence_of_errors(findings):
    assert certificate(findings).passed == (not any(f.severity == "error" for f in findings))


def test_examples_are_the_first_in_order_and_all_are_counted():
    made = finding("X", "warning", "m", (f"{k:03d}" for k in reversed(range(100))))
    assert made.count == 100
    assert made.examples == tuple(f"{k:03d}" for k in range(MAX_EXAMPLES))
    assert made.page == "docs/audit/X.md"


def test_hash_changes_with_anything_in_it():
    base = certificate([Finding("A", "error", "m", 1, ("x",))])
    other = certificate([Finding("A", "error", "m", 1, ("y",))])
    assert base.hash != other.hash
    assert base.hash != certificate([]).hash


def test_a_certificate_that_contradicts_its_findings_is_refused():
    plain = certificate([Finding("A", "error", "m", 1)]).as_dict()
    with pytest.raises(DataError, match="says passed: True, but its findings say False"):
        Certificate.from_dict({**plain, "passed": True})


@pytest.mark.parametrize("key", ["findings", "table_hash", "protocol", "versions", "passed"])
def test_a_missing_key_is_named(key):
    plain = certificate([]).as_dict()
    del plain[key]
    with pytest.raises(DataError, match=f"not an audit certificate .*{key}"):
        Certificate.from_dict(plain)


def test_an_unknown_severity_is_refused():
    plain = certificate([Finding("A", "error", "m", 1)]).as_dict()
    plain["findings"][0]["severity"] = "grave"
    with pytest.raises(DataError, match="grave"):
        Certificate.from_dict(plain)
