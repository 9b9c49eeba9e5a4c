"""Tables as people write them are read as what they say, or refused with row and column; never read wrongly."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from mutate import count, seed
from own_tables import Table, own_table

import unheard
from unheard.errors import DataError


def wrong_reading(made: Table, folder: Path) -> str | None:
    """Return how what was read differs from what the table says; None where it does not."""
    try:
        table = unheard.read("generic", made.file)
    except DataError as error:
        lacking = [text for text in made.wrong if text not in str(error)]
        return f"refused without {lacking}: {error}" if lacking or not made.wrong else None
    if made.wrong:
        return f"read, and it should be refused for {made.wrong}"
    names = sorted(made.rows[0])
    found = {row["path"]: row for row in table.select(names).iter_rows(named=True)}
    expected = {row["path"]: row for row in _expected(made, folder)}
    return None if found == expected else f"read as {found}, says {expected}"


def _expected(made: Table, folder: Path) -> list[dict[str, Any]]:
    """Return the rows with absolute paths, and without a gender where their speaker has two."""
    genders: dict[str, set[str]] = {}
    for row in made.rows:
        if row.get("speaker") and row.get("gender"):
            genders.setdefault(row["speaker"], set()).add(row["gender"])
    both = {speaker for speaker, known in genders.items() if len(known) > 1}
    return [
        {**row, "path": f"{folder}/{row['path']}"} | ({"gender": None} if row.get("speaker") in both else {})
        for row in made.rows
    ]


def _try(tables: int, first: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    refused = 0
    for number in range(first, first + tables):
        made = own_table(Random(number), folder)
        said = wrong_reading(made, folder)
        assert said is None, f"seed {number}: {said}\n{made}"
        refused += bool(made.wrong)
    assert 0.2 < refused / tables < 0.7  # both kinds are there


def test_tables_are_read_as_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _try(300, 0, tmp_path, monkeypatch)


@pytest.mark.fuzz
def test_many_tables_are_read_as_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _try(count(), 10_000 * seed(), tmp_path, monkeypatch)
