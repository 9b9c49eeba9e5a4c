"""52 blendshapes of the largest face of a video: what MediaPipe says of its expression, frame by frame.

A frame without a face is left out. Of a clip with a face in fewer than half of its frames the log tells.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, escaped
from unheard.features.contract import Spec
from unheard.files import file_digest
from unheard.inputs import Source
from unheard.settings import CONTENT, PLACE, Within, check
from unheard.video.faces import BLENDSHAPES, LANDMARKER, Face, FaceFinder, landmarker_file
from unheard.video.frames import Image, Video

_log = logging.getLogger(__name__)

#: Share of the frames of a clip below which too few of them have a face.
ENOUGH = 0.5
SOURCE = Source("Apache-2.0 (MediaPipe's face landmarker)", "Google, MediaPipe Face Landmarker")


@dataclass(frozen=True)
class Blendshapes(Spec):
    """The blendshapes of the frames that have a face, in [0, 1].

    Parameters
    ----------
    landmarker : file of the landmarker; empty for the published one, which is fetched once.
    sha256 : digest of that file. Filled in where it is left out.
    fps : frames a second that are looked at.

    Raises
    ------
    UsageError
        Where a setting does not fit.
    DataError
        Where there is no such file, or its content is not that of ``sha256``.
    """

    landmarker: Annotated[str, PLACE] = ""
    sha256: Annotated[str, CONTENT] = ""
    fps: Annotated[float, Within(0.1, 60)] = 5.0

    name: ClassVar[str] = "blendshapes"
    version: ClassVar[int] = 1
    medium: ClassVar[str] = "video"
    names: ClassVar[tuple[str, ...]] = BLENDSHAPES

    def __post_init__(self) -> None:
        check(self, "features")
        object.__setattr__(self, "sha256", landmarker_digest(self.landmarker, self.sha256))

    @property
    def frames_per_second(self) -> float:
        """Frames a second that are looked at; those without a face are left out."""
        return float(self.fps)

    @property
    def source(self) -> Source:
        """Whose landmarker it is."""
        return SOURCE

    def compute(self, wave: Any) -> NDArray[np.float32]:
        """Return (frames with a face, 52) of a video (:class:`unheard.video.frames.Video`).

        Raises
        ------
        DataError
            It cannot be decoded, or no frame has a face.
        MachineError
            The extra ``video`` is not installed, or the landmarker cannot be fetched.
        """
        ((found,),) = self.extract([wave], [0])
        return found

    def extract(self, items: Sequence[Video], layers: Sequence[int]) -> list[tuple[NDArray[np.float32], ...]]:
        """Return the blendshapes of videos, (frames with a face, 52) each."""
        with FaceFinder(landmarker_file(self.landmarker)) as finder:
            found = [
                of_faces(video, self.fps, finder, lambda image, face: face.blendshapes) for video in items
            ]
        return [(frames,) * len(layers) for frames in found]


def landmarker_digest(path: str, expected: str) -> str:
    """Return the digest of the landmarker that is meant, without fetching it.

    Raises
    ------
    DataError
        There is no such file, or it is another one than expected.
    """
    found = file_digest(landmarker_file(path)) if path else str(LANDMARKER.sha256)
    if expected not in ("", found):
        raise DataError(
            f"{path or LANDMARKER.name}: sha256 is {found[:12]}…, expected {expected[:12]}…; leave sha256 out to "
            "take what is there now"
        )
    return found


def of_faces(
    video: Video, fps: float, finder: FaceFinder, describe: Callable[[Image, Face], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Return what ``describe`` says of the largest face of each frame that has one, (frames, dims)."""
    found = list(_described(video, fps, finder, describe))
    rows = [row for row in found if row is not None]
    if not rows:
        raise DataError(f"no face in any of its {len(found)} frames")
    if len(rows) < ENOUGH * len(found):
        _log.warning("%s: a face in %d of %d frames", escaped(video.path), len(rows), len(found))
    return np.stack(rows).astype(np.float32)


def _described(
    video: Video, fps: float, finder: FaceFinder, describe: Callable[[Image, Face], NDArray[np.float32]]
) -> Iterator[NDArray[np.float32] | None]:
    last: Image | None = None
    row: NDArray[np.float32] | None = None
    for frame in video.frames(fps):
        if frame.image is not last:  # one that is still shown looks the same
            last, face = frame.image, finder.largest(frame.image)
            row = None if face is None else describe(frame.image, face)
        yield row
