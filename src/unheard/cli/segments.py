"""``unheard predict --segments``, ``--channels each``: an answer a given piece, a summary a speaker."""

from __future__ import annotations

from typing import Any

from unheard.cli.prediction import answer, columns_of
from unheard.cli.timeline import clock, comes_to

Row = dict[str, Any]


def records(row: Row) -> list[Row]:
    """Return the rows of a CSV table for a recording: one a piece, or one that says why there is none."""
    if "error" in row:
        return [row]
    known = {name: own.get("enrol_k", "") for name, own in row["speakers"].items()}
    found = [
        {
            "path": row["path"],
            **each,
            **columns_of(each),
            "flags": ";".join(each["flags"]),
            "enrol_k": known.get(each["speaker"], row["summary"].get("enrol_k", "")),
        }
        for each in row["segments"]
    ]
    return found or [{"path": row["path"], "flags": ";".join(row["summary"]["flags"])}]


def lines(row: Row, n_best: int) -> list[str]:
    """Return one recording as lines: its path, a line a piece, and what it comes to, by speaker and in all."""
    if "error" in row:
        return [f"{row['path']}\terror"]
    said = [row["path"]]
    names = max((len(each["speaker"]) for each in row["segments"]), default=0)
    answers = [answer(each, n_best) for each in row["segments"]]
    width = min(40, max(map(len, answers), default=0))
    for each, found in zip(row["segments"], answers, strict=True):
        words = "  " + " ".join(each["text"].split()) if each.get("text") else ""
        who = f"  {each['speaker']:{names}}" if names else ""
        line = f"  {clock(each['start'])}  {clock(each['end'])}{who}  {found:{width}}{words}"
        said.append(line.rstrip())
    for name, own in row["speakers"].items():
        said += [f"  {name}: {line.strip()}" for line in comes_to(own)]
    return said + comes_to(row["summary"])
