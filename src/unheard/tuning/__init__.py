"""Fine-tuning: encoder and head together, with torch and Lightning.

A fine-tuned model is a head whose features are waveforms: it learns from training speakers, chooses its epoch on
validation speakers, and sees no test row, no fold and no protocol. Settings are read and checked without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unheard.settings import construct, differing, plain
from unheard.tuning.finetuned import FineTuned
from unheard.tuning.settings import Settings

__all__ = ["FineTuned", "Settings", "build", "checked", "chosen"]


def checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings in full, defaults included, such as of ``{"tune": "top 3", "lr_head": 1e-3}``.

    Raises
    ------
    UsageError
        A setting is unknown (near matches are named), or a value is of the wrong kind or out of range.
    """
    return plain(construct(Settings, settings, "training"))


def chosen(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that differ from their defaults, in plain values."""
    return differing(construct(Settings, settings, "training"))


def build(
    settings: Mapping[str, Any],
    encoder: Mapping[str, Any],
    head: Mapping[str, Any],
    *,
    seed: int = 0,
    threads: int = 1,
    folder: Path | None = None,
) -> FineTuned:
    """Make an unfitted model of an encoder and a head that are trained together.

    Parameters
    ----------
    settings : how to train, see :class:`Settings`.
    encoder : settings for ``encoders.load``; their ``device`` and ``precision`` are those of the training.
    head : settings for ``heads.build`` of a head that is a network.
    seed : seed of the initial weights, of batches, dropout, augmentation and masks.
    threads : number of threads of torch on the CPU.
    folder : folder into which training writes its state after every epoch, and from which it goes on after a
    kill. The
        caller removes it once the fitted model is stored. With None nothing is written.

    Raises
    ------
    UsageError
        A setting does not exist or does not fit, or settings do not fit each other.
    """
    return FineTuned(
        construct(Settings, settings, "training"), dict(encoder), dict(head), seed, threads, folder
    )
