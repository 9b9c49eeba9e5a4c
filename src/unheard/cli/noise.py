"""``unheard noise``: what a run loses where others talk or it is loud."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from unheard.cli.terminal import bars, say, show
from unheard.errors import UsageError


def noise(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    kinds: Annotated[
        str | None,
        typer.Option(
            "--kinds",
            help="Kinds of noise, each at every ratio of --snr: white, pink, coloured, babble (other unheard "
            "speakers), recorded (--noises). white,babble unless --conditions are named.",
        ),
    ] = None,
    snr: Annotated[str, typer.Option("--snr", help="Signal-to-noise ratios in dB.")] = "20,10,5",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the noise.")] = 0,
    conditions: Annotated[
        str | None,
        typer.Option(
            "--conditions",
            help="Conditions by name: room_0.6s, impulse (--rooms), telephone, mu_law, a_law, mp3_32kbps, "
            "opus_16kbps, amr_12.2kbps, clip_10%, gain_-20dB, speed_0.9x, white_10dB; or all.",
        ),
    ] = None,
    noises: Annotated[
        Path | None, typer.Option("--noises", help="Folder of recorded noises, for the kind recorded.")
    ] = None,
    rooms: Annotated[
        Path | None, typer.Option("--rooms", help="Folder of impulse responses, for the condition impulse.")
    ] = None,
    babble: Annotated[
        Path | None,
        typer.Option("--babble", help="Another corpus (table or folder), whose speakers babble instead."),
    ] = None,
    corpus: Annotated[str | None, typer.Option("--corpus", help="Reader for the folder of --babble.")] = None,
    weights: Annotated[
        str | None, typer.Option("--weights", "-w", help="Where the encoder's weights are now.")
    ] = None,
    jobs: Annotated[
        int,
        typer.Option("--jobs", "-j", min=1, help="Number of processes or threads; the result is the same."),
    ] = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace what was measured before.")] = False,
) -> None:
    """Predict a run's test clips in noise, in rooms, through codecs, and say what it loses; nothing is trained."""
    from unheard.corpora.source import utterances
    from unheard.files import new_output
    from unheard.noise.evaluation import PAGE, SCORES, noisy
    from unheard.noise.plan import Recordings
    from unheard.runs.folder import open_run

    opened = open_run(run)
    new_output(run / SCORES, force)
    ratios = _ratios(snr)
    named = _words(conditions or "")
    by_default = "" if conditions is not None else "white,babble"
    files = Recordings.found(noises, rooms)
    others = None if babble is None else utterances(babble, corpus)
    with bars() as advance:
        found = noisy(
            opened, _words(by_default if kinds is None else kinds), ratios, seed=seed, others=others,
            conditions=named, recordings=files, weights=weights, jobs=jobs, progress=advance, say=say,
        )  # fmt: skip
    for line in lines(found):
        show(line)
    say(f"figure: {run / PAGE}, numbers: {run / SCORES}")


def lines(found: Mapping[str, Any]) -> list[str]:
    """Return the result as text: whose it is, and a table with a line a condition."""
    from unheard.metrics.formatting import and_interval, counted, difference, percent

    name = found["recipe"] + ("+val" if found["refit"] == "val" else "")
    who = counted(found["n_speakers"], "speaker") if found["n_speakers"] else "unknown speakers"
    said = [f"{name} on {found['protocol']} ({who} tested)"]
    said += [f"  {' · '.join(found['stamps'])}"] if found["stamps"] else []
    genders = [g for g in ("female", "male") if g in found["conditions"][0]["gender"]]
    heading = ["condition", "accuracy %", "UAR %", *({"female": "women", "male": "men"}[g] for g in genders)]
    rows = [[*heading, "less than clean"]]
    for row in found["conditions"]:
        cells = [row["condition"]]
        cells += [
            percent(row[m]["pooled"]) + and_interval(row[m]["low"], row[m]["high"])
            for m in ("accuracy", "uar")
        ]
        cells += [percent(row["gender"][g]["accuracy"]["pooled"]) for g in genders]
        lost = row.get("difference", {}).get("accuracy")
        rows.append([*cells, "" if lost is None else difference(lost["value"], lost["low"], lost["high"])])
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    said += [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return said


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _ratios(text: str) -> list[float]:
    try:
        return [float(word) for word in _words(text)]
    except ValueError:
        raise UsageError(f"--snr takes numbers of dB such as 20,10,5; found {text!r}") from None
