"""``unheard enrol``: the profile of a voice from a few clips, kept in a small file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unheard.cli.inputs import recordings
from unheard.cli.terminal import print_json, say, show
from unheard.cli.voice import say_warnings, told
from unheard.errors import UsageError


def enrol(
    clips: Annotated[
        list[str] | None,
        typer.Argument(help="Clips of one person: files, folders, patterns, or - for a list."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File of the profile (anna.voice).")] = None,
    model: Annotated[
        Path | None, typer.Option("--model", "-m", help="Bundle folder; none: the default model.")
    ] = None,
    shown: Annotated[Path | None, typer.Option("--show", help="Print what a profile says of itself.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --show: print JSON.")] = False,
    channel: Annotated[
        int | None, typer.Option(min=0, help="Take this channel; default: their mean.")
    ] = None,
    allow_truncated: Annotated[
        bool, typer.Option("--allow-truncated", help="Use what there is of a file.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Get to know a voice from a few clips of one person, without labels; predict --voice FILE uses the profile.

    A profile holds no sound, but it is made of a person's voice: ask for consent, and delete the file on request.
    """
    from unheard.bundle.default import default_model
    from unheard.bundle.runtime import load
    from unheard.bundle.voice import read_voice
    from unheard.files import new_output

    if (shown is None) == (not clips):
        raise UsageError("give clips and --out FILE, or --show FILE alone")
    if shown is not None:
        profile = read_voice(shown)
        if as_json:
            print_json({"path": str(shown), **profile.as_dict()})
            return
        show(f"{shown}: a voice known from {told(profile)}, {profile.seconds:.1f} s in all")
        show(f"made with the model {profile.model!r} ({profile.fingerprint[:12]}); it holds no sound")
        for warning in profile.warnings:
            show(f"warning: {warning}")
        return
    if out is None:
        raise UsageError("name the file of the profile with --out, such as --out anna.voice")
    new_output(out, force)
    bundle = load(default_model() if model is None else model)
    paths = (recording.path for recording in recordings(clips or ()))
    profile = bundle.enrol(paths, channel=channel, allow_truncated=allow_truncated)
    profile.save(out, force=force)
    say_warnings(profile)
    say(f"{out}: a voice known from {told(profile)}; delete the file when the person asks you to")
    raise typer.Exit(3 if profile.left_out else 0)
