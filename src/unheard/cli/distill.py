"""``unheard distill``: a small encoder that imitates another one, learned from recordings without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unheard.cli.terminal import bars, number_list, say, show


def distill(
    data: Annotated[
        list[str],
        typer.Option(
            "--data", "-d", help="Corpus: a prepared table, or READER:FOLDER such as nemo:…; may be repeated."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write: student.onnx and its card.")],
    model: Annotated[str, typer.Option("--model", "--weights", "-w", help="The teacher: folder or file.")],
    layers: Annotated[
        str, typer.Option("--layers", "--entries", help="Layers of the teacher to imitate: 1-4.")
    ],
    teacher: Annotated[
        str, typer.Option("--teacher", help="Family of the teacher: onnx, behind log-mels.")
    ] = "onnx",
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Default: 4000.")] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Seed of the first weights and of all draws.")
    ] = 0,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", help="CORPUS:SPEAKER[,SPEAKER…], none of whose clips is opened."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="teacher.description=fsmn-vad, or a setting: batch=64, threads=2."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was stopped.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Number of processes that decode.")] = 2,
) -> None:
    """Train a small encoder to imitate hidden layers of a larger one; no label is read."""
    from unheard.corpora.source import of_reader
    from unheard.corpora.table import corpus_of
    from unheard.distillation.data import distillation_data
    from unheard.errors import UsageError, need, unknown
    from unheard.recipes.changes import parse_changes
    from unheard.settings import construct

    need("torch", "train")
    numbers = number_list(layers)
    told = {"name": teacher, "model": model}
    given = {"seed": seed} if steps is None else {"seed": seed, "steps": steps}
    for field, value in parse_changes(changes or []).items():
        room, dot, key = field.partition(".")
        if dot and room != "teacher":
            raise UsageError(
                f"--set {field}: take a setting such as batch=64, or one of the teacher's: teacher.…"
            )
        if dot:
            told[key] = value
        else:
            given[field] = value
    left_out: dict[str, list[str]] = {}
    for text in exclude or []:
        corpus, colon, speakers = text.partition(":")
        if not colon or not speakers:
            raise UsageError(f"--exclude takes CORPUS:SPEAKER, such as emodb:03,08; found {text!r}")
        left_out.setdefault(corpus, []).extend(speakers.split(","))
    tables = [of_reader(source) for source in data]
    known = [corpus_of(table) for table in tables]
    for corpus in left_out:
        if corpus not in known:
            raise unknown("corpus in --exclude", corpus, known)
    chosen = [distillation_data(table, left_out.get(corpus_of(table), ())) for table in tables]

    from unheard.distillation.distil import Settings
    from unheard.distillation.make_student import make_student
    from unheard.metrics.formatting import counted

    asked = construct(Settings, given, "distillation")
    clips = ", ".join(f"{len(one.clips)} clips of {one.corpus}" for one in chosen)
    say(f"{clips} → {counted(asked.steps, 'step')} of {asked.batch} segments of {asked.seconds:g} s → {out}")
    with bars() as advance:
        card = make_student(
            chosen, told, numbers or [], out, asked,
            resume=resume, jobs=jobs, progress=advance, say=say,
        )  # fmt: skip
    show(f"{out}: {card['parameters']} parameters, loss {card['loss']:.4f}")
