"""The ledger of looks at test speakers: who looked, at whom, what came out, what was decided."""

from __future__ import annotations

import csv
import datetime
import io
import os
from pathlib import Path
from typing import Any

from unheard.files import write_text

COLUMNS = ("date", "recipe", "settings_hash", "protocol", "speakers", "accuracy", "uar", "decided")


def append(path: str | os.PathLike[str], results: dict[str, Any], speakers: str, decided: str) -> None:
    """Append one row for a run whose results were seen; a new file gets its header."""
    target = Path(path)
    before = target.read_text(encoding="utf-8") if target.exists() else ",".join(COLUMNS) + "\n"
    metrics = results["metrics"]
    row = {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "recipe": results["recipe"] + ("+val" if results["refit"] == "val" else ""),
        "settings_hash": (results["settings_hash"] or "")[:12],
        "protocol": results["protocol"],
        "speakers": speakers,
        "accuracy": f"{100 * metrics['accuracy']['mean']:.1f}",
        "uar": f"{100 * metrics['uar']['mean']:.1f}",
        "decided": decided,
    }
    line = io.StringIO()
    csv.DictWriter(line, COLUMNS, lineterminator="\n").writerow(row)
    write_text(target, before + line.getvalue())
