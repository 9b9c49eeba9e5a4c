"""What every command shares: where words go, bars while work is long, one JSON value where asked."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import typer

from unheard.errors import UsageError, escaped

if TYPE_CHECKING:
    from rich.console import Console

Progress = Callable[[str, int, int], None]


def open_streams() -> None:
    """Let standard streams that the caller closed lead nowhere: no file may be opened in their place."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def err() -> Console:
    """Return the console of standard error, for bars."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(line: str, look: str = "plain") -> None:
    """Print one line for people: what stands in data is read neither as markup nor by the terminal."""
    text = as_line(line)
    typer.echo(styled(text, look) if coloured(sys.stderr) else text, err=True)


def show(line: str, look: str = "plain") -> None:
    """Print one line of the result, as :func:`say` does, in a look of :data:`LOOKS` where a terminal shows it."""
    text = as_line(line)
    typer.echo(styled(text, look) if coloured(sys.stdout) else text)


#: Looks of a line. None of them says what its words do not.
LOOKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "head": {"bold": True},
    "stamp": {"fg": "yellow", "bold": True},
    "good": {"fg": "green"},
    "bad": {"fg": "red"},
    "dim": {"dim": True},
}


def styled(text: str, look: str) -> str:
    """Return text in a look of :data:`LOOKS`, for a stream that is :func:`coloured`."""
    return typer.style(text, **LOOKS[look]) if LOOKS[look] else text


def coloured(stream: TextIO) -> bool:
    """Return whether a stream is a terminal that shows colours; NO_COLOR (no-color.org) forbids them."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def show_result(lines: Sequence[str]) -> None:
    """Print an answer: its first line stands out, and so do stamps and verdicts."""
    for number, line in enumerate(lines):
        words = line.strip()
        if words.startswith("Supported"):
            look = "good"
        elif words and words.split(" · ")[0].isupper():
            look = "stamp"
        else:
            look = "plain" if number or words.startswith("Not shown") else "head"
        show(line, look)


def as_line(text: str) -> str:
    """Return text as it may be printed; tabs between columns stay."""
    return "\t".join(map(escaped, text.split("\t")))


def in_utf8(path: object) -> str:
    """Return a path for data that are written: bytes of a name that are no UTF-8 are escaped, and nothing else."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def print_json(value: Any) -> None:
    """Print one JSON value, and nothing else goes to standard output."""
    sys.stdout.write(as_json(value))


def print_now(text: str) -> None:
    """Print a piece of the result at once, as it stands."""
    sys.stdout.write(text)
    sys.stdout.flush()


def as_json(value: Any) -> str:
    """Return readable JSON in which every character that a terminal may act upon is escaped, as JSON does it."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    return "\n".join(map(_printable_json, text.split("\n"))) + "\n"


def as_json_line(value: Any) -> str:
    """Return JSON on one line, as :func:`as_json` escapes it."""
    return _printable_json(json.dumps(value, ensure_ascii=False, allow_nan=False)) + "\n"


def _printable_json(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


@contextmanager
def bars(*, printing: bool = False) -> Iterator[Progress]:
    """Give a callback ``(stage, done, total)`` that draws a bar a stage; a total of 0 is not known.

    Silent without a terminal, and where results are printed there meanwhile.
    """
    if not sys.stderr.isatty() or (printing and sys.stdout.isatty()):
        yield lambda stage, done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    words = TextColumn("{task.description:>12}", markup=False)
    columns = (words, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    stages: dict[str, TaskID] = {}
    with Progress(*columns, console=err()) as shown:

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages[stage] = shown.add_task(escaped(stage), total=total or None)
            shown.update(stages[stage], completed=done, total=total or None)

        yield advance


def number_list(text: str | None) -> list[int] | None:
    """Read ``0-3,5`` as 0, 1, 2, 3, 5."""
    if text is None:
        return None
    numbers: list[int] = []
    for piece in text.split(","):
        first, dash, last = piece.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"expected numbers such as 0-3 or 0,2,5; found {text!r}")
        numbers.extend(range(int(first), int(last if dash else first) + 1))
    return numbers
