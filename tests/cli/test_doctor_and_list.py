"""``unheard doctor``, ``list``, ``download`` without a network, the groups of commands, and colours."""

from __future__ import annotations

import io
import json
import re
import sys

import pytest
from typer.testing import CliRunner

from unheard import doctor, listing
from unheard.cli import GROUPS, app
from unheard.cli.answers import Answers
from unheard.cli.terminal import coloured, show_result
from unheard.corpora import READERS
from unheard.encoders import ENCODERS
from unheard.features.spec import SPECS
from unheard.heads import HEADS
from unheard.protocols import names as protocol_names
from unheard.recipes.recipe import names as recipe_names

RUN = CliRunner()


@pytest.mark.parametrize(
    ("kind", "there"),
    [
        ("corpora", READERS), ("encoders", ENCODERS), ("heads", HEADS), ("features", SPECS),
        ("protocols", protocol_names()), ("recipes", recipe_names()),
    ],
)  # fmt: skip
def test_everything_that_the_package_finds_is_listed_with_a_line(kind: str, there: object) -> None:
    found = json.loads(RUN.invoke(app, ["list", kind, "--json"]).stdout)
    assert sorted(found) == sorted(there)  # type: ignore[call-overload]
    assert all(own["about"] for own in found.values()), [n for n, own in found.items() if not own["about"]]
    assert not any("``" in own["about"] or ":class:" in own["about"] for own in found.values())
    lines = RUN.invoke(app, ["list", kind]).stdout.splitlines()
    assert [line.split("  ")[0].strip() for line in lines] == list(found)


def test_every_kind_is_asked_and_another_one_has_near_matches() -> None:
    assert set(listing.KINDS) == {"corpora", "encoders", "heads", "features", "protocols", "recipes"}
    result = RUN.invoke(app, ["list", "recipe"])
    assert "did you mean 'recipes'" in str(result.exception)


def test_doctor_says_what_is_there_and_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "opensmile" else real(name))
    monkeypatch.setattr(doctor, "_gpu", lambda: {"torch": None, "devices": [], "reason": "no torch"})
    found = json.loads(RUN.invoke(app, ["doctor", "--json"]).stdout)
    assert set(found) == {"versions", "extras", "threads", "memory", "cache", "gpu", "codecs", "used"}
    assert found["versions"]["numpy"] and found["extras"]["eval"] == {"installed": True, "missing": []}
    assert found["extras"]["lld"] == {"installed": False, "missing": ["opensmile"]}
    assert {"WAV", "FLAC"} <= set(found["codecs"]["decoded"]) and found["threads"]["usable"] >= 1
    text = RUN.invoke(app, ["doctor"]).stdout
    assert "missing opensmile: pip install 'unheard[lld]'" in text and "no torch" in text


def test_the_licence_is_shown_and_asked_for_before_anything_is_fetched() -> None:
    result = RUN.invoke(app, ["download", "ravdess"])
    assert "--yes" in str(result.exception)
    assert "CC BY-NC-SA 4.0" in result.stderr and "zenodo.org" in result.stderr
    assert RUN.invoke(app, ["download", "nemo", "--plan"]).exit_code == 0


def test_help_shows_commands_by_who_needs_them() -> None:
    text = RUN.invoke(app, ["--help"], env={"COLUMNS": "100"}).stdout
    places = [text.index(group) for group in GROUPS]
    assert places == sorted(places) and len(places) == 4
    assert all(command.__name__.rstrip("_") in text for group in GROUPS.values() for command in group)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_answers_are_coloured_in_a_terminal_alone_and_never_with_no_color(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = ["x on loso: accuracy 50.0 %", "  LEAKY · FEW SPEAKERS", "Supported: a beats b.", "  rest"]
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    show_result(lines)
    shown = terminal.getvalue().splitlines()
    assert [line.startswith("\x1b[") for line in shown] == [True, True, True, False]
    assert coloured(terminal) and not coloured(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured(terminal)
    plain = Terminal()
    monkeypatch.setattr(sys, "stdout", plain)
    show_result(lines)
    assert plain.getvalue().splitlines() == lines


def test_answers_stand_below_each_other_where_a_terminal_shows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"lines": ["a.wav\tangry 62 %"]},
        {"lines": ["longer.wav\tunsure: sad 41 %"]},
        {"lines": ["b\terror"]},
    ]
    for seen in (False, True):
        monkeypatch.setattr("unheard.cli.answers.coloured", lambda stream, seen=seen: seen)
        out = io.StringIO()
        monkeypatch.setattr(sys, "stdout", out)
        with Answers("text", (), list, lambda row: row["lines"]) as answers:
            for row in rows:
                answers.write(row)
        plain = "".join(each for row in rows for each in (row["lines"][0], "\n"))
        if not seen:
            assert out.getvalue() == plain
            continue
        lines = out.getvalue().splitlines()
        assert [re.sub(r"\x1b\[\d*m", "", line) for line in lines] == [
            "a.wav  angry 62 %", "longer.wav  unsure: sad 41 %", "b           error"
        ]  # fmt: skip
        assert ["\x1b[2m" in line for line in lines] == [False, True, False] and "\x1b[31m" in lines[2]
