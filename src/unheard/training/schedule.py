"""Learning rates: their share of the peak at each step."""

from __future__ import annotations

import math


def share(step: int, steps: int, warmup: float, schedule: str) -> float:
    """Return what part of its peak a rate has at ``step`` of 0 … steps - 1.

    It rises in equal steps to 1 at the last step of warm-up (the first step already moves something), and falls
    from 1 at the step after it towards 0, which it would reach at ``steps``.
    """
    warm = round(warmup * steps)
    if step < warm:
        return (step + 1) / warm
    left = (steps - step) / max(1, steps - warm)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (1 - left)))
    return left
