"""``adaptation.npz``: what is usual of the training speakers, by which adapted inputs are standardised.

Arrays, for each input that ``bundle.json`` names under ``adaptation``: ``NAME.mean`` and ``NAME.variance``
float64, in the shape of a clip's row, of its pooled layers, or of one frame (:mod:`unheard.adaptation.profile`).
Where nothing is known of a speaker these themselves are taken; the speaker's clips draw them towards that voice.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from unheard.adaptation.profile import Moments, Population, Priors, Profile, profile, sum_of
from unheard.bundle.head import Inputs
from unheard.bundle.schema import Description, Input, to_plain
from unheard.errors import BundleError, DataError
from unheard.files import digest
from unheard.formats.arrays import Archive
from unheard.inputs import Form

FILE = "adaptation.npz"
#: Values of an input that a mean and a variance are kept of.
MAX_VALUES = 2**18
#: Nothing that is measured of a voice lies further from zero; squares of it are still finite.
MAX_MEAN, MAX_VARIANCE = 1e15, 1e30


@dataclass(frozen=True)
class AdaptedInput:
    """One input, and what it is standardised by where nothing is known of the speaker."""

    around: Population
    priors: Priors
    form: Form


class Adaptation:
    """How the inputs of a bundle are standardised by speaker; of a bundle that does not adapt, not at all.

    Parameters
    ----------
    inputs
        The inputs that are standardised, by name; the others are left as they are.
    fingerprint
        Digest of all that the sums over a speaker's clips depend on: a profile fits bundles of the same one.
    """

    def __init__(self, inputs: Mapping[str, AdaptedInput], fingerprint: str = "") -> None:
        self.inputs, self.fingerprint = dict(inputs), fingerprint
        self._nobody = self.profiles(self.sums([]))

    def sums(self, clips: Iterable[Inputs]) -> dict[str, Moments]:
        """Return the sums over the clips of one speaker, by input; of no clips all are zero."""
        listed = list(clips)
        return {
            name: sum_of((clip[name] for clip in listed), each.around, each.form)
            for name, each in self.inputs.items()
        }

    def profiles(self, known: Mapping[str, Moments]) -> dict[str, Profile]:
        """Return by what each input of a speaker is standardised, of whom these sums are known.

        Raises
        ------
        DataError
            The sums are of other inputs, or of other shapes.
        """
        shapes = {name: each.around.mean.shape for name, each in self.inputs.items()}
        found = {name: each.total.shape for name, each in known.items()}
        if found != shapes:
            raise DataError(f"the voice profile is of {found!r:.300}, and the model adapts {shapes!r:.300}")
        return {name: profile(known[name], each.around, each.priors) for name, each in self.inputs.items()}

    def check(self, clip: Inputs, where: str) -> None:
        """Refuse the inputs of a clip whose shapes are not those that are adapted; ``where`` they are from.

        Raises
        ------
        BundleError
            The message names the input and both shapes.
        """
        for name, each in self.inputs.items():
            shape, mean = clip[name].shape, each.around.mean.shape
            of_a_frame = (*shape[:-2], *shape[-1:]) if len(shape) > len(mean) else shape
            if mean and of_a_frame != mean:
                raise BundleError(
                    f"{where}: the input {name!r} is of shape {shape}, and {FILE} adapts {mean}"
                )

    def standardised(self, clip: Inputs, profiles: Mapping[str, Profile] | None = None) -> Inputs:
        """Return the inputs of a clip as the head takes them; without profiles nothing is known of the speaker."""
        if not self.inputs:
            return clip
        return {**clip, **{name: own.apply(clip[name]) for name, own in (profiles or self._nobody).items()}}


def unpack(files: Mapping[str, bytes], description: Description) -> Adaptation:
    """Read ``adaptation.npz`` among the files of a bundle.

    Parameters
    ----------
    files
        File name to bytes, graphs among them.
    description
        Description of the bundle.

    Raises
    ------
    BundleError
        The file is there and nothing is adapted, or the other way round; arrays that are not what is described.
    """
    expected = {f"{name}.{kind}" for name in description.adaptation for kind in ("mean", "variance")}
    if not expected:
        if FILE in files:
            raise BundleError(f"{FILE} is there, and bundle.json names no input under 'adaptation'")
        return Adaptation({})
    if FILE not in files:
        raise BundleError(f"{FILE} is missing, and bundle.json names inputs under 'adaptation'")
    archive = Archive(files[FILE], FILE, BundleError, 2**26)
    if archive.heads.keys() != expected:
        raise BundleError(f"{FILE} holds {sorted(archive.heads)!r:.300}, expected {sorted(expected)!r:.300}")
    adapted = {}
    for name, priors in description.adaptation.items():
        each = description.inputs[name]
        mean = _array(archive, f"{name}.mean", each, -MAX_MEAN, MAX_MEAN)
        variance = _array(archive, f"{name}.variance", each, 0.0, MAX_VARIANCE)
        adapted[name] = AdaptedInput(Population(mean, variance), priors, each.form)
    return Adaptation(adapted, _fingerprint(files, description))


def shape_of(each: Input) -> tuple[int, ...]:
    """Return the shape of what is kept of an input: that of a clip's array, of frames that of one frame."""
    return tuple(size for size in each.shape if isinstance(size, int))


def _array(archive: Archive, name: str, each: Input, low: float, high: float) -> np.ndarray:
    head, shape = archive.heads[name], shape_of(each)
    if head.dtype != np.float64 or head.shape != shape or math.prod(shape) > MAX_VALUES:
        raise BundleError(
            f"{FILE}: {name} is {head.dtype} of shape {head.shape}, expected float64 of shape {shape} and at most "
            f"{MAX_VALUES} values"
        )
    array = archive[name]
    if not ((array >= low) & (array <= high)).all():
        raise BundleError(f"{FILE}: {name} has values outside {low:g} … {high:g}")
    return np.ascontiguousarray(array)


def _fingerprint(files: Mapping[str, bytes], description: Description) -> str:
    described = to_plain(description)
    computes = [name for name in files if name.endswith(".onnx") and name != "model.onnx"]
    return digest(
        {
            "inputs": {name: described["inputs"][name] for name in description.adaptation},
            "adaptation": described["adaptation"],
            "files": {name: hashlib.sha256(files[name]).hexdigest() for name in [FILE, *computes]},
        }
    )
