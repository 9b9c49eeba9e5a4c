"""The command line: each file parses, makes one call, prints, and ends with an exit code.

0 well; 1 findings; 2 usage; 3 bad data; 4 the machine. Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from unheard.cli import (
    audit,
    cache,
    compare,
    crosscorpus,
    curve,
    demo,
    distill,
    doctor,
    download,
    enrol,
    export,
    extract,
    fuse,
    layers,
    listen,
    lists,
    noise,
    predict,
    prepare,
    quickstart,
    recipes,
    report,
    results,
    run,
    score,
    serve,
    space,
    synthesize,
    testsets,
    transcribe,
)
from unheard.cli.stopping import Stopped, stop_on_signals
from unheard.cli.terminal import open_streams, say
from unheard.errors import UnheardError

app = typer.Typer(
    name="unheard",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)
#: The commands by who needs them, in the order in which --help shows them.
GROUPS: dict[str, tuple[Callable[..., None], ...]] = {
    "Use a model": (
        predict.predict,
        listen.listen,
        enrol.enrol,
        demo.demo,
        serve.serve,
        space.space,
        quickstart.quickstart,
    ),
    "Check data, splits and scores": (
        download.download,
        prepare.prepare,
        transcribe.transcribe,
        audit.audit,
        score.score,
        compare.compare,
        compare.premium,
        crosscorpus.crosscorpus,
        testsets.testsets,
        report.report,
    ),
    "Train and take along": (run.run, fuse.fuse, export.export, distill.distill, extract.extract),
    "Look closer": (
        lists.list_,
        recipes.recipes,
        layers.layers,
        curve.curve,
        noise.noise,
        results.results,
        synthesize.synthesize,
        cache.cache,
        doctor.doctor,
    ),
}
for _group, _commands in GROUPS.items():
    for _command in _commands:
        app.command(_command.__name__.rstrip("_"), rich_help_panel=_group)(_command)


def _version(asked: bool) -> None:
    if asked:
        import unheard

        typer.echo(f"unheard {unheard.__version__}")
        raise typer.Exit


@app.callback()
def _unheard(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Recognise emotion in speech, scored only on people the system has never heard."""


def main() -> None:
    """Run the command line; errors made on purpose become one line and their exit code."""
    stop_on_signals()
    open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that its encoding lacks
    try:
        app()
    except (UnheardError, Stopped) as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        _complain(
            f"this command needs {missing}, which is not installed: pip install 'unheard[{_EXTRA[missing]}]'"
        )
        sys.exit(4)
    except UnicodeEncodeError as error:
        # Names of files may hold any byte; tables, JSON and digests take Unicode alone.
        _complain(f"a name holds bytes that are no UTF-8; rename it: {error.object}")
        sys.exit(3)
    except OSError as error:
        # A full disk, a folder that may not be written, a name that the system refuses.
        _complain(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        sys.exit(4)


#: Which extra brings a module that is missing.
_EXTRA = {
    **dict.fromkeys(
        ("polars", "pydantic", "yaml", "sklearn", "scipy", "matplotlib", "jinja2", "onnx"), "eval"
    ),
    "safetensors": "eval",
    **dict.fromkeys(("torch", "lightning"), "train"),
    **dict.fromkeys(("jiwer", "faster_whisper"), "words"),
    "opensmile": "lld",
    "sounddevice": "listen",
}


def _complain(text: str) -> None:
    say(f"error: {text}", "bad")
