"""The folder of a Space runs as it is, with the model that it was made for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from small_bundle import make_bundle
from unheard.errors import UsageError

pytest.importorskip("gradio", reason="the extra demo is not installed")

from unheard.demo import space


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("space")
    return space.write(place / "out", make_bundle(place / "toy"))


def test_a_space_says_what_it_needs_and_nothing_of_this_machine(written: Path) -> None:
    _, front, text = (written / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    told = yaml.safe_load(front)
    assert told["sdk"] == "gradio"
    assert (written / told["app_file"]).is_file()
    assert len(told["short_description"]) <= 60
    assert "perceive" in text
    needed = (written / "requirements.txt").read_text().splitlines()
    assert f"gradio=={told['sdk_version']}" in needed
    assert all(line.count("==") == 1 for line in needed)
    assert not [line for line in needed if "torch" in line]
    assert (written / "bundle" / "bundle.json").is_file()
    assert not (written / "unheard" / "models" / "default").exists()
    assert not list(written.rglob("__pycache__"))
    with pytest.raises(UsageError, match="exists"):
        space.write(written)


@pytest.mark.slow
def test_a_space_runs_as_it_is(written: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    running = subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=written,
        env=environment | {"PORT": "7913"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stdout is not None
        assert "127.0.0.1:7913" in running.stdout.readline()
    finally:
        running.terminate()
        running.wait(30)
