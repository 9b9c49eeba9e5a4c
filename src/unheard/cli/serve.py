"""``unheard serve``: a server that answers over HTTP with a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unheard.cli.terminal import say
from unheard.errors import UsageError, need

#: Names of this machine by which nobody else reaches it.
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve(
    model: Annotated[Path | None, typer.Argument(help="Bundle folder; none: the default model.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    keys: Annotated[
        Path | None,
        typer.Option(help="File with the API keys that are taken, one a line; or UNHEARD_API_KEYS."),
    ] = None,
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="Let everybody ask who reaches the address.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads that compute; default: one a core.")
    ] = None,
    max_mb: Annotated[int, typer.Option(min=1, help="Megabytes of one request.")] = 64,
    max_seconds: Annotated[float, typer.Option(min=1.0, help="Seconds of one recording.")] = 3600.0,
    max_waiting: Annotated[
        int, typer.Option(min=1, help="Recordings that may wait; more are told to come back (429).")
    ] = 512,
    answer_seconds: Annotated[
        float, typer.Option(min=1.0, help="Seconds in which a recording must be answered.")
    ] = 60.0,
    drain_seconds: Annotated[
        int,
        typer.Option(min=0, help="Seconds in which answers are finished when the server is told to stop."),
    ] = 30,
) -> None:
    """Answer over HTTP: POST recordings to /v1/predict, /v1/timeline or /v1/voices, stream to /v1/stream.

    Uploads stay in memory, and nothing of them is kept but voice profiles, for an hour. It listens to this machine
    alone unless --host says otherwise, which asks for keys. /openapi.json describes all of it.
    """
    for module in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        need(module, "serve")
    from unheard.bundle.default import default_model
    from unheard.bundle.runtime import load
    from unheard.cli.notice import notice_once
    from unheard.serve.app import create_app
    from unheard.serve.keys import VARIABLE, read_keys
    from unheard.serve.limits import Limits, cores
    from unheard.serve.running import run

    known = read_keys(keys)
    if without_keys and len(known):
        raise UsageError("--without-keys, and keys are given; leave one of both out")
    if host not in LOOPBACK and not len(known) and not without_keys:
        raise UsageError(
            f"--host {host} lets others reach the server: name a file of keys with --keys, set {VARIABLE}, or let "
            "everybody ask with --without-keys"
        )
    bundle = load(default_model() if model is None else model)
    if model is None:
        notice_once(bundle.description)
    limits = Limits(
        body=max_mb * 2**20,
        seconds=max_seconds,
        waiting=max_waiting,
        answer_seconds=answer_seconds,
        threads=threads or cores(),
    )
    who = f"{len(known) or 'no'} key{'' if len(known) == 1 else 's'}"

    def ready(address: str) -> None:
        say(f"serving {bundle.description.name!r} at {address} ({who}); Ctrl+C ends it")

    run(create_app(bundle, limits, known), host, port, drain_seconds, ready)
