"""``unheard predict``: what was felt in a recording, with a bundle; needs the core packages alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unheard import presenting
from unheard.audio.extensions import EXTENSIONS
from unheard.cli import prediction as whole
from unheard.cli import segments as pieces_of_it
from unheard.cli import timeline as steps
from unheard.cli.answers import Answers, Row, form_of
from unheard.cli.inputs import STDIN, Recording, recordings
from unheard.cli.notice import notice_once
from unheard.cli.terminal import bars, in_utf8, say
from unheard.cli.texts import Texts, texts_of
from unheard.cli.voice import profile_for
from unheard.errors import DataError, UsageError, first_five
from unheard.metrics.formatting import counted

if TYPE_CHECKING:
    from unheard.bundle.prediction import Prediction
    from unheard.bundle.runtime import Bundle

INTERRUPTED = 130  # exit code, as a shell says it


def predict(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(help="Recordings, folders, patterns ('*.wav'); - for a list, or for audio."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", "-m", help="Bundle folder; none: the default model.")
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            "--text", help="What was said, for a model that takes words; alone where it answers so."
        ),
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option("--texts", help="The same of many recordings: a table with the columns path and text."),
    ] = None,
    n_best: Annotated[
        int, typer.Option("--n-best", "-n", min=1, help="Number of labels to show for a clip.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON value.")] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="Print a JSON value a line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with every probability.")] = False,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes", help="Other classes: happy,sad (these alone), OLD=NEW, DROPPED=, or seven."
        ),
    ] = None,
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
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Write here, by the ending: .json, .jsonl, .csv, .txt; one recording over time: .html, .svg, "
            ".png, .srt, .vtt, .TextGrid, .labels.txt.",
        ),
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
        bool | None,
        typer.Option(
            "--adapt-to-recording/--no-adapt",
            help="With --timeline: the voice is known from the recording itself. With --segments and --channels "
            "that is so for each speaker, unless --no-adapt.",
        ),
    ] = None,
    segments: Annotated[
        Path | None,
        typer.Option(
            "--segments",
            help="Answer these pieces: .csv (start,end,speaker,text), .rttm, .srt, .vtt, .json of a transcript.",
        ),
    ] = None,
    channels: Annotated[
        str | None, typer.Option("--channels", help="each: every channel is somebody who speaks there.")
    ] = None,
) -> None:
    """Predict the perceived emotion of recordings; a file that cannot be used is named, and the others go on.

    Each answer is printed when it is known, but with --same-speaker, for which all recordings are read before. The
    default model was trained on acted speech, and on other corpora it is right far less often. Ends with 3
    where a file could not be used.
    """
    from unheard.bundle.default import default_model
    from unheard.bundle.manifest import foreign_files
    from unheard.bundle.pieces import read_pieces
    from unheard.bundle.runtime import load
    from unheard.files import new_output, write_text
    from unheard.label_files import parse

    if not inputs and text is None:
        raise UsageError("name a recording, a folder, a pattern or - (or --text, for a model of words alone)")
    inputs = inputs or []
    said = texts_of(text, texts)
    form = form_of({"json": as_json, "jsonl": as_jsonl, "csv": as_csv}, out)
    shows = form in presenting.ENDINGS
    if form == ".png":
        # What is missing is said before the work, not after it.
        import matplotlib as matplotlib
    timeline = timeline or shows
    if out is not None:
        new_output(out, force)
    by_speaker = segments is not None or channels is not None
    if channels not in (None, "each"):
        raise UsageError(f"--channels is {channels!r}, expected each; one channel is taken by --channel")
    if segments is not None and channels is not None:
        raise UsageError("--segments and --channels exclude each other")
    if channels is not None and (channel is not None or voice or enrol):
        raise UsageError(
            "--channels each goes with no --channel, --voice or --enrol: everybody has their own"
        )
    if by_speaker and same_speaker:
        raise UsageError("--same-speaker is for clips, and --segments and --channels name the speakers")
    timeline = timeline or by_speaker
    if said is not None and (timeline or same_speaker):
        raise UsageError(
            "--text and --texts are for clips; over time --segments takes a transcript with its times"
        )
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
    elif left := foreign_files(model):
        say(f"{model}: not part of the bundle, and not opened: {first_five(left)}")
    if classes is not None:
        labels = parse(classes)
        bundle = bundle.choosing(labels)
        say(str(labels))
    todo: Iterable[Recording] = recordings(inputs)
    if text is not None and not inputs:
        todo = [Recording("", "text")]
    elif text is not None:
        todo = given = list(todo)
        if len(given) > 1:
            raise UsageError(f"--text is of one recording, and {len(given)} are given; take --texts")
    if same_speaker or shows or segments is not None:
        todo = listed = list(todo)
        one = out if shows else segments
        if one is not None and len(listed) != 1:
            raise UsageError(
                f"{one}: holds one recording, and {len(listed)} are given; predict them one by one"
            )
    known = todo if same_speaker else recordings(enrol) if enrol else None
    decoding: dict[str, Any] = {"channel": channel, "allow_truncated": allow_truncated}
    profile = profile_for(bundle, voice, None if known is None else (each.path for each in known), **decoding)
    ask: Callable[[str], Any]
    if channels is not None:
        ask = partial(bundle.channels, allow_truncated=allow_truncated, adapt=adapt_to_recording)
    elif segments is not None:
        pieces = read_pieces(segments)
        options = decoding | {"profile": profile, "adapt": adapt_to_recording}
        ask = partial(bundle.segments, pieces=pieces, **options)
    elif timeline:
        ask = partial(bundle.timeline, **decoding, profile=profile, adapt=bool(adapt_to_recording))
    elif text is not None and not inputs:
        ask = partial(_of_words, bundle, text)
    elif said is not None:
        ask = partial(_with_words, bundle, said, **decoding, profile=profile)
    else:
        ask = partial(bundle.predict_file, **decoding, profile=profile)
    form_of_row = pieces_of_it if by_speaker else steps if timeline else whole
    columns = _columns(
        bundle,
        by_speaker=by_speaker,
        timeline=timeline,
        knows_voice=profile is not None or bool(adapt_to_recording) or by_speaker,
    )
    if shows and out is not None:
        raise typer.Exit(_show(ask, todo, out, form, bundle.description.name, decoding))
    written: list[str] = []
    with Answers(
        form,
        columns,
        form_of_row.records,
        partial(form_of_row.lines, n_best=n_best),
        written.append if out is not None else None,
    ) as answers:
        failed = _answer_all(ask, todo, inputs, answers)
    if out is not None:
        write_text(out, "".join(written))
        say(
            f"{out}: {counted(answers.count, 'recording')}"
            + (f", {failed} of them not used" if failed else "")
        )
    raise typer.Exit(3 if failed else 0)


def _show(
    ask: Callable[[str], Any],
    todo: Iterable[Recording],
    out: Path,
    form: str,
    model: str,
    decoding: Mapping[str, Any],
) -> int:
    """Write the answer to the one recording in a form that shows it; return the exit code."""
    from unheard.files import write_bytes
    from unheard.presenting import drawing
    from unheard.presenting.shown import Shown

    (recording,) = todo
    row = _row(ask, recording)
    if "error" in row:
        say(f"error: {row['error']}")
        return 3
    shown = Shown.of(recording.path, row, model=model, decoding=decoding)
    write_bytes(out, presenting.content(shown, form))
    say(f"{out}: {drawing.spoken(shown)}")
    return 0


def _of_words(bundle: Bundle, text: str, _: str) -> Prediction:
    """Answer words without a recording."""
    return bundle.predict_text(text)


def _with_words(bundle: Bundle, said: Texts | str, path: str, **options: Any) -> Prediction:
    """Answer a recording with what is said in it; one that the model does not answer without is not used."""
    text = said if isinstance(said, str) else said.of(path)
    if text is None and not bundle.description.missing:
        raise DataError(
            f"{path}: the table of --texts has no text of it, and the model does not answer without"
        )
    return bundle.predict_file(path, text=text, **options)


def _answer_all(
    ask: Callable[[str], Any], todo: Iterable[Recording], inputs: list[str], answers: Answers
) -> int:
    """Answer one recording after the other; return how many could not be used.

    An interrupt says how many were answered and how many are left, and ends the command.
    """
    failed = 0
    try:
        with bars(printing=True) as advance:
            for recording in todo:
                row = _row(ask, recording)
                answers.write(row)
                if "error" in row:
                    failed += 1
                    say(f"error: {row['error']}")
                advance("recordings", answers.count, 0)
    except KeyboardInterrupt:
        left = "" if STDIN in inputs else f", {sum(1 for _ in recordings(inputs)) - answers.count} left"
        say(f"interrupted: {counted(answers.count, 'recording')} answered{left}")
        raise typer.Exit(INTERRUPTED) from None
    if not answers.count:
        raise UsageError(f"no recordings in {', '.join(inputs)}; looked for {', '.join(EXTENSIONS)}")
    return failed


def _row(ask: Callable[[str], Any], recording: Recording) -> Row:
    """Return the answer as plain values, or why there is none."""
    name = in_utf8(recording.name)
    try:
        return {"path": name, **ask(recording.path).as_dict()}
    except DataError as error:
        return {"path": name, "error": str(error).replace(recording.path, recording.name)}


def _columns(bundle: Bundle, *, by_speaker: bool, timeline: bool, knows_voice: bool) -> list[str]:
    """Return the columns of a CSV table."""
    times = ["start", "end"] if timeline else []
    times += ["speaker", "text"] if by_speaker else []
    predicted = [*(f"p_{name}" for name in bundle.classes), *(f"d_{name}" for name in bundle.dimensions)]
    return ["path", *times, "label", *predicted, *(["enrol_k"] if knows_voice else []), "flags", "error"]
