"""The ``encoder`` of ``bundle.json``: what is known of ``encoder.onnx``, and a recording's way to it and from it.

    recording at ``rate`` → cut by ``trim`` → ``standardise`` → in ``window``s where it is long → ``front`` →
    graph → ``form``

The graph takes a single clip: ``unheard.samples`` (samples,) or, behind a front end, ``unheard.frames``
(frames, bands) float32. It gives ``unheard.NAME`` (frames, width) float32 for each entry that is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unheard.audio.trim import Cut
from unheard.bundle.fields import bounded, listed, mapping, number, refuse, text

FORMS = ("pooled", "frames", "layers")
WEIGHTS = ("pretrained", "random", "shuffled")
MOST_ENTRIES = 1000
MOST_WIDTH = 100_000
RATES = (1_000, 192_000)


@dataclass(frozen=True)
class EncoderDescription:
    """What a bundle says of its encoder.

    Parameters
    ----------
    name
        Family, such as ``wavlm`` or ``onnx``.
    source
        Whose weights these are: the name of the model that its licence asks to be kept.
    sha256
        Of the weights that the graph was made of, as the encoder states it.
    weights
        ``pretrained``; or ``random`` or ``shuffled``, which learned nothing.
    licence
        Of the weights.
    parameters
        Numbers in the graph.
    cut
        Last entry that is computed; None: the whole network.
    rate
        Hz of the waveform.
    least
        Samples that a shorter waveform is padded to with zeros.
    trim
        Decibels below the loudest frame at which both ends are cut, or a list of these and of decibels above the
        noise (``unheard.audio.trim``); or None.
    standardise
        Give the waveform zero mean and unit variance over its own samples.
    front
        None: the graph takes the waveform. Otherwise settings of the front end whose frames it takes
        (``unheard.features.fronts``).
    entries, widths
        Names and dims of the entries that the head takes, in order.
    needed
        Numbers of those that it uses: only they are computed, zeros stand for the others.
    form
        What the head takes: ``pooled`` (entries, 2, widest): mean and population standard deviation over frames,
        zeros beyond an entry's width; ``frames`` (frames, dims) of a single entry; ``layers``
        (entries, frames, dims).
    average
        Of ``frames`` and ``layers``, so many neighbouring frames are averaged.
    beside
        None; or, of the form ``frames``, settings of features (``unheard.features``) with one row a recording,
        which stands behind the dims of every frame. They are computed of the recording cut by ``trim``.
    hops
        Samples from frame to frame of each entry.
    multiple
        Samples: the length of a waveform is padded with zeros to a multiple of it.
    own
        Of a waveform whose frames lie among others of padding, so many are its own: its samples / hop, rounded by
        ``ceil`` or ``floor``. None: all frames are.
    window
        Samples: a recording of more than ``longest`` is taken in windows of ``length`` that begin every ``step``,
        a multiple of all hops; frames that lie in two windows are averaged. None: every recording as a whole.
    """

    name: str
    source: str
    sha256: str
    weights: str
    licence: str
    parameters: int
    cut: int | None
    rate: int
    least: int
    trim: Cut | None
    standardise: bool
    front: Mapping[str, Any] | None
    entries: tuple[str, ...]
    widths: tuple[int, ...]
    needed: tuple[int, ...]
    form: str
    average: int
    hops: tuple[int, ...]
    multiple: int
    own: str | None
    window: Mapping[str, int] | None
    beside: Mapping[str, Any] | None = None

    @property
    def random(self) -> bool:
        """Whether the weights learned nothing: RANDOM WEIGHTS."""
        return self.weights != "pretrained"


def parse_encoder(plain: Mapping[str, Any]) -> EncoderDescription:
    """Read and check the object ``encoder``; its front end is checked where it is built."""
    at = "encoder."
    entries = listed(plain, "entries", at)
    if not 1 <= len(entries) <= MOST_ENTRIES or not all(isinstance(e, str) and e for e in entries):
        refuse("encoder.entries", repr(entries)[:100], f"1 … {MOST_ENTRIES} names")
    widths = _numbers(plain, "widths", 1, MOST_WIDTH)
    if len(widths) != len(entries):
        refuse("encoder.widths", f"{len(widths)} numbers", f"{len(entries)}, one an entry")
    needed = _numbers(plain, "needed", 0, len(entries) - 1)
    if not needed or list(needed) != sorted(set(needed)):
        refuse("encoder.needed", repr(needed)[:100], "different numbers of entries in increasing order")
    found = EncoderDescription(
        name=text(plain, "name", at),
        source=text(plain, "source", at),
        sha256=text(plain, "sha256", at),
        weights=_choice(plain, "weights", WEIGHTS),
        licence=text(plain, "licence", at),
        parameters=int(number(plain, "parameters", 0, 1e12, whole=True, inside=at)),
        cut=None if plain.get("cut") is None else int(number(plain, "cut", 0, 10_000, whole=True, inside=at)),
        rate=int(number(plain, "rate", *RATES, whole=True, inside=at)),
        least=int(number(plain, "least", 0, 1e6, whole=True, inside=at)),
        trim=_trim(plain),
        standardise=_yes(plain, "standardise"),
        front=None if plain.get("front") is None else bounded(mapping(plain, "front", at), "encoder.front."),
        entries=tuple(entries),
        widths=widths,
        needed=needed,
        form=_choice(plain, "form", FORMS),
        average=int(number(plain, "average", 1, 1000, whole=True, inside=at)),
        hops=_numbers(plain, "hops", 1, 10_000_000),
        multiple=int(number(plain, "multiple", 1, 1e6, whole=True, inside=at)),
        own=None if plain.get("own") is None else _choice(plain, "own", ("ceil", "floor")),
        window=_window(plain),
        beside=None
        if plain.get("beside") is None
        else bounded(mapping(plain, "beside", at), "encoder.beside."),
    )
    if len(found.hops) != len(entries) or (
        found.window and any(found.window["step"] % h for h in found.hops)
    ):
        refuse("encoder.hops", repr(found.hops)[:100], f"{len(entries)} numbers that divide window.step")
    if found.form == "frames" and len(entries) > 1:
        refuse("encoder.form", "'frames'", "'layers' for several entries")
    if found.beside is not None and found.form != "frames":
        refuse("encoder.beside", "features", f"none with the form {found.form!r}")
    if found.form == "layers" and (len(set(widths)) > 1 or len(needed) < len(entries)):
        refuse("encoder.form", "'layers'", "one width and all entries needed")
    return found


def _choice(plain: Mapping[str, Any], key: str, choices: Sequence[str]) -> str:
    value = plain.get(key)
    if value not in choices:
        refuse(f"encoder.{key}", repr(value)[:100], " or ".join(choices))
    return str(value)


def _trim(plain: Mapping[str, Any]) -> Cut | None:
    given = plain.get("trim")
    if not isinstance(given, list):
        return None if given is None else number(plain, "trim", 1, 200, inside="encoder.")
    if len(given) != 2:
        refuse("encoder.trim", repr(given)[:100], "one number of decibels, or two")
    return [number({"trim": value}, "trim", 1, 200, inside="encoder.") for value in given]


def _yes(plain: Mapping[str, Any], key: str) -> bool:
    value = plain.get(key)
    if not isinstance(value, bool):
        refuse(f"encoder.{key}", repr(value)[:100], "true or false")
    return value


def _numbers(plain: Mapping[str, Any], key: str, low: int, high: int) -> tuple[int, ...]:
    values = listed(plain, key, "encoder.")[: MOST_ENTRIES + 1]
    return tuple(int(number({key: v}, key, low, high, whole=True, inside="encoder.")) for v in values)


def _window(plain: Mapping[str, Any]) -> dict[str, int] | None:
    if plain.get("window") is None:
        return None
    window, at = mapping(plain, "window", "encoder."), "encoder.window."
    found = {
        key: int(number(window, key, 1, 1e9, whole=True, inside=at)) for key in ("longest", "length", "step")
    }
    if not found["length"] / 2 <= found["step"] <= found["length"] <= found["longest"]:
        refuse("encoder.window", repr(found), "length / 2 ≤ step ≤ length ≤ longest")
    return found
