"""Runs calls in another process and tells which files were opened by each, until it was refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

_SCRIPT = """
import json, sys, time
sys.path[:] = json.loads(sys.argv[1])
import numpy, onnx, onnxruntime
from unheard import bundle, encoders
from unheard.bundle import runtime
from unheard.encoders.families import onnx as family
import unheard.onnx_graphs.surgery, unheard.features.logmel
from unheard.errors import UnheardError
what, *folders = sys.argv[2:]
opened, found = [], []
def noted(event, given):
    if event == "open" and not isinstance(given[0], int):  # a number: what is open already gets a buffer
        opened.append(str(given[0]))
sys.addaudithook(noted)
for where in folders:
    opened.clear()
    began = time.monotonic()
    try:
        runtime.load(where) if what == "bundle" else encoders.load({"name": "onnx", "model": where})
        said = ""
    except UnheardError as error:
        said = str(error)
    found.append([said, time.monotonic() - began, [name for name in opened if not name.endswith((".py", ".pyc"))]])
print(json.dumps(found))
"""


class Refusal(NamedTuple):
    """Message ("" for none), seconds, and the paths that were opened."""

    message: str
    seconds: float
    opened: list[str]


def refusals(what: str, folders: Iterable[Path]) -> list[Refusal]:
    """Load a ``bundle`` or an ``encoder`` from each folder; one that waits for a pipe is ended."""
    done: Any = subprocess.run(
        [sys.executable, "-c", _SCRIPT, json.dumps(sys.path), what, *map(str, folders)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [Refusal(*each) for each in json.loads(done.stdout)]
