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
        Unknown setting (with near matches), or a value of the wrong kind or out of range.
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
    encoder : as for ``encoders.load``; its ``device`` and ``precision`` are those of the training.
    head : as for ``heads.build``: the name of a head that is a network, and its settings.
    seed : of initial weights, batches, dropout, augmentation and masks.
    threads : of torch on the CPU.
    folder : where training writes its state after every epoch and finds it again after a kill; the caller removes
        it once the fitted model is stored. None: nothing is written.

    Raises
    ------
    UsageError
        A setting that does not exist or does not fit, or settings that do not fit each other.
    """
    return FineTuned(
        construct(Settings, settings, "training"), dict(encoder), dict(head), seed, threads, folder
    )
