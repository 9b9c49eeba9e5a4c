"""``unheard predict --timeline``: how an expression goes on through recordings of any length."""

from __future__ import annotations

from typing import Any

from unheard.cli.prediction import answer, columns_of, likeliest

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
    steps = [
        f"  {clock(step['start'])}  {clock(step['end'])}  {answer(step, n_best)}" for step in row["timeline"]
    ]
    return [row["path"], *steps, *comes_to(row["summary"])]


def comes_to(summary: Row) -> list[str]:
    """Return what a recording, or a speaker in it, comes to, and from how much the voice was known."""
    shares = summary["shares"] or {}
    found = likeliest({**summary, "probabilities": shares}, len(shares)) or "no prediction"
    marks = f"  ({', '.join(summary['flags'])})" if summary["flags"] else ""
    said = []
    if "enrol_k" in summary:
        count, itself = summary["enrol_k"], summary["enrol_kind"] == "recording"
        of = f"{'window' if itself else 'clip'}{'' if count == 1 else 's'}"
        said.append(f"  the voice is known from {count} {of}{' of the recording itself' if itself else ''}")
    answered = f"{clock(summary['answered'])} of {clock(summary['seconds'])}"
    return [*said, f"  {answered} answered: {found}{marks}"]


def clock(seconds: float) -> str:
    """Return seconds as h:mm:ss.t."""
    tenths = round(seconds * 10)
    return f"{tenths // 36_000}:{tenths // 600 % 60:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"
