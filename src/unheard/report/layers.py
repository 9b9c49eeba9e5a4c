"""The page of ``unheard layers``: what the layers of an encoder know, and what cutting it would save."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from unheard.files import write_text
from unheard.metrics.formatting import counted, percent
from unheard.report.figures.layers import layers_chart
from unheard.report.template import render
from unheard.report.wording import meaning, printable


def layers_page(found: Mapping[str, Any], out: str | os.PathLike[str]) -> None:
    """Write the page of a ``layers.json`` atomically; the same content gives the same bytes."""
    write_text(out, layers_html(found))


def layers_html(found: Mapping[str, Any]) -> str:
    """Return the page as text."""
    encoder = [(key, str(value)) for key, value in (found.get("encoder") or {}).items() if value is not None]
    return render(
        "figure.html.j2",
        command="unheard layers",
        about="what layers know",
        heading=str(found.get("recipe") or "layers"),
        stamps=[(stamp, meaning(stamp)) for stamp in found["stamps"]],
        sentences=sentences(found),
        chart=layers_chart("layers", found),
        table={
            "heading": "The encoder",
            "caption": "Settings of the encoder",
            "columns": ("setting", "value"),
            "rows": encoder,
        }
        if encoder
        else None,
        footer="For choosing: every score is over training speakers of one fold. None of them is a result.",
    )


def sentences(found: Mapping[str, Any]) -> list[str]:
    """Say what was measured on whom, which layer is salient and what cutting there saves."""
    who = counted(found["n_speakers"], "speaker") if found["n_speakers"] else "unknown speakers"
    where = f"fold {found['fold']} of {printable(found['protocol'])}"
    said = [f"{found['n_clips']:,} training clips of {who} of {where}; nobody else was used."]
    layers, salient = found["layers"], found["salient"]
    share = salient["share"]
    sure = "" if share is None else f", highest in {percent(share, 0)} % of the draws of speakers"
    said.append(f"Salient: {_called(layers[salient['layer']])}{sure}.")
    other = salient["by_correlation"]
    if other != salient["layer"]:
        said.append(f"By r alone it would be {_called(layers[other])}: dims that repeat each other decide.")
    if found.get("emotion"):
        best = max(layers, key=lambda layer: layer["emotion"]["uar"])
        said.append(
            f"The probe's UAR for emotion is highest at {_called(best)}: {percent(best['emotion']['uar'])} %."
        )
    return [*said, *savings(found)]


def savings(found: Mapping[str, Any]) -> list[str]:
    """Say what cutting at the salient layer saves; nothing where it is the last or nothing was measured."""
    saving = found.get("saving")
    if salient_is_last(found):
        return ["It is the last layer: cutting there saves nothing."]
    if not saving:
        return []
    said = []
    for key, what in (("parameters", "parameters"), ("multiply_adds", "multiply-adds of a clip")):
        if key in saving:
            whole, cut = saving[key]["whole"], saving[key]["cut"]
            said.append(f"{_large(whole - cut)} of {_large(whole)} {what} ({percent(1 - cut / whole)} %)")
    if "seconds" in saving:
        whole, cut = saving["seconds"]["whole"], saving["seconds"]["cut"]
        share = percent(1 - cut / whole, 0)
        said.append(f"{share} % of the time on {saving['clips']} clips ({whole:.2f} s → {cut:.2f} s)")
    return [f"Cutting at the salient layer saves {', '.join(said)}."]


def salient_is_last(found: Mapping[str, Any]) -> bool:
    """Return whether there is nothing above the salient layer."""
    return bool(found["salient"]["layer"] == len(found["layers"]) - 1)


def _called(layer: Mapping[str, Any]) -> str:
    number, name = layer["layer"], str(layer["name"])
    return f"layer {number}" if name == str(number) else f"layer {number} ({printable(name)})"


def _large(count: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f}"
