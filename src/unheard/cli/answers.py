"""An answer, given as plain values, as text and as columns of a table."""

from __future__ import annotations

from typing import Any


def likeliest(answer: dict[str, Any], n_best: int) -> str:
    """Return the most probable labels of an answer in percent, and its dimensions on [0, 1]."""
    ranked = sorted(answer["probabilities"].items(), key=lambda item: -item[1])[:n_best]
    labels = [f"{label} {100 * p:.0f} %" for label, p in ranked]
    return "  ".join(
        [*labels, *(f"{name} {value:.2f}" for name, value in answer.get("dimensions", {}).items())]
    )


def columns_of(answer: dict[str, Any]) -> dict[str, str]:
    """Return the probabilities and dimensions of an answer as columns of a CSV table."""
    shares = {f"p_{label}": f"{p:.6f}" for label, p in answer.get("probabilities", {}).items()}
    return shares | {f"d_{name}": f"{value:.6f}" for name, value in answer.get("dimensions", {}).items()}
