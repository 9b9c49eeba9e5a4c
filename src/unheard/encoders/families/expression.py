"""Any expression network as an ONNX graph, on the largest face of each frame of a video.

The graph takes one face: (1, C, H, W) or (1, H, W, C), where C is 1 for grey or 3 for red, green and blue. Layers
are the tensors that are named, lowest first; without names the graph's first output. Faces are found by the
landmarker of MediaPipe (``unheard.video.faces``); a frame without one is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unheard.encoders.contract import Encoder, Layers, LocalSettings
from unheard.errors import DataError, UsageError, first_five, need
from unheard.features.blendshapes import landmarker_digest, of_faces
from unheard.files import digest, file_digest, regular_file
from unheard.inputs import Layer, Source
from unheard.onnx_graphs.model_files import ModelFile
from unheard.onnx_graphs.session import Session
from unheard.onnx_graphs.surgery import read_graph, shuffle
from unheard.settings import PLACE, Within, plain
from unheard.video.faces import Face, FaceFinder, cropped, landmarker_file
from unheard.video.frames import Image, Video

VERSION = 1
#: Weights of red, green and blue in grey (ITU-R BT.601).
GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)
#: Largest height and width of a face.
LARGEST = 1024


@dataclass(frozen=True)
class Options(LocalSettings):
    """Settings of an expression network.

    Parameters
    ----------
    model
        The ``.onnx`` file.
    landmarker
        File of MediaPipe's face landmarker; empty for the published one, which is fetched once.
    tensors
        Names of the tensors that are its layers, lowest first; none for the graph's first output.
    fps
        Frames a second that are looked at.
    mean, deviation
        A value of a pixel p in [0, 1] enters as (p - mean) / deviation.
    margin
        Side of the square that is cut out, in sides of the box around the face's landmarks.
    """

    landmarker: Annotated[str, PLACE] = ""
    tensors: tuple[str, ...] = ()
    fps: Annotated[float, Within(0.1, 60)] = 5.0
    mean: Annotated[float, Within(-10, 10)] = 0.5
    deviation: Annotated[float, Within(0.01, 10)] = 0.5
    margin: Annotated[float, Within(0.5, 4)] = 1.3

    @property
    def medium(self) -> str:
        """Name of the medium that it takes."""
        return "video"


class _Entrance(NamedTuple):
    """The input of the graph: its name, the size of a face, and whether channels are grey and come last."""

    name: str
    size: tuple[int, int]
    grey: bool
    channels_last: bool


def load(options: Options) -> ExpressionNetwork:
    """Read the graph.

    Raises
    ------
    UsageError
        No such file, or a tensor that the graph does not have.
    DataError
        No ONNX graph, or one that takes no face.
    """
    path = regular_file(options.model, UsageError)
    if options.weights == "random":
        raise UsageError(
            "encoder.weights 'random': an ONNX graph does not say how its weights are drawn; take 'shuffled'"
        )
    model = read_graph(ModelFile(path))
    if options.weights == "shuffled":
        shuffle(model, options.seed)
    found = digest({"graph": file_digest(path), "landmarker": landmarker_digest(options.landmarker, "")})
    return ExpressionNetwork(replace(options, sha256=found, precision="float32"), model)


class ExpressionNetwork(Encoder):
    """An expression network behind the contract of encoders; its frames are those that have a face."""

    medium = "video"
    source = Source("as its owner says", "", {})

    def __init__(self, options: Options, model: Any) -> None:
        self.settings = {"name": "expression", **plain(options)}
        self._options = options
        where = f"the expression network {options.model}"
        self._tensors = options.tensors or (model.graph.output[0].name,)
        _give_out(model, self._tensors, where)
        self._session = Session(model.SerializeToString(), where, error=DataError)
        self._entrance = _entrance(self._session, where)
        empty = self._run(np.zeros((*self._entrance.size, 3), np.uint8))
        self.layers = tuple(
            Layer(name, value.size, float(options.fps))
            for name, value in zip(self._tensors, empty, strict=True)
        )

    def _extract(self, items: Sequence[Video], layers: Sequence[int]) -> list[Layers]:
        with FaceFinder(landmarker_file(self._options.landmarker)) as finder:
            return [self._of_video(video, finder, layers) for video in items]

    def _of_video(self, video: Video, finder: FaceFinder, layers: Sequence[int]) -> Layers:
        ends = np.cumsum([layer.dims for layer in self.layers])[:-1]
        side_by_side = of_faces(video, self._options.fps, finder, self._values)
        parts = np.split(side_by_side, ends, axis=1)
        return tuple(np.ascontiguousarray(parts[k]) for k in layers)

    def _values(self, image: Image, face: Face) -> NDArray[np.float32]:
        found = self._run(cropped(image, face, self._entrance.size, self._options.margin))
        return np.concatenate([value.ravel() for value in found[: len(self.layers)]])

    def _run(self, face: Image) -> list[NDArray[np.float32]]:
        """Return the tensors for a picture of a face, (height, width, 3)."""
        pixels = (face.astype(np.float32) / 255 - self._options.mean) / self._options.deviation
        if self._entrance.grey:
            pixels = (pixels @ GREY)[..., None]
        if not self._entrance.channels_last:
            pixels = pixels.transpose(2, 0, 1)
        given = {self._entrance.name: np.ascontiguousarray(pixels[None], np.float32)}
        return self._session.run(self._tensors, given)


def _give_out(model: Any, tensors: Sequence[str], where: str) -> None:
    """Make inner tensors outputs of the graph."""
    made = set(_computed(model))
    missing = [name for name in tensors if name not in made]
    if missing:
        raise UsageError(
            f"{where} has no tensor {missing[0]!r}; its last are {first_five(reversed(_computed(model)))}"
        )
    value_info = need("onnx", "eval").ValueInfoProto
    there = {output.name for output in model.graph.output}
    model.graph.output.extend(value_info(name=name) for name in tensors if name not in there)


def _computed(model: Any) -> list[str]:
    """Return the names of the tensors that a graph computes, in its order."""
    return [name for node in model.graph.node for name in node.output if name]


def _entrance(session: Session, where: str) -> _Entrance:
    if len(session.inputs) == 1:
        ((name, axes),) = session.inputs.items()
        if len(axes) == 4:
            for channels_last, (channels, *size) in ((False, axes[1:]), (True, [axes[3], *axes[1:3]])):
                known = all(isinstance(side, int) and 0 < side <= LARGEST for side in size)
                if channels in (1, 3) and known:
                    return _Entrance(name, (size[0], size[1]), channels == 1, channels_last)
    found = ", ".join(f"{name} {axes}" for name, axes in session.inputs.items())
    raise DataError(f"{where} takes {found}; expected one face, (1, C, H, W) or (1, H, W, C) with C 1 or 3")
