"""Every command of the tutorial and the how-tos runs as it stands there, and prints what the page shows."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tool_modules import tool

commands = tool("page_commands")
DOCUMENTS = Path(__file__).parents[2] / "docs"
PAGES = sorted(p for p in DOCUMENTS.glob("*.md") if "sh" in {b.language for b in commands.blocks(p)})


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_do_what_it_shows(page: Path, tmp_path: Path) -> None:
    assert commands.run_page(page, tmp_path) > 0


def test_the_tutorial_installs_as_the_readme_does() -> None:
    install = re.search(r"^pip install [^&\n]*", (DOCUMENTS.parent / "README.md").read_text(), re.MULTILINE)
    assert install is not None
    assert f"\n{install[0].strip()}\n" in (DOCUMENTS / "tutorial.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("accuracy  69.0 % [63.2, 74.2]", "accuracy 69.2 % [63.2, 74.0]", True),
        ("accuracy  69.0 % [63.2, 74.2]", "accuracy 69.5 % [63.2, 74.2]", False),
        ("a.wav  angry 72 %  happy 19 %", "a.wav\tangry 73 %  happy 19 %", True),
        ("a.wav  angry 72 %", "a.wav\tangry 74 %", False),
        ("a.wav  angry 72 %", "a.wav\thappy 72 %", False),
        ("720 clips", "721 clips", False),
        ("…\nlast", "first\nsecond\nlast", True),
        ("first\n…", "first\nsecond", True),
        ("first", "first\nsecond", False),
        ("second", "first\nsecond", False),
        ("first\nsecond", "first", False),
        ("took … s", "took 3 s", True),
        ("p = 4.9e-04", "p = 4.9e-07", False),
        ("(a+b) [c]", "(a+b) [c]", True),
    ],
)
def test_what_is_printed_is_compared_with_the_page(shown: str, printed: str, same: bool) -> None:
    assert (commands.differences(shown, printed) is None) is same


def test_a_page_that_shows_something_else_is_told_by_its_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for text, fault in (
        ("```sh\necho one\n```\n\n```text\none\n```\n", None),
        ("Words.\n\n```sh\necho one\n```\n\n```text\ntwo\n```\n", "page.md, line 3: the page shows\ntwo"),
        ("```sh\nfalse\n```\n", "line 1: ended with 1, not 0"),
        ("<!-- ends with 1 -->\n```sh\nfalse\n```\n", None),
        ("```python\nprint(1)\n```\n\n```text\n1\n```\n", None),
        ("```sh\nfalse\necho two\n```\n", "ended with 1"),
        ("<!-- not run: why -->\n```sh\nfalse\n```\n```sh\ntrue\n```\n", None),
        ("<!-- runs until stopped -->\n```sh\nexit 3\n```\n", "no answer from ports"),
    ):
        page.write_text(text, encoding="utf-8")
        folder = tmp_path / str(abs(hash(text)))
        folder.mkdir()
        if fault is None:
            assert commands.run_page(page, folder) == 1
        else:
            with pytest.raises(commands.PageError, match=re.escape(fault)):
                commands.run_page(page, folder)


def test_a_server_of_a_page_answers_its_later_commands_and_is_stopped(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- runs until stopped -->\n```sh\npython -m http.server 8000 --bind 127.0.0.1\n```\n\n"
        "```python\nfrom urllib.request import urlopen\n\n"
        "print(urlopen('http://127.0.0.1:8000/').status)\n```\n\n```text\n200\n```\n",
        encoding="utf-8",
    )
    (tmp_path / "folder").mkdir()
    assert commands.run_page(page, tmp_path / "folder") == 2


def test_the_picture_of_the_system_is_what_the_code_draws() -> None:
    drawn = tool("system_picture").drawing()
    assert (DOCUMENTS / "images" / "system.svg").read_text(encoding="utf-8") == drawn
    picture = ElementTree.fromstring(drawn)
    names = {text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")}
    assert {"Voice", "Words", "Face", "One head", "Late fusion"} <= names
