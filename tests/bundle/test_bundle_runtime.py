"""Prediction: the head's own predictions, abstention where nothing can be said, and core packages alone."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose

import unheard.bundle.predictor as predictor
import unheard.bundle.runtime as runtime
from bundle_parts import CLASSES, KINDS, Made, buzz, change, sound
from one_input import examples, export_features, outputs_of
from unheard import features, heads
from unheard.audio import activity
from unheard.bundle.runtime import load
from unheard.errors import AudioError, UnheardError, UsageError
from unheard.labels import Labels

Make = Callable[[str], Made]
HEAVY = (
    "torch",
    "lightning",
    "polars",
    "sklearn",
    "scipy",
    "onnx",
    "matplotlib",
    "pydantic",
    "yaml",
    "opensmile",
)


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max())
    return e / e.sum()


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_are_the_head_s_at_the_bundle_s_temperature(
    made: Make, kind: str, tmp_path: Path
) -> None:
    one = made(kind)
    bundle = load(one.folder)
    for seed in (200, 201, 202):
        wave = sound(seed)
        soundfile.write(tmp_path / "clip.wav", wave, 16_000, subtype="FLOAT")
        expected = softmax(outputs_of(one.head, [one.spec.compute(wave)])[0] / 1.5)
        found = bundle.predict_file(tmp_path / "clip.wav")
        assert list(found.probabilities) == list(CLASSES)
        assert_allclose(list(found.probabilities.values()), expected, atol=1e-4)
        assert found.label == CLASSES[int(expected.argmax())]
        assert found == bundle.predict(wave, 16_000)
        assert found.seconds == pytest.approx(len(wave) / 16_000)
        assert sum(found.probabilities.values()) == pytest.approx(1, abs=1e-12)


def test_trained_bundle_tells_the_sounds_apart(made: Make) -> None:
    bundle = load(made("probe").folder)
    assert [bundle.predict(sound(seed), 16_000).label for seed in range(300, 309)] == list(CLASSES) * 3


def test_other_rates_and_channels(made: Make) -> None:
    bundle = load(made("probe").folder)
    wave = sound(3, 1.0)
    plain = bundle.predict(wave, 16_000)
    stereo = bundle.predict(np.stack([wave, wave], axis=1), 16_000)
    assert stereo.flags == ("several_channels",)
    assert "several channels" in stereo.warnings[0]
    assert stereo.probabilities == plain.probabilities
    with pytest.raises(AudioError, match="give floats"):
        bundle.predict((wave * 32768).astype(np.int16), 16_000)


@pytest.mark.parametrize("kind", ["probe", "tcgru"])
@pytest.mark.parametrize(
    ("wave", "flag"),
    [
        (np.zeros(16_000), "silent"),
        (np.zeros(1), "silent"),
        (np.full(16_000, 0.5), "constant"),
        (sound(0)[:1_599], "too_short"),
        (np.where(np.arange(16_000) == 5, np.nan, sound(0, 1.0)), "non_finite"),
        (np.where(np.arange(16_000) == 5, np.inf, sound(0, 1.0)), "non_finite"),
    ],
    ids=["zeros", "one zero", "constant", "too short", "nan", "inf"],
)
def test_nothing_is_said_about_what_holds_nothing(made: Make, kind: str, wave: np.ndarray, flag: str) -> None:
    found = load(made(kind).folder).predict(wave, 16_000)
    assert found.label is None
    assert (found.probabilities, found.dimensions, found.answered) == ({}, {}, False)
    assert flag in found.flags
    assert any(warning.startswith("no prediction:") for warning in found.warnings)


def test_features_or_logits_that_are_no_numbers_give_no_answer(
    made: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load(made("probe").folder)
    made_of = bundle._extractors.made

    class Broken:
        version = 1

        def __init__(self, values: np.ndarray) -> None:
            self.values = values

        def compute(self, wave: np.ndarray) -> np.ndarray:
            return self.values

    dims = bundle.description.inputs["voice"].dims
    spec = made_of["voice"]
    for values in (np.full(dims, np.nan, np.float32), np.zeros(0, np.float32)):
        made_of["voice"] = Broken(values)
        found = bundle.predict(sound(0), 16_000)
        assert (found.label, found.probabilities, found.flags) == (None, {}, ("no_features",))
    made_of["voice"] = spec
    monkeypatch.setattr(bundle._head, "outputs", lambda inputs: np.full((len(inputs), 3), np.nan))
    found = bundle.predict(sound(0), 16_000)
    assert (found.probabilities, found.flags) == ({}, ("no_logits",))


@pytest.mark.parametrize("kind", ["probe", "probe-frames", "tcgru"])
def test_many_files_answer_as_one_by_one_and_bad_ones_stop_nobody(
    made: Make, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load(made(kind).folder)
    paths = []
    for k in range(11):
        paths.append(tmp_path / f"{k}.wav")
        soundfile.write(paths[-1], sound(k, 0.3 + 0.2 * k), 16_000)
    soundfile.write(tmp_path / "4.wav", np.zeros(8_000), 16_000)
    (tmp_path / "6.wav").write_bytes(b"no audio")
    paths[8] = tmp_path / "absent.wav"
    monkeypatch.setattr(predictor, "BATCH", 4)
    monkeypatch.setattr(predictor, "BATCH_FRAMES", 100)
    found = list(bundle.predict_many(iter(paths)))
    assert len(found) == len(paths)
    for k, (path, prediction) in enumerate(zip(paths, found, strict=True)):
        if k in (6, 8):
            assert (prediction.label, prediction.flags) == (None, ("unreadable",))
            with pytest.raises(AudioError) as error:
                bundle.predict_file(path)
            assert prediction.warnings[0] == str(error.value)
            assert path.name in prediction.warnings[0]
            continue
        alone = bundle.predict_file(path)
        assert (prediction.label, prediction.flags, prediction.warnings) == (
            alone.label,
            alone.flags,
            alone.warnings,
        )
        assert_allclose(
            list(prediction.probabilities.values()), list(alone.probabilities.values()), atol=1e-5
        )
    assert found[4].flags == ("silent",)
    assert list(bundle.predict_many([])) == []


def test_answers_come_while_files_are_read(made: Make, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sound(0), 16_000)
    read = []

    def endless():
        while True:
            read.append(1)
            yield tmp_path / "a.wav"

    predicted = load(made("probe").folder).predict_many(endless())
    assert next(predicted).label is not None
    assert len(read) == predictor.BATCH


def test_a_long_file_is_not_padded_into_a_batch_with_short_ones(
    made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load(made("tcgru").folder)
    paths = [tmp_path / f"{k}.wav" for k in range(12)]
    for k, path in enumerate(paths):
        soundfile.write(path, sound(k, 8.0 if k in (7, 11) else 0.4), 16_000)  # 200 frames, and 10
    monkeypatch.setattr(predictor, "BATCH_FRAMES", 150)
    batches = []
    outputs = bundle._head.outputs

    def counted(inputs):
        batches.append([len(clip["voice"]) for clip in inputs])
        return outputs(inputs)

    monkeypatch.setattr(bundle._head, "outputs", counted)
    assert all(prediction.label for prediction in bundle.predict_many(paths))
    assert [len(batch) for batch in batches] == [7, 1, 3, 1]
    assert all(len(batch) == 1 or max(batch) * len(batch) <= 150 for batch in batches)


def test_less_sure_answers_than_the_threshold_are_withheld_with_their_probabilities(
    copied: Callable[..., Path],
) -> None:
    folder = copied("probe")
    wave = sound(1)
    sure = max(load(folder).predict(wave, 16_000).probabilities.values())
    for threshold, flags in ((sure - 0.01, ()), (sure + 0.01, ("unsure",))):
        change(folder, thresholds={"confidence": threshold})
        found = load(folder).predict(wave, 16_000)
        assert found.flags == flags
        assert (found.label is None) == bool(flags)
        assert max(found.probabilities.values()) == sure


def test_an_address_is_shown_as_it_was_given(made: Make) -> None:
    with pytest.raises(AudioError, match=r"https://example\.org/a\.wav: an address, and files are read"):
        load(made("probe").folder).predict_file("https://example.org/a.wav")


@pytest.mark.parametrize(
    "wave",
    [0.1 * np.random.default_rng(0).standard_normal(48_000), np.sin(np.arange(48_000) / 10), buzz(0, 2.0)],
    ids=["noise", "tone", "held vowel"],
)
def test_nothing_is_said_where_nobody_speaks(made: Make, wave: np.ndarray) -> None:
    found = load(made("probe").folder).predict(wave, 16_000)
    assert (found.label, found.probabilities, found.answered) == (None, {}, False)
    assert "no_speech" in found.flags and found.quality is not None
    plain = found.as_dict()
    assert plain["probabilities"] is None and plain["label"] is None


def test_channels_that_cancel_are_said_and_each_alone_is_answered(made: Make, tmp_path: Path) -> None:
    bundle = load(made("probe").folder)
    wave = sound(1, 1.0)
    soundfile.write(tmp_path / "a.wav", np.stack([wave, -wave], axis=1), 16_000)
    found = bundle.predict_file(tmp_path / "a.wav")
    assert found.label is None and "cancelled" in found.flags
    assert any("channel 0" in warning for warning in found.warnings)
    assert bundle.predict_file(tmp_path / "a.wav", channel=0).label is not None


@pytest.mark.parametrize("kind", ["probe", "tcgru"])
def test_long_recordings_are_the_mean_of_windows_weighted_by_speech(
    made: Make, kind: str, tmp_path: Path
) -> None:
    bundle = load(made(kind).folder)
    parts = [sound(1, 14.0), np.zeros(16_000 * 12, np.float32), sound(2, 6.0), sound(0, 16.0)]
    wave = np.concatenate(parts)
    soundfile.write(tmp_path / "a.wav", wave, 16_000, subtype="FLOAT")
    found = bundle.predict_file(tmp_path / "a.wav")
    windows = np.split(wave, 3)
    spoken = activity.segments(wave)
    weights = [
        sum(max(0.0, min(16 * k + 16, end) - max(16 * k, start)) for start, end in spoken) for k in range(3)
    ]
    assert weights[0] > 13.5 and weights[1] < 6.5 and weights[2] > 15.5
    each = [list(bundle.predict(window, 16_000).probabilities.values()) for window in windows]
    product = np.exp(np.average(np.log(each), axis=0, weights=weights))
    assert_allclose(list(found.probabilities.values()), product / product.sum(), atol=1e-5)
    assert "long" in found.flags and found.seconds == 48.0 and found.label == CLASSES[int(product.argmax())]
    assert bundle.predict(wave, 16_000).probabilities == pytest.approx(found.probabilities, abs=1e-5)
    assert [each.label for each in bundle.predict_many([tmp_path / "a.wav"])] == [found.label]
    assert bundle.predict(np.zeros(16_000 * 40), 16_000).label is None


def test_best_is_sorted_with_ties_in_class_order(made: Make) -> None:
    bundle = load(made("probe").folder)
    found = bundle.predict(sound(1), 16_000)
    best = found.best(2)
    assert best[0][0] == found.label
    assert best == sorted(found.probabilities.items(), key=lambda item: -item[1])[:2]
    assert bundle.predict(np.zeros(16_000), 16_000).best(3) == []


def test_other_classes_are_chosen_and_merged(made: Make) -> None:
    bundle = load(made("probe").folder)
    wave = sound(1)
    first, second, third = bundle.predict(wave, 16_000).probabilities.values()
    merged = bundle.choosing(Labels({CLASSES[0]: "x", CLASSES[2]: "x"}))
    found = merged.predict(wave, 16_000)
    assert merged.classes == ("x", CLASSES[1])
    assert list(found.probabilities.values()) == pytest.approx([first + third, second])
    assert found.label == max(found.probabilities, key=found.probabilities.__getitem__)
    pair = bundle.choosing(Labels({CLASSES[1]: CLASSES[1], CLASSES[2]: CLASSES[2]}, others=False))
    shares = pair.predict(wave, 16_000).probabilities
    assert shares == pytest.approx(
        {CLASSES[1]: second / (second + third), CLASSES[2]: third / (second + third)}
    )
    with pytest.raises(UsageError, match="unknown label of the model 'anger'"):
        bundle.choosing(Labels({"anger": "x"}))
    with pytest.raises(UsageError, match="has other classes already"):
        merged.choosing(Labels({CLASSES[1]: "y"}))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b: b.predict_file(io.BytesIO(b"RIFF")), "expected the path of a recording, found BytesIO"),
        (lambda b: b.predict_file(b"RIFF\x00"), "found bytes; write the bytes"),
        (lambda b: b.predict_file(None), "found NoneType"),
        (lambda b: b.predict(np.zeros((2, 48_000)), 16_000), r"transpose them \(samples.T\)"),
        (lambda b: b.predict(np.zeros(48_000), None), "sampling rate None Hz, expected a whole number"),
        (lambda b: b.predict("a.wav", 16_000), "give floats"),
        (lambda b: b.predict_many("a.wav"), "predict_many takes several paths"),
        (lambda b: b.predict_many(None), "predict_many takes several paths"),
        (lambda _: load(None), "expected the folder of a bundle, found NoneType"),
    ],
)  # fmt: skip
def test_what_is_no_recording_is_an_error_that_says_what_to_give(made: Make, call: Any, message: str) -> None:
    with pytest.raises(UnheardError, match=message) as error:
        call(load(made("probe").folder))
    assert "RIFF" not in str(error.value)


def test_a_list_of_samples_is_taken_as_an_array_is(made: Make) -> None:
    bundle = load(made("probe").folder)
    wave = sound(1)
    assert bundle.predict(wave.tolist(), 16_000) == bundle.predict(wave, 16_000)


def test_a_bundle_is_pickled_by_its_folder(made: Make) -> None:
    bundle = load(made("probe").folder).choosing(Labels({CLASSES[0]: "x"}))
    again = pickle.loads(pickle.dumps(bundle))
    assert again.predict(sound(1), 16_000) == bundle.predict(sound(1), 16_000)
    with pytest.raises(UsageError, match="only a bundle that was loaded from a folder can be pickled"):
        pickle.dumps(runtime.opened(runtime.read_verified(made("probe").folder))[0])


def test_an_answer_is_plain_values(made: Make) -> None:
    plain = load(made("probe").folder).predict(sound(1), 16_000).as_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert list(plain) == ["label", "probabilities", "flags", "warnings", "seconds", "quality"]


def test_a_bundle_tells_whom_it_has_heard(made: Make) -> None:
    bundle = load(made("probe").folder)
    assert bundle.training_speakers == ("s0", "s1", "s2", "s3")
    assert bundle.classes == CLASSES
    assert bundle.description.score is not None


def test_predicting_needs_the_core_packages_alone(made: Make, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.flac", sound(1), 16_000)
    code = (
        "import sys\n"
        "from unheard.bundle.runtime import load\n"
        "for folder in sys.argv[2:]:\n"
        "    bundle = load(folder)\n"
        "    assert bundle.predict_file(sys.argv[1]).label\n"
        "    assert [a.label for a in bundle.predict_many([sys.argv[1]])][0]\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    folders = [str(made(kind).folder) for kind in KINDS]
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "clip.flac"), *folders],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "[]"
    assert run.stderr == ""


def test_a_bundle_whose_features_need_another_package_says_which(tmp_path: Path) -> None:
    pytest.importorskip("opensmile")
    spec = features.build({"name": "egemaps"})
    rows = examples(
        [spec.compute(sound(i)) for i in range(6)],
        np.arange(6) % 3,
        np.array([f"s{i // 3}" for i in range(6)]),
        3,
    )
    head = heads.build({"name": "probe", "grid": [0.01]}).fit(rows)
    options = {"temperature": 1.0, "training_speakers": [], "corpus": "toy", "scores": None, "recipe": {}}
    folder = export_features(head, {"name": "egemaps"}, CLASSES, tmp_path / "b", licences={}, **options)
    assert "non-commercial" in (folder / "card.md").read_text()
    assert load(folder).predict(sound(7), 16_000).label
    code = (
        "import sys; sys.modules['opensmile'] = None\n"
        "from unheard.bundle.runtime import load; from unheard.errors import MachineError\n"
        "try:\n    load(sys.argv[1])\nexcept MachineError as error:\n    print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    assert "this needs opensmile, which is not installed: pip install 'unheard[lld]'" in run.stdout


def test_a_bundle_takes_the_channel_that_it_was_trained_on(made: Make, tmp_path: Path) -> None:
    one = made("probe")
    folder = export_features(one.head, one.settings, CLASSES, tmp_path / "b", channel=1, **one.options())
    bundle = load(folder)
    left, right = sound(3, 1.0), sound(4, 1.0)
    both = np.stack([left, right], axis=1)
    soundfile.write(tmp_path / "both.wav", both, 16_000, subtype="FLOAT")
    alone = [bundle.predict(wave, 16_000).probabilities for wave in (left, right)]
    assert alone[0] != alone[1]
    assert bundle.predict(both, 16_000).probabilities == alone[1]
    assert bundle.predict_file(tmp_path / "both.wav").probabilities == alone[1]
    assert bundle.predict_file(tmp_path / "both.wav", channel=0).probabilities == alone[0]
    assert [prediction.probabilities for prediction in bundle.predict_many([tmp_path / "both.wav"])] == [
        alone[1]
    ]
    soundfile.write(tmp_path / "one.wav", left, 16_000)
    with pytest.raises(AudioError, match="has no channel 1"):
        bundle.predict_file(tmp_path / "one.wav")
    assert "numbered 1 is taken" in (folder / "card.md").read_text()
    assert load(one.folder).predict(both, 16_000).probabilities not in alone
