"""The quickstart ends with the default model, and says so where there is none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from unheard.bundle.prediction import Prediction
from unheard.cli import app

PREDICTION = Prediction("angry", {"angry": 0.75, "sad": 0.25}, (), (), 1.0)


@pytest.mark.parametrize("default", [None, PREDICTION])
def test_it_ends_with_the_default_model(
    default: Prediction | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = SimpleNamespace(scores=None)
    tour = SimpleNamespace(
        leaky=run,
        independent=run,
        premium=None,
        bundle=tmp_path,
        clip=tmp_path / "clip.wav",
        truth="angry",
        prediction=PREDICTION,
        default=default,
        report=tmp_path,
    )
    monkeypatch.setattr("unheard.quickstart.quickstart", lambda *_, **__: tour)
    monkeypatch.setattr("unheard.cli.summary.score_lines", lambda scores: [])
    monkeypatch.setattr("unheard.cli.summary.premium_line", lambda *_: "premium")
    done = CliRunner().invoke(app, ["quickstart", "--out", str(tmp_path / "tour")])
    assert done.exit_code == 0, done.output
    assert ("the default model, trained on real speech" in done.stdout) == (default is not None)
    assert done.stdout.count("angry 75 %  sad 25 %") == (1 if default is None else 2)
    assert ("no default model is installed" in done.stderr) == (default is None)
