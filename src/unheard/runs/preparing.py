"""What heads learn from, clip by clip: features, an encoder's output or waveforms; and the data's digest."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard import encoders, features
from unheard.audio.noise import Noise, Voices
from unheard.corpora.synthetic import crowd
from unheard.corpora.table import table_digest
from unheard.encoders.contract import beside_settings
from unheard.extraction.cache import default_cache
from unheard.extraction.extract import extract as encode
from unheard.extraction.features import BadClip, ClipRef, extract
from unheard.extraction.storage import Keep
from unheard.files import digest, file_digest
from unheard.inputs import Form
from unheard.runs.recipe import Recipe
from unheard.runs.waves import read_waves

Found = Mapping[str, NDArray[np.float32]]
Progress = Callable[[str, int, int], None]
Say = Callable[[str], None]

#: Name of the input that speech encoders and audio features give.
VOICE = "voice"
CROWD = Voices(crowd.NAME, crowd.PEOPLE, crowd.TAKES, crowd.voice)


@dataclass(frozen=True)
class Prepared:
    """What heads learn from.

    Parameters
    ----------
    inputs
        For each input an array for each clip by id, looked up when it is asked for where it lies in a store.
    errors
        Clips that give nothing, and why.
    widths
        Dims of each layer of an encoder; none for features and waveforms.
    augmented
        For each input, and each speed and noise of the recipe: the same clips under it; one that gives nothing
        then is as in ``inputs``.
    """

    inputs: Mapping[str, Found]
    errors: Sequence[BadClip]
    widths: tuple[int, ...] = ()
    augmented: Mapping[str, tuple[Found, ...]] = field(default_factory=dict)


class _Derived(Mapping[str, NDArray[np.float32]]):
    """Features of which each clip is turned into something else when it is asked for."""

    def __init__(self, found: Found, turn: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> None:
        self._found, self._turn = found, turn

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return self._turn(self._found[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, name: object) -> bool:
        return name in self._found


def named_inputs(
    recipe: Recipe, clips: Sequence[NDArray[np.float32]]
) -> dict[str, list[NDArray[np.float32]]]:
    """Return computed clips by the name of the input."""
    if recipe.encoder is None or recipe.encoder["beside"] is None:
        return {VOICE: list(clips)}
    width = clips[0].shape[-1] - len(features.build(beside_settings(recipe.encoder["beside"])).names)
    found = _two_inputs({str(number): clip for number, clip in enumerate(clips)}, width)
    return {name: list(each.values()) for name, each in found.items()}


def _two_inputs(found: Found, width: int) -> dict[str, Found]:
    """Return the frames of an encoder, and the row of features that stands behind the dims of each."""
    return {
        VOICE: _Derived(found, lambda clip: clip[:, :width]),
        "functionals": _Derived(found, lambda clip: clip[0, width:]),
    }


def with_weights(recipe: Recipe) -> Recipe:
    """Return the recipe with its encoder's settings in full, the digest of the weights among them.

    Raises
    ------
    UsageError, DataError, MachineError
        The model cannot be found or read (``unheard.encoders.load``).
    """
    if recipe.encoder is None or (recipe.encoder["sha256"] and not recipe.encoder["model"]):
        return recipe
    wanted = dict(recipe.encoder)
    if isinstance(recipe.layer, int):
        wanted["cut"] = recipe.layer
    return recipe.model_copy(update={"encoder": encoders.load(wanted).settings})


def read_features(
    recipe: Recipe,
    table: pl.DataFrame,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
    say: Say | None = None,
) -> Prepared:
    """Return what the recipe's head learns from, for every clip of the table: what is kept, or computed and kept.

    A recipe whose layer is ``salient`` gets the pooled statistics that its layers are chosen by, and each fold its
    frames by :func:`of_layer`.
    """
    clips = [ClipRef(*row) for row in table.select("id", "path", "start", "end").iter_rows()]
    report = None if progress is None else lambda done, total: progress("features", done, total)
    options: Any = {"channel": recipe.channel, "allow_truncated": recipe.allow_truncated}
    if recipe.training is not None:
        waves, errors = read_waves(
            clips, (recipe.encoder or {}).get("trim"), jobs=jobs, progress=report, **options
        )
        return Prepared({VOICE: waves}, errors)
    if recipe.encoder is not None:
        found = encode(clips, recipe.encoder, keep_of(recipe), progress=report, say=say, **options)
        variants: list[Mapping[str, NDArray[np.float32]]] = []
        for how, heard in ways_of(recipe):
            if say is not None:
                say(how)
            other = encode(
                clips, recipe.encoder, keep_of(recipe), progress=report, say=say, **options, **heard
            )
            variants.append(ChainMap(other.features, found.features))  # type: ignore[arg-type]
        inputs: dict[str, Found] = {VOICE: found.features}
        augmented = {VOICE: tuple(variants)}
        if recipe.encoder["beside"] is not None:
            width = found.widths[-1] - len(features.build(beside_settings(recipe.encoder["beside"])).names)
            inputs = _two_inputs(found.features, width)
            both = [_two_inputs(clips, width) for clips in variants]
            augmented = {name: tuple(each[name] for each in both) for name in inputs}
        return Prepared(inputs, found.errors, found.widths, augmented if variants else {})
    assert recipe.features is not None
    computed = extract(
        clips, features.build(recipe.features), cache=default_cache(), jobs=jobs, progress=report, **options
    )
    return Prepared({VOICE: computed.features}, computed.errors)


def of_layer(recipe: Recipe, layer: int) -> Recipe:
    """Return the recipe on one entry, its encoder cut there."""
    assert recipe.encoder is not None
    return recipe.model_copy(update={"layer": layer, "encoder": {**recipe.encoder, "cut": layer}})


def keep_of(recipe: Recipe) -> Keep:
    """Return what of the encoder's output is kept for the recipe's head."""
    assert recipe.encoder is not None
    if recipe.form is Form.POOLED or recipe.layer == "salient":
        return Keep("pooled")
    store = recipe.store
    average = 1 if store is None else store.average
    kind = None if store is None else store.type
    if recipe.form is Form.LAYERS:
        return Keep("frames", None, kind or "int8", average)
    last: int = recipe.layer if isinstance(recipe.layer, int) else recipe.encoder["cut"]
    return Keep("frames", (last,), kind or "float16", average)


def ways_of(recipe: Recipe) -> list[tuple[str, dict[str, Any]]]:
    """Return how else clips are heard in training: what to say of it, and options of ``encoders.extract``."""
    ways: list[tuple[str, dict[str, Any]]] = [
        (f"at {speed:g} times the speed:", {"speed": speed}) for speed in recipe.speeds
    ]
    for number, noise in enumerate(recipe.noises):
        least, most = noise.snr
        name = "coloured noise" if noise.kind == "coloured" else "synthetic voices"
        # A person who babbles in training must not be one whom a fold tests: these are nobody.
        voices = CROWD if noise.kind == "voices" else None
        heard = {"noise": Noise(noise.kind, least, most, number, voices)}
        ways.append((f"in {name}, {least:g} to {most:g} dB:", heard))
    return ways


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
