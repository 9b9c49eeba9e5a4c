"""Any ONNX graph as a frozen encoder, by a small declared description (``description``).

Layers are the tensors that the description names, lowest first, as (frames, dims); clips are computed alone, so a
clip's frames cannot depend on others. Runs on onnxruntime, one thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.encoders.contract import Encoder, Export, Layers, LocalSettings, Wave, top_layer
from unheard.encoders.description import Description, described
from unheard.encoders.kaldi import kaldi_norm
from unheard.encoders.old_names import description_then
from unheard.encoders.windows import in_windows, window
from unheard.errors import DataError, UnheardError, UsageError
from unheard.features.frontends import Frontend, build_frontend, frontend_settings
from unheard.files import digest, file_digest, file_inside
from unheard.inputs import Layer, Source
from unheard.onnx_graphs.graph import PREFIX
from unheard.onnx_graphs.model_files import ModelFile, loaded
from unheard.onnx_graphs.session import Session
from unheard.onnx_graphs.surgery import Tensor, adapted, read_graph, shuffle
from unheard.settings import plain

VERSION = 1


@dataclass(frozen=True)
class Options(LocalSettings):
    """Settings of an ONNX encoder.

    Parameters
    ----------
    model
        The ``.onnx`` file, or the folder that holds it.
    description
        Name of a description in the package (``fsmn-vad``), or the path of one; empty: ``encoder.json`` next to
        the model.
    """

    description: str = ""


def load(options: Options) -> OnnxEncoder:
    """Read graph, description and normalisation.

    Raises
    ------
    UsageError
        No such model or description, a tensor that the graph does not have, or a cut above the last layer.
    DataError
        What is no ONNX graph, holds NaN, does not fit its description or its ``sha256``.
    """
    place = Path(options.model)
    _check_graph(place)
    folder = place if place.is_dir() else place.parent
    description, content = described(options.description, folder)
    path = _model(place, description)
    mixed = _to_be_shuffled(path, options.weights, description.weights)
    file = ModelFile(path)
    beside = [] if description.normalise is None else [file_inside(folder, description.normalise)]
    norm = kaldi_norm(beside[0]) if beside else None
    files = [file_digest(part) for part in (path, *file.beside, *beside)]
    found = digest({"description": description_then(content), "files": files})
    model = read_graph(file)
    if mixed:
        shuffle(model, options.seed)
    layers = description.layers[: top_layer(options.cut, len(description.layers) - 1, str(path)) + 1]
    known = replace(options, sha256=found, precision="float32")
    return OnnxEncoder(known, replace(description, layers=layers), model, norm)


class OnnxEncoder(Encoder):
    """An ONNX graph behind the contract of encoders."""

    def __init__(
        self,
        options: Options,
        description: Description,
        model: Any,
        norm: tuple[NDArray[np.float32], NDArray[np.float32]] | None,
    ) -> None:
        self.settings: dict[str, Any] = {"name": "onnx", **plain(options)}
        self.description = description
        self.rate = description.rate
        self.source = Source(description.licence, description.attribution, description.trained_on or {})
        self._frontend: Frontend | None = (
            None if description.frontend is None else build_frontend(description.frontend)
        )
        self._model, self._norm = model, norm
        self._sessions: dict[int, Session] = {}
        base = float(self.rate) if self._frontend is None else self._frontend.frames_per_second
        second = self._window(np.zeros(self.rate, dtype=np.float32), range(len(description.layers)))
        self.layers = tuple(
            Layer(layer.name, frames.shape[1], base / layer.stride)
            for layer, frames in zip(description.layers, second, strict=True)
        )

    @property
    def frontend(self) -> dict[str, Any] | None:
        """Settings in full of the frontend that makes the graph's frames; None where it takes samples."""
        given = self.description.frontend
        return None if given is None else frontend_settings(given)

    def frames(self, samples: int) -> tuple[int, ...]:
        """Return the number of frames of each layer for a waveform of so many samples."""
        given = max(samples, self.description.min_samples)
        given = given if self._frontend is None else self._frontend.count(given)
        return tuple(layer.count(given) for layer in self.description.layers)

    def _extract(self, items: Sequence[Wave], layers: Sequence[int]) -> list[Layers]:
        """Return, for each waveform (n,), the asked layers, each (frames, dims) float32."""
        hops = [self.hop(k) for k in layers]
        return [in_windows(wave, self.rate, hops, lambda part: self._window(part, layers)) for wave in items]

    def export(self, layers: Sequence[int]) -> Export:
        """Return the graph that gives these layers, behind the frontend of the description."""
        model = loaded(self.graph(layers))
        return Export(model, window(self.rate), self.frontend, shortest=self.description.min_samples)

    def graph(self, layers: Sequence[int]) -> bytes:
        """Return the graph that gives some layers, which onnxruntime runs without anything else of ours.

        It takes what :attr:`frontend` makes of a clip, ``unheard.frames`` (frames, dims), or its samples,
        ``unheard.samples`` (samples,), and gives ``unheard.NAME`` (frames, dims) for each of them.
        """
        d = self.description
        try:
            return adapted(
                self._model,
                Tensor(d.input.tensor, d.input.axes),
                {layer.name: Tensor(layer.tensor, layer.axes) for layer in (d.layers[k] for k in layers)},
                waveform=d.frontend is None,
                splice=d.splice,
                norm=self._norm,
            )
        except UnheardError as error:
            raise type(error)(f"{self._where()}: {error}") from error

    def _window(self, wave: Wave, layers: Sequence[int]) -> Layers:
        short = self.description.min_samples - len(wave)
        given = np.pad(wave, (0, short)) if short > 0 else np.asarray(wave, dtype=np.float32)
        name = PREFIX + ("samples" if self._frontend is None else "frames")
        value = given if self._frontend is None else self._frontend.compute(given)
        asked = [PREFIX + self.description.layers[k].name for k in layers]
        found = self._session(max(layers)).run(asked, {name: value})
        expected = self.frames(len(wave))
        for k, frames in zip(layers, found, strict=True):
            if frames.ndim != 2 or len(frames) != expected[k]:
                raise DataError(
                    f"{self._where()}: layer {self.description.layers[k].name!r} has shape {frames.shape} for "
                    f"{len(value)} frames, and its description gives {expected[k]} frames: correct its axes, "
                    "stride or window"
                )
        return tuple(found)

    def _session(self, top: int) -> Session:
        if top not in self._sessions:
            graph = self.graph(range(top + 1))
            self._sessions[top] = Session(graph, self._where(), error=DataError)
        return self._sessions[top]

    def _where(self) -> str:
        return f"the ONNX encoder {self.settings['model']}"


def _check_graph(place: Path) -> None:
    """Refuse a file that is no graph by its name, and a folder without one."""
    state = place.suffix in (".pt", ".pth", ".safetensors")
    if state or (place.is_dir() and not any(file.suffix == ".onnx" for file in place.iterdir())):
        raise DataError(
            f"{place} holds no weights: expected an .onnx file (tools/convert_efficientat.py makes one of "
            "EfficientAT's state dicts)"
        )


def _to_be_shuffled(path: Path, asked: str, declared: str) -> bool:
    """Return whether the file's weights have to be shuffled to be those that the settings ask for.

    Raises
    ------
    UsageError
        The file's weights are not what the settings say, or random ones are asked of a trained graph.
    """
    if declared not in ("pretrained", asked):
        raise UsageError(
            f"{path} holds {declared} weights, as its description says; set encoder.weights={declared}, so that "
            "scores are stamped RANDOM WEIGHTS"
        )
    if asked == "random" and declared != "random":
        raise UsageError(
            "encoder.weights 'random': an ONNX graph does not say how its weights are drawn; take 'shuffled'"
        )
    return asked != declared


def _model(place: Path, description: Description) -> Path:
    """Find the ONNX file that a file's or a folder's name means."""
    if place.is_file():
        return place
    if not place.is_dir():
        raise UsageError(f"encoder.model: there is no file or folder {place}")
    found = sorted(file for file in place.iterdir() if file.suffix == ".onnx")
    if description.model is not None:
        found = [file for file in found if file.name == description.model]
        if not found:
            raise DataError(f"{place} holds no {description.model}, which its description names")
    if len(found) > 1:
        raise UsageError(
            f"{place} holds {len(found)} graphs: name one of {', '.join(file.name for file in found)} as "
            "encoder.model"
        )
    return file_inside(place, found[0].name)
