"""`unheard predict` without --model: the default model predicts, and its licences are told once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from bundle_parts import sound
from one_input import examples, export_features
from unheard import features, heads
from unheard.bundle import default
from unheard.bundle.runtime import load
from unheard.cli import app
from unheard.cli.notice import notice
from unheard.errors import UsageError

SPEC = {"name": "mfbf0", "average": 8}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    spec = features.build(SPEC)
    frames = [spec.compute((0.1 * (1 + k % 2) * rng.normal(size=9000)).astype(np.float32)) for k in range(12)]
    rows = examples(frames, np.arange(12) % 2, np.array([f"s{k // 4}" for k in range(12)]), 2)
    return export_features(
        heads.build({"name": "probe", "grid": [0.01]}).fit(rows),
        SPEC,
        ("loud", "soft"),
        tmp_path_factory.mktemp("default") / "default",
        temperature=1.0,
        training_speakers=["s0"],
        corpus="noise",
        scores=None,
        recipe={"recipe": "stand-in"},
        licences={"weights": ["CC BY-NC-SA 4.0", "CC0-1.0"], "teacher": "Toy Licence"},
    )


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: Path) -> Path:
    """A recording, with a default model and a user who was told nothing yet."""
    monkeypatch.setattr(default, "_place", lambda: bundle)
    monkeypatch.setenv("UNHEARD_CACHE", str(tmp_path / "cache"))
    soundfile.write(tmp_path / "clip.wav", sound(1, 1.0), 16_000)
    return tmp_path / "clip.wav"


def test_the_notice_comes_once_and_never_among_the_results(clip: Path, bundle: Path) -> None:
    first = CliRunner().invoke(app, ["predict", str(clip), "--json"])
    assert first.exit_code == 0, first.output
    assert json.loads(first.stdout)[0]["label"] in ("loud", "soft")
    for layer in (
        "code: Apache-2.0",
        "weights: CC BY-NC-SA 4.0; CC0-1.0",
        "teacher: Toy Licence",
        "our reading",
    ):
        assert layer in first.stderr
    again = CliRunner().invoke(app, ["predict", str(clip), "--json"])
    assert (again.stdout, again.stderr) == (first.stdout, "")


def test_another_model_brings_its_own_notice(
    clip: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "licences of its own" in CliRunner().invoke(app, ["predict", str(clip)]).stderr
    other = load(bundle).description.licences | {"weights": "another"}
    monkeypatch.setattr(
        "unheard.cli.predict.notice_once", lambda d: pytest.fail("a model that was named brings no notice")
    )
    assert CliRunner().invoke(app, ["predict", str(clip), "--model", str(bundle)]).exit_code == 0
    assert "weights: another" in notice(_with(load(bundle).description, licences=other))


def test_a_cache_that_cannot_be_written_stops_nobody(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = clip.parent / "blocked"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("UNHEARD_CACHE", str(blocked))
    for _ in range(2):
        done = CliRunner().invoke(app, ["predict", str(clip)])
        assert done.exit_code == 0, done.output
        assert "licences of its own" in done.stderr


def test_without_a_default_model_the_error_says_what_to_do(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default, "_place", lambda: clip.parent / "nowhere")
    done = CliRunner().invoke(app, ["predict", str(clip)])
    assert isinstance(done.exception, UsageError)
    assert "--model FOLDER" in str(done.exception)


def test_an_unsure_answer_is_shown_as_one(clip: Path, monkeypatch: pytest.MonkeyPatch, bundle: Path) -> None:
    sure = load(bundle)
    unsure = _with(sure.description, thresholds={"confidence": 1.0})
    monkeypatch.setattr("unheard.bundle.runtime.load", lambda path: _described(sure, unsure))
    done = CliRunner().invoke(app, ["predict", str(clip)])
    assert "unsure: " in done.stdout
    assert "(no prediction: the largest probability lies below the model's threshold)" in done.stdout
    row = json.loads(CliRunner().invoke(app, ["predict", str(clip), "--json"]).stdout)[0]
    assert row["label"] is None
    assert max(row["probabilities"].values()) > 0.5


def _with(description, **changes):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    return replace(description, **changes)


def _described(bundle, description):  # type: ignore[no-untyped-def]
    bundle.description = description
    return bundle
