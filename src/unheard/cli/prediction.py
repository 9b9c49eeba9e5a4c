"""A prediction, given as plain values, as text and as columns of a table."""

from __future__ import annotations

from typing import Any


def likeliest(prediction: dict[str, Any], n_best: int) -> str:
    """Return the most probable labels of a prediction in percent, and its dimensions on [0, 1]."""
    ranked = sorted(prediction["probabilities"].items(), key=lambda item: -item[1])[:n_best]
    labels = [f"{label} {100 * p:.0f} %" for label, p in ranked]
    return "  ".join(
        [*labels, *(f"{name} {value:.2f}" for name, value in prediction.get("dimensions", {}).items())]
    )


def columns_of(prediction: dict[str, Any]) -> dict[str, str]:
    """Return the probabilities and dimensions of a prediction as columns of a CSV table."""
    shares = {f"p_{label}": f"{p:.6f}" for label, p in prediction.get("probabilities", {}).items()}
    return shares | {f"d_{name}": f"{value:.6f}" for name, value in prediction.get("dimensions", {}).items()}
