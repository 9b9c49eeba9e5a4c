"""Every code has a page, every page a code, and the index lists them all."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOM = ROOT / "src" / "unheard" / "auditing"
PAGES = ROOT / "docs" / "audit"

SUFFIXES = ("ACROSS_SIDES", "ACROSS_SPEAKERS", "WITHIN_SPEAKER", "UNKNOWN_SPEAKER")
MADE = {f"{near}DUPLICATE_{s}" for near in ("", "NEAR_") for s in SUFFIXES}
MADE |= {f"{c}_ON_TWO_SIDES" for c in ("SPEAKER", "SESSION", "DIALOGUE", "SENTENCE", "TEXT")}
MADE |= {"SPEAKER_GIVES_LABEL", "TEXT_GIVES_LABEL"}


def codes():
    source = "\n".join(path.read_text() for path in ROOM.glob("*.py"))
    written = set(re.findall(r'(?:finding|Finding)\(\s*"([A-Z_]+)"', source))
    written |= set(re.findall(r'"([A-Z]+_FILE)"', source))
    return written | MADE


def test_codes_and_pages_are_the_same():
    assert codes() == {path.stem for path in PAGES.glob("[A-Z]*.md")}
    assert len(codes()) > 20


def test_the_index_lists_every_page_and_links_hold():
    index = (PAGES / "index.md").read_text()
    assert set(re.findall(r"\[([A-Z_]+)\]\(\1\.md\)", index)) >= codes()
    for page in PAGES.glob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (PAGES / link).is_file(), f"{page.name}: {link}"


def test_each_page_says_severity_meaning_example_and_what_to_do():
    for code in codes():
        text = (PAGES / f"{code}.md").read_text()
        assert text.startswith(f"# {code}\n")
        for part in ("**Severity:**", "**Counted:**", "**Example.**", "**What to do.**"):
            assert part in text, f"{code} lacks {part}"
