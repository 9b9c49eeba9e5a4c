"""The default model: found where it is installed, and missed with a word on what to do."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

import unheard as ut
from bundle_parts import Made, sound
from unheard.bundle import default
from unheard.bundle.default import MAX_BYTES, default_model, has_default_model
from unheard.errors import UsageError
from unheard.labels import Labels


def test_it_lies_in_the_installed_package() -> None:
    package = Path(ut.__file__).parent
    assert default._place() == package / "models" / "default"
    notice = (package / "models" / "LICENSE-WEIGHTS.md").read_text()
    for must in ("CC BY-NC-SA 4.0", "CC0-1.0", "MIT License", "Copyright (c) 2022 OpenAI", "our reading"):
        assert must in notice


def test_it_is_taken_where_no_model_is_named(
    made: Callable[[str], Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = made("probe").folder
    monkeypatch.setattr(default, "_place", lambda: placed)
    assert has_default_model()
    assert default_model() == placed
    soundfile.write(tmp_path / "clip.wav", sound(1), 16_000)
    assert ut.predict(tmp_path / "clip.wav") == ut.predict(tmp_path / "clip.wav", model=placed)
    assert ut.load().classes == ut.load(placed).classes


def test_without_one_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default, "_place", lambda: tmp_path)
    assert not has_default_model()
    with pytest.raises(UsageError, match=r"--model FOLDER.*model=FOLDER.*unheard export RUN --out FOLDER"):
        ut.predict(tmp_path / "clip.wav")


@pytest.mark.skipif(not has_default_model(), reason="no default model")
def test_the_shipped_model_is_small_and_says_what_it_is(tmp_path: Path) -> None:
    folder = default_model()
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MAX_BYTES
    bundle = ut.load()
    # With other classes it still knows its training clips, and nothing it holds names a folder of a machine.
    chosen = bundle.choosing(Labels({"happy": "joy"}))
    assert bundle.known_clips is not None and chosen.known_clips is bundle.known_clips
    assert not re.search(r'[="]/\w', (folder / "bundle.json").read_text(encoding="utf-8"))
    assert bundle.training_speakers
    assert {"code", "encoder", "weights"} <= bundle.description.licences.keys()
    assert "CC BY-NC-SA 4.0" in str(bundle.description.licences["weights"])
    inputs = bundle.description.inputs
    assert list(inputs) == list(bundle.description.adaptation) == ["voice"]
    assert inputs["voice"].encoder is not None
    assert not bundle.description.random
    assert 0 < bundle.description.thresholds["confidence"] < 1
    text = (folder / "card.md").read_text()
    for must in ("whisper", "MIT", "our reading", "5(1)(f)", "perceived expression"):
        assert must in text


@pytest.mark.skipif(not has_default_model(), reason="no default model")
def test_the_shipped_model_needs_the_core_packages_alone(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", sound(1), 16_000)
    code = (
        "import sys, unheard as ut\nassert ut.predict(sys.argv[1]).seconds\n"
        "print(sorted({'torch', 'polars', 'scipy', 'sklearn', 'onnx', 'yaml'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "clip.wav")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (run.stdout.strip(), run.stderr) == ("[]", "")
