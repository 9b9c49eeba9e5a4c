"""What was said in the recordings of ``unheard predict``: one text, or a table with a column of them."""

from __future__ import annotations

import os
from pathlib import Path

from unheard.errors import DataError, UsageError
from unheard.formats.separated import LINES, read_json_lines, read_separated

#: Columns of the table: a recording, and what is said in it.
COLUMNS = ("path", "text")


class Texts:
    """Texts by recording.

    Parameters
    ----------
    table
        CSV, TSV or JSON lines with the columns ``path`` and ``text``. A path is as the recording is named on the
        command line, or relative to the table's folder, or the file's name alone where no other has it.

    Raises
    ------
    DataError
        A column is missing, or a recording or a file's name has two texts.
    """

    def __init__(self, table: Path) -> None:
        self._table = table
        self._texts: dict[str, str] = {}
        for number, path, text in _rows(table):
            if not path:
                raise DataError(f"{table}: row {number}: no path, expected the recording whose text this is")
            for key in {path, _place(table.parent / path), Path(path).name}:
                if self._texts.setdefault(key, text) != text:
                    raise DataError(
                        f"{table}: row {number}: {key!r} has another text in a row above; give one each"
                    )

    def of(self, recording: str) -> str | None:
        """Return what is said in a recording, or None where the table does not say."""
        keys = (recording, _place(Path(recording)), Path(recording).name)
        return next((self._texts[key] for key in keys if self._texts.get(key, "").strip()), None)


def _place(path: Path) -> str:
    return os.path.normpath(path.absolute())


def _rows(table: Path) -> list[tuple[int, str, str]]:
    if table.suffix.lower() in LINES:
        found = [(number, row) for number, row in read_json_lines(table)]
        for number, row in found:
            if not all(isinstance(row.get(name), str) for name in COLUMNS):
                raise DataError(f"{table}: row {number}: expected texts of the names path and text")
        return [(number, row["path"], row["text"]) for number, row in found]
    header, rows = read_separated(table)
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise DataError(
            f"{table}: no column {missing[0]!r} among {', '.join(header)}; expected path and text"
        )
    at = [header.index(name) for name in COLUMNS]
    return [(number, cells[at[0]].strip(), cells[at[1]].strip()) for number, cells in rows]


def texts_of(text: str | None, table: Path | None) -> Texts | str | None:
    """Return what ``--text`` and ``--texts`` give, of which there is one at most."""
    if text is not None and table is not None:
        raise UsageError("--text and --texts exclude each other: one is of one recording, the other a table")
    return text if table is None else Texts(table)
