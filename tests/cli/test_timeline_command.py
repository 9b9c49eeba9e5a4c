"""`unheard predict --timeline`: its three forms, its file, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from one_input import examples, export_features
from unheard import features, heads
from unheard.cli import app
from unheard.cli.timeline import clock
from unheard.errors import UsageError

sys.path.insert(0, str(Path(__file__).parents[1] / "audio"))
from signals import RATE, noise, voice


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = {"name": "functionals"}
    spec = features.build(settings)
    rows = [spec.compute(voice(1.0, 100 + 60 * (k % 2)) + 0.01 * noise(1.0, seed=k)) for k in range(8)]
    head = heads.build({"name": "probe", "grid": [0.01]}).fit(
        examples(rows, np.arange(8) % 2, np.array([f"s{k // 2}" for k in range(8)]), 2)
    )
    return export_features(
        head, settings, ("low", "high"), tmp_path_factory.mktemp("bundles") / "b", temperature=1.0,
        training_speakers=["s0"], corpus="toy", scores=None, recipe={}, licences={},
    )  # fmt: skip


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    gap = np.zeros(RATE, np.float32)
    soundfile.write(tmp_path / "talk.wav", np.concatenate([gap, voice(6.0), gap, voice(1.5), gap]), RATE)
    soundfile.write(tmp_path / "silence.wav", np.zeros(3 * RATE), RATE)
    return tmp_path / "talk.wav"


def called(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["predict", "--timeline", *map(str, arguments)])
    if isinstance(done.exception, UsageError):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def test_json_csv_and_text_say_the_same(bundle: Path, talk: Path) -> None:
    code, text, _ = called(talk, "--model", bundle, "--json")
    (row,) = json.loads(text)
    assert code == 0 and set(row) == {"path", "timeline", "summary"}
    steps = row["timeline"]
    assert [set(step) for step in steps] == [{"start", "end", "label", "probabilities", "flags"}] * len(steps)
    assert len(steps) == 5 and steps[0]["start"] < 1.1 and steps[-1]["end"] > 9.4
    assert row["summary"]["seconds"] == 10.5
    table = list(csv.DictReader(io.StringIO(called(talk, "--model", bundle, "--csv")[1])))
    assert list(table[0]) == ["path", "start", "end", "label", "p_low", "p_high", "flags", "error"]
    for line, step in zip(table, steps, strict=True):
        assert (float(line["start"]), float(line["end"]), line["label"]) == (
            step["start"], step["end"], step["label"]
        )  # fmt: skip
        assert float(line["p_low"]) == pytest.approx(step["probabilities"]["low"], abs=1e-6)
    lines = called(talk, "--model", bundle)[1].splitlines()
    assert lines[0] == str(talk) and len(lines) == len(steps) + 2
    assert f"{clock(steps[0]['start'])}  {clock(steps[0]['end'])}  {steps[0]['label']}" in lines[1]
    assert "0:00:10.5 answered: " in lines[-1]


def test_files_are_written_by_their_name_and_never_over_another(bundle: Path, talk: Path) -> None:
    for name in ("out.json", "out.csv", "out.txt"):
        out = talk.with_name(name)
        code, text, errors = called(talk, "--model", bundle, "--out", out)
        assert (code, text) == (0, "") and f"{out}: 1 recording" in errors
    assert json.loads(talk.with_name("out.json").read_text())[0]["path"] == str(talk)
    assert talk.with_name("out.csv").read_text().startswith("path,start,end")
    before = talk.with_name("out.txt").read_text()
    with pytest.raises(UsageError, match="exists"):
        called(talk, "--model", bundle, "--out", talk.with_name("out.txt"))
    assert talk.with_name("out.txt").read_text() == before
    assert called(talk, "--model", bundle, "--out", talk.with_name("out.csv"), "--force", "--csv")[0] == 0
    with pytest.raises(UsageError, match=r"--csv and the ending of .*out\.txt ask for two forms"):
        called(talk, "--model", bundle, "--out", talk.with_name("out.txt"), "--force", "--csv")
    with pytest.raises(UsageError, match=r"nothing is written in the form \.xlsx; choose from \.txt, \.csv"):
        called(talk, "--model", bundle, "--out", talk.with_name("out.xlsx"))
    assert not talk.with_name("out.xlsx").exists()


def test_a_file_that_cannot_be_used_is_named_and_the_others_go_on(bundle: Path, talk: Path) -> None:
    talk.with_name("broken.wav").write_bytes(b"no audio")
    code, text, errors = called(talk.parent, "--model", bundle, "--json")
    rows = {Path(row["path"]).name: row for row in json.loads(text)}
    assert code == 3 and "broken.wav: not audio" in errors and "not audio" in rows["broken.wav"]["error"]
    assert rows["silence.wav"]["timeline"] == [] and rows["silence.wav"]["summary"]["shares"] is None
    assert rows["silence.wav"]["summary"]["flags"] == ["silent", "no_speech"]
    assert len(rows["talk.wav"]["timeline"]) == 5
    table = called(talk.parent, "--model", bundle, "--csv")[1]
    lines = [
        (Path(line["path"]).name, line["flags"], line["error"] != "")
        for line in csv.DictReader(io.StringIO(table))
    ]
    assert lines[:2] == [("broken.wav", "", True), ("silence.wav", "silent;no_speech", False)]
    assert [(name, bad) for name, _, bad in lines[2:]] == [("talk.wav", False)] * 5
    assert (
        "0:00:03.0 answered: no prediction  (silent, no_speech)" in called(talk.parent, "--model", bundle)[1]
    )


def test_lines_of_json_are_the_values_of_json(bundle: Path, talk: Path) -> None:
    for options in ([], ["--timeline"]):
        command = ["predict", *options, str(talk.parent), "--model", str(bundle)]
        lines = CliRunner().invoke(app, [*command, "--jsonl"]).stdout.splitlines()
        out = talk.with_name("out.jsonl")
        assert CliRunner().invoke(app, [*command, "--out", str(out), "--force"]).exit_code == 0
        values = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
        assert [json.loads(line) for line in lines] == values and len(values) == 2
        assert out.read_text().splitlines() == lines


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00:00.0"), (59.96, "0:01:00.0"), (7325.25, "2:02:05.2")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize("form", [".srt", ".labels.txt", ".html"])
def test_a_form_of_one_recording_is_chosen_by_its_ending(
    bundle: Path, talk: Path, tmp_path: Path, form: str
) -> None:
    out = tmp_path / f"talk{form}"
    done = CliRunner().invoke(app, ["predict", str(talk), "--model", str(bundle), "--out", str(out)])
    assert done.exit_code == 0 and not done.stdout and "talk.wav: 0:0" in done.stderr
    written = out.read_text("utf-8")
    steps = json.loads(called(talk, "--model", bundle, "--json")[1])[0]["timeline"]
    assert len([step for step in steps if step["label"] and f"{step['label']} " in written]) == len(steps) > 1
    assert called(tmp_path / "silence.wav", "--model", bundle, "--out", out, "--force")[0] == 0


def test_a_bitmap_without_matplotlib_ends_before_the_work(
    talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    given = ["predict", str(talk), "--model", "no such bundle", "--out", str(tmp_path / "a.png")]
    assert isinstance(CliRunner().invoke(app, given).exception, ModuleNotFoundError)


def test_such_a_form_holds_one_recording_and_no_broken_one(bundle: Path, talk: Path, tmp_path: Path) -> None:
    out = tmp_path / "two.vtt"
    with pytest.raises(UsageError, match="holds one recording, and 2 are given"):
        called(talk, talk, "--model", bundle, "--out", out)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    code, _, said = called(tmp_path / "broken.wav", "--model", bundle, "--out", out)
    assert code == 3 and "broken.wav" in said and not out.exists()


def test_given_pieces_are_answered_by_speaker_with_their_words(
    bundle: Path, talk: Path, tmp_path: Path
) -> None:
    pieces = tmp_path / "pieces.csv"
    pieces.write_text("start,end,speaker,text\n1,4,Ann,hello there\n4,7,Bob,\n8,9.5,Ann,bye\n9.6,10,Bob,\n")
    given = (talk, "--model", bundle, "--segments", pieces)
    (row,) = json.loads(called(*given, "--json")[1])
    assert [each["speaker"] for each in row["segments"]] == ["Ann", "Bob", "Ann", "Bob"]
    rows = list(csv.DictReader(io.StringIO(called(*given, "--csv")[1])))
    assert [(each["speaker"], each["text"], each["label"]) for each in rows] == [
        (each["speaker"], each.get("text", ""), each["label"] or "") for each in row["segments"]
    ]
    assert rows[3]["flags"] == "no_speech"
    lines = called(*given)[1].splitlines()
    assert lines[1].startswith("  0:00:01.0  0:00:04.0  Ann  ") and lines[1].endswith("  hello there")
    assert lines[5].startswith("  Ann: 0:00:04.5 of") and lines[-1].startswith("  0:00:07.5 of")
    for wrong, why in (
        ((*given, "--channels", "each"), "exclude each other"), ((talk, *given), "2 are given"),
        ((talk, "--channels", "both"), "expected each"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=why):
            called(*wrong)


def test_both_channels_in_one_go(bundle: Path, talk: Path, tmp_path: Path) -> None:
    wave, rate = soundfile.read(talk, dtype="float32")
    soundfile.write(tmp_path / "two.wav", np.stack([wave, 0 * wave], axis=1), rate)
    out = tmp_path / "two.html"
    assert called(tmp_path / "two.wav", "--model", bundle, "--channels", "each", "--out", out)[0] == 0
    written = out.read_text("utf-8")
    assert "<h3>channel 0</h3>" in written and "<h3>channel 1</h3>" in written
    (row,) = json.loads(called(tmp_path / "two.wav", "--model", bundle, "--channels", "each", "--json")[1])
    alone = json.loads(called(tmp_path / "two.wav", "--model", bundle, "--channel", 0, "--json")[1])[0]
    assert [(each["start"], each["label"]) for each in row["segments"]] == [
        (each["start"], each["label"]) for each in alone["timeline"]
    ]
