"""``unheard predict --timeline``: how an expression goes on through recordings of any length."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unheard.cli.prediction import columns_of, likeliest
from unheard.cli.terminal import as_json, as_line, bars, in_utf8, say
from unheard.errors import DataError

if TYPE_CHECKING:
    from unheard.bundle.runtime import Bundle
    from unheard.bundle.voice import VoiceProfile

Rows = list[dict[str, Any]]


def write_timelines(
    bundle: Bundle,
    paths: Sequence[Path],
    form: str | None,
    n_best: int,
    *,
    channel: int | None,
    allow_truncated: bool,
    out: Path | None,
    force: bool,
    profile: VoiceProfile | None = None,
    adapt: bool = False,
) -> bool:
    """Print a timeline for each recording, or write them to ``out``; whether all could be used.

    ``form`` is ``json``, ``csv`` or ``text``; None takes it from the name of ``out``. An existing file is refused
    before anything is computed. ``profile`` is of the speaker's voice; with ``adapt`` each recording has its own.
    """
    from unheard.files import new_output, write_text

    if out is not None:
        new_output(out, force)
    form = form or ("text" if out is None else out.suffix.lower().lstrip("."))
    rows: Rows = []
    with bars() as advance:
        for done, path in enumerate(paths, start=1):
            name = in_utf8(path)
            try:
                found = bundle.timeline(
                    path, channel=channel, allow_truncated=allow_truncated, profile=profile, adapt=adapt
                )
                rows.append({"path": name, **found.as_dict()})
            except DataError as error:
                rows.append({"path": name, "error": str(error)})
            advance("recordings", done, len(paths))
    if form == "json":
        text = as_json(rows)
    elif form == "csv":
        text = _csv(rows, bundle.classes, bundle.dimensions)
    else:
        text = "".join(f"{as_line(line)}\n" for row in rows for line in _lines(row, n_best))
    if out is None:
        sys.stdout.write(text)
    else:
        write_text(out, text)
        say(f"{out}: {sum(len(row.get('timeline', ())) for row in rows)} steps of {len(rows)} recordings")
    failed = [row["error"] for row in rows if "error" in row]
    for reason in failed:
        say(f"error: {reason}")
    return not failed


def _csv(rows: Rows, classes: Sequence[str], dimensions: Sequence[str]) -> str:
    predicted = [*(f"p_{name}" for name in classes), *(f"d_{name}" for name in dimensions)]
    known = ["enrol_k"] if any("enrol_k" in row.get("summary", {}) for row in rows) else []
    columns = ["path", "start", "end", "label", *predicted, *known, "flags", "error"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        if "error" in row:
            writer.writerow(row)
        elif not row["timeline"]:
            writer.writerow({"path": row["path"], "flags": ";".join(row["summary"]["flags"])})
        for step in row.get("timeline", ()):
            flags = ";".join(step["flags"])
            number = row["summary"].get("enrol_k", "")
            writer.writerow(
                {"path": row["path"], **step, **columns_of(step), "flags": flags, "enrol_k": number}
            )
    return text.getvalue()


def _lines(row: dict[str, Any], n_best: int) -> list[str]:
    """Return one recording as lines: its path, a line a step, and what it comes to."""
    if "error" in row:
        return [f"{row['path']}\terror"]
    lines = [row["path"]]
    for step in row["timeline"]:
        unsure = "unsure: " if "unsure" in step["flags"] else ""
        said = f"{unsure}{likeliest(step, n_best)}" or "no prediction"
        others = [flag for flag in step["flags"] if flag != "unsure"]
        marks = f"  ({', '.join(others)})" if others else ""
        lines.append(f"  {clock(step['start'])}  {clock(step['end'])}  {said}{marks}")
    whole = row["summary"]
    shares = whole["shares"] or {}
    found = likeliest({**whole, "probabilities": shares}, len(shares)) or "no prediction"
    marks = f"  ({', '.join(whole['flags'])})" if whole["flags"] else ""
    if "enrol_k" in whole:
        of = "windows of the recording itself" if whole["enrol_kind"] == "recording" else "clips"
        lines.append(f"  the voice is known from {whole['enrol_k']} {of}")
    lines.append(f"  {clock(whole['answered'])} of {clock(whole['seconds'])} answered: {found}{marks}")
    return lines


def clock(seconds: float) -> str:
    """Return seconds as h:mm:ss.t."""
    tenths = round(seconds * 10)
    return f"{tenths // 36_000}:{tenths // 600 % 60:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"
