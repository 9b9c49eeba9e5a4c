"""The page of ``unheard noise``: what a run loses in noise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from unheard.files import write_text
from unheard.metrics.formatting import counted
from unheard.report.figures.noise import noise_chart
from unheard.report.template import render
from unheard.report.wording import listed, meaning, printable


def noise_page(found: Mapping[str, Any], out: str | os.PathLike[str]) -> None:
    """Write the page of a ``noise.json`` atomically; the same content gives the same bytes."""
    write_text(out, noise_html(found))


def noise_html(found: Mapping[str, Any]) -> str:
    """Return the page as text."""
    name = found["recipe"] + ("+val" if found["refit"] == "val" else "")
    return render(
        "figure.html.j2",
        command="unheard noise",
        about="in noise",
        heading=name,
        stamps=[(stamp, meaning(stamp)) for stamp in found["stamps"]],
        sentences=sentences(found),
        chart=noise_chart("noise", found),
        table=None,
        footer="Every prediction is that of the run's own models. Nothing was trained or chosen on these clips.",
    )


def sentences(found: Mapping[str, Any]) -> list[str]:
    """Say what was predicted by which models, and who babbled."""
    known = found["n_speakers"] and "UNVERIFIED" not in found["stamps"]
    who = counted(found["n_speakers"], "speaker") if found["n_speakers"] else "unknown speakers"
    asked = f"{counted(found['n_clips'], 'test clip')} of {who} on {printable(found['protocol'])}"
    said = [
        f"{asked}, each predicted by a fold's model that was not trained on {'its speaker' if known else 'it'}."
    ]
    babble = found["noise"].get("babble")
    if babble:
        few, many = babble["voices"]["min"], babble["voices"]["max"]
        count = str(few) if few == many else f"{few} to {many}"
        own = babble["corpus"] == found["corpus"]
        of = "of the same corpus" if own else f"of {printable(babble['corpus'])}"
        said.append(f"Babble: {count} other speakers {of} at a time, none of whom the fold was trained on.")
    lost = [row["condition"] for row in found["conditions"][1:] if row["n_unanswered"]]
    if lost:
        said.append(f"Clips without a prediction under {listed(lost)} count as errors.")
    return [*said, *(f"Incomplete: {reason}." for reason in found.get("incomplete", ()))]
