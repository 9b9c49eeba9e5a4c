"""Timelines: steps where somebody speaks, means of what the windows give, memory that does not grow."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bundle_parts import CLASSES, Made, change
from unheard.audio import activity, decode
from unheard.audio.stream import plan
from unheard.bundle.default import default_model
from unheard.bundle.runtime import load
from unheard.errors import AudioError

sys.path.insert(0, str(Path(__file__).parents[1] / "audio"))
from signals import RATE, noise, voice

Make = Callable[[str], Made]
HEAVY = ("torch", "lightning", "polars", "sklearn", "scipy", "onnx", "matplotlib", "pydantic", "yaml")


@pytest.fixture
def call_file(tmp_path: Path) -> Path:
    """Eleven seconds of a low voice, a pause, two of a high one, and silence around them."""
    gap = np.zeros(2 * RATE, np.float32)
    wave = np.concatenate([gap, voice(11.0, 110), gap, voice(2.0, 250), gap])
    soundfile.write(tmp_path / "call.wav", wave + 0.01 * noise(19.0), RATE, subtype="FLOAT")
    return tmp_path / "call.wav"


def test_steps_are_means_of_the_windows_over_them(made: Make, call_file: Path) -> None:
    bundle = load(made("probe").folder)
    found = bundle.timeline(call_file)
    wave = decode.load(call_file).wave
    laid = plan(activity.segments(wave))
    assert [(step.start, step.end) for step in found.steps] == list(laid.steps)
    assert len(found) == 7 and len(laid.windows) == 6
    windows = [
        bundle.predict(wave[round(start * RATE) : round(end * RATE)], RATE) for start, end in laid.times
    ]
    for k, (_, _, probabilities, flags) in enumerate(found):
        over = [
            list(prediction.probabilities.values())
            for (first, end), prediction in zip(laid.windows, windows, strict=True)
            if first <= k < end
        ]
        assert list(probabilities) == list(CLASSES) and flags == ()
        np.testing.assert_allclose(list(probabilities.values()), np.mean(over, axis=0), atol=1e-5)
        assert found.steps[k].label == CLASSES[int(np.mean(over, axis=0).argmax())]


def test_the_summary_weighs_probabilities_by_time(made: Make, call_file: Path) -> None:
    found = load(made("probe").folder).timeline(call_file)
    seconds = np.array([end - start for start, end, _, _ in found])
    p = np.array([list(probabilities.values()) for _, _, probabilities, _ in found])
    summary = found.summary()
    assert list(summary["shares"].values()) == pytest.approx(list(seconds @ p / seconds.sum()), abs=1e-6)
    assert summary["seconds"] == 19.0 and 13.0 < summary["heard"] == summary["answered"] < 14.0
    assert sum(summary["labelled"].values()) == pytest.approx(summary["answered"], abs=0.01)
    assert summary["speech"] == pytest.approx(seconds.sum() / 19, abs=1e-3)
    assert summary["flags"] == []


def test_what_the_model_is_not_sure_of_has_no_label_but_counts(
    made: Make, copied: Callable[..., Path], call_file: Path
) -> None:
    folder = copied("probe")
    change(folder, thresholds={"confidence": 1.0})
    unsure, sure = load(folder).timeline(call_file), load(made("probe").folder).timeline(call_file)
    assert {step.label for step in unsure.steps} == {None}
    assert {step.flags for step in unsure.steps} == {("unsure",)}
    assert unsure.shares() == sure.shares()
    assert set(unsure.summary()["labelled"].values()) == {0}


@pytest.mark.parametrize(
    ("samples", "flags"),
    [(np.zeros(5 * RATE), ("silent", "no_speech")), (np.full(5 * RATE, 0.2), ("constant", "no_speech")),
     (0.1 * np.random.default_rng(0).standard_normal(5 * RATE), ("no_speech",)),
     (0.1 * np.ones(100), ("constant", "too_short", "no_speech"))],
    ids=["silent", "constant", "noise", "short"],
)  # fmt: skip
def test_where_nobody_speaks_nothing_is_said(
    made: Make, samples: np.ndarray, flags: tuple, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    found = load(made("probe").folder).timeline(tmp_path / "a.wav")
    assert (found.steps, found.flags) == ((), flags)
    assert found.summary()["shares"] is None and found.summary()["answered"] == 0
    assert found.shares() == {}


def test_what_gets_no_answer_as_a_whole_gets_none_in_pieces(
    made: Make, call_file: Path, tmp_path: Path
) -> None:
    wave, rate = soundfile.read(call_file, dtype="float32")
    wave[len(wave) // 2] = np.nan
    soundfile.write(tmp_path / "nan.wav", wave, rate, subtype="FLOAT")
    bundle = load(made("probe").folder)
    assert bundle.predict_file(tmp_path / "nan.wav").label is None
    found = bundle.timeline(tmp_path / "nan.wav")
    assert len(found) == 0
    assert found.flags == ("non_finite",)


def test_channels_rates_and_faults(made: Make, call_file: Path, tmp_path: Path) -> None:
    bundle = load(made("probe").folder)
    wave = decode.load(call_file).wave
    soundfile.write(tmp_path / "two.wav", np.stack([np.zeros_like(wave), wave], axis=1), RATE, "FLOAT")
    mono, second = bundle.timeline(call_file), bundle.timeline(tmp_path / "two.wav", channel=1)
    assert second.steps == mono.steps and second.flags == ("one_of_channels",)
    assert len(bundle.timeline(tmp_path / "two.wav", channel=0)) == 0
    with pytest.raises(AudioError, match="no channel 2"):
        bundle.timeline(tmp_path / "two.wav", channel=2)
    holes = wave.copy()
    holes[RATE * 5] = np.nan
    soundfile.write(tmp_path / "nan.wav", holes, RATE, subtype="FLOAT")
    assert bundle.timeline(tmp_path / "nan.wav").flags == ("non_finite",)
    call_file.write_bytes(call_file.read_bytes()[:200_000])
    with pytest.raises(AudioError, match="truncated"):
        bundle.timeline(call_file)
    assert bundle.timeline(call_file, allow_truncated=True).flags == ("truncated",)


def test_a_file_without_samples_is_refused_in_the_words_of_predict(made: Make, tmp_path: Path) -> None:
    bundle, path = load(made("probe").folder), tmp_path / "empty.wav"
    soundfile.write(path, np.empty(0), RATE)
    with pytest.raises(AudioError, match="holds no samples") as steps:
        bundle.timeline(path)
    with pytest.raises(AudioError) as whole:
        bundle.predict_file(path)
    assert str(steps.value) == str(whole.value)


def test_a_file_that_shrinks_between_its_two_readings_is_named(
    made: Make, call_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wave = decode.load(call_file).wave
    measure = activity.measure

    def measured_and_cut(blocks: Iterable[np.ndarray]) -> object:
        found = measure(blocks)
        soundfile.write(call_file, wave[:RATE], RATE, subtype="FLOAT")
        return found

    monkeypatch.setattr(activity, "measure", measured_and_cut)
    with pytest.raises(AudioError, match=f"^{call_file}: changed while it was read"):
        load(made("probe").folder).timeline(call_file)


@pytest.mark.slow
def test_five_minutes_take_the_memory_of_one(made: Make, tmp_path: Path) -> None:
    # Five minutes of stereo at 48 kHz are 115 MB as samples.
    one, five = (
        peak_and_steps(made("probe-means").folder, long_file(tmp_path / f"{m}.flac", m, 48_000, 2))
        for m in (1, 5)
    )
    assert 4 * one[1] < five[1] < 6 * one[1]
    assert five[0] - one[0] < 30e6, (one, five)


@pytest.mark.slow
def test_two_hours_in_bounded_memory(made: Make, tmp_path: Path) -> None:
    folder = made("probe-means").folder
    short = peak_and_steps(folder, long_file(tmp_path / "short.flac", 5, RATE, 1))
    long = peak_and_steps(folder, long_file(tmp_path / "long.flac", 120, RATE, 1))
    assert 22 * short[1] < long[1] < 26 * short[1]
    assert long[0] - short[0] < 100e6 and long[0] < 400e6, (short, long)


@pytest.mark.slow
def test_two_hours_as_a_whole_stay_below_300_megabytes(made: Make, tmp_path: Path) -> None:
    long = long_file(tmp_path / "long.flac", 120, RATE, 1)
    for folder in (made("probe-means").folder, made("tcgru").folder, default_model()):
        peak, classes = peak_and_steps(folder, long, "predict_file(sys.argv[2]).probabilities")
        assert peak < 300e6 and classes > 1, (folder, peak)


def long_file(path: Path, minutes: int, rate: int, channels: int) -> Path:
    """Twelve seconds of voices of another pitch each time and eight of silence, again and again."""
    with soundfile.SoundFile(path, "w", rate, channels) as file:
        for k in range(3 * minutes):
            wave = np.concatenate([voice(12.0, 100 + 10 * (k % 12)), np.zeros(8 * RATE, np.float32)])
            file.write(np.tile(np.repeat(wave, rate // RATE)[:, None], channels))
    return path


def peak_and_steps(bundle: Path, path: Path, call: str = "timeline(sys.argv[2])") -> tuple[float, int]:
    """Peak resident memory in bytes and number of steps, of a process that does nothing else.

    ``VmHWM`` is of the program itself; ``ru_maxrss`` would begin with the peak of the process that starts it.
    """
    code = (
        "import re, sys\n"
        "from pathlib import Path\n"
        "from unheard.bundle.runtime import load\n"
        f"found = load(sys.argv[1]).{call}\n"
        f"assert not set({HEAVY!r}) & set(sys.modules)\n"
        "peak = re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())\n"
        "print(int(peak[1]) * 1024, len(found))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(bundle), str(path)], capture_output=True, text=True, check=True
    )
    assert run.stderr == ""
    peak, steps = run.stdout.split()
    return float(peak), int(steps)
