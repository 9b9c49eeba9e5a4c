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

from unheard import features
from unheard.audio.medium import AudioMedium
from unheard.audio.noise import KINDS, Noise, Voices
from unheard.corpora.synthetic import crowd
from unheard.corpora.table import clips, table_digest
from unheard.encoders import LazyEncoder
from unheard.errors import DataError, UsageError
from unheard.extraction.extracted import BadClip
from unheard.extraction.storage import Storage
from unheard.files import FileDigests, digest, file_digest
from unheard.inputs import Form
from unheard.recipe_inputs.indexes import Indexes
from unheard.recipes.input_settings import Changed, Input, Speed
from unheard.recipes.recipe import Recipe

#: Arrays of one input by the id of the clip.
Found = Mapping[str, NDArray[np.float32]]
Progress = Callable[[str, int, int], None]
Say = Callable[[str], None]
#: Encoders by the name of the input.
Encoders = Mapping[str, LazyEncoder]

CROWD = Voices(crowd.NAME, crowd.PEOPLE, crowd.TAKES, crowd.voice)


@dataclass(frozen=True)
class Prepared:
    """What heads learn from.

    Parameters
    ----------
    inputs
        Arrays by clip id, by the name of the input; a stored array is read when it is asked for.
    errors
        Clips without one of the inputs, and why.
    widths
        Dims of each layer, by the name of an input with an encoder.
    augmented
        The same clips under each augmentation of the recipe, by the name of the input; a clip of which nothing
        can be computed then is as in ``inputs``.
    """

    inputs: Mapping[str, Found]
    errors: Sequence[BadClip]
    widths: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    augmented: Mapping[str, tuple[Found, ...]] = field(default_factory=dict)


def staged(progress: Progress | None, stage: str) -> Callable[[int, int], None] | None:
    """Return a function of (done, total) that calls ``progress`` with the stage; None without ``progress``."""
    return None if progress is None else partial(progress, stage)


def loaded(recipe: Recipe) -> tuple[Recipe, Encoders]:
    """Return the recipe with complete settings of its encoders, digests of weights included, and the encoders.

    Inputs of the same encoder share it.

    Raises
    ------
    UsageError, DataError, MachineError
        A model cannot be found or read (``unheard.encoders.load``).
    """
    found: dict[str, LazyEncoder] = {}
    shared: dict[str, LazyEncoder] = {}
    for name, own in recipe.inputs.items():
        if own.encoder is None:
            continue
        wanted = dict(own.encoder)
        if isinstance(own.layer, int):
            wanted["cut"] = own.layer
        encoder = found[name] = shared.setdefault(digest(wanted), LazyEncoder(wanted))
        if own.encoder["sha256"] and not own.encoder["model"]:
            continue  # stored output of these weights can be used without the weights
        encoder.load()
        recipe = recipe.with_input(name, encoder=encoder.settings)
    return recipe, found


def read_inputs(
    recipe: Recipe,
    table: pl.DataFrame,
    *,
    encoders: Encoders | None = None,
    indexes: Indexes | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
    say: Say | None = None,
) -> Prepared:
    """Return every input of the recipe for every clip of the table, computing what is not stored.

    An input whose layer is ``salient`` has the pooled statistics by which its layer is chosen; each fold gets
    the frames of its own layer by :func:`of_layers`.

    Parameters
    ----------
    encoders
        Encoders that :func:`loaded` returned, if there are any.
    indexes
        Indexes in which extracted features are listed for other processes, or found by these; None for neither.
    """
    every = clips(table, recipe.channel)
    report = staged(progress, "features")
    indexes = indexes or Indexes(None)
    options: dict[str, Any] = {"allow_truncated": recipe.allow_truncated}
    if recipe.training is not None:
        ((name, own),) = recipe.inputs.items()
        medium = AudioMedium(trim=(own.encoder or {})["trim"], **options)
        waves, errors = indexes.waves(every, medium, jobs=jobs, progress=report)
        return Prepared({name: waves}, errors)
    options |= {"progress": report, "digests": FileDigests()}
    inputs: dict[str, Found] = {}
    augmented: dict[str, tuple[Found, ...]] = {}
    widths: dict[str, tuple[int, ...]] = {}
    bad: dict[str, BadClip] = {}
    for name, own in recipe.inputs.items():
        if own.transcript != "owner":
            listed = clips(table, recipe.channel, transcript=own.transcript)
            if all(clip.turn is None for clip in listed):
                raise DataError(
                    f"inputs.{name}.transcript is 'recognized', and the table has no recognised words; "
                    "`unheard transcribe` adds them"
                )
        else:
            listed = every
        more = {**options, "transcript": own.transcript}
        if own.context:
            more["context"] = own.context
        if own.encoder is not None:
            encoder = (encoders or {}).get(name) or LazyEncoder(own.encoder)
            if own.context and encoder.medium not in ("text", None):
                raise UsageError(
                    f"inputs.{name}.context is for words, and the encoder takes {encoder.medium}"
                )
            read = partial(indexes.extract, listed, encoder, storage_of(recipe, name), say=say, **more)
        else:
            spec = features.build(own.features or {})
            read = partial(indexes.extract, listed, spec, None, jobs=jobs, **more)
        found = read()
        inputs[name] = found.features
        bad = {clip.id: clip for clip in found.errors} | bad
        if own.encoder is not None:
            widths[name] = tuple(layer.dims for layer in found.layers)
        several: list[Found] = []
        for what, how in augmentations(own):
            if say is not None:
                say(what)
            several.append(ChainMap(read(**how).features, found.features))  # type: ignore[arg-type]
        if several:
            augmented[name] = tuple(several)
    if recipe.takes_missing:
        # A clip that has one of the inputs is answered.
        bad = {i: clip for i, clip in bad.items() if not any(i in found for found in inputs.values())}
    return Prepared(inputs, list(bad.values()), widths, augmented)


def of_layers(recipe: Recipe, layers: Mapping[str, int]) -> Recipe:
    """Return the recipe with some inputs on the layer of this number, their encoders cut there."""
    for name, layer in layers.items():
        recipe = recipe.with_input(
            name, layer=layer, encoder={**(recipe.inputs[name].encoder or {}), "cut": layer}
        )
    return recipe


def storage_of(recipe: Recipe, name: str) -> Storage:
    """Return how an encoder's output is stored for the recipe's heads."""
    own, form = recipe.inputs[name], recipe.form(name)
    if form is Form.POOLED or own.layer == "salient":
        return Storage(Form.POOLED)
    average = 1 if own.storage is None else own.storage.average
    kind = None if own.storage is None else own.storage.type
    if form is Form.LAYERS:
        return Storage(Form.LAYERS, None, kind or "int8", average)
    last: int = own.layer if isinstance(own.layer, int) else (own.encoder or {})["cut"]
    return Storage(Form.FRAMES, (last,), kind or "float16", average)


def augmentations(own: Input) -> list[tuple[str, dict[str, Any]]]:
    """Return the augmentations of training clips: a line to show and the options of an extraction for each."""
    made: list[tuple[str, dict[str, Any]]] = []
    noises = 0
    for one in own.augment:
        if isinstance(one, Speed):
            made.append((f"at {one.speed:g} times the speed:", {"speed": one.speed}))
            continue
        if isinstance(one, Changed):
            low, high = one.level
            unit = getattr(KINDS[one.condition], "unit", "")
            noise = Noise(one.condition, low, high, noises)
            made.append((f"under {one.condition}, {low:g} to {high:g} {unit}:", {"noise": noise}))
            noises += 1
            continue
        low, high = one.snr
        what = "a babble of synthetic voices" if one.noise == "babble" else f"{one.noise} noise"
        # Nobody who babbles in training may be a test speaker of a fold, so the voices are synthetic.
        voices = CROWD if one.noise == "babble" else None
        noise = Noise(one.noise, low, high, noises, voices)
        made.append((f"in {what}, {low:g} to {high:g} dB:", {"noise": noise}))
        noises += 1
    return made


def data_digest(table: pl.DataFrame) -> str:
    """Return the SHA-256 over the rows and the content of their files, independent of their paths."""
    content: dict[str, str | None] = {}
    for path in table["path"].unique():
        try:
            content[path] = file_digest(path)
        except OSError:
            content[path] = None  # errors.jsonl lists the missing files
    files = {i: content[path] for i, path in table.select("id", "path").iter_rows()}
    return digest({"table": table_digest(table), "files": files})
