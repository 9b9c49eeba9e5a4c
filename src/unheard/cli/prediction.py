"""A prediction, given as plain values, as text and as columns of a table."""

from __future__ import annotations

from typing import Any

from unheard.errors import escaped

_REFUSED = "no prediction: "


def likeliest(prediction: dict[str, Any], n_best: int) -> str:
    """Return the most probable labels of a prediction in percent, and its dimensions on [0, 1]."""
    ranked = sorted((prediction["probabilities"] or {}).items(), key=lambda item: -item[1])[:n_best]
    labels = [f"{label} {100 * p:.0f} %" for label, p in ranked]
    return "  ".join(
        [*labels, *(f"{name} {value:.2f}" for name, value in prediction.get("dimensions", {}).items())]
    )


def answer(step: dict[str, Any], n_best: int) -> str:
    """Return the prediction of a piece of a recording on one line, with what to beware of."""
    unsure = "unsure: " if "unsure" in step["flags"] else ""
    found = f"{unsure}{likeliest(step, n_best)}" or "no prediction"
    others = [flag for flag in step["flags"] if flag != "unsure"]
    return found + (f"  ({', '.join(others)})" if others else "")


def columns_of(prediction: dict[str, Any]) -> dict[str, str]:
    """Return the probabilities and dimensions of a prediction as columns of a CSV table."""
    shares = {f"p_{label}": f"{p:.6f}" for label, p in (prediction.get("probabilities") or {}).items()}
    return shares | {f"d_{name}": f"{value:.6f}" for name, value in prediction.get("dimensions", {}).items()}


def records(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the row of a CSV table for a recording."""
    return [{**row, **columns_of(row), "flags": ";".join(row.get("flags", ()))}]


def lines(row: dict[str, Any], n_best: int) -> list[str]:
    """Return one prediction as a line: path, the most probable labels or why there are none, what to beware of."""
    name = escaped(row["path"])
    if "error" in row:
        return [f"{name}\terror"]
    found, warnings = likeliest(row, n_best), list(row["warnings"])
    if not found:
        why = next((warning for warning in warnings if warning.startswith(_REFUSED)), "no prediction")
        return [f"{name}\t{why}{_marks([each for each in warnings if not each.startswith(_REFUSED)])}"]
    unsure = "unsure: " if "unsure" in row["flags"] else ""
    return [f"{name}\t{unsure}{found}{_marks(warnings)}"]


def _marks(warnings: list[str]) -> str:
    return f"  ({'; '.join(warnings)})" if warnings else ""
