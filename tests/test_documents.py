"""The documents: links lead somewhere; the README stays one screen with the two commands that the gate runs."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import unheard

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


def anchors(path: Path) -> set[str]:
    """Anchors of a page as GitHub makes them of its headings."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_pages_and_headings_that_exist(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for place, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", text):
        if place.startswith("http"):
            continue
        target = page.parent / place if place else page
        assert target.exists(), place
        assert not anchor or anchor in anchors(target), f"{place}#{anchor}"


def test_the_readme_is_one_screen_and_has_the_commands_that_the_gate_runs() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 90
    for mark in ("<!-- quickstart -->", "<!-- tests -->"):
        at = lines.index(mark)
        assert lines[at + 1] == "```sh"
        assert lines[at + 2].startswith("pip install")
        assert lines[at + 3] == "```"


def test_the_ways_that_the_design_draws_are_calls_that_exist() -> None:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    drawn = text[text.index("## The longest ways") : text.index("## A run\n")]
    names = set(
        re.findall(r"\b([a-z_]+(?:\.[A-Za-z_]\w*)+)", "\n".join(re.findall(r"```(.*?)```", drawn, re.S)))
    )
    places = {name for name in names if name.split(".")[0] in ROOMS}
    assert len(places) > 50
    lost = {name for name in places if not exists(name.split("."))}
    assert not lost


def test_the_design_names_every_room_and_files_that_exist() -> None:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    named = text[text.index("## Rooms") : text.index("Four rules")]
    source = Path(unheard.__path__[0])
    rooms = {path.name for path in source.iterdir() if (path / "__init__.py").is_file()}
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|.*\| (.*) \|$", named, re.MULTILINE)
    listed = {name: first for names, first in rows for name in re.findall(r"`(\w+)`", names)}
    assert set(listed) == rooms - {"formats"}
    assert "`formats`" in named
    for names, first in rows:
        folders = [source / name for name in re.findall(r"`(\w+)`", names)]
        for file in re.findall(r"`(\w+\.py)`", first):
            assert any((folder / file).is_file() for folder in folders), (names, file)


def test_the_design_draws_imports_as_they_are_checked() -> None:
    drawn = (
        (ROOT / "docs" / "design.md").read_text(encoding="utf-8").split("checks it:\n\n")[1].split("\n\n")[0]
    )
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0][
        "layers"
    ]
    checked = [re.split(r" [|:] ", layer) for layer in layers]
    lines = [line.strip().split(", ") for line in drawn.splitlines()]
    below = [name for layer in checked[len(lines) - 1 :] for name in layer]
    assert lines == [[n for n in layer if n != "testing"] for layer in checked[: len(lines) - 1]] + [below]


ROOMS = {path.stem for path in Path(unheard.__path__[0]).iterdir()}


def exists(parts: list[str]) -> bool:
    """Whether a dotted name below ``unheard`` is a module, or an attribute of one."""
    found = importlib.import_module("unheard")
    for number, part in enumerate(parts, 1):
        try:
            found = importlib.import_module(".".join(["unheard", *parts[:number]]))
        except ModuleNotFoundError:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
    return True


def test_the_site_has_every_page_and_hosted_runs_call_the_gate() -> None:
    # Its tags make Python objects of names, which a plain reader does not know.
    named = set(re.findall(r"^ +- (?:\w+: )?([\w-]+)\.md$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")}
    assert named | {"reference"} == pages | {"index", "security", "reference"}
    hosted = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    steps = [step for job in hosted["jobs"].values() for step in job["steps"]]
    assert {"run": ".ci/run"} in steps
    assert all(("run" in step) != ("uses" in step) for step in steps)
