"""The commands of a page, run in their order as a reader would run them, and compared with what the page shows.

A block of ``sh`` or ``python`` is run, in one folder for the whole page. A block of ``text`` right behind it is
what it prints: ``…`` stands for anything, a line of ``…`` for any number of lines, and numbers may differ where
processors round differently. A comment before a block says what is special: ``<!-- not run: REASON -->``,
``<!-- ends with 1 -->`` (its exit code), or ``<!-- runs until stopped -->`` (a server, stopped at the page's end).
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from unheard.bundle.default import default_model
from unheard.bundle.runtime import load
from unheard.cli.notice import notice_once

BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*?) -->\n)?^```(?P<language>sh|python)\n(?P<text>.*?)^```\n"
    r"(?:\n?```text\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
#: How far a decimal, and a share in percent, may lie from the one on the page: processors round differently.
DECIMAL, PERCENT = 0.3, 1.0
#: Ports that commands take by default; a page is run with free ones instead.
PORTS = ("8000", "7860")


class PageError(Exception):
    """A command of a page did not do what the page says."""


@dataclass(frozen=True)
class Block:
    """A block of commands, where it stands, and what the page says of it; ``output`` is None where nothing."""

    line: int
    note: str
    language: str
    text: str
    output: str | None


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page in their order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            text.count("\n", 0, found.start("language")) + 1,
            found["note"] or "",
            found["language"],
            found["text"],
            found["output"],
        )
        for found in BLOCK.finditer(text)
    ]


def run_page(page: Path, folder: Path, replaced: Mapping[str, str] = {}) -> int:
    """Run what a page shows in ``folder``, with some words ``replaced``; return how many blocks were run."""
    words = {port: str(_free_port()) for port in PORTS} | dict(replaced)
    servers: list[subprocess.Popen[str]] = []
    count = 0
    with _commands(folder) as environment:
        try:
            for block in blocks(page):
                if block.note.startswith("not run: "):
                    continue
                place = f"{page.name}, line {block.line}"
                text = block.text
                for word, by in words.items():
                    text = text.replace(word, by)
                call = ["bash", "-euo", "pipefail", "-c", text]
                if block.language == "python":
                    call = [sys.executable, "-c", text]
                if block.note == "runs until stopped":
                    servers.append(_started(call, folder, environment, place))
                else:
                    _run(block, call, folder, environment, place)
                count += 1
        finally:
            for server in servers:
                os.killpg(server.pid, signal.SIGTERM)
                server.communicate(timeout=60)
    return count


def differences(shown: str, printed: str) -> str | None:
    """Return the first line of a page that is not printed where it should be, or None."""
    rest = [line for line in printed.splitlines() if line.strip()]
    skip = False
    for line in (line for line in shown.splitlines() if line.strip()):
        if line.strip() == "…":
            skip = True
            continue
        at = next((k for k, other in enumerate(rest) if alike(line, other)), None)
        if at is None or (at and not skip):
            return line
        rest, skip = rest[at + 1 :], False
    return None if skip or not rest else f"(nothing) where there is: {rest[0]}"


def alike(shown: str, printed: str) -> bool:
    """Whether two lines say the same, but for blanks, what ``…`` stands for, and how computers round."""
    number = r"(\d+\.\d+)|(\d+)(?= %)"
    kinds = [(bool(a), float(a or b)) for a, b in re.findall(number, shown)]
    parts = re.split(r"\d+\.\d+|\d+(?= %)|…", " ".join(shown.split()))
    marks = re.findall(r"\d+\.\d+|\d+(?= %)|…", " ".join(shown.split()))
    pattern = re.escape(parts[0])
    for mark, part in zip(marks, parts[1:], strict=True):
        pattern += (".*" if mark == "…" else r"(\d+\.?\d*)") + re.escape(part)
    found = re.fullmatch(pattern, " ".join(printed.split()))
    return found is not None and all(
        abs(value - float(other)) <= (DECIMAL if decimal else PERCENT)
        for (decimal, value), other in zip(kinds, found.groups(), strict=True)
    )


def _run(block: Block, call: list[str], folder: Path, environment: dict[str, str], place: str) -> None:
    done = subprocess.run(
        call, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600
    )  # fmt: skip
    wanted = int(block.note.removeprefix("ends with ")) if block.note.startswith("ends with ") else 0
    if done.returncode != wanted:
        raise PageError(f"{place}: ended with {done.returncode}, not {wanted}:\n{done.stdout}")
    lost = differences(block.output, done.stdout) if block.output is not None else None
    if lost is not None:
        raise PageError(f"{place}: the page shows\n{lost}\nbut this was printed:\n{done.stdout}")


def _started(call: list[str], folder: Path, environment: dict[str, str], place: str) -> subprocess.Popen[str]:
    """Start a server, and wait until one of its ports is taken."""
    ports = [int(port) for port in re.findall(r"\b\d{4,5}\b", call[-1])]
    server = subprocess.Popen(
        call,
        cwd=folder,
        env=environment,
        text=True,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    for _ in range(600):
        for port in ports:
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", port)) == 0:
                    return server
        if server.poll() is not None:
            break
        time.sleep(0.1)
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)
    raise PageError(f"{place}: no answer from ports {ports}:\n{server.communicate()[0]}")


@cache
def _say_licences() -> None:
    """Say the licences of the default model, as they are said to each user once: pages do not show them."""
    notice_once(load(default_model()).description)


@contextmanager
def _commands(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of a terminal in which this very package is installed as ``unheard``."""
    shims = folder / ".commands"
    shims.mkdir()
    for name, call in (("unheard", "-m unheard"), ("python", "")):
        shim = shims / name
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" {call} "$@"\n', encoding="utf-8")
        shim.chmod(0o755)
    source = Path(__file__).parents[1] / "src"
    path = os.pathsep.join(filter(None, (str(source), os.environ.get("PYTHONPATH"))))
    _say_licences()
    yield os.environ | {
        "PATH": f"{shims}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": path,
        "COLUMNS": "120",
        "NO_COLOR": "1",
    }


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
