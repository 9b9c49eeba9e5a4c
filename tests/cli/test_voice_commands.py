"""`unheard enrol`, and what `predict` knows of a voice: a file, clips, the recordings themselves."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import Result
from typer.testing import CliRunner

from bundle_parts import sound
from small_bundle import make_bundle
from unheard.adaptation.profile import Priors
from unheard.bundle.runtime import load
from unheard.cli import app
from unheard.errors import DataError, UsageError
from unheard.exporting.golden import synthetic_waves


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bundles that adapt, one that does not, five clips of a voice, and a longer recording."""
    place = tmp_path_factory.mktemp("voice")
    for name, priors in (("adapting", Priors()), ("other", Priors(2.0)), ("plain", None)):
        make_bundle(place / name, priors)
    (place / "clips").mkdir()
    for number in range(5):
        soundfile.write(place / "clips" / f"{number}.wav", sound(number, 1.2), 16_000)
    talk = np.concatenate([np.zeros(8000), *synthetic_waves(), *synthetic_waves(), np.zeros(8000)])
    soundfile.write(place / "talk.wav", talk, 16_000)
    return place


def call(place: Path, *arguments: object, model: str = "adapting") -> Result:
    return CliRunner().invoke(app, [*map(str, arguments), "--model", str(place / model)])


@pytest.fixture(scope="module")
def voice(place: Path) -> Path:
    path = place / "anna.voice"
    found = call(place, "enrol", place / "clips", "--out", path)
    assert found.exit_code == 0, found.output
    assert "known from 5 clips" in found.stderr
    return path


def rows(found: Result) -> list[dict[str, Any]]:
    assert found.exit_code == 0, found.output
    return list(json.loads(found.stdout))


def shares(found: Result) -> np.ndarray:
    return np.array([list(row["probabilities"].values()) for row in rows(found)])


def test_a_file_clips_and_the_recordings_themselves_say_the_same(place: Path, voice: Path) -> None:
    ask = ("predict", place / "clips", "--json")
    nobody = call(place, *ask)
    ways = [call(place, *ask, *way) for way in (("--voice", voice), ("--same-speaker",))]
    ways.append(call(place, *ask, "--enrol", place / "clips"))
    for found in ways:
        np.testing.assert_allclose(shares(found), shares(ways[0]), atol=1e-6)
        assert {row["enrol_k"] for row in rows(found)} == {5}
        assert "the voice is known from 5 clips with" in found.stderr
    assert np.abs(shares(nobody) - shares(ways[0])).max() > 1e-3
    assert not any("enrol_k" in row for row in rows(nobody)) and "voice" not in nobody.stderr
    bundle = load(place / "adapting")
    paths = sorted((place / "clips").iterdir())
    both = bundle.predict_many(paths, profile=bundle.enrol(paths))
    np.testing.assert_allclose([list(p.probabilities.values()) for p in both], shares(ways[0]), atol=1e-9)


def test_csv_has_a_column_only_where_something_is_known(place: Path, voice: Path) -> None:
    ask = ("predict", place / "clips" / "0.wav", "--csv")
    (known,) = csv.DictReader(io.StringIO(call(place, *ask, "--voice", voice).stdout))
    (nobody,) = csv.DictReader(io.StringIO(call(place, *ask).stdout))
    assert known["enrol_k"] == "5"
    assert "enrol_k" not in nobody


def test_a_profile_can_be_looked_at(place: Path, voice: Path) -> None:
    shown = CliRunner().invoke(app, ["enrol", "--show", str(voice)])
    assert shown.exit_code == 0 and "5 clips" in shown.stdout and "'adapting'" in shown.stdout
    plain = json.loads(CliRunner().invoke(app, ["enrol", "--show", str(voice), "--json"]).stdout)
    assert plain["clips"] == 5 and plain["model"] == "adapting" and plain["path"] == str(voice)


def test_a_recording_makes_its_own_voice_known_only_when_asked_to(place: Path, voice: Path) -> None:
    ask = ("predict", place / "talk.wav", "--timeline", "--json")
    nobody, own, known = (
        json.loads(call(place, *ask, *way).stdout)[0]
        for way in ((), ("--adapt-to-recording",), ("--voice", voice))
    )
    assert "enrol_k" not in nobody["summary"]
    assert own["summary"]["enrol_kind"] == "recording" and 1 <= own["summary"]["enrol_k"] < 5
    assert (known["summary"]["enrol_k"], known["summary"]["enrol_kind"]) == (5, "clips")
    for other in (own, known):
        assert [step["start"] for step in other["timeline"]] == [s["start"] for s in nobody["timeline"]]
        assert other["timeline"][0]["probabilities"] != nobody["timeline"][0]["probabilities"]
    text = call(place, *ask[:-1], "--adapt-to-recording").stdout
    assert "windows of the recording itself" in text
    table = call(place, *ask[:-1], "--csv", "--adapt-to-recording").stdout
    assert next(csv.DictReader(io.StringIO(table)))["enrol_k"] == str(own["summary"]["enrol_k"])


def test_clips_that_cannot_be_used_are_named_and_the_others_make_the_profile(
    place: Path, tmp_path: Path
) -> None:
    out = tmp_path / "anna.voice"
    found = call(place, "enrol", place / "clips" / "0.wav", place / "none.wav", "--out", out)
    assert found.exit_code == 3 and "none.wav" in found.stderr and out.exists()
    assert "few clips" in found.stderr
    with pytest.raises(DataError, match="no clip"):
        raise call(place, "enrol", place / "none.wav", "--out", tmp_path / "b.voice").exception or SystemExit


REFUSED = {
    "nothing named": (("enrol",), "give clips"),
    "clips and --show": (("enrol", "clips", "--show", "anna.voice"), "give clips"),
    "no --out": (("enrol", "clips"), "--out"),
    "a file that exists": (("enrol", "clips", "--out", "anna.voice"), "exists"),
    "two profiles": (("predict", "clips", "--voice", "anna.voice", "--same-speaker"), "exclude each other"),
    "a timeline of several": (("predict", "talk.wav", "--timeline", "--same-speaker"), "--adapt-to-recording"),
    "a recording of clips": (("predict", "clips", "--adapt-to-recording"), "goes with --timeline"),
    "another model": (("predict", "clips", "--voice", "anna.voice", "--model", "other"), "another model"),
    "a model that does not adapt": (("predict", "clips", "--enrol", "clips", "-m", "plain"), "adapt to voices"),
    "its recording": (("predict", "talk.wav", "--timeline", "--adapt-to-recording", "--model", "plain"), "adapt"),
    "no profile": (("predict", "clips", "--voice", "talk.wav", "--model", "adapting"), "talk.wav"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_in_plain_words(
    place: Path, voice: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    arguments, said = REFUSED[case]
    monkeypatch.chdir(place)
    found = CliRunner().invoke(app, list(arguments))
    assert isinstance(found.exception, UsageError | DataError), found.output
    assert said in str(found.exception)
