"""Types from a user's side: a small program that stands on the package, checked strictly outside of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """\
from __future__ import annotations

import numpy as np

import unheard as ut
from unheard.bundle.runtime import Bundle
from unheard.bundle.stream import Answer
from unheard.bundle.voice import VoiceProfile
from unheard.errors import DataError


def shares(path: str) -> dict[str, float]:
    model: Bundle = ut.load()
    try:
        found = model.timeline(path)
    except DataError:
        return {}
    return dict(found.shares())


def answers(wave: np.ndarray[tuple[int], np.dtype[np.float32]]) -> list[Answer]:
    stream = ut.load().stream(16_000)
    return [*stream.feed(wave), *stream.finish()]


def by_speaker(path: str, clips: list[str]) -> None:
    model = ut.load()
    profile: VoiceProfile = model.enrol(clips)
    for piece in model.segments(path, [(0.0, 1.0, "Ann")], profile=profile):
        print(piece.start, piece.speaker.upper(), piece.probabilities.get("happy"))


reveal_type(ut.predict("call.wav"))
reveal_type(ut.predict("call.wav").label)
reveal_type(ut.predict("call.wav").probabilities)
reveal_type(ut.load().segments("call.wav", "call.rttm").speakers)
reveal_type(ut.__version__)
"""
REVEALED = [
    "unheard.bundle.prediction.Prediction",
    "str | None",
    "dict[str, float]",
    "typing.Mapping[str, unheard.bundle.timeline.Timeline]",
]
WRONG = {
    'ut.predict("call.wav", chanel=0)': "call-arg",
    "ut.load().stream()": "call-arg",
    'ut.predict("call.wav").label.upper()': "union-attr",
    'ut.load().segments("call.wav", 3)': "arg-type",
    'ut.predict("call.wav").emotion': "attr-defined",
}


def checked(folder: Path, text: str) -> list[str]:
    """What mypy says of a program that lies outside of the package."""
    (folder / "program.py").write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder / "cache"), "program.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_what_a_user_gets_has_types_and_wrong_uses_are_found(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    said = checked(tmp_path, PROGRAM + "\n".join(WRONG) + "\n")
    revealed = [found[1] for line in said if (found := re.search(r'Revealed type is "(.*)"', line))]
    assert revealed[:4] == REVEALED
    # The program itself has no error, and each wrong line below it has its own.
    errors = [(int(each.split(":")[1]), each.rsplit("[", 1)[1][:-1]) for each in said if ": error:" in each]
    assert errors == list(enumerate(WRONG.values(), start=PROGRAM.count("\n") + 1))
