"""From a loaded encoder to what a bundle holds of it: ``encoder.onnx``, and how it is described.

The graph gives the entries that are needed and computes nothing above the highest of them. Nothing of the machine
that made it stays in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard import features
from unheard.audio.resample import RATE, to_rate
from unheard.audio.trim import trim
from unheard.bundle.encoder_schema import EncoderDescription
from unheard.encoders.beside import Beside
from unheard.encoders.contract import Encoder
from unheard.encoders.windows import LONGEST, OVERLAP, WINDOW
from unheard.errors import UsageError, need
from unheard.extraction.storage import averaged, statistics
from unheard.features.fronts import front_settings
from unheard.onnx_graphs.surgery import parameters, strip
from unheard.onnx_graphs.transformer import transformer_graph
from unheard.onnx_graphs.whisper import whisper_graph

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
    model = _graph(encoder, sorted(needed))
    strip(model)
    settings = encoder.settings
    hops = tuple(round(encoder.rate / encoder.frame_rates[k]) for k in entries)
    top = max(needed)
    described = EncoderDescription(
        name=str(settings["name"]),
        source=source_of(encoder),
        sha256=str(settings["sha256"]),
        weights=str(settings["weights"]),
        licence=encoder.licence,
        parameters=parameters(model),
        cut=top if top < len(encoder.names) - 1 else settings["cut"],
        rate=encoder.rate,
        trim=settings["trim"],
        standardise=bool(getattr(getattr(encoder, "network", None), "normalize", False)),
        front=_front(encoder),
        entries=tuple(encoder.names[k] for k in entries),
        widths=tuple(encoder.widths[k] for k in entries),
        needed=tuple(list(entries).index(k) for k in needed),
        form=form,
        average=average,
        hops=hops,
        beside=beside,
        **_lengths(encoder, hops),
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
        (layers,) = encoder.encode([own], entries)
        if form == "pooled":
            made.append(statistics(layers))
        else:
            frames = [averaged(layer, average) for layer in layers]
            made.append(frames[0] if form == "frames" else np.stack(frames))
    return tuple(made)


def source_of(encoder: Encoder) -> str:
    """Name of the weights: what their owner wants to be named, a hub name, or that of a file or folder."""
    named = getattr(encoder, "attribution", "")
    model = str(encoder.settings["model"])
    place = Path(model)
    local = place.is_absolute() or place.exists()
    return str(
        named or (place.name if local else model) or f"{encoder.settings['name']}, no published weights"
    )


def _graph(encoder: Any, needed: Sequence[int]) -> Any:
    """ModelProto that gives the entries that are needed."""
    if hasattr(encoder, "graph"):
        return need("onnx", "eval").load_from_string(encoder.graph(needed))
    if encoder.settings["name"] in ("wav2vec2", "hubert", "wavlm"):
        return transformer_graph(encoder.network, needed)
    if encoder.settings["name"] == "whisper":
        return whisper_graph(encoder.network, needed)
    raise UsageError(f"the encoder {encoder.settings['name']!r} cannot be exported as a graph")


def _front(encoder: Any) -> dict[str, Any] | None:
    """Settings in full of the front end before the graph; None where that takes the waveform."""
    if encoder.settings["name"] == "whisper":
        network = encoder.network
        seconds = network.made.window / encoder.rate if network.mode == "30s" else 0.0
        return front_settings({"name": "whisper", "bands": network.made.num_mel_bins, "seconds": seconds})
    front: dict[str, Any] | None = getattr(encoder, "front", None)
    return front


def _lengths(encoder: Any, hops: Sequence[int]) -> dict[str, Any]:
    """How short and long waveforms are brought to a length that the network takes, and which frames are theirs."""
    name, rate = encoder.settings["name"], encoder.rate
    if name == "whisper":
        whole = encoder.network.made.window
        window = {"longest": whole, "length": whole, "step": whole}
        multiple = hops[0] if encoder.network.mode == "trimmed" else 1
        return {"least": 1, "multiple": multiple, "own": encoder.network.rounding, "window": window}
    shared = lcm(*hops)
    window = {
        "longest": round(LONGEST * rate),
        "length": round(WINDOW * rate),
        "step": round((WINDOW - OVERLAP) * rate) // shared * shared,
    }
    least = encoder.description.least if name == "onnx" else encoder.network.made.shortest
    return {"least": least, "multiple": 1, "own": None, "window": window}
