"""eGeMAPS and ComParE through openSMILE, whose licence allows non-commercial use only (the extra ``lld``).

- ``egemaps``: eGeMAPSv02, 88 functionals (Eyben et al., IEEE Trans. Affective Computing 7(2), 2016).
- ``compare``: ComParE_2016, 6,373 functionals (Schuller et al., Interspeech 2016; Weninger et al. 2013).
- ``egemaps_lld``, ``compare_lld``: the low-level descriptors that these are statistics of, 25 and 65, every 10 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.errors import need
from unheard.features.contract import Spec
from unheard.features.frames import checked
from unheard.inputs import Source

SETS = {
    "egemaps": "eGeMAPSv02",
    "compare": "ComParE_2016",
    "egemaps_lld": "eGeMAPSv02",
    "compare_lld": "ComParE_2016",
}
#: openSMILE's longest windows (60 ms, with deltas over several) give nothing for shorter clips.
SHORTEST = RATE // 2


class OpenSmile(Spec):
    """What the openSMILE feature set gives that :data:`SETS` has under the name."""

    code_version: ClassVar[int] = 1

    @property
    def version(self) -> str:
        """Version of openSMILE: another one may give other numbers."""
        return str(need("opensmile", "lld").__version__)

    @property
    def source(self) -> Source:
        """The licence of openSMILE."""
        return Source(
            "openSMILE by audEERING: non-commercial use only, unless they license more", "openSMILE"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the dimensions, openSMILE's own."""
        return tuple(_smile(self.name).feature_names)

    def compute(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (dims,), or (frames, dims), of a waveform (n,) at 16 kHz.

        Clips below 0.5 s are padded with zeros at the end.
        """
        samples = checked(wave).astype(np.float32)
        padded = np.pad(samples, (0, max(0, SHORTEST - len(samples))))
        values = _smile(self.name).process_signal(padded, RATE).to_numpy(dtype=np.float32)
        # A functional of voiced frames has no value where nothing is voiced.
        finite: NDArray[np.float32] = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        return finite if self.frames_per_second else finite[0]


@dataclass(frozen=True)
class EGeMAPS(OpenSmile):
    """The 88 functionals of eGeMAPS (Eyben et al. 2016)."""

    name: ClassVar[str] = "egemaps"


@dataclass(frozen=True)
class ComParE(OpenSmile):
    """The 6,373 functionals of the ComParE 2016 challenge (Schuller et al. 2016)."""

    name: ClassVar[str] = "compare"


@dataclass(frozen=True)
class EGeMAPSFrames(OpenSmile):
    """The 25 low-level descriptors of eGeMAPS, a row every 10 ms."""

    name: ClassVar[str] = "egemaps_lld"
    frames_per_second: ClassVar[float] = 100.0


@dataclass(frozen=True)
class ComParEFrames(OpenSmile):
    """The 65 low-level descriptors of the ComParE 2016 challenge, a row every 10 ms."""

    name: ClassVar[str] = "compare_lld"
    frames_per_second: ClassVar[float] = 100.0


@cache
def _smile(name: str) -> Any:
    """Return the extractor of this process: the first takes about a second, most of it openSMILE's own imports.

    It works in this process alone (``num_workers``), so that processes which extract in parallel do not multiply.
    """
    opensmile = need("opensmile", "lld")
    level = "LowLevelDescriptors" if name.endswith("_lld") else "Functionals"
    return opensmile.Smile(
        feature_set=getattr(opensmile.FeatureSet, SETS[name]),
        feature_level=getattr(opensmile.FeatureLevel, level),
        num_workers=1,
    )
