from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from unheard.corpora import read, survey, synthetic
from unheard.corpora.synthetic.corpus import UNFINISHED
from unheard.errors import DataError, UsageError


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.wav")}


SMALL = {"takes": 1, "sentences": ("01",)}


def test_official_names_and_counts(tmp_path):
    synthetic.write(tmp_path, speakers=2)
    table, left, _ = survey("synthetic", tmp_path)
    assert len(table) == 2 * 60
    assert set(table["id"]) == {
        f"03-01-{emotion:02d}-{intensity:02d}-{sentence:02d}-{take:02d}-{actor:02d}"
        for emotion in range(1, 9)
        for intensity in (1, 2)
        for sentence in (1, 2)
        for take in (1, 2)
        for actor in (1, 2)
        if (emotion, intensity) != (1, 2)
    }
    assert [item.path for item in left] == ["synthetic.json"]
    assert table["duration"].min() > 1.0 and table["duration"].max() < 3.5
    assert dict(zip(table["speaker"], table["gender"], strict=True)) == {"01": "male", "02": "female"}
    for path in table["path"]:
        wave, rate = soundfile.read(path)
        assert rate == 16_000 and wave.ndim == 1
        assert 0.005 < np.abs(wave).max() < 0.99


def test_same_parameters_same_bytes_and_another_seed_other_clips(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        synthetic.write(tmp_path / name, speakers=1, seed=seed, **SMALL)
    a, b, c = (files(tmp_path / name) for name in "abc")
    assert a == b
    assert a.keys() == c.keys() and not any(a[name] == c[name] for name in a)


def test_a_smaller_corpus_is_a_part_of_a_larger_one(tmp_path):
    synthetic.write(tmp_path / "small", speakers=1, intensities=("normal",), **SMALL)
    synthetic.write(tmp_path / "large", speakers=2, **SMALL)
    small, large = files(tmp_path / "small"), files(tmp_path / "large")
    assert small.items() <= large.items() and len(small) == 8 and len(large) == 30


def test_takes_differ(tmp_path):
    synthetic.write(tmp_path, speakers=1, intensities=("normal",), sentences=("01",))
    assert len(set(files(tmp_path).values())) == 16


def test_another_rate_is_the_same_speech(tmp_path):
    options = {"speakers": 1, "intensities": ("normal",), **SMALL}
    synthetic.write(tmp_path / "16", **options)
    synthetic.write(tmp_path / "44", rate=44_100, **options)
    name = "Actor_01/03-01-05-01-01-01-01.wav"
    one, other = soundfile.read(tmp_path / "16" / name), soundfile.read(tmp_path / "44" / name)
    assert other[1] == 44_100
    assert len(one[0]) / 16_000 == pytest.approx(len(other[0]) / 44_100, abs=1e-3)
    assert one[0].std() == pytest.approx(other[0].std(), rel=0.02)


def test_progress_counts_every_clip(tmp_path):
    seen = []
    synthetic.write(tmp_path, speakers=1, progress=lambda done, total: seen.append((done, total)), **SMALL)
    assert seen == [(k, 15) for k in range(1, 16)]


def test_the_marker_says_how_it_was_made(tmp_path):
    synthetic.write(tmp_path, speakers=1, seed=3, style=0.5, intensities=("normal",), **SMALL)
    assert json.loads((tmp_path / synthetic.MARKER).read_text()) == {
        "corpus": "synthetic", "version": 1, "speakers": 1, "takes": 1, "intensities": ["normal"],
        "sentences": ["01"], "seed": 3, "emotion": 1.0, "style": 0.5, "identity": 1.0, "rate": 16_000,
    }  # fmt: skip


def test_an_interrupted_corpus_is_not_read_and_goes_on(tmp_path):
    options = {"intensities": ("normal",), **SMALL}

    def interrupt(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthetic.write(tmp_path / "x", speakers=1, progress=interrupt, **options)
    with pytest.raises(DataError, match="written to its end"):
        read("synthetic", tmp_path / "x")
    with pytest.raises(UsageError, match="not an empty folder"):
        synthetic.write(tmp_path / "x", speakers=1, seed=1, **options)
    synthetic.write(tmp_path / "x", speakers=1, **options)
    synthetic.write(tmp_path / "y", speakers=1, **options)
    assert files(tmp_path / "x") == files(tmp_path / "y")
    assert not (tmp_path / "x" / UNFINISHED).exists()


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not an empty folder"):
        synthetic.write(tmp_path, speakers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speakers": 0}, "speakers is 0"),
        ({"speakers": 100}, "speakers is 100"),
        ({"takes": 3}, "takes is 3"),
        ({"emotion": -1.0}, "emotion is -1.0"),
        ({"style": float("nan")}, "style is nan"),
        ({"identity": float("inf")}, "identity is inf"),
        ({"rate": 100}, "rate is 100 Hz"),
        ({"intensities": ("strnog",)}, "did you mean 'strong'"),
        ({"sentences": ()}, "no sentence given"),
    ],
)
def test_parameters_out_of_range(options, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        synthetic.write(tmp_path / "x", **options)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("marker", ["{}", "[]", "not json", '{"corpus": "ravdess"}'])
def test_a_marker_that_is_not_ours(marker, tmp_path):
    (tmp_path / synthetic.MARKER).write_text(marker)
    with pytest.raises(DataError, match=r"synthetic\.json"):
        read("synthetic", tmp_path)


# What the corpus is for: known answers to "does it generalise to people it has never heard?"


def features(path: str) -> np.ndarray:
    """Mean, spread and change of a cepstrum, and pitch by autocorrelation: simple, and not the package's own."""
    wave = soundfile.read(path)[0]
    frames = np.lib.stride_tricks.sliding_window_view(wave, 400)[::160]
    power = np.abs(np.fft.rfft(frames * np.hanning(400), 512)) ** 2
    edges = np.unique(np.round(np.geomspace(3, 257, 24)).astype(int))
    bands = np.log(np.add.reduceat(power, edges[:-1], axis=1) + 1e-8)
    order = np.arange(len(edges) - 1)
    cepstrum = bands @ np.cos(np.pi * np.outer(order + 0.5, np.arange(12)) / len(order))
    wide = np.lib.stride_tricks.sliding_window_view(wave, 640)[::160]
    spectra = np.abs(np.fft.rfft(wide, 2048)) ** 2
    r = np.fft.irfft(spectra)[:, :267]
    lag = r[:, 32:].argmax(axis=1) + 32
    strength = r[np.arange(len(r)), lag] / r[:, 0]
    voiced = (strength > 0.5) & (r[:, 0] > 1e-3 * r[:, 0].max())
    pitch = 12 * np.log2(160.0 / lag[voiced])
    return np.concatenate(
        [
            cepstrum.mean(axis=0), cepstrum.std(axis=0), np.diff(cepstrum, axis=0).std(axis=0),
            np.percentile(cepstrum, [10, 90], axis=0).ravel(),
            [pitch.mean(), pitch.std(), *np.percentile(pitch, [5, 50, 95]), pitch[-8:].mean() - pitch.mean()],
            [voiced.mean(), strength[voiced].mean(), len(wave)],
        ]
    )  # fmt: skip


def accuracies(folder: Path, **strengths: float) -> tuple[float, float]:
    """Accuracy of one linear model over folds of speakers, and over folds of clips."""
    synthetic.write(folder, speakers=8, intensities=("normal",), **strengths)
    table = read("synthetic", folder)
    x = np.array([features(path) for path in table["path"]])
    label, speaker = np.array(table["label"].to_list()), np.array(table["speaker"].to_list())
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    independent = cross_val_predict(model, x, label, cv=GroupKFold(4), groups=speaker)
    leaky = cross_val_predict(model, x, label, cv=StratifiedKFold(4, shuffle=True, random_state=0))
    return float((independent == label).mean()), float((leaky == label).mean())


@pytest.mark.slow
def test_as_written_it_can_be_learned_and_a_leak_flatters(tmp_path):
    independent, leaky = accuracies(tmp_path)
    assert 0.35 < independent < 0.8
    assert leaky > independent + 0.08


def test_where_all_people_are_alike_a_leak_gains_nothing(tmp_path):
    independent, leaky = accuracies(tmp_path, style=0.0, identity=0.0)
    assert independent > 0.8
    assert abs(leaky - independent) < 0.06


def test_where_each_has_only_their_own_way_nothing_generalises(tmp_path):
    independent, leaky = accuracies(tmp_path, emotion=0.0, style=2.0)
    assert (
        independent < 0.19
    )  # chance 0.125 and two binomial standard errors over 256 clips, plus what style ties
    assert leaky > 0.23


def test_where_nothing_is_felt_nothing_is_found(tmp_path):
    independent, leaky = accuracies(tmp_path, emotion=0.0, style=0.0)
    assert independent < 0.19
    assert (
        leaky < 0.19
    )  # below chance even: a clip's nearest neighbours are its speaker's clips of other labels
