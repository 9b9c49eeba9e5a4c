"""An encoder of a bundle: from a waveform to what the head takes, with onnxruntime and numpy alone.

What is computed, and in which order, is said in ``encoder_schema``. Statistics are collected in float64, a window
at a time, so that the memory for them does not grow with the recording.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.bundle.encoder_schema import NetworkDescription
from unheard.bundle.schema import Input
from unheard.errors import BundleError, UsageError
from unheard.features.frontends import build_frontend
from unheard.inputs import Form
from unheard.onnx_graphs.graph import PREFIX
from unheard.onnx_graphs.session import Session

Wave = NDArray[np.float32]
#: One array (frames, width) float32 for each layer that is needed.
Layers = list[NDArray[np.float32]]

#: Parameters from which on all cores help; smaller networks are done sooner on one.
LARGE = 10_000_000


class BundleEncoder:
    """Runs the graph of an encoder.

    Parameters
    ----------
    name
        Name of the input that it computes; its graph is ``NAME.onnx``.
    described
        Description of that input in the bundle.
    model
        Bytes of the graph.

    Raises
    ------
    BundleError
        Where the graph keeps data elsewhere, onnxruntime refuses it, its inputs and outputs are not those that the
        description says, or the frontend is unknown or of another rate.
    """

    def __init__(self, name: str, described: Input, model: bytes) -> None:
        assert described.encoder is not None
        self.description = d = described.encoder
        self._form = described.form
        self._file = f"{name}.onnx"
        self._input = PREFIX + ("samples" if d.frontend is None else "frames")
        self._outputs = [PREFIX + d.layers[k] for k in d.needed]
        at = f"bundle.json: inputs.{name}.extractor.encoder"
        try:
            self._frontend = None if d.frontend is None else build_frontend(d.frontend)
        except UsageError as error:
            raise BundleError(f"{at}.frontend: {error}") from error
        if self._frontend is not None and self._frontend.rate != d.rate:
            raise BundleError(f"{at}.rate is {d.rate}, and the frontend's is {self._frontend.rate}")
        self._session = Session(model, self._file, threads=0 if d.parameters >= LARGE else 1)
        self._check_names()

    @property
    def version(self) -> str:
        """Version of the code of the frontend; ``none`` where the graph takes the waveform."""
        return "none" if self._frontend is None else str(self._frontend.version)

    def compute(self, wave: Wave) -> NDArray[np.float32]:
        """Return what the head takes, of a trimmed waveform (n,) at the encoder's rate, in the input's form."""
        d = self.description
        kept = _standardised(wave) if d.standardise else wave
        if self._form is Form.POOLED:
            return self._pooled(self._pieces(kept))
        pieces = list(self._pieces(kept))
        whole = [np.concatenate(parts) for parts in zip(*pieces, strict=True)]
        frames = [averaged(layer, d.average) for layer in whole]
        return frames[0] if self._form is Form.FRAMES else np.stack(frames)

    def _pieces(self, wave: Wave) -> Iterator[Layers]:
        """Yield the frames of the needed layers, piece by piece in time."""
        w = self.description.window
        if w is None or len(wave) <= w["longest"]:
            yield self._run(wave)
            return
        overlap = w["length"] - w["step"]
        starts = range(0, len(wave) - overlap, w["step"])
        if self.description.own == "floor" and len(wave) - starts[-1] < min(self.description.hops):
            starts = starts[:-1]  # what is left makes no frame
        ahead: Layers = []
        for start in starts:
            layers = self._run(wave[start : start + w["length"]])
            if ahead:
                layers = [_joined(*both) for both in zip(ahead, layers, strict=True)]
            if start == starts[-1]:
                yield layers
                return
            settled = [w["step"] // self.description.hops[k] for k in self.description.needed]
            yield [layer[:count] for layer, count in zip(layers, settled, strict=True)]
            ahead = [layer[count:] for layer, count in zip(layers, settled, strict=True)]

    def _run(self, wave: Wave) -> Layers:
        d = self.description
        length = max(len(wave), d.min_samples)
        length += -length % d.multiple
        padded = np.pad(wave, (0, length - len(wave)))
        value = padded if self._frontend is None else self._frontend.compute(padded)
        fed = {self._input: np.ascontiguousarray(value, dtype=np.float32)}
        found = layers_of(self._session, self._outputs, fed, d)
        if d.own is None:
            return found
        counts = [len(wave) / d.hops[k] for k in d.needed]
        counts = [ceil(count) if d.own == "ceil" else floor(count) for count in counts]
        return [layer[: max(1, count)] for layer, count in zip(found, counts, strict=True)]

    def _pooled(self, pieces: Iterator[Layers]) -> NDArray[np.float32]:
        d = self.description
        sums = [Moments(d.widths[k]) for k in d.needed]
        for layers in pieces:
            for each, layer in zip(sums, layers, strict=True):
                each.add(layer)
        pooled = np.zeros((len(d.layers), 2, max(d.widths)), dtype=np.float32)
        for k, each in zip(d.needed, sums, strict=True):
            pooled[k, :, : d.widths[k]] = each.mean, each.deviation
        return pooled

    def _check_names(self) -> None:
        inputs, outputs = self._session.inputs, list(self._session.outputs)
        axes = 1 if self._frontend is None else 2
        fits = list(inputs) == [self._input] and len(inputs[self._input]) == axes
        if not fits or sorted(outputs) != sorted(self._outputs):
            raise BundleError(
                f"{self._file} takes {inputs} and gives {outputs}; bundle.json says that it takes "
                f"{self._input!r} and gives {self._outputs}"
            )


def layers_of(
    session: Session, outputs: Sequence[str], fed: Mapping[str, NDArray[Any]], d: NetworkDescription
) -> Layers:
    """Run the graph of an encoder, and return its layers, each checked to be (frames, width)."""
    found = session.run(outputs, fed)
    for k, layer in zip(d.needed, found, strict=True):
        if layer.ndim != 2 or layer.shape[1] != d.widths[k] or not len(layer):
            raise BundleError(
                f"{session.name} gives {layer.shape} for the layer {d.layers[k]!r}; bundle.json says (frames, "
                f"{d.widths[k]})"
            )
    return list(found)


class Moments:
    """Mean and sum of squared distances from it, of frames that come in pieces (Chan, Golub and LeVeque 1983)."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self.mean: NDArray[np.float64] = np.zeros(width)
        self.squares: NDArray[np.float64] = np.zeros(width)

    @property
    def deviation(self) -> NDArray[np.float64]:
        """Population standard deviation."""
        deviation: NDArray[np.float64] = np.sqrt(self.squares / self.count)
        return deviation

    def add(self, frames: NDArray[np.float32]) -> None:
        """Take in frames (n, width)."""
        exact = frames.astype(np.float64)
        mean = exact.mean(axis=0)
        # In place: arrays of this size are asked of the system each time, which takes longer than the sums.
        exact -= mean
        squares = np.square(exact, out=exact).sum(axis=0)
        total = self.count + len(exact)
        apart = mean - self.mean
        self.mean += apart * (len(exact) / total)
        self.squares += squares + np.square(apart) * (self.count * len(exact) / total)
        self.count = total


def _standardised(wave: Wave) -> Wave:
    centred = wave - wave.mean(dtype=np.float64)
    return np.asarray(centred / np.sqrt(np.square(centred).mean() + 1e-7), dtype=np.float32)


def _joined(before: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the frames of two windows from where the second begins; where both have some, their mean."""
    both = min(len(before), len(after))
    mean = (before[:both] + after[:both]) / 2
    return np.concatenate([mean, after[both:], before[both:]])


def averaged(frames: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return the mean of each ``count`` neighbouring frames, and of what is left at the end."""
    if count == 1:
        return frames
    whole = len(frames) // count * count
    several = frames[:whole].reshape(-1, count, frames.shape[1])
    # One after the other: a sum over this axis, or reduceat, takes up to nine times as long.
    total = several[:, 0].copy()
    for k in range(1, count):
        total += several[:, k]
    rest = frames[whole:].sum(axis=0, keepdims=True)[: len(frames) - whole]
    return np.concatenate([total / np.float32(count), rest / np.float32(max(1, len(frames) - whole))])
