"""Distillation on a toy teacher: it learns, goes on after a kill as if nothing had been, and reads what it may."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from unheard import encoders
from unheard.distillation.data import Segments, distillation_data, segments_of
from unheard.errors import DataError, UsageError
from unheard.features.frontends import frontend_settings
from unheard.testing import toy_corpus, toy_encoder

torch = pytest.importorskip("torch")

from unheard.distillation import distil as distillation  # noqa: E402
from unheard.distillation.distil import Settings, distil  # noqa: E402
from unheard.distillation.make_student import make_student  # noqa: E402
from unheard.distillation.student import Shape, Student  # noqa: E402
from unheard.distillation.student_graph import write  # noqa: E402
from unheard.distillation.teacher import Teacher  # noqa: E402

BANDS = 10
FRONT = frontend_settings({"name": "logmel", "bands": BANDS})
SMALL: dict[str, Any] = {"batch": 4, "seconds": 0.2, "width": 16, "projection": 8, "past": 3, "every": 5}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher: a student that learned nothing, and so an encoder like any other."""
    folder = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(0)
    made = Student(Shape((6, 4), BANDS, width=10, projection=5, past=2))
    with torch.no_grad():
        made.mean.fill_(12.0)
        for output in made.outputs:
            output.weight.mul_(3)
    card = {"about": "toy", "licence": "CC0-1.0", "attribution": "a toy of ours"}
    write(made.eval(), folder, ["first", "second"], FRONT, card)
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    return toy_corpus(tmp_path_factory.mktemp("toy") / "corpus", speakers=3)


def teacher(weights: Path) -> Teacher:
    return Teacher({"name": "onnx", "model": str(weights)}, [0, 1])


def segments(seed: int = 0) -> Segments:
    rng = np.random.default_rng(seed)
    walk = [np.cumsum(rng.normal(0, 0.5, (n, BANDS)), axis=0) + 12 for n in (30, 8, 55)]
    return Segments([[clip.astype(np.float32) for clip in walk[:2]], [walk[2].astype(np.float32)]])


def numbers(student: Student) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in student.state_dict().items()}


def test_the_loss_falls(weights: Path) -> None:
    settings = Settings(steps=120, learning_rate=1e-2, **SMALL)
    student, history = distil(segments(), teacher(weights), settings)
    assert [record["step"] for record in history] == list(range(5, 121, 5))
    # A student that said the mean would be at about 1.
    assert history[0]["loss"] > 0.8
    assert history[-1]["loss"] < 0.6 * history[0]["loss"]
    assert not student.training


def test_the_same_seed_gives_the_same_student(weights: Path) -> None:
    before = torch.get_rng_state().clone(), torch.get_num_threads()
    one, again, other = (
        numbers(distil(segments(), teacher(weights), Settings(steps=5, seed=seed, **SMALL))[0])
        for seed in (0, 0, 1)
    )
    for name, value in one.items():
        assert_array_equal(again[name], value)
    assert np.abs(other["widen.weight"] - one["widen.weight"]).max() > 1e-3
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]


def test_it_goes_on_after_a_kill_as_if_nothing_had_been(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(steps=20, **SMALL)
    whole, history = distil(segments(), teacher(weights), settings)
    real = distillation._TrainingLoop._step

    def dying(self: Any, student: Any, optimizer: Any, spread: Any, step: int) -> float:
        if step == 13:
            raise KeyboardInterrupt
        return real(self, student, optimizer, spread, step)

    monkeypatch.setattr(distillation._TrainingLoop, "_step", dying)
    with pytest.raises(KeyboardInterrupt):
        distil(segments(), teacher(weights), settings, tmp_path)
    steps: list[int] = []

    def counting(self: Any, student: Any, optimizer: Any, spread: Any, step: int) -> float:
        steps.append(step)
        return real(self, student, optimizer, spread, step)

    monkeypatch.setattr(distillation._TrainingLoop, "_step", counting)
    resumed, told = distil(segments(), teacher(weights), settings, tmp_path)
    assert steps == list(range(10, 20))  # steps 10 to 12 are done again
    for name, value in numbers(whole).items():
        assert_array_equal(numbers(resumed)[name], value)
    assert [(r["step"], r["loss"]) for r in told] == [(r["step"], r["loss"]) for r in history]


def test_a_state_of_another_training_is_refused(weights: Path, tmp_path: Path) -> None:
    settings = Settings(steps=5, **SMALL)
    distil(segments(), teacher(weights), settings, tmp_path)
    with pytest.raises(DataError, match="other settings, rows or weights"):
        distil(segments(), teacher(weights), Settings(steps=6, **SMALL), tmp_path)
    with pytest.raises(DataError, match="other settings, rows or weights"):
        distil(segments(1), teacher(weights), settings, tmp_path)


def test_the_teacher_is_given_no_noise_and_the_student_is(weights: Path) -> None:
    def batch(**settings: Any) -> tuple[Any, Any]:
        course = distillation._TrainingLoop(
            segments(), teacher(weights), Settings(**{**SMALL, **settings}), None
        )
        return course._batch(3)

    clean, heard_ = batch(noise=1.0, babble=0.0)
    assert clean.shape == (4, 20, BANDS)
    assert (heard_ > clean + 1e-4).any(dim=(1, 2)).all()
    assert (heard_ >= clean - 1e-5).all()
    clean, heard_ = batch(noise=1.0, babble=1.0)
    assert (heard_ > clean + 1e-4).any(dim=(1, 2)).all()
    assert (heard_ >= clean - 1e-5).all()
    plain, same = batch(noise=0.0)
    assert torch.equal(plain, same)
    # Without any change the teacher is given pieces of the clips themselves.
    off = {"noise": 0.0, "speed": 0.0, "frequency": 0.0, "level": 0.0, "equalisation": 0.0}
    bare, _ = batch(**off)
    rows = np.concatenate([clip for corpus in segments().corpora for clip in corpus])
    assert all(np.abs(rows - frame).sum(axis=1).min() < 1e-3 for frame in bare.reshape(-1, BANDS).numpy())


def test_with_a_stride_the_mean_of_as_many_frames_is_imitated(weights: Path) -> None:
    settings = Settings(**{**SMALL, "seconds": 0.23, "stride": 4, "splice": 6})
    course = distillation._TrainingLoop(segments(), teacher(weights), settings, None)
    clean, _ = course._batch(0)
    assert clean.shape == (4, 24, BANDS)  # 23 frames, rounded to whole places
    first, second = course._targets(clean)
    each = teacher(weights).layers(clean[2].numpy())
    assert first.shape == (4, 6, 6)
    np.testing.assert_allclose(second[2], each[1].reshape(6, 4, 4).mean(axis=1), atol=1e-5)
    student, history = distil(segments(), teacher(weights), replace(settings, steps=60, learning_rate=1e-2))
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]
    assert student.shape.stride == 4


def test_corpora_are_drawn_by_the_root_of_their_hours_and_short_clips_repeated() -> None:
    corpora = [[np.zeros((100, 1), np.float32)] * 9, [np.ones((25, 1), np.float32)] * 4]
    made = Segments(corpora)
    assert made.frames == [900, 100]
    np.testing.assert_allclose(made.shares, [0.75, 0.25])
    rng = np.random.default_rng(0)
    drawn = [made.draw(60, rng) for _ in range(2000)]
    assert {piece.shape for piece in drawn} == {(60, 1)}
    assert np.mean([piece[0, 0] for piece in drawn]) == pytest.approx(0.25, abs=0.03)
    mean, scale = made.moments()
    assert (mean[0], scale[0]) == pytest.approx((0.1, 0.3), abs=1e-6)


def test_no_clip_of_an_excluded_speaker_is_ever_read(
    table: pl.DataFrame, weights: Path, tmp_path: Path
) -> None:
    gone = table["speaker"].unique().sort()[0]
    hidden = []
    for path in table.filter(pl.col("speaker") == gone)["path"]:
        # Whoever opened it would find nothing, and say so.
        Path(path).rename(f"{path}.hidden")
        hidden.append(Path(path))
    said: list[str] = []
    try:
        chosen = distillation_data(table, [gone])
        make_student(
            [chosen], {"name": "onnx", "model": str(weights)}, [0, 1], tmp_path / "out",
            Settings(steps=2, **SMALL), say=said.append,
        )  # fmt: skip
        # The same without the exclusion does notice.
        complaints: list[str] = []
        segments_of([distillation_data(table)], FRONT, say=complaints.append)
        assert len(complaints) == len(hidden)
    finally:
        for path in hidden:
            Path(f"{path}.hidden").rename(path)
    assert not [line for line in said if "left out" in line]
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    (corpus,) = card["corpora"]
    assert corpus["excluded"] == [gone]
    assert gone not in corpus["speakers"]
    assert corpus["clips"] == len(table) - len(hidden)
    # And no label is part of what training is given.
    assert {field for clip in chosen.clips for field, value in vars(clip).items() if value} <= {
        "id",
        "audio",
        "turn",
    }


def test_speakers_to_leave_out_must_be_known(table: pl.DataFrame) -> None:
    with pytest.raises(UsageError, match="unknown speaker of synthetic '99'"):
        distillation_data(table, ["99"])
    some = table["speaker"].unique().sort()[0]
    blind = table.with_columns(
        speaker=pl.when(pl.col("id") == table["id"][-1]).then(None).otherwise(pl.col("speaker"))
    )
    with pytest.raises(DataError, match="the speaker of 1 clip is not known"):
        distillation_data(blind, [some])
    with pytest.raises(DataError, match="no clip is left"):
        distillation_data(table, table["speaker"].unique().to_list())


def test_the_folder_is_an_encoder_and_is_not_made_twice(
    table: pl.DataFrame, weights: Path, tmp_path: Path
) -> None:
    settings = Settings(steps=2, **SMALL)
    given = (
        [distillation_data(table)],
        {"name": "onnx", "model": str(weights)},
        [1],
        tmp_path / "out",
        settings,
    )
    (tmp_path / "out" / "training").mkdir(parents=True)
    with pytest.raises(UsageError, match="give --resume"):
        make_student(*given)
    card = make_student(*given, resume=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "card.json",
        "encoder.json",
        "student.onnx",
    ]
    encoder = encoders.load({"name": "onnx", "model": str(tmp_path / "out")})
    assert (tuple(layer.name for layer in encoder.layers), tuple(layer.dims for layer in encoder.layers)) == (
        ("second", "all"),
        (4, 4),
    )
    assert card["teacher"]["entries"] == ["second"]
    assert card["licence"] == encoder.source.licence
    assert "a toy of ours" in card["attribution"]
    with pytest.raises(UsageError, match="holds a student"):
        make_student(*given, resume=True)


def test_what_cannot_teach_is_refused(weights: Path, tmp_path: Path) -> None:
    waveforms = toy_encoder(tmp_path / "toy", "wavlm")
    with pytest.raises(UsageError, match="encoder 'wavlm' cannot teach: a student takes log-mels"):
        Teacher({"name": "wavlm", "model": str(waveforms)}, [0])
    settings = {"name": "onnx", "model": str(weights)}
    for entries in ([0, 9], [1, 0], []):
        with pytest.raises(UsageError, match="give some of 0 … 2"):
            Teacher(settings, entries)
    with pytest.raises(UsageError, match=r"distillation\.steps must be in"):
        Settings(steps=0)
    with pytest.raises(UsageError, match=r"distillation\.snr"):
        Settings(snr=(30.0, 0.0))
    with pytest.raises(UsageError, match=r"unknown distillation\.precision 'half'"):
        Settings(precision="half")
