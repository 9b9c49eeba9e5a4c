"""Names and labels from strangers are printed as they stand, whatever they hold."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import unheard
from unheard.cli import app
from unheard.cli.terminal import as_json, as_line, bars
from unheard.errors import DataError, UsageError, escaped

#: A line break, an escape sequence, its one-byte form, a bell, a change of direction, a surrogate, a tag of rich.
HOSTILE = "a\nerror: forged\x1b[2J\x9b2J\x07\u202egnp.\u2028\udcff[red]b"
SHOWN = r"a\nerror: forged\x1b[2J\x9b2J\x07\u202egnp.\u2028\udcff[red]b"


def test_what_a_terminal_would_act_upon_is_escaped() -> None:
    assert escaped(HOSTILE) == SHOWN
    assert escaped("Žofie 张 😀 über\\n") == "Žofie 张 😀 über\\n"
    assert escaped(Path("a\tb")) == r"a\tb"
    assert as_line(f"1\t{HOSTILE}") == f"1\t{SHOWN}"


@given(st.text() | st.text("\x00\x1b\x7f\x85\x9b\u202e\u2066\ud800\udcff\U000e0001[]"))
def test_any_text_becomes_one_printable_line(text: str) -> None:
    line = escaped(text)
    assert line.isprintable()
    assert escaped(line) == line
    assert (line == text) == text.isprintable()


def test_errors_are_one_line_wherever_they_are_printed() -> None:
    inner = DataError(f"{HOSTILE}: no such file")
    assert str(inner) == f"{SHOWN}: no such file"
    assert str(UsageError(f"row 1: {inner}")) == f"row 1: {SHOWN}: no such file"


@given(
    st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
)
def test_json_says_the_same_and_nothing_to_the_terminal(value: object) -> None:
    text = as_json(value)
    assert json.loads(text) == value
    assert text.replace("\n", "").isprintable()


def test_json_of_hostile_names() -> None:
    text = as_json({HOSTILE: ["ü"]})
    assert json.loads(text) == {HOSTILE: ["ü"]}
    assert "ü" in text and r"\u001b[2J\u009b2J\u0007\u202e" in text and r"\udcff" in text


def test_nothing_is_printed_past_the_terminal() -> None:
    """Every other file of the package prints with ``say``, ``show`` or ``print_json``."""
    allowed = {"cli/terminal.py", "cli/__init__.py", "runs/pool.py", "runs/worker.py"}
    allowed.add("demo/space.py")  # it holds the text of a program
    root = Path(unheard.__file__).parent
    printing = re.compile(r"typer\.echo|\bprint\(|std(out|err)\.write|console\.print|secho")
    found = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if printing.search(path.read_text("utf-8"))
    }
    assert found <= allowed


def test_a_bar_prints_its_stage_as_it_stands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with bars() as advance:
        advance(HOSTILE, 1, 2)
    printed = capsys.readouterr().err
    assert SHOWN in printed
    assert "\nerror: forged" not in printed and "\x1b[2J" not in printed and "\u202e" not in printed


def recording(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(os.fspath(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(1600))


def test_a_corpus_of_hostile_names_forges_no_line(tmp_path: Path) -> None:
    label = HOSTILE.replace("\udcff", "")
    recording(tmp_path / "corpus" / label / f"{label}.wav")
    recording(tmp_path / "corpus" / "calm" / "b.wav")
    (tmp_path / "corpus" / "calm" / f"{label}.txt").write_text("")
    result = CliRunner().invoke(
        app, ["prepare", "generic", str(tmp_path / "corpus"), "--out", str(tmp_path / "t.parquet")]
    )
    assert result.exit_code == 0, result.output
    assert all(line.isprintable() for line in result.output.split("\n"))
    assert not any(line.startswith("error:") for line in result.output.split("\n"))
    assert result.output.count(escaped(label)) == 2


def run(*arguments: str | bytes, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "unheard", *arguments], capture_output=True, env={**os.environ, **environment}
    )


def test_what_the_encoding_of_standard_output_lacks_is_escaped() -> None:
    done = run("recipes", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()


def test_a_name_that_is_not_utf8_is_an_error_in_one_line(tmp_path: Path) -> None:
    done = run("recipes", os.fsencode(tmp_path) + b"/\xff\n.yaml", PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: ") and done.stderr.count(b"\n") == 1
    assert rb"\udcff\n.yaml: no such file" in done.stderr
