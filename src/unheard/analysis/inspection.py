"""From a recipe with an encoder to what its layers know, and to what cutting it at the salient one would save."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from unheard import encoders
from unheard.analysis.layers import layers, learned_weights
from unheard.audio.medium import AudioMedium
from unheard.corpora.table import clips
from unheard.encoders.cut import cost
from unheard.encoders.transformer.architecture import Architecture
from unheard.errors import UsageError, first_five
from unheard.extraction.extract import Storage, extract
from unheard.files import write_json
from unheard.inputs import Clip
from unheard.protocols.fold import Protocol
from unheard.recipe_inputs.preparing import Progress, staged
from unheard.recipes.old_recipe import modern
from unheard.recipes.recipe import Recipe
from unheard.report.layers import layers_page
from unheard.runs.folder import Run

#: Clips whose time is taken, with the whole encoder and with the cut one.
TIMED = 4


def inspect(
    recipe: Recipe,
    table: pl.DataFrame,
    protocol: Protocol,
    *,
    fold: int = 0,
    targets: str = "labels",
    run: Run | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Extract the training clips of one fold, and return what each layer knows (:func:`layers`) and saves.

    Parameters
    ----------
    recipe
        Its encoder, channel, threads; the head is not used.
    table, protocol, fold, targets
        As for :func:`layers`.
    run
        A run on the same folds and weights whose head learned layer weights, to compare with the scores.
    out
        Folder that gets ``layers.json`` and ``layers.html``.
    progress, say
        Called as ``progress(stage, done, total)``, and with lines to show.

    Raises
    ------
    UsageError
        The recipe has no encoder, there is no such fold, or the run is of other folds or weights.
    """
    encoder = recipe.inputs[recipe.encoder_input()].encoder or {}
    if not 0 <= fold < len(protocol.folds):
        raise UsageError(f"{protocol.name} has the folds 0-{len(protocol.folds) - 1}, found {fold}")
    if run is not None and run.scores["protocol_hash"] != protocol.hash:
        raise UsageError(f"{run.folder} was run on other folds than {protocol.name} has here")
    rows = table.filter(pl.col("id").is_in(list(protocol.folds[fold].train)))
    listed = clips(rows, recipe.channel)
    stored = extract(
        listed, encoder, Storage(), progress=staged(progress, "layers"), say=say,
        allow_truncated=recipe.allow_truncated,
    )  # fmt: skip
    names, widths = zip(*((layer.name, layer.dims) for layer in stored.layers), strict=True)
    learned = None if run is None else _weights(run, fold, stored.settings)
    stamps = ["RANDOM WEIGHTS"] if encoders.is_random(stored.settings) else []
    found = layers(
        table, protocol, fold, stored.features, names, widths, targets=targets, learned=learned,
        stamps=stamps, threads=recipe.threads, progress=staged(progress, "probes"),
    )  # fmt: skip
    found = {"recipe": recipe.recipe, "encoder": stored.settings, **found, "n_unreadable": len(stored.errors)}
    timed = [clip for clip in listed if clip.id in stored.features][:TIMED]
    layer, last = found["salient"]["layer"], len(stored.layers) - 1
    found["saving"] = saving(stored.settings, layer, last, timed, recipe.allow_truncated)
    if out is not None:
        write_json(Path(out) / "layers.json", found)
        layers_page(found, Path(out) / "layers.html")
    return found


def saving(
    settings: Mapping[str, Any], layer: int, last: int, chosen: Sequence[Clip], allow_truncated: bool
) -> dict[str, Any] | None:
    """Return what cutting the encoder at a layer saves: seconds on some clips, parameters, multiply-adds.

    The last two where the encoder is a network of ours; multiply-adds are of a clip of mean length.

    None at the last layer, and where the weights are not at hand (the store held everything).
    """
    if layer == last or not settings["model"]:
        return None
    whole, cut = (encoders.load({**settings, "cut": top}) for top in (last, layer))
    medium = AudioMedium(whole.rate, settings["trim"], allow_truncated)
    timed = [medium.open(clip) for clip in chosen]
    seconds = {"whole": float("inf"), "cut": float("inf")}
    for _ in range(2):  # the first time warms up
        for name, encoder, top in (("whole", whole, last), ("cut", cut, layer)):
            started = time.perf_counter()
            encoder.extract(timed, [top])
            seconds[name] = min(seconds[name], time.perf_counter() - started)
    found: dict[str, Any] = {"layer": layer, "clips": len(timed)}
    found["seconds"] = {name: round(value, 4) for name, value in seconds.items()}
    network, smaller = (_network(encoder) for encoder in (whole, cut))
    if network is not None:
        found["parameters"] = {"whole": _parameters(network), "cut": _parameters(smaller)}
    architecture = getattr(network, "config", None)
    if isinstance(architecture, Architecture):
        samples = round(sum(map(len, timed)) / len(timed))
        costs = {
            name: cost(architecture, top, samples).multiply_adds
            for name, top in (("whole", last), ("cut", layer))
        }
        found |= {"seconds_of_audio": round(samples / whole.rate, 2), "multiply_adds": costs}
    return found


def _network(encoder: encoders.Encoder) -> Any:
    """Return the torch module; None where the encoder has none."""
    try:
        return encoder.module()
    except UsageError:
        return None


def _parameters(network: Any) -> int:
    return sum(values.numel() for values in network.parameters())


def _weights(run: Run, fold: int, settings: Mapping[str, Any]) -> list[float]:
    """Return the layer weights that the run learned on this fold, if it is of the same weights."""
    inputs = modern(run.config).get("inputs", {})
    theirs = [own["encoder"]["sha256"] for own in inputs.values() if own.get("encoder")]
    if settings["sha256"] not in theirs:
        raise UsageError(
            f"{run.folder} was run with weights of sha256 {first_five(theirs)}, these have {settings['sha256']}"
        )
    return learned_weights(run.folds(), fold)
