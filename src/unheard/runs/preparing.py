"""The inputs of a recipe, clip by clip: features, an encoder's output or waveforms; and the data's digest."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard import encoders, features
from unheard.audio.noise import Noise, Voices
from unheard.corpora.synthetic import crowd
from unheard.corpora.table import table_digest
from unheard.extraction.cache import default_cache
from unheard.extraction.extract import extract as encode
from unheard.extraction.extracted import Stored
from unheard.extraction.features import BadClip, ClipRef, Extracted, extract
from unheard.extraction.storage import Keep
from unheard.files import digest, file_digest
from unheard.inputs import Form
from unheard.runs.input_settings import Input, Speed
from unheard.runs.recipe import Recipe
from unheard.runs.waves import read_waves

#: Arrays of one input by the id of the clip.
Found = Mapping[str, NDArray[np.float32]]
Progress = Callable[[str, int, int], None]
Say = Callable[[str], None]

CROWD = Voices(crowd.NAME, crowd.PEOPLE, crowd.TAKES, crowd.voice)


@dataclass(frozen=True)
class Prepared:
    """What heads learn from.

    Parameters
    ----------
    inputs
        By the name of the input: an array for each clip by id, looked up when it is asked for where it is stored.
    errors
        Clips that lack an input, and why.
    widths
        By the name of the input: dims of each layer, where it comes from an encoder.
    augmented
        By the name of the input: the same clips under each augmentation of the recipe; one that gives nothing then
        is as in ``inputs``.
    """

    inputs: Mapping[str, Found]
    errors: Sequence[BadClip]
    widths: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    augmented: Mapping[str, tuple[Found, ...]] = field(default_factory=dict)


def with_weights(recipe: Recipe) -> Recipe:
    """Return the recipe with its encoders' settings in full, the digests of the weights among them.

    Raises
    ------
    UsageError, DataError, MachineError
        A model cannot be found or read (``unheard.encoders.load``).
    """
    for name, own in recipe.inputs.items():
        if own.encoder is None or (own.encoder["sha256"] and not own.encoder["model"]):
            continue
        wanted = dict(own.encoder)
        if isinstance(own.layer, int):
            wanted["cut"] = own.layer
        recipe = recipe.with_input(name, encoder=encoders.load(wanted).settings)
    return recipe


def read_inputs(
    recipe: Recipe,
    table: pl.DataFrame,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
    say: Say | None = None,
) -> Prepared:
    """Return every input of the recipe for every clip of the table: what is stored, or computed and stored.

    An input whose layer is ``salient`` comes as the pooled statistics that its layer is chosen by; each fold gets
    the frames of its own layer by :func:`of_layers`.
    """
    clips = [ClipRef(*row) for row in table.select("id", "path", "start", "end").iter_rows()]
    report = None if progress is None else lambda done, total: progress("features", done, total)
    options: Any = {"channel": recipe.channel, "allow_truncated": recipe.allow_truncated, "progress": report}
    if recipe.training is not None:
        ((name, own),) = recipe.inputs.items()
        waves, errors = read_waves(clips, (own.encoder or {})["trim"], jobs=jobs, **options)
        return Prepared({name: waves}, errors)
    inputs: dict[str, Found] = {}
    augmented: dict[str, tuple[Found, ...]] = {}
    widths: dict[str, tuple[int, ...]] = {}
    bad: dict[str, BadClip] = {}
    for name, own in recipe.inputs.items():
        read = _reader(recipe, name, clips, jobs, say, options)
        found = read()
        inputs[name] = found.features
        bad = {clip.id: clip for clip in found.errors} | bad
        if isinstance(found, Stored):
            widths[name] = found.widths
        several = []
        for what, how in augmentations(own):
            if say is not None:
                say(what)
            several.append(ChainMap(read(**how).features, found.features))  # type: ignore[arg-type]
        if several:
            augmented[name] = tuple(several)
    return Prepared(inputs, list(bad.values()), widths, augmented)


def _reader(
    recipe: Recipe,
    name: str,
    clips: Sequence[ClipRef],
    jobs: int,
    say: Say | None,
    options: Mapping[str, Any],
) -> Callable[..., Stored | Extracted]:
    """Return what reads one input: called with the options of an augmentation, or without any."""
    own = recipe.inputs[name]
    if own.encoder is not None:
        return partial(encode, clips, own.encoder, storage_of(recipe, name), say=say, **options)
    spec = features.build(own.features or {})
    return partial(extract, clips, spec, cache=default_cache(), jobs=jobs, **options)


def of_layers(recipe: Recipe, layers: Mapping[str, int]) -> Recipe:
    """Return the recipe with some inputs on the layer of this number, their encoders cut there."""
    for name, layer in layers.items():
        recipe = recipe.with_input(
            name, layer=layer, encoder={**(recipe.inputs[name].encoder or {}), "cut": layer}
        )
    return recipe


def storage_of(recipe: Recipe, name: str) -> Keep:
    """Return what of an encoder's output is stored for the recipe's heads."""
    own, form = recipe.inputs[name], recipe.form(name)
    if form is Form.POOLED or own.layer == "salient":
        return Keep("pooled")
    average = 1 if own.storage is None else own.storage.average
    kind = None if own.storage is None else own.storage.type
    if form is Form.LAYERS:
        return Keep("frames", None, kind or "int8", average)
    last: int = own.layer if isinstance(own.layer, int) else (own.encoder or {})["cut"]
    return Keep("frames", (last,), kind or "float16", average)


def augmentations(own: Input) -> list[tuple[str, dict[str, Any]]]:
    """Return how training clips are augmented: what to say of each, and the options of an extraction."""
    made: list[tuple[str, dict[str, Any]]] = []
    noises = 0
    for one in own.augment:
        if isinstance(one, Speed):
            made.append((f"at {one.speed:g} times the speed:", {"speed": one.speed}))
            continue
        low, high = one.snr
        what = "coloured noise" if one.noise == "coloured" else "a babble of synthetic voices"
        # A person who babbles in training must not be one whom a fold tests: these are nobody.
        voices = CROWD if one.noise == "babble" else None
        noise = Noise(one.noise, low, high, noises, voices)
        made.append((f"in {what}, {low:g} to {high:g} dB:", {"noise": noise}))
        noises += 1
    return made


def data_digest(table: pl.DataFrame) -> str:
    """SHA-256 over the rows and the content of their files, wherever these lie."""
    content: dict[str, str | None] = {}
    for path in table["path"].unique():
        try:
            content[path] = file_digest(path)
        except OSError:
            content[path] = None  # missing files are in errors.jsonl; here they are only different
    files = {i: content[path] for i, path in table.select("id", "path").iter_rows()}
    return digest({"table": table_digest(table), "files": files})
