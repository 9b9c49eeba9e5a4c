"""The teacher of a student: chosen layers of a frozen ONNX encoder, computed from log-mels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard import encoders
from unheard.encoders.families.onnx import OnnxEncoder
from unheard.errors import DataError, UsageError
from unheard.features.frontends import build_frontend
from unheard.features.logmel import LogMel
from unheard.onnx_graphs.graph import PREFIX
from unheard.onnx_graphs.session import Session

Frames = NDArray[np.float32]


class Teacher:
    """A teacher: chosen layers of an encoder of the family ``onnx`` behind a log-mel frontend.

    Parameters
    ----------
    settings : settings of the encoder.
    layers : numbers of the layers, ascending.

    Raises
    ------
    UsageError
        The encoder is of another family, its frontend does not give natural logarithms of mel power, or it does
        not have one of the layers, or a layer has fewer frames than the frontend gives.
    """

    def __init__(self, settings: Mapping[str, Any], layers: Sequence[int]) -> None:
        encoder = encoders.load(settings)
        frontend = None if not isinstance(encoder, OnnxEncoder) else encoder.frontend
        logmel = None if frontend is None else build_frontend(frontend)
        if not isinstance(encoder, OnnxEncoder) or not isinstance(logmel, LogMel):
            raise UsageError(
                f"encoder {settings['name']!r} cannot teach: a student takes log-mels, so its teacher must be an "
                "'onnx' encoder behind the frontend 'logmel'"
            )
        if (logmel.log, logmel.power) != ("natural", 2.0):
            raise UsageError(
                f"the teacher's log-mels are log={logmel.log}, power={logmel.power:g}; noise is added to natural "
                "logarithms of power"
            )
        wrong = [k for k in layers if not 0 <= k < len(encoder.layers)]
        if wrong or not layers or list(layers) != sorted(set(layers)):
            raise UsageError(
                f"layers {list(layers)}: give some of 0 … {len(encoder.layers) - 1} "
                f"({', '.join(layer.name for layer in encoder.layers)}), ascending"
            )
        if any(encoder.layers[k].rate != logmel.frames_per_second for k in layers):
            raise UsageError("a student can imitate only layers with as many frames as the frontend gives")
        assert frontend is not None
        self.frontend: dict[str, Any] = frontend
        self.bands = logmel.bands
        self.settings = encoder.settings
        self.names = tuple(encoder.layers[k].name for k in layers)
        self.widths = tuple(encoder.layers[k].dims for k in layers)
        self.licence = encoder.source.licence
        self.attribution = encoder.source.attribution or str(
            encoder.description.about or "an unnamed encoder"
        )
        self._session = Session(encoder.graph(layers), "the teacher", error=DataError)

    def layers(self, frames: Frames) -> list[Frames]:
        """Return the layers (frames, width) of log-mels (frames, bands)."""
        found: list[Frames] = self._session.run(
            [PREFIX + name for name in self.names], {f"{PREFIX}frames": frames}
        )
        return found
