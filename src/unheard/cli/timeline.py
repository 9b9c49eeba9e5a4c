"""``unheard predict --timeline``: how an expression goes on through recordings of any length."""

from __future__ import annotations

from typing import Any

from unheard.cli.prediction import columns_of, likeliest

Row = dict[str, Any]


def records(row: Row) -> list[Row]:
    """Return the rows of a CSV table for a recording: one a step, or one that says why there is none."""
    if "error" in row:
        return [row]
    if not row["timeline"]:
        return [{"path": row["path"], "flags": ";".join(row["summary"]["flags"])}]
    return [
        {
            "path": row["path"],
            **step,
            **columns_of(step),
            "flags": ";".join(step["flags"]),
            "enrol_k": row["summary"].get("enrol_k", ""),
        }
        for step in row["timeline"]
    ]


def lines(row: Row, n_best: int) -> list[str]:
    """Return one recording as lines: its path, a line a step, and what it comes to."""
    if "error" in row:
        return [f"{row['path']}\terror"]
    said = [row["path"]]
    for step in row["timeline"]:
        unsure = "unsure: " if "unsure" in step["flags"] else ""
        found = f"{unsure}{likeliest(step, n_best)}" or "no prediction"
        others = [flag for flag in step["flags"] if flag != "unsure"]
        marks = f"  ({', '.join(others)})" if others else ""
        said.append(f"  {clock(step['start'])}  {clock(step['end'])}  {found}{marks}")
    whole = row["summary"]
    shares = whole["shares"] or {}
    found = likeliest({**whole, "probabilities": shares}, len(shares)) or "no prediction"
    marks = f"  ({', '.join(whole['flags'])})" if whole["flags"] else ""
    if "enrol_k" in whole:
        of = "windows of the recording itself" if whole["enrol_kind"] == "recording" else "clips"
        said.append(f"  the voice is known from {whole['enrol_k']} {of}")
    said.append(f"  {clock(whole['answered'])} of {clock(whole['seconds'])} answered: {found}{marks}")
    return said


def clock(seconds: float) -> str:
    """Return seconds as h:mm:ss.t."""
    tenths = round(seconds * 10)
    return f"{tenths // 36_000}:{tenths // 600 % 60:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"
