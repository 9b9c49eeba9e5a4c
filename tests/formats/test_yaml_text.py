"""YAML is JSON in another spelling; what else it can say is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from unheard.errors import DataError, UsageError
from unheard.formats import yaml_text

names = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cc"]), max_size=8)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_what_is_written_is_read(value: object) -> None:
    assert yaml_text.parse(yaml.safe_dump(value, allow_unicode=True), "x") == value


#: Nine lists of nine aliases each: 9**9 values in two hundred bytes.
BOMB = "l0: &l0 [x]\n" + "".join(f"l{k}: &l{k} [{', '.join([f'*l{k - 1}'] * 9)}]\n" for k in range(1, 10))


def test_an_alias_is_a_copy() -> None:
    value = yaml_text.parse("a: &x {b: [1]}\nc: *x", "x")
    assert value == {"a": {"b": [1]}, "c": {"b": [1]}}
    value["a"]["b"].append(2)
    assert value["c"] == {"b": [1]}


@pytest.mark.parametrize("folder", ["recipes", "report"])
def test_files_of_the_package_are_read_as_before(folder: str) -> None:
    import unheard

    files = sorted((Path(unheard.__file__).parent / folder).glob("*.yaml"))
    assert files
    for path in files:
        assert yaml_text.read(path) == yaml.safe_load(path.read_text("utf-8"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("since: 2024-01-01", {"since": "2024-01-01"}),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
        ("- =", ["="]),
        ('"\\x1b[2J"', "\x1b[2J"),
        ("", None),
    ],
)
def test_what_other_readers_make_more_of_stays_plain(text: str, value: object) -> None:
    assert yaml_text.parse(text, "x") == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 1", "the name 'a' stands twice in one mapping (line 3, character 1)"),
        ('"a": 1\na: 2', "the name 'a' stands twice"),
        ("a: !!float x", "a tag (!) is not read here"),
        ("a: !!python/object/apply:os.system [true]", "a tag (!) is not read here"),
        ("&x [*x]", "more than 64 levels"),
        (BOMB, "more than 100,000 values, what aliases (*) stand for included"),
        ("a: *b", "found undefined alias 'b'"),
        ("? [a]\n: 1", "the name of a field is no text"),
        ("1: 2", "the name of a field is no text"),
        ("a: .inf", "inf is not a finite number"),
        ("a: 1e400", None),
        ("a: 1.0e+400", "inf is not a finite number"),
        ("a: " + "1" * 5000, "more than 64 bits"),
        ("a: 0x_", "invalid literal"),
        ('a: "\\ud800"', "half of a surrogate pair"),
        ("[" * 1000, "more than 64 levels"),
        ("- " * 1000, "more than 64 levels"),
        (b"a: \xe4", "not UTF-8 (byte 3)"),
        (b"\xff\xfea\x00", "not UTF-8 (byte 0)"),
        ("a: b: c", "mapping values are not allowed here (line 1, character 5)"),
        ("{a", "expected ',' or '}'"),
        ("a: 1\n---\nb: 2", "expected a single document"),
        ("\x1b", "special characters are not allowed"),
    ],
)
def test_what_is_more_than_plain_values_is_refused(text: str | bytes, said: str | None) -> None:
    if said is None:  # YAML 1.1 takes it for text
        assert yaml_text.parse(text, "x") == {"a": "1e400"}
        return
    with pytest.raises(UsageError) as caught:
        yaml_text.parse(text, "recipe.yaml", UsageError)
    assert said in str(caught.value)
    assert str(caught.value).startswith("recipe.yaml: ")
    assert "\n" not in str(caught.value)


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    with path.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(UsageError, match="1,000,000,000,000 bytes, more than the 65,536"):
        yaml_text.read(path, UsageError)


def test_names_that_are_numbers_are_text_where_that_is_asked_for():
    text = "labels: {3: {age: 31}, 08: x, true: y, 1.0: z, null: n}"
    with pytest.raises(DataError, match="the name of a field is no text"):
        yaml_text.parse(text, "db.yaml")
    names = yaml_text.parse(text, "db.yaml", names_as_text=True)["labels"]
    assert names == {"3": {"age": 31}, "08": "x", "true": "y", "1.0": "z", "null": "n"}
    with pytest.raises(DataError, match="the name '3' stands twice"):
        yaml_text.parse("{3: a, '3': b}", "db.yaml", names_as_text=True)
