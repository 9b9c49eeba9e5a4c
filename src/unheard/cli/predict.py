"""``unheard predict``: what was felt in a recording, with a bundle; needs the core packages alone."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unheard.audio.extensions import EXTENSIONS
from unheard.cli.notice import notice_once
from unheard.cli.prediction import columns_of, likeliest
from unheard.cli.terminal import bars, in_utf8, print_json, say, show
from unheard.cli.voice import profile_for
from unheard.errors import UsageError, escaped

if TYPE_CHECKING:
    from unheard.bundle.prediction import Prediction


def predict(
    inputs: Annotated[
        list[str], typer.Argument(help="Recordings, folders, patterns ('*.wav'), or - for a list.")
    ],
    model: Annotated[
        Path | None, typer.Option("--model", "-m", help="Bundle folder; none: the default model.")
    ] = None,
    n_best: Annotated[
        int, typer.Option("--n-best", "-n", min=1, help="Number of labels to show for a clip.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON value.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with every probability.")] = False,
    channel: Annotated[
        int | None, typer.Option(min=0, help="Take this channel; default: their mean.")
    ] = None,
    allow_truncated: Annotated[
        bool, typer.Option("--allow-truncated", help="Use what there is of a file.")
    ] = False,
    timeline: Annotated[
        bool, typer.Option("--timeline", help="Predict step by step, in recordings of any length.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="With --timeline: write here (.json, .csv or text).")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="With --out: replace an existing file.")] = False,
    voice: Annotated[
        Path | None, typer.Option("--voice", help="Profile of the speaker (unheard enrol makes one).")
    ] = None,
    enrol: Annotated[
        list[str] | None,
        typer.Option("--enrol", help="Clips of the speaker that make the voice known; may be repeated."),
    ] = None,
    same_speaker: Annotated[
        bool,
        typer.Option("--same-speaker", help="The recordings are one person's: all make the voice known."),
    ] = False,
    adapt_to_recording: Annotated[
        bool,
        typer.Option(
            "--adapt-to-recording", help="With --timeline: the voice is known from the recording itself."
        ),
    ] = False,
) -> None:
    """Predict the perceived emotion of recordings; a file that cannot be used is named, and the others go on.

    The default model was trained on acted English speech, and on other corpora it may be no better than chance.
    Ends with 3 where a file could not be used.
    """
    from unheard.bundle.default import default_model
    from unheard.bundle.runtime import load

    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other")
    if out is not None and not timeline:
        raise UsageError("--out goes with --timeline; otherwise send what is printed to a file")
    if sum(map(bool, (voice, enrol, same_speaker, adapt_to_recording))) > 1:
        raise UsageError("--voice, --enrol, --same-speaker and --adapt-to-recording exclude each other")
    if timeline and same_speaker:
        raise UsageError("--same-speaker is for clips; with --timeline take --adapt-to-recording")
    if adapt_to_recording and not timeline:
        raise UsageError(
            "--adapt-to-recording goes with --timeline; of clips of one person take --same-speaker"
        )
    bundle = load(default_model() if model is None else model)
    if model is None:
        notice_once(bundle.description)
    paths = list(_paths(inputs))
    if not paths:
        raise UsageError(f"no recordings in {', '.join(inputs)}; looked for {', '.join(EXTENSIONS)}")
    profile = profile_for(
        bundle,
        voice,
        paths if same_speaker else list(_paths(enrol)) if enrol else None,
        channel=channel,
        allow_truncated=allow_truncated,
    )
    if timeline:
        from unheard.cli.timeline import write_timelines

        form = "json" if as_json else "csv" if as_csv else None
        places: dict[str, Any] = {"channel": channel, "allow_truncated": allow_truncated, "out": out}
        places |= {"profile": profile, "adapt": adapt_to_recording}
        raise typer.Exit(0 if write_timelines(bundle, paths, form, n_best, force=force, **places) else 3)
    predicted = bundle.predict_many(paths, channel=channel, allow_truncated=allow_truncated, profile=profile)
    rows = []
    with bars() as advance:
        for done, (path, prediction) in enumerate(zip(paths, predicted, strict=True), start=1):
            rows.append(_row(path, prediction))
            advance("clips", done, len(paths))
    failed = [row for row in rows if "error" in row]
    if as_json:
        print_json(rows)
    elif as_csv:
        _print_csv(rows, bundle.classes, bundle.dimensions, ["enrol_k"] if profile else [])
    else:
        for row in rows:
            show(line(row, n_best))
    for row in failed:
        say(f"error: {row['error']}")
    raise typer.Exit(3 if failed else 0)


def _paths(inputs: Iterable[str]) -> Iterator[Path]:
    """Yield the recordings that the inputs name, folders and patterns in name order.

    Nothing is refused here: an input that names no file is yielded as it stands, and reading it says why.
    """
    # os.path and glob take what no file can be called (too long, a NUL) for absent, where pathlib raises.
    for text in inputs:
        if text == "-":
            yield from (Path(line) for line in _lines())
        elif os.path.isdir(text):  # noqa: PTH112
            yield from _recordings(text)
        elif os.path.exists(text) or not glob.has_magic(text) or "\0" in text:  # noqa: PTH110
            yield Path(text)
        else:
            # A pattern that the shell left alone.
            yield from map(Path, sorted(glob.glob(text, recursive=True)) or [text])  # noqa: PTH207


def _lines() -> Iterator[str]:
    """Yield the lines of standard input as file names, which may hold any byte."""
    for line in sys.stdin.buffer:
        name = os.fsdecode(line.rstrip(b"\r\n"))
        if name.strip():
            yield name


def _recordings(folder: str) -> list[Path]:
    """Return the files with the extension of a recording at any depth; folders that cannot be opened hold none."""
    return sorted(
        Path(place, name)
        for place, _, names in os.walk(folder)
        for name in names
        if Path(name).suffix.lower() in EXTENSIONS
    )


def _row(path: Path, prediction: Prediction) -> dict[str, Any]:
    name = in_utf8(path)
    if "unreadable" in prediction.flags:
        return {"path": name, "error": prediction.warnings[0]}
    return {"path": name, **prediction.as_dict()}


def line(row: dict[str, Any], n_best: int) -> str:
    """Return one prediction as a line: path, the most probable labels, and what to beware of."""
    if "error" in row:
        return f"{escaped(row['path'])}\terror"
    unsure = "unsure: " if "unsure" in row["flags"] else ""
    prediction = f"{unsure}{likeliest(row, n_best)}" or "no prediction"
    marks = f"  ({', '.join(row['warnings'])})" if row["warnings"] else ""
    return f"{escaped(row['path'])}\t{prediction}{marks}"


def _print_csv(
    rows: list[dict[str, Any]], classes: Iterable[str], dimensions: Iterable[str], more: Iterable[str]
) -> None:
    import csv

    predicted = [*(f"p_{label}" for label in classes), *(f"d_{name}" for name in dimensions)]
    columns = ["path", "label", *predicted, *more, "flags", "error"]
    writer = csv.DictWriter(sys.stdout, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, **columns_of(row), "flags": ";".join(row.get("flags", ()))})
