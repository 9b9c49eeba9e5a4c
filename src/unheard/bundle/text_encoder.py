"""An encoder of words in a bundle: from turns to what the head takes, with onnxruntime and tokenizers alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unheard.bundle.encoder import LARGE, Moments, averaged, layers_of
from unheard.bundle.schema import Input
from unheard.bundle.text_schema import TOKENIZER
from unheard.errors import BundleError
from unheard.inputs import Form, Turn
from unheard.onnx_graphs.graph import PREFIX
from unheard.onnx_graphs.session import Session
from unheard.text.joining import read_with, spoken
from unheard.text.tokenizer import Tokenizer

#: Version of how turns become tokens.
VERSION = 1
TOKENS = PREFIX + "tokens"


class BundleTextEncoder:
    """Runs the graph of an encoder of words.

    Parameters
    ----------
    name
        Name of the input that it computes; its graph is ``NAME.onnx``.
    described
        Description of that input in the bundle.
    model, tokenizer
        Bytes of the graph, and of ``NAME.tokenizer.json``.

    Raises
    ------
    BundleError
        Where the graph or the tokenizer are refused, or the graph takes or gives something else than is said.
    MachineError
        The package ``tokenizers`` is not installed.
    """

    def __init__(self, name: str, described: Input, model: bytes, tokenizer: bytes) -> None:
        assert described.words is not None
        self.description = d = described.words
        self._form, self._file = described.form, f"{name}.onnx"
        self._tokenizer = Tokenizer(tokenizer, f"{name}{TOKENIZER}")
        self._outputs = [PREFIX + d.layers[k] for k in d.needed]
        self._session = Session(model, self._file, threads=0 if d.parameters >= LARGE else 1)
        inputs, outputs = self._session.inputs, list(self._session.outputs)
        if list(inputs) != [TOKENS] or len(inputs[TOKENS]) != 1 or sorted(outputs) != sorted(self._outputs):
            raise BundleError(
                f"{self._file} takes {inputs} and gives {outputs}; bundle.json says that it takes {TOKENS!r} and "
                f"gives {self._outputs}"
            )

    @property
    def version(self) -> str:
        """Version of the code that makes tokens of turns."""
        return str(VERSION)

    def compute(self, turns: Sequence[Turn]) -> NDArray[np.float32]:
        """Return what the head takes, of turns, oldest first, the clip's own last, in the input's form."""
        d = self.description
        said = [self._tokenizer.numbers(spoken(turn)) for turn in read_with(d.context, turns)]
        row = np.array(d.joining.joined(said), dtype=np.int64)
        found = layers_of(self._session, self._outputs, {TOKENS: row}, d)
        if self._form is Form.POOLED:
            pooled = np.zeros((len(d.layers), 2, max(d.widths)), dtype=np.float32)
            for k, layer in zip(d.needed, found, strict=True):
                moments = Moments(d.widths[k])
                moments.add(layer)
                pooled[k, :, : d.widths[k]] = moments.mean, moments.deviation
            return pooled
        frames = [averaged(layer, d.average) for layer in found]
        return frames[0] if self._form is Form.FRAMES else np.stack(frames)
