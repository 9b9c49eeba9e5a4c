"""The description of an encoder in ``bundle.json``, and how a waveform goes through its graph.

    waveform at ``rate``, cut by ``trim`` → ``standardise`` → in ``window``s where it is long → ``frontend`` →
    graph → the form of the input

The graph takes a single clip: ``unheard.samples`` (samples,) or, behind a frontend, ``unheard.frames``
(frames, bands) float32. It gives ``unheard.NAME`` (frames, width) float32 for each layer that is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unheard.audio.trim import Cut
from unheard.bundle.fields import bounded, listed, mapping, number, refuse, text

WEIGHTS = ("pretrained", "random", "shuffled")
MAX_LAYERS = 1000
MAX_WIDTH = 100_000
RATES = (1_000, 192_000)
#: Samples of a window, an hour at 16 kHz.
MAX_WINDOW = 57_600_000


@dataclass(frozen=True, kw_only=True)
class NetworkDescription:
    """What is said of any frozen network in a bundle.

    Parameters
    ----------
    name
        Family, such as ``wavlm`` or ``onnx``.
    source
        Name of the model whose weights these are, as its licence asks for it.
    sha256
        Digest of the weights that the graph was made of, as the encoder gives it.
    weights
        ``pretrained``, or ``random`` or ``shuffled`` for weights that learned nothing.
    licence
        Licence of the weights.
    parameters
        Number of weights in the graph.
    cut
        Last layer that is computed; None for the whole network.
    layers, widths
        Names and dims of the layers that the head takes, in order.
    needed
        Numbers of the layers that the head uses: only these are computed, the others are zeros.
    average
        Number of neighbouring frames that are averaged in an input of frames or layers.
    """

    name: str
    source: str
    sha256: str
    weights: str
    licence: str
    parameters: int
    cut: int | None
    layers: tuple[str, ...]
    widths: tuple[int, ...]
    needed: tuple[int, ...]
    average: int

    @property
    def random(self) -> bool:
        """Return whether the weights learned nothing: RANDOM WEIGHTS."""
        return self.weights != "pretrained"


@dataclass(frozen=True, kw_only=True)
class EncoderDescription(NetworkDescription):
    """The description of an encoder of waveforms.

    Parameters
    ----------
    rate
        Sampling rate of the waveform in Hz.
    min_samples
        Length to which a shorter waveform is padded with zeros.
    trim
        Decibels below the loudest frame at which both ends are cut, or a list of these and of decibels above the
        noise (``unheard.audio.trim``); or None.
    standardise
        Whether the waveform is given zero mean and unit variance over its own samples.
    frontend
        Settings of the frontend whose frames the graph takes (``unheard.features.frontends``); None where it takes
        the waveform.
    hops
        Number of samples between frames, for each layer.
    multiple
        The waveform is padded with zeros to a multiple of this many samples.
    own
        How the number of frames that are not padding is computed: samples / hop, rounded by ``ceil`` or
        ``floor``. None where no frame is padding.
    window
        A recording of more than ``longest`` samples is taken in windows of ``length`` that begin every ``step``, a
        multiple of all hops; frames that lie in two windows are averaged. None where every recording is taken as a
        whole.
    """

    rate: int
    min_samples: int
    trim: Cut | None
    standardise: bool
    frontend: Mapping[str, Any] | None
    hops: tuple[int, ...]
    multiple: int
    own: str | None
    window: Mapping[str, int] | None


def parse_network(plain: Mapping[str, Any], at: str) -> dict[str, Any]:
    """Read and check the fields of :class:`NetworkDescription`; errors call them ``at`` and their name."""
    layers = listed(plain, "layers", at)
    if not 1 <= len(layers) <= MAX_LAYERS or not all(isinstance(layer, str) and layer for layer in layers):
        refuse(f"{at}layers", repr(layers)[:100], f"1 … {MAX_LAYERS} names")
    widths = _numbers(plain, "widths", 1, MAX_WIDTH, at)
    if len(widths) != len(layers):
        refuse(f"{at}widths", f"{len(widths)} numbers", f"{len(layers)}, one a layer")
    needed = _numbers(plain, "needed", 0, len(layers) - 1, at)
    if not needed or list(needed) != sorted(set(needed)):
        refuse(f"{at}needed", repr(needed)[:100], "different numbers of layers in increasing order")

    return {
        "name": text(plain, "name", at),
        "source": text(plain, "source", at),
        "sha256": text(plain, "sha256", at),
        "weights": _choice(plain, "weights", WEIGHTS, at),
        "licence": text(plain, "licence", at),
        "parameters": whole(plain, "parameters", 0, 1e12, at),
        "cut": None if plain.get("cut") is None else whole(plain, "cut", 0, 10_000, at),
        "layers": tuple(layers),
        "widths": widths,
        "needed": needed,
        "average": whole(plain, "average", 1, 1000, at),
    }


def parse_encoder(plain: Mapping[str, Any], at: str) -> EncoderDescription:
    """Read and check the object of an encoder of waveforms, whose frontend is checked where it is built."""
    common = parse_network(plain, at)
    layers = common["layers"]
    found = EncoderDescription(
        **common,
        rate=whole(plain, "rate", *RATES, at),
        min_samples=whole(plain, "min_samples", 0, 1e6, at),
        trim=_trim(plain, at),
        standardise=_yes(plain, "standardise", at),
        frontend=None
        if plain.get("frontend") is None
        else bounded(mapping(plain, "frontend", at), f"{at}frontend."),
        hops=_numbers(plain, "hops", 1, 10_000_000, at),
        multiple=whole(plain, "multiple", 1, 1e6, at),
        own=None if plain.get("own") is None else _choice(plain, "own", ("ceil", "floor"), at),
        window=_window(plain, at),
    )
    if len(found.hops) != len(layers) or (
        found.window and any(found.window["step"] % hop for hop in found.hops)
    ):
        refuse(f"{at}hops", repr(found.hops)[:100], f"{len(layers)} numbers that divide window.step")
    return found


def whole(plain: Mapping[str, Any], key: str, low: float, high: float, at: str) -> int:
    """Return a whole number in low … high."""
    return int(number(plain, key, low, high, whole=True, inside=at))


def _choice(plain: Mapping[str, Any], key: str, choices: Sequence[str], at: str) -> str:
    value = plain.get(key)
    if value not in choices:
        refuse(at + key, repr(value)[:100], " or ".join(choices))
    return str(value)


def _trim(plain: Mapping[str, Any], at: str) -> Cut | None:
    given = plain.get("trim")
    if not isinstance(given, list):
        return None if given is None else number(plain, "trim", 1, 200, inside=at)
    if len(given) != 2:
        refuse(f"{at}trim", repr(given)[:100], "one number of decibels, or two")
    return [number({"trim": value}, "trim", 1, 200, inside=at) for value in given]


def _yes(plain: Mapping[str, Any], key: str, at: str) -> bool:
    value = plain.get(key)
    if not isinstance(value, bool):
        refuse(at + key, repr(value)[:100], "true or false")
    return value


def _numbers(plain: Mapping[str, Any], key: str, low: int, high: int, at: str) -> tuple[int, ...]:
    values = listed(plain, key, at)[: MAX_LAYERS + 1]
    return tuple(int(number({key: value}, key, low, high, whole=True, inside=at)) for value in values)


def _window(plain: Mapping[str, Any], at: str) -> dict[str, int] | None:
    if plain.get("window") is None:
        return None
    window, inside = mapping(plain, "window", at), f"{at}window."
    found = {
        key: int(number(window, key, 1, MAX_WINDOW, whole=True, inside=inside))
        for key in ("longest", "length", "step")
    }
    if not found["length"] / 2 <= found["step"] <= found["length"] <= found["longest"]:
        refuse(f"{at}window", repr(found), "length / 2 ≤ step ≤ length ≤ longest")
    return found
