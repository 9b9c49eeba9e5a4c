"""HuBERT (Hsu et al. 2021): base, large, xlarge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unheard.encoders.contract import Settings
from unheard.errors import need

if TYPE_CHECKING:
    from unheard.encoders.transformer.encoder import WaveEncoder

VERSION = 1


@dataclass(frozen=True)
class Options(Settings):
    """What can be said about the encoder: what all of them share."""


def load(options: Options) -> WaveEncoder:
    """Read configuration and weights; see ``unheard.encoders.load`` for the errors."""
    need("torch", "train")
    from unheard.encoders.transformer import encoder

    return encoder.load(options, "hubert")
