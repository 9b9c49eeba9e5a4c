"""Answers on their way out: as text, CSV, JSON or lines of JSON, each printed when it is known."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from unheard import presenting
from unheard.cli.terminal import as_json, as_json_line, as_line, coloured, print_now, styled
from unheard.errors import UsageError

Row = dict[str, Any]

#: Forms by the ending of the file that they are written to.
FORMS = {".txt": "text", ".csv": "csv", ".json": "json", ".jsonl": "jsonl"}


def form_of(asked: dict[str, bool], out: Path | None) -> str:
    """Return the form that options (name to whether it is given) and the name of the output ask for.

    Forms of one recording (``unheard.presenting``) go by their endings.

    Raises
    ------
    UsageError
        Two options, an ending that is none of a form, or one that says another than the option.
    """
    given = [name for name, is_given in asked.items() if is_given]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(f'--{name}' for name in given)} exclude each other")
    if out is None:
        return given[0] if given else "text"
    ending = presenting.ending(out) or FORMS.get(out.suffix.lower())
    if ending is None:
        raise UsageError(
            f"{out}: nothing is written in the form {out.suffix or 'of a name without an ending'}; "
            f"choose from {', '.join((*FORMS, *presenting.ENDINGS))}"
        )
    if given and given[0] != ending:
        raise UsageError(f"--{given[0]} and the ending of {out} ask for two forms; leave one of them out")
    return ending


class Answers:
    """Prints the answer to one recording after the other, whole and at once.

    On leaving, what was begun is ended, whatever happened: what was printed is one JSON value even so.

    Parameters
    ----------
    form
        ``text``, ``csv``, ``json`` or ``jsonl``.
    columns
        Of the CSV.
    records
        Gives the rows of the CSV for an answer.
    lines
        Gives the lines of text for an answer.
    print_text
        Takes the text; None prints it.

    Attributes
    ----------
    count
        Number of answers that were printed.
    """

    def __init__(
        self,
        form: str,
        columns: Sequence[str],
        records: Callable[[Row], list[Row]],
        lines: Callable[[Row], list[str]],
        print_text: Callable[[str], object] | None = None,
    ) -> None:
        self._form, self._columns, self._records, self._lines = form, columns, records, lines
        self._print = print_text or print_now
        self._seen = print_text is None and coloured(sys.stdout)
        self._widest = 0
        self._begun = False
        self.count = 0

    def __enter__(self) -> Answers:
        return self

    def write(self, row: Row) -> None:
        """Print one answer."""
        if self._form == "json":
            value = as_json(row).rstrip("\n").replace("\n", "\n  ")
            text = (",\n  " if self._begun else "[\n  ") + value
        elif self._form == "jsonl":
            text = as_json_line(row)
        elif self._form == "csv":
            text = ("" if self._begun else self._csv(None)) + self._csv(self._records(row))
        else:
            text = "".join(f"{self._shown(as_line(line))}\n" for line in self._lines(row))
        self._begun = True
        # Before it is printed: whoever reads it may interrupt at once.
        self.count += 1
        self._print(text)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what was begun; where nothing was, and nothing went wrong, print that there are none."""
        if self._form == "json" and (self._begun or error is None):
            self._print("\n]\n" if self._begun else "[]\n")
        elif self._form == "csv" and not self._begun and error is None:
            self._print(self._csv(None))

    def _shown(self, line: str) -> str:
        """Return a line as a terminal shows it: answers below each other, and names and doubts in their looks."""
        if not self._seen:
            return line
        name, tab, answer = line.partition("\t")
        if not tab and line.startswith("  "):
            return styled(line, _look(line))
        if not tab:
            return styled(line, "head")
        # What comes later is not known: answers move to the right where a longer name does.
        self._widest = max(self._widest, len(name))
        return f"{styled(name.ljust(self._widest), 'head')}  {styled(answer, _look(answer))}"

    def _csv(self, rows: list[Row] | None) -> str:
        """Return rows as CSV, or its header."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, restval="", extrasaction="ignore", lineterminator="\n")
        if rows is None:
            writer.writeheader()
        else:
            writer.writerows(rows)
        return text.getvalue()


def _look(answer: str) -> str:
    words = answer.split()
    if "error" in words[:1]:
        return "bad"
    return "dim" if "unsure:" in words or "no prediction" in answer else "plain"
