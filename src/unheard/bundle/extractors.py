"""What computes the inputs of a bundle's head from a recording; each waveform is resampled and trimmed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from unheard import features
from unheard.audio.resample import to_rate
from unheard.audio.trim import Cut, trim
from unheard.bundle.encoder import BundleEncoder
from unheard.bundle.schema import Description, Input
from unheard.bundle.text_encoder import BundleTextEncoder
from unheard.bundle.text_schema import TOKENIZER
from unheard.errors import BundleError, UsageError
from unheard.features.spec import Trimmed
from unheard.inputs import Turn

Wave = NDArray[np.float32]


class Waveforms:
    """One recording at the rates, and cut in the ways, that inputs ask for; each is made once.

    Parameters
    ----------
    wave
        Samples (n,).
    rate
        Hz of them.
    """

    def __init__(self, wave: Wave, rate: int) -> None:
        self._made: dict[tuple[int, Cut | None], Wave] = {}
        self._wave, self._rate = wave, rate

    def get(self, rate: int, decibels: Cut | None = None) -> Wave:
        """Return the waveform at a rate, without the silence at its ends where ``decibels`` say how to cut it."""
        key = rate, tuple(decibels) if isinstance(decibels, list) else decibels
        if key not in self._made:
            if decibels is None:
                self._made[key] = to_rate(self._wave, self._rate, rate)
            else:
                self._made[key] = trim(self.get(rate), decibels, rate)
        return self._made[key]


class Computes(Protocol):
    """What computes one input of a recording: features, or an encoder."""

    @property
    def version(self) -> int | str:
        """Version of the code that computes."""

    def compute(self, wave: Wave) -> Wave:
        """Return a clip's array of a trimmed waveform at the input's rate."""


class Extractors:
    """All inputs of a bundle.

    Parameters
    ----------
    description
        Description of the bundle.
    files
        File name to bytes: ``NAME.onnx`` for each input with an encoder, and ``NAME.tokenizer.json`` for one of
        words.

    Raises
    ------
    BundleError
        An encoder without a graph or a graph without an encoder; features, a frontend or a graph that are not
        what the description says.
    """

    def __init__(self, description: Description, files: Mapping[str, bytes]) -> None:
        self.description = description
        self.made: dict[str, Computes | BundleTextEncoder] = {}
        encoders = [name for name, each in description.inputs.items() if each.network is not None]
        words = [name for name, each in description.inputs.items() if each.words is not None]
        there = {name for name in files if name != "model.onnx"}
        if there != {f"{name}.onnx" for name in encoders} | {f"{name}{TOKENIZER}" for name in words}:
            raise BundleError(
                f"bundle.json tells of the encoders {sorted(encoders)}, of words {sorted(words)}, and the graphs "
                f"and tokenizers of encoders that are there are {sorted(there)}"
            )
        for name, each in description.inputs.items():
            if each.words is not None:
                graph, tokenizer = files[f"{name}.onnx"], files[f"{name}{TOKENIZER}"]
                self.made[name] = BundleTextEncoder(name, each, graph, tokenizer)
            elif each.encoder is not None:
                self.made[name] = BundleEncoder(name, each, files[f"{name}.onnx"])
            else:
                self.made[name] = _features(name, each)

    def compute(self, waves: Waveforms | None, turns: Sequence[Turn] = ()) -> dict[str, Wave]:
        """Return a clip's array for each input; one whose medium the clip lacks is without frames."""
        found = {}
        for name, each in self.description.inputs.items():
            made = self.made[name]
            if isinstance(made, BundleTextEncoder):
                found[name] = made.compute(turns) if turns else absent(each)
            else:
                found[name] = absent(each) if waves is None else made.compute(waves.get(each.rate, each.trim))
        return found

    def check_versions(self) -> None:
        """Refuse code of another version: where dims stay the same, a few golden sounds may not show it."""
        for name, each in self.description.inputs.items():
            now = str(self.made[name].version)
            if each.version != now:
                made_with = ", ".join(f"{k} {v}" for k, v in sorted(self.description.versions.items()))
                raise BundleError(
                    f"bundle.json: made with version {each.version} of the features {_name(each)!r}, and what is "
                    f"installed here computes version {now}; install what it was made with (its versions: "
                    f"{made_with}), or export it again"
                )


def absent(each: Input) -> Wave:
    """Return the array of an input that a clip lacks."""
    return np.zeros((0, each.dims), dtype=np.float32)


def _features(name: str, each: Input) -> Computes:
    try:
        spec = features.build(each.features or {})
    except UsageError as error:
        raise BundleError(f"bundle.json: inputs.{name}.extractor.features: {error}") from error
    return spec.spec if isinstance(spec, Trimmed) else spec


def _name(each: Input) -> object:
    """Return the name of the features, of the frontend of the encoder, or of the encoder of words."""
    if each.words is not None:
        return each.words.source
    settings = each.features if each.encoder is None else each.encoder.frontend
    return (settings or {}).get("name")
