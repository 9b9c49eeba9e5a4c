"""``golden.npz``: synthetic waves, and words, with the inputs and outputs that they gave when the bundle was made.

Arrays, for K waves: ``wave_k`` (n,) int16 at 16 kHz (value / 32768), ``NAME.k`` float32 for each input: what is
computed from it, and ``outputs`` (K, columns) float64. A bundle that adapts to speakers has ``known`` (K, columns)
too: the outputs where all K waves are known to be of one speaker. A bundle that takes words has ``words_k``
(bytes,) uint8: the turns of each as JSON, ``[[speaker or null, text], …]``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.bundle.adaptation import FILE as ADAPTATION_FILE
from unheard.bundle.words import turns_of
from unheard.errors import BundleError, UsageError
from unheard.formats import json_text
from unheard.formats.arrays import Archive
from unheard.inputs import Turn

if TYPE_CHECKING:
    from unheard.bundle.predictor import Predictor

FILE = "golden.npz"
#: Bytes of all arrays when those of a kind are padded to the longest; arrays; waves; seconds of all waves.
MAX_BYTES, MAX_ARRAYS, MAX_WAVES, MAX_SECONDS = 2**26, 1000, 16, 20
#: Largest difference of an output z that is still the same model, times max(1, |z|).
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Golden:
    """What a bundle must reproduce.

    Parameters
    ----------
    waves
        Waveforms at 16 kHz.
    inputs
        The inputs of each by name, before they are standardised by speaker.
    outputs
        The outputs of each, where nothing is known of the speaker.
    known
        The outputs of each, where all waves are known to be one speaker's; None of a bundle that does not adapt.
    turns
        What was said in each; none of a bundle that takes no words.
    """

    waves: tuple[NDArray[np.float32], ...]
    inputs: tuple[Mapping[str, NDArray[np.float32]], ...]
    outputs: NDArray[np.float64]
    known: NDArray[np.float64] | None = None
    turns: tuple[tuple[Turn, ...], ...] = ()


def unpack(data: bytes, names: Iterable[str], *, words: bool = False) -> Golden:
    """Read ``golden.npz`` for the inputs of these names; with the turns of each wave where there are ``words``.

    Raises
    ------
    BundleError
        What cannot be read, holds other arrays than it should, or values that are not finite.
    """
    arrays = read_arrays(data)
    count = sum(name.startswith("wave_") for name in arrays)
    try:
        waves = [arrays[f"wave_{k}"] for k in range(count)]
        inputs = [{name: arrays[f"{name}.{k}"] for name in names} for k in range(count)]
        turns = [_turns(arrays[f"words_{k}"]) for k in range(count)] if words else []
        return replace(checked(waves, inputs, arrays["outputs"], arrays.get("known")), turns=tuple(turns))
    except KeyError as error:
        raise BundleError(f"golden.npz lacks the array {error}") from error


def read_arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """Read all arrays; nothing is unpickled, and all sizes are looked at before anything is unpacked.

    Raises
    ------
    BundleError
        No such file, or one of more than the bounds above.
    """
    archive = Archive(data, FILE, BundleError, MAX_BYTES)
    sizes: defaultdict[str, list[int]] = defaultdict(list)
    for name, head in archive.heads.items():
        sizes[name.rstrip("0123456789")].append(head.size)
    padded = sum(len(each) * max(each) for each in sizes.values())
    waves = sizes["wave_"]
    # They are of 16 bits.
    if len(archive.heads) > MAX_ARRAYS or len(waves) > MAX_WAVES or sum(waves) > 2 * RATE * MAX_SECONDS:
        raise BundleError(
            f"{FILE} holds {len(archive.heads)} arrays, {len(waves)} waves among them of {sum(waves)} bytes; "
            f"expected at most {MAX_ARRAYS}, {MAX_WAVES} and those of {MAX_SECONDS} s"
        )
    if padded > MAX_BYTES:
        raise BundleError(
            f"{FILE}: {padded} bytes when all are padded to the longest, expected at most {MAX_BYTES}"
        )
    return {name: archive[name] for name in archive.heads}


def _turns(array: NDArray[Any]) -> tuple[Turn, ...]:
    """Read the turns of one wave."""
    if array.ndim != 1 or array.dtype != np.uint8:
        raise BundleError(
            f"golden.npz: words are {array.dtype} of shape {array.shape}, expected (bytes,) of uint8"
        )
    plain = json_text.parse(array.tobytes(), f"{FILE}: words", BundleError)
    fits = isinstance(plain, list) and plain and all(isinstance(turn, list) for turn in plain)
    try:
        turns = turns_of([tuple(turn) for turn in plain]) if fits else ()
    except UsageError as error:
        raise BundleError(f"{FILE}: words: {error}") from error
    if not turns:
        raise BundleError(f"{FILE}: words are {plain!r:.60}, expected turns [speaker or null, text]")
    return turns


def checked(
    waves: Sequence[NDArray[Any]],
    inputs: Sequence[Mapping[str, NDArray[Any]]],
    outputs: NDArray[Any],
    known: NDArray[Any] | None = None,
) -> Golden:
    """Return what was stored, its kinds, axes and values checked."""
    values: list[NDArray[Any]] = [x for clip in inputs for x in clip.values()]
    given = [outputs] if known is None else [outputs, known]
    fits = (
        len(waves) > 0
        and all(wave.ndim == 1 and wave.dtype == np.int16 and wave.size for wave in waves)
        and all(x.ndim in (1, 2, 3) and x.dtype == np.float32 and np.isfinite(x).all() for x in values)
        and all(
            each.ndim == 2
            and each.shape == (len(waves), *outputs.shape[1:])
            and each.dtype == np.float64
            and np.isfinite(each).all()
            for each in given
        )
    )
    if not fits:
        raise BundleError(
            f"golden.npz holds arrays of shapes {[array.shape for array in (*waves, *values, *given)]}; expected "
            "waves (n,) of int16, inputs of 1 to 3 axes of float32 and outputs (waves, columns) of float64, all "
            "finite"
        )
    floats = tuple(np.asarray(wave / 32768, dtype=np.float32) for wave in waves)
    return Golden(floats, tuple(inputs), outputs, known)


def difference(found: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    """Return the largest difference of outputs, relative to max(1, |expected|); or infinity."""
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    return float((np.abs(found - expected) / np.maximum(1, np.abs(expected))).max())


def check(bundle: Predictor, stored: Golden) -> None:
    """Refuse a graph, or inputs, that give other outputs here than where the bundle was made.

    Raises
    ------
    BundleError
        The message says which of the files differs, and by how much.
    """
    columns = bundle.description.target.width
    if stored.outputs.shape[1] != columns:
        raise BundleError(
            f"golden.npz has {stored.outputs.shape[1]} outputs, and the target {columns} columns"
        )
    bundle.check_inputs(stored.inputs, FILE)
    far = difference(bundle.outputs(stored.inputs), stored.outputs)
    if far > TOLERANCE:
        raise BundleError(
            f"model.onnx differs from its golden outputs by {far:.2g}, more than {TOLERANCE:g}; "
            "it is not the model that was exported"
        )
    adapts = bool(bundle.description.adaptation)
    if adapts == (stored.known is None):
        raise BundleError(
            f"golden.npz has {'no' if adapts else 'an'} array 'known', and bundle.json says that the bundle "
            f"{'adapts' if adapts else 'does not adapt'} to speakers"
        )
    if stored.known is not None:
        far = difference(bundle.outputs_knowing(stored.inputs), stored.known)
        if far > TOLERANCE:
            raise BundleError(
                f"knowing the speaker, the outputs differ from the golden ones by {far:.2g}, more than "
                f"{TOLERANCE:g}; {ADAPTATION_FILE} is not the one that was exported"
            )
    far = difference(bundle.outputs(bundle.inputs(stored.waves, stored.turns)), stored.outputs)
    if far > TOLERANCE:
        raise BundleError(
            f"the features computed here change the outputs by {far:.2g}, more than {TOLERANCE:g}; they "
            "are not those that the bundle was made with: export it again with what is installed here"
        )
