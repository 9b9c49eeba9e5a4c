"""From a loaded encoder to what a bundle holds of it: ``encoder.onnx``, and how it is described.

The graph gives the entries that are needed and computes nothing above the highest of them. Nothing of the machine
that made it stays in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unheard import features
from unheard.audio.resample import RATE, to_rate
from unheard.audio.trim import trim
from unheard.bundle.encoder_schema import EncoderDescription
from unheard.encoders.beside import Beside
from unheard.encoders.contract import Encoder
from unheard.errors import UsageError, need
from unheard.extraction.storage import averaged, statistics
from unheard.onnx_graphs.surgery import parameters, strip

#: The largest protobuf message, and so the largest graph in one file.
MOST_BYTES = 2**31 - 1


def frozen(
    encoder: Encoder, form: str, entries: Sequence[int], needed: Sequence[int], average: int = 1
) -> tuple[EncoderDescription, bytes]:
    """Return the description of an encoder in a bundle, and its graph.

    Parameters
    ----------
    encoder
        Loaded.
    form, average
        What the head takes (``encoder_schema``).
    entries
        Numbers of the encoder's entries that the head takes.
    needed
        Those of them that it uses.

    Raises
    ------
    UsageError
        Where no graph is known for this encoder, or it is too large for a file.
    """
    beside = None
    if isinstance(encoder, Beside):
        beside, encoder = features.settings(encoder.spec), encoder.encoder
    made = encoder.export(sorted(needed))
    model = made.graph
    strip(model)
    settings = encoder.settings
    hops = tuple(encoder.hop(k) for k in entries)
    top = max(needed)
    described = EncoderDescription(
        name=str(settings["name"]),
        source=source_of(encoder),
        sha256=str(settings["sha256"]),
        weights=str(settings["weights"]),
        licence=encoder.source.licence,
        parameters=parameters(model),
        cut=top if top < len(encoder.layers) - 1 else settings["cut"],
        rate=encoder.rate,
        trim=settings["trim"],
        standardise=made.standardise,
        front=made.frontend,
        entries=tuple(encoder.layers[k].name for k in entries),
        widths=tuple(encoder.layers[k].dims for k in entries),
        needed=tuple(list(entries).index(k) for k in needed),
        form=form,
        average=average,
        hops=hops,
        beside=beside,
        least=made.shortest,
        multiple=made.multiple,
        own=made.own,
        window={**made.window, "step": made.window["step"] // lcm(*hops) * lcm(*hops)},
    )
    onnx = need("onnx", "eval")
    onnx.checker.check_model(model)
    if model.ByteSize() > MOST_BYTES:
        raise UsageError(
            f"the encoder {described.source} has {described.parameters / 1e6:.0f} million parameters, more than "
            "one file holds (2 GiB); cut it (encoder.cut)"
        )
    return described, model.SerializeToString(deterministic=True)


def encoded(
    encoder: Encoder,
    waves: Sequence[NDArray[np.float32]],
    form: str,
    entries: Sequence[int],
    average: int = 1,
) -> tuple[NDArray[np.float32], ...]:
    """Return what a head takes of waveforms at 16 kHz, computed by the encoder itself."""
    decibels, made = encoder.settings["trim"], []
    for wave in waves:
        own = to_rate(wave, RATE, encoder.rate)
        own = own if decibels is None else trim(own, decibels, encoder.rate)
        (layers,) = encoder.extract([own], entries)
        if form == "pooled":
            made.append(statistics(layers))
        else:
            frames = [averaged(layer, average) for layer in layers]
            made.append(frames[0] if form == "frames" else np.stack(frames))
    return tuple(made)


def source_of(encoder: Encoder) -> str:
    """Name of the weights: what their owner wants to be named, a hub name, or that of a file or folder."""
    named = encoder.source.attribution
    model = str(encoder.settings["model"])
    place = Path(model)
    local = place.is_absolute() or place.exists()
    return str(
        named or (place.name if local else model) or f"{encoder.settings['name']}, no published weights"
    )
