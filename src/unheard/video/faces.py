"""The largest face of a picture, by MediaPipe's face landmarker: where it is, and 52 blendshapes of it.

The landmarker is a file of 4 MB (``face_landmarker.task``, Apache-2.0), named by its path or fetched once.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unheard.audio.quiet import quiet
from unheard.downloading.fetch import fetch
from unheard.downloading.sources import Archive
from unheard.errors import DataError, need
from unheard.files import cache_folder, file_digest, regular_file
from unheard.temporary import part_file
from unheard.video.frames import Image

#: The landmarker as its owner publishes it.
LANDMARKER = Archive(
    "face_landmarker.task",
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
    unpacked_bytes=3_758_596,
    bytes=3_758_596,
    sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
)
#: Faces of a picture among which the largest is found.
MAX_FACES = 8
#: Names of the blendshapes in the order of the landmarker's output.
BLENDSHAPES = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft",
    "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight",
    "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight",
    "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight",
    "mouthFrownLeft", "mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft",
    "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft",
    "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight",
)  # fmt: skip


class Face(NamedTuple):
    """A face in a picture.

    Parameters
    ----------
    box
        Left, top, right and bottom edge of its landmarks in pixels, which may lie outside the picture.
    blendshapes
        Coefficients in [0, 1], (52,) float32, in the order of :data:`BLENDSHAPES`.
    """

    box: tuple[float, float, float, float]
    blendshapes: NDArray[np.float32]

    @property
    def area(self) -> float:
        """Pixels of its box."""
        left, top, right, bottom = self.box
        return max(0.0, right - left) * max(0.0, bottom - top)


def landmarker_file(path: str = "") -> Path:
    """Return the landmarker's file: the one of this path, or the published one, fetched into the cache once.

    Raises
    ------
    DataError
        There is no such file, or what was fetched is another one.
    MachineError
        It has to be fetched, and the server cannot be reached.
    """
    if path:
        return regular_file(path)
    place = cache_folder() / "models" / LANDMARKER.name
    if not place.is_file() or file_digest(place) != LANDMARKER.sha256:
        place.parent.mkdir(parents=True, exist_ok=True)
        with part_file(place) as (_, part):
            fetch(LANDMARKER, part)
            part.replace(place)
    return place


class FaceFinder:
    """Finds the largest face of pictures, each looked at alone; to be closed, as ``with`` does.

    Parameters
    ----------
    path
        The landmarker's file.

    Raises
    ------
    DataError
        MediaPipe cannot read it.
    MachineError
        MediaPipe is not installed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._mediapipe = need("mediapipe", "video")
        tasks = need("mediapipe.tasks.python", "video")
        options = tasks.vision.FaceLandmarkerOptions(
            base_options=tasks.BaseOptions(model_asset_buffer=Path(path).read_bytes()),
            output_face_blendshapes=True,
            num_faces=MAX_FACES,
        )
        with quiet():
            try:
                self._landmarker: Any = tasks.vision.FaceLandmarker.create_from_options(options)
            except (RuntimeError, ValueError) as error:
                raise DataError(
                    f"{path}: not a face landmarker that MediaPipe reads ({str(error).splitlines()[0][:200]})"
                ) from error

    def __enter__(self) -> FaceFinder:
        return self

    def __exit__(self, *_: object) -> None:
        with quiet():
            self._landmarker.close()

    def largest(self, image: Image) -> Face | None:
        """Return the largest face of a picture (height, width, 3), or None where there is none."""
        picture = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=image)
        with quiet():
            found = self._landmarker.detect(picture)
        faces = [
            _face(points, shapes, image)
            for points, shapes in zip(found.face_landmarks, found.face_blendshapes, strict=True)
        ]
        return max(faces, key=lambda face: face.area, default=None)


def _face(points: Any, shapes: Any, image: Image) -> Face:
    height, width = image.shape[:2]
    places = np.array([(point.x * width, point.y * height) for point in points])
    (left, top), (right, bottom) = places.min(axis=0), places.max(axis=0)
    scores = {shape.category_name: shape.score for shape in shapes}
    return Face(
        (float(left), float(top), float(right), float(bottom)),
        np.array([scores[name] for name in BLENDSHAPES], dtype=np.float32),
    )


def cropped(image: Image, face: Face, size: tuple[int, int], margin: float) -> Image:
    """Return the square around a face, ``margin`` times as long as its box, as (height, width, 3) of this size.

    What lies outside the picture repeats its edge.
    """
    import av

    left, top, right, bottom = face.box
    side = max(2, round(max(right - left, bottom - top) * margin))
    x, y = round((left + right - side) / 2), round((top + bottom - side) / 2)
    rows = np.clip(np.arange(y, y + side), 0, image.shape[0] - 1)
    columns = np.clip(np.arange(x, x + side), 0, image.shape[1] - 1)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[rows][:, columns]), format="rgb24")
    smaller = frame.to_ndarray(format="rgb24", height=size[0], width=size[1], interpolation="AREA")
    return np.asarray(smaller, dtype=np.uint8)
