"""``unheard listen``: an answer every second while somebody speaks, from a microphone or from standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from unheard.cli.prediction import answer
from unheard.cli.terminal import as_json_line, print_now, say, show
from unheard.cli.timeline import clock
from unheard.errors import UsageError, about

if TYPE_CHECKING:
    from io import BufferedReader

    import numpy as np
    from numpy.typing import NDArray

    from unheard.bundle.stream import Answer


def listen(
    model: Annotated[
        Path | None, typer.Option("--model", "-m", help="Bundle folder; none: the default model.")
    ] = None,
    from_stdin: Annotated[
        bool,
        typer.Option("--stdin", help="Read 16-bit little-endian samples, one channel, from standard input."),
    ] = False,
    rate: Annotated[int, typer.Option("--rate", help="Sampling rate in Hz.")] = 16_000,
    device: Annotated[str | None, typer.Option("--device", help="Microphone, by its number or name.")] = None,
    voice: Annotated[
        Path | None, typer.Option("--voice", help="Profile of the speaker (unheard enrol makes one).")
    ] = None,
    adapt: Annotated[
        bool, typer.Option("--adapt", help="One person speaks, whose voice gets better known as they do.")
    ] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="Print a JSON value a line.")] = False,
    n_best: Annotated[int, typer.Option("--n-best", "-n", min=1, help="Number of labels to show.")] = 1,
) -> None:
    """Answer every second what the last words sounded like; ends with the input, or with Ctrl-C.

    Nothing is stored. A microphone needs the extra listen. From another program:
    ffmpeg -i call.mp3 -f s16le -ar 16000 -ac 1 - | unheard listen --stdin
    """
    from unheard.bundle.default import default_model
    from unheard.bundle.runtime import load
    from unheard.bundle.voice import read_voice
    from unheard.cli.notice import notice_once

    if from_stdin and device is not None:
        raise UsageError("--stdin and --device exclude each other")
    bundle = load(default_model() if model is None else model)
    if model is None:
        notice_once(bundle.description)
    profile = None if voice is None else read_voice(voice)
    stream = bundle.stream(rate, profile=profile, adapt=adapt)

    def tell(answers: list[Answer]) -> None:
        for each in answers:
            if as_jsonl:
                print_now(as_json_line(each.as_dict()))
            else:
                show(_line(each, n_best), "dim" if "no_speech" in each.flags else "plain")
                sys.stdout.flush()

    if from_stdin:
        pieces = samples_of(cast("BufferedReader", sys.stdin.buffer))
    else:
        from unheard.audio.microphone import record

        pieces = record(rate, int(device) if device is not None and device.isdecimal() else device)
        say("listening; Ctrl-C ends it")
    try:
        for piece in pieces:
            tell(stream.feed(piece))
    except KeyboardInterrupt:
        say("")
    tell(stream.finish())


def samples_of(stream: BufferedReader) -> Iterator[NDArray[np.float32]]:
    """Yield the samples of a stream of 16-bit little-endian integers as they arrive, full scale ±1.

    Half a sample at the end is left out; raises ``AudioError`` where a file arrives instead.
    """
    from unheard.audio.raw import RawSamples

    raw = RawSamples()
    while data := stream.read1(1 << 16):
        with about("standard input"):
            samples = raw.add(data)
        yield samples


def _line(found: Answer, n_best: int) -> str:
    said = "nobody speaks" if "no_speech" in found.flags else answer(found.as_dict(), n_best)
    return f"  {clock(found.time)}  {said}"
