"""The ledger of looks at test speakers: who looked, at whom, what came out, what was decided."""

from __future__ import annotations

import csv
import datetime
import fcntl
import os
from pathlib import Path
from typing import Any

from unheard.metrics.formatting import percent

COLUMNS = ("date", "recipe", "settings_hash", "protocol", "speakers", "accuracy", "uar", "decided")


def append(path: str | os.PathLike[str], results: dict[str, Any], speakers: str, decided: str) -> None:
    """Append one row for a run whose results were seen; a new file gets its header."""
    metrics = results["metrics"]
    row = {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "recipe": results["recipe"] + ("+val" if results["refit"] == "val" else ""),
        "settings_hash": (results["settings_hash"] or "")[:12],
        "protocol": results["protocol"],
        "speakers": speakers,
        **{name: percent(metrics[name]["mean"]) if name in metrics else "" for name in ("accuracy", "uar")},
        "decided": decided,
    }
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("a+", encoding="utf-8", newline="") as file:
        # Two runs may end together: each adds its row under a lock, to what is there by then.
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        before = file.read()
        if not before:
            file.write(",".join(COLUMNS) + "\n")
        elif not before.endswith("\n"):
            file.write("\n")
        csv.DictWriter(file, COLUMNS, lineterminator="\n").writerow(row)
