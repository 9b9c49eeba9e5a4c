"""What wav2vec 2.0, HuBERT and WavLM share as families: their settings, and loading that waits with torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from unheard.encoders.contract import Settings
from unheard.errors import need

if TYPE_CHECKING:
    from unheard.encoders.transformer.encoder import WaveEncoder


@dataclass(frozen=True)
class Options(Settings):
    """What can be said about the encoder: what all of them share."""

    tunable: ClassVar[bool] = True


def load_family(family: str, options: Options) -> WaveEncoder:
    """Read configuration and weights; see ``unheard.encoders.load`` for the errors."""
    need("torch", "train")
    from unheard.encoders.transformer import encoder

    return encoder.load(options, family)
