"""From a loaded encoder to what a bundle holds of it: its graph, and how it is described.

The graph gives the layers that are needed and computes nothing above the highest of them. Nothing of the machine
that made it stays in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm
from pathlib import Path
from typing import Any

from unheard.bundle.encoder_schema import EncoderDescription, NetworkDescription
from unheard.bundle.text_schema import TextEncoderDescription
from unheard.encoders.contract import Encoder
from unheard.errors import UsageError, need
from unheard.onnx_graphs.surgery import parameters, strip

#: The largest protobuf message, and so the largest graph in one file.
MAX_BYTES = 2**31 - 1


def frozen(
    encoder: Encoder, layers: Sequence[int], needed: Sequence[int], average: int = 1
) -> tuple[EncoderDescription, bytes]:
    """Return the description of an encoder in a bundle, and its graph.

    Parameters
    ----------
    encoder
        Loaded.
    layers
        Numbers of the encoder's layers that the head takes.
    needed
        Those of them that it uses.
    average
        Number of neighbouring frames that are averaged.

    Raises
    ------
    UsageError
        Where no graph is known for this encoder, or it is too large for a file.
    """
    made = encoder.export(sorted(needed))
    model = made.graph
    strip(model)
    hops = tuple(encoder.hop(k) for k in layers)
    described = EncoderDescription(
        **_of_any(encoder, model, layers, needed, average),
        rate=encoder.rate,
        min_samples=made.shortest,
        trim=encoder.settings["trim"],
        standardise=made.standardise,
        frontend=made.frontend,
        hops=hops,
        multiple=made.multiple,
        own=made.own,
        window={**made.window, "step": made.window["step"] // lcm(*hops) * lcm(*hops)},
    )
    return described, _bytes(model, described)


def frozen_words(
    encoder: Encoder, layers: Sequence[int], needed: Sequence[int], average: int = 1, context: int = 0
) -> tuple[TextEncoderDescription, bytes, bytes]:
    """Return the description of an encoder of words, its graph, and its tokenizer.

    ``context`` turns before a clip's own are read with it; the rest is as of :func:`frozen`.
    """
    made = encoder.export_words(sorted(needed))
    strip(made.graph)
    joining = made.joining
    described = TextEncoderDescription(
        **_of_any(encoder, made.graph, layers, needed, average),
        before=joining.before,
        between=joining.between,
        after=joining.after,
        longest=joining.longest,
        context=context,
    )
    return described, _bytes(made.graph, described), made.tokenizer


def _of_any(
    encoder: Encoder, model: Any, layers: Sequence[int], needed: Sequence[int], average: int
) -> dict[str, Any]:
    """Return what is said of a network whatever it takes."""
    settings, top = encoder.settings, max(needed)
    return {
        "name": str(settings["name"]),
        "source": source_of(encoder),
        "sha256": str(settings["sha256"]),
        "weights": str(settings["weights"]),
        "licence": encoder.source.licence,
        "parameters": parameters(model),
        "cut": top if top < len(encoder.layers) - 1 else settings["cut"],
        "layers": tuple(encoder.layers[k].name for k in layers),
        "widths": tuple(encoder.layers[k].dims for k in layers),
        "needed": tuple(list(layers).index(k) for k in needed),
        "average": average,
    }


def _bytes(model: Any, described: NetworkDescription) -> bytes:
    """Return the bytes of a checked graph."""
    onnx = need("onnx", "eval")
    onnx.checker.check_model(model)
    if model.ByteSize() > MAX_BYTES:
        raise UsageError(
            f"the encoder {described.source} has {described.parameters / 1e6:.0f} million parameters, more than "
            "one file holds (2 GiB); cut it (encoder.cut)"
        )
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def source_of(encoder: Encoder) -> str:
    """Return the name of the weights: the one that their owner asks for, a hub name, or that of a file."""
    named = encoder.source.attribution
    model = str(encoder.settings["model"])
    place = Path(model)
    local = place.is_absolute() or place.exists()
    return str(
        named or (place.name if local else model) or f"{encoder.settings['name']}, no published weights"
    )
