"""The student in torch and as an encoder: the same numbers, nothing from the future, nothing from other clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from unheard import encoders
from unheard.errors import DataError, UsageError
from unheard.features.frontends import build_frontend, frontend_settings

torch = pytest.importorskip("torch")

from unheard.distillation.student import Shape, Student, spliced  # noqa: E402
from unheard.distillation.student_graph import joined, write  # noqa: E402

BANDS = 8
FRONT = frontend_settings({"name": "logmel", "bands": BANDS, "window": "hamming"})
CARD = {"about": "a toy", "licence": "CC0-1.0", "attribution": "imitates nobody"}


def student(seed: int = 0, **shape: Any) -> Student:
    """A student with every number drawn, as if it had learned."""
    torch.manual_seed(seed)
    made = Student(Shape((5, 7), BANDS, width=12, projection=6, **{"past": 3, **shape}))
    with torch.no_grad():
        made.mean.copy_(torch.randn(BANDS) + 10)
        made.scale.copy_(torch.rand(BANDS) + 1)
        made.outputs[0].bias.add_(1)
    return made.eval()


def wave(seed: int, seconds: float = 0.5) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, int(16000 * seconds)).astype(np.float32)


def layers(made: Student, frames: np.ndarray) -> list[np.ndarray]:
    with torch.no_grad():
        return [layer[0].numpy() for layer in made(torch.from_numpy(frames)[None])]


SHAPES = [{}, {"past": 2, "future": 3}, {"past": 0}, {"splice": 1}, {"splice": 8, "stride": 4, "future": 1}]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_encoder_is_the_student(tmp_path: Path, shape: dict[str, Any]) -> None:
    made = student(**shape)
    write(made, tmp_path, ["low", "high"], FRONT, CARD)
    encoder = encoders.load({"name": "onnx", "model": str(tmp_path)})
    assert tuple(layer.name for layer in encoder.layers) == ("low", "high", "all")
    assert tuple(layer.dims for layer in encoder.layers) == (5, 7, 12)
    assert (encoder.source.licence, tuple(layer.rate for layer in encoder.layers)) == (
        "CC0-1.0",
        (100.0 / made.shape.stride,) * 3,
    )
    heard = wave(0)
    low, high, every = encoder.extract([heard], [0, 1, 2])[0]
    expected = layers(made, build_frontend(FRONT).compute(heard))
    assert max(layer.max() for layer in expected) > 0.1
    assert_allclose(low, expected[0], atol=2e-5)
    assert_allclose(high, expected[1], atol=2e-5)
    assert_array_equal(every, np.concatenate([low, high], axis=1))
    # However short a clip, it has one place.
    assert len(encoder.extract([heard[:100]], [0])[0][0]) == 1
    # The same student is the same file: nothing of the machine or the moment is in it.
    write(made, tmp_path / "again", ["low", "high"], FRONT, CARD)
    assert (tmp_path / "again" / "student.onnx").read_bytes() == (tmp_path / "student.onnx").read_bytes()


@pytest.mark.parametrize(("past", "future"), [(3, 0), (2, 1)])
def test_a_frame_hears_so_much_and_no_more(past: int, future: int) -> None:
    made = student(past=past, future=future)
    frames = np.random.default_rng(0).normal(10, 1, (60, BANDS)).astype(np.float32)
    changed = frames.copy()
    changed[30] += 5
    before, after = layers(made, frames), layers(made, changed)
    for depth, (a, b) in enumerate(zip(before, after, strict=True), 1):
        moved = np.flatnonzero(np.abs(a - b).max(axis=1) > 1e-6)
        # The splice looks two frames each way, and each block so many more.
        assert moved.min() >= 30 - 2 - depth * future
        assert moved.max() <= 30 + 2 + depth * past
        assert len(moved) > past


def test_a_clip_gives_the_same_alone_and_in_a_batch() -> None:
    made = student()
    frames = torch.randn(4, 20, BANDS) + 10
    with torch.no_grad():
        together, alone = made(frames), [made(one[None]) for one in frames]
    for number, one in enumerate(alone):
        for a, b in zip(together, one, strict=True):
            assert_allclose(a[number].numpy(), b[0].numpy(), atol=1e-5)


def test_neighbours_stand_side_by_side_and_ends_are_repeated() -> None:
    frames = torch.arange(4.0)[None, :, None]
    assert spliced(frames, Shape((1,), splice=3))[0].tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]
    every_other = spliced(torch.arange(7.0)[None, :, None], Shape((1,), splice=4, stride=2))
    assert every_other[0].tolist() == [[0, 0, 1, 2], [1, 2, 3, 4], [3, 4, 5, 6]]
    two_bands = torch.tensor([[[0.0, 10], [1, 11], [2, 12]]])
    assert spliced(two_bands, Shape((1,), splice=2, stride=2))[0].tolist() == [[0, 10, 1, 11]]


def test_has_the_parameters_of_its_topology() -> None:
    made = Student(Shape((250,) * 4))
    block = 384 * 160 + 160 * 21 + 160 * 384 + 384
    expected = 400 * 160 + 160 + 160 * 384 + 384 + 4 * block + 4 * (384 * 250 + 250)
    assert sum(value.numel() for value in made.parameters()) == expected == 1_017_480


def test_students_are_joined_into_one_encoder(tmp_path: Path) -> None:
    folders = [tmp_path / str(seed) for seed in range(3)]
    for seed, folder in enumerate(folders):
        heard = [{"corpus": "b", "speakers": ["1"]}, {"corpus": "a", "speakers": ["2", str(seed)]}]
        write(student(seed), folder, ["low", "high"], FRONT, {**CARD, "seed": seed, "corpora": heard})
    joined(folders, tmp_path / "all")
    encoder = encoders.load({"name": "onnx", "model": str(tmp_path / "all")})
    assert tuple(layer.name for layer in encoder.layers) == (
        "student0",
        "student1",
        "student2",
        "mean",
        "all",
    )
    assert tuple(layer.dims for layer in encoder.layers) == (12, 12, 12, 12, 36)
    # Whose voices made it, so that a bundle can say so.
    assert encoder.source.trained_on == {"a": ["0", "1", "2"], "b": ["1"]}
    *each, mean, every = encoder.extract([wave(0)], range(5))[0]
    for folder, found in zip(folders, each, strict=True):
        alone = encoders.load({"name": "onnx", "model": str(folder)}).extract([wave(0)], [2])[0][0]
        assert_allclose(found, alone, atol=1e-6)
    assert np.abs(each[0] - each[1]).max() > 0.1
    assert_allclose(mean, np.mean(each, axis=0), atol=1e-6)
    assert_array_equal(every, np.concatenate(each, axis=1))
    card = json.loads((tmp_path / "all" / "card.json").read_text())
    assert [one["seed"] for one in card["students"]] == [0, 1, 2]


def test_what_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    write(student(), tmp_path / "a", ["low", "high"], FRONT, CARD)
    write(student(), tmp_path / "b", ["low", "other"], FRONT, CARD)
    with pytest.raises(UsageError, match="at least two students"):
        joined([tmp_path / "a"], tmp_path / "out")
    with pytest.raises(UsageError, match="another frontend or other layers"):
        joined([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    (tmp_path / "b" / "card.json").unlink()
    with pytest.raises(DataError, match="holds no student"):
        joined([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    with pytest.raises(UsageError, match=r"student\.past must be in"):
        Shape((5,), past=-1)
