"""JSON is read as every other reader reads it, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unheard.errors import BundleError, DataError
from unheard.formats import json_text

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_what_is_written_is_read(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert json_text.parse(text, "x") == json_text.parse(text.encode(), "x") == value
    assert json_text.parse(b"\xef\xbb\xbf" + text.encode(), "x") == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"name": 1, "other": 2, "name": 1}', "the name 'name' stands twice in one object"),
        ('[{"a": {"b": 1, "b": 2}}]', "the name 'b' stands twice"),
        ("[NaN]", "NaN is not JSON"),
        ("-Infinity", "-Infinity is not JSON"),
        ("[1e999]", "inf is not a finite number"),
        ("18446744073709551616", "more than 64 bits"),
        ("-9223372036854775809", "more than 64 bits"),
        ("1" * 5000, "more than 64 bits"),
        (r'{"a": "\ud800"}', r"'\ud800' holds half of a surrogate pair"),
        (r'{"\udfff": 1}', "half of a surrogate pair"),
        ("[" * 65 + "]" * 65, "more than 64 levels"),
        ("[" * 100_000, "too many levels"),
        ('{"a": }', "not JSON: Expecting value (line 1, character 7)"),
        ("", "not JSON"),
        (b'"\xff"', "not UTF-8 (byte 1)"),
        ('"\t"', "Invalid control character"),
    ],
)
def test_what_readers_take_differently_is_refused(text: str | bytes, said: str) -> None:
    with pytest.raises(BundleError) as caught:
        json_text.parse(text, "bundle.json", BundleError)
    assert said in str(caught.value)
    assert str(caught.value).startswith("bundle.json: ")


def test_levels_up_to_the_bound_are_read() -> None:
    assert json_text.parse("[" * 64 + "]" * 64, "x")


def test_a_file_is_not_read_before_its_size_is_known(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(
        DataError, match=r"large\.json: holds 1,000,000,000,000 bytes, more than the 16,777,216"
    ):
        json_text.read(path)
    path.write_text("[1]")
    assert json_text.read(path) == [1]
    with pytest.raises(DataError, match="holds list, expected a JSON object"):
        json_text.read_object(path)
