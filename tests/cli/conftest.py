"""The command line as a user calls it: a process, its output and its exit code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Called = subprocess.CompletedProcess[str]
Call = Callable[..., Called]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    def run(*arguments: object, stdin: str | None = None) -> Called:
        command = [sys.executable, "-m", "unheard", *map(str, arguments)]
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False
        )

    return run


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from unheard.testing import toy_corpus

    folder = tmp_path_factory.mktemp("toy") / "corpus"
    toy_corpus(folder, speakers=6)
    return folder
