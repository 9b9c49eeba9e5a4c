"""What every command shares: where words go, bars while work is long, one JSON value where asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from unheard.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

Progress = Callable[[str, int, int], None]


def err() -> Console:
    """Standard error, for bars."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print a line for people, plain: what stands in data is never read as markup."""
    typer.echo(text, err=True)


def show(text: str) -> None:
    """Print a line of the result, plain."""
    typer.echo(text)


def printable(path: object) -> str:
    """Return a path as text; bytes of a name that are no UTF-8 cannot be printed as they are."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def print_json(value: Any) -> None:
    """Print one JSON value, and nothing else goes to standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


@contextmanager
def bars() -> Iterator[Progress]:
    """Give a callback ``(stage, done, total)`` that draws a bar a stage; silent without a terminal."""
    if not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:>12}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    stages: dict[str, TaskID] = {}
    with Progress(*columns, console=err()) as shown:

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages[stage] = shown.add_task(stage, total=total)
            shown.update(stages[stage], completed=done, total=total)

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
