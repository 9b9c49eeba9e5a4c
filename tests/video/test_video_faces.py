"""Faces of real videos: found in every frame, the largest is meant, and what has none is said."""

from __future__ import annotations

import logging
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("av")
pytest.importorskip("mediapipe")

from videos import plain, turned, write

from unheard import corpora, encoders, features
from unheard.corpora.table import clips
from unheard.errors import DataError, UsageError
from unheard.extraction.extract import extract
from unheard.inputs import Clip, Piece
from unheard.video import faces
from unheard.video.faces import LANDMARKER, Face, FaceFinder, cropped
from unheard.video.frames import Video


@pytest.fixture(scope="module")
def landmarker(data_folder: Path) -> str:
    return str(data_folder / "weights" / "mediapipe-face-landmarker" / "face_landmarker.task")


@pytest.fixture(scope="module")
def blendshapes(landmarker: str) -> Any:
    return features.build({"name": "blendshapes", "landmarker": landmarker})


@pytest.fixture(scope="module")
def smile(data_folder: Path) -> np.ndarray:
    """A frame of somebody who laughs, (360, 480, 3)."""
    frames = Video(str(data_folder / "videos" / "1001_DFA_HAP_XX.flv")).frames(1)
    return list(frames)[1].image


def test_every_frame_of_the_real_videos_has_a_face(data_folder: Path, blendshapes: Any) -> None:
    videos = sorted(path for path in (data_folder / "videos").iterdir() if path.suffix in (".flv", ".mp4"))
    assert len(videos) == 7
    found = blendshapes.extract([Video(str(path)) for path in videos], [0])
    for path, (shapes,) in zip(videos, found, strict=True):
        assert len(shapes) == math.ceil(5 * Video(str(path)).seconds()) > 9
        assert shapes.shape[1] == len(blendshapes.names) == 52
        assert np.isfinite(shapes).all() and shapes.min() >= 0 and shapes.max() <= 1
    laughing = {path.name[9:12]: shapes.mean(axis=0) for path, (shapes,) in zip(videos, found, strict=True)}
    place = blendshapes.names.index("mouthSmileLeft")
    assert max(laughing, key=lambda name: laughing[name][place]) == "HAP"


def test_videos_of_the_owners_layout_give_the_faces_of_their_clips(
    data_folder: Path, blendshapes: Any, tmp_path: Path
) -> None:
    name = "01-01-01-01-01-01"
    for folder, modality in (("Audio_Speech_Actors_01-24", "03"), ("Video_Speech_Actor_01", "01")):
        (tmp_path / folder / "Actor_01").mkdir(parents=True)
        ending = "wav" if modality == "03" else "mp4"
        shutil.copy(
            data_folder / "videos" / f"01-{name}.mp4",
            tmp_path / folder / "Actor_01" / f"{modality}-{name}.{ending}",
        )
    table = corpora.read("ravdess", tmp_path)
    found = extract(clips(table), blendshapes, folder=tmp_path / "store")
    assert not found.errors and {name: len(x) for name, x in found.features.items()} == {f"03-{name}": 17}


def test_the_largest_of_two_faces_is_taken(smile: np.ndarray, landmarker: str) -> None:
    both = np.concatenate([smile[::2, ::2], np.zeros((180, 240, 3), np.uint8)])
    both = np.concatenate([both, smile], axis=1)
    with FaceFinder(landmarker) as finder:
        alone, large = finder.largest(smile), finder.largest(np.ascontiguousarray(both))
        mirrored = finder.largest(np.ascontiguousarray(both[:, ::-1]))
        assert finder.largest(np.zeros_like(smile)) is None
    assert alone is not None and large is not None and mirrored is not None
    assert large.box[0] > 240 > mirrored.box[0]
    assert large.area == pytest.approx(alone.area, rel=0.1)
    assert np.corrcoef(large.blendshapes, alone.blendshapes)[0, 1] > 0.95


def test_a_turned_video_has_the_same_face(smile: np.ndarray, blendshapes: Any, tmp_path: Path) -> None:
    upright = write(tmp_path / "a.mp4", [smile] * 2, 5)
    lying = turned(write(tmp_path / "b.mp4", [np.rot90(smile)] * 2, 5))
    (one,), (other,) = blendshapes.extract([Video(str(upright)), Video(str(lying))], [0])
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.95


def test_frames_without_a_face_are_left_out_and_said(
    smile: np.ndarray, blendshapes: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wall = plain((90, 90, 90), (480, 360))
    pictures = {
        "half": [smile, smile, wall],
        "few": [wall, wall, wall, smile],
        "none": [wall, wall],
    }
    made = [
        Clip(name, video=Piece(str(write(tmp_path / f"{name}.mkv", images, 5))))
        for name, images in pictures.items()
    ]
    with caplog.at_level(logging.WARNING):
        found = extract([*made, Clip("sound", Piece("a.wav"))], blendshapes, folder=tmp_path / "store")
    assert {name: array.shape for name, array in found.features.items()} == {"half": (2, 52), "few": (1, 52)}
    assert {bad.id: bad.reason for bad in found.errors} == {
        "none": "no face in any of its 2 frames",
        "sound": "has no video",
    }
    assert next(bad.path for bad in found.errors if bad.id == "none").endswith("none.mkv")
    assert [record.getMessage().split(": ")[1] for record in caplog.records] == ["a face in 1 of 4 frames"]


def test_the_landmarker_is_known_by_its_content(
    landmarker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = features.build({"name": "blendshapes"})
    named = features.build({"name": "blendshapes", "landmarker": landmarker})
    assert published.settings["sha256"] == named.settings["sha256"] == LANDMARKER.sha256
    assert published.key == named.key
    other = tmp_path / "other.task"
    other.write_bytes(b"no model")
    with pytest.raises(DataError, match="sha256"):
        features.build({"name": "blendshapes", "landmarker": str(other), "sha256": LANDMARKER.sha256})
    with pytest.raises(DataError, match="not a face landmarker"):
        FaceFinder(other)
    monkeypatch.setenv("UNHEARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(faces, "fetch", lambda _, part: part.write_bytes(Path(landmarker).read_bytes()))
    assert faces.landmarker_file().read_bytes() == Path(landmarker).read_bytes()
    monkeypatch.setattr(faces, "fetch", None)  # the second time nothing is fetched
    assert faces.landmarker_file().parent == tmp_path / "cache" / "models"


def test_an_expression_network_sees_the_face_upright_and_whole(data_folder: Path, landmarker: str) -> None:
    model = data_folder / "weights" / "fer-mini-xception" / "fer2013_mini_xception.converted.onnx"
    network = encoders.load({"name": "expression", "model": str(model), "landmarker": landmarker})
    # The network's own seven classes, in its order (its authors' labels of FER-2013).
    classes = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    videos = {"ANG": "angry", "HAP": "happy", "NEU": "neutral"}
    given = [Video(str(data_folder / "videos" / f"1001_DFA_{name}_XX.flv")) for name in videos]
    for (frames,), expected in zip(network.extract(given, [0]), videos.values(), strict=True):
        np.testing.assert_allclose(frames.sum(axis=1), 1, rtol=1e-4)
        assert classes[int(frames.mean(axis=0).argmax())] == expected
    with pytest.raises(UsageError, match="has no tensor 'logits'; its last are probs, mean"):
        encoders.load({**network.settings, "sha256": "", "tensors": ["logits"]})
    other = data_folder / "weights" / "google-speech-embedding" / "melspectrogram.onnx"
    with pytest.raises(DataError, match="expected one face"):
        encoders.load({"name": "expression", "model": str(other), "landmarker": landmarker})


def test_a_crop_is_square_around_the_face_and_repeats_the_edge() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, :20] = 200
    face = Face((0.0, 10.0, 20.0, 30.0), np.zeros(52, np.float32))
    crop = cropped(image, face, (20, 20), 2.0)
    # From -10 to 30 in 40 pixels: the left three quarters are bright, of which a third lies outside.
    assert crop.shape == (20, 20, 3)
    assert (crop[:, :14] > 150).all() and (crop[:, 16:] < 50).all()
