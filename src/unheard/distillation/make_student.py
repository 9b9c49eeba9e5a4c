"""From corpora and a teacher to a student's folder: an encoder of the family ``onnx``, and its card."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from unheard.distillation.data import DistillationData, Segments, segments_of
from unheard.distillation.distil import Settings, distil
from unheard.distillation.student import Student
from unheard.distillation.student_graph import GRAPH, write
from unheard.distillation.teacher import Teacher
from unheard.errors import UsageError
from unheard.settings import plain

#: In the student's folder while it is in training.
STATE = "training"


def make_student(
    data: Sequence[DistillationData],
    teacher: Mapping[str, Any],
    layers: Sequence[int],
    out: Path,
    settings: Settings,
    *,
    resume: bool = False,
    jobs: int = 1,
    progress: Callable[[str, int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Distil a student and write its folder.

    Parameters
    ----------
    data : clips that the student learns from.
    teacher : settings of the encoder that teaches.
    layers : numbers of the teacher's layers that are imitated.
    out : folder of ``student.onnx``, ``encoder.json`` and ``card.json``; during training it also holds the state.
    settings : how to distil.
    resume : whether to go on from the state in ``out``, if there is one.
    jobs : number of processes that decode.
    progress : function that is called with (stage, done, all).
    say : function that is called with lines about clips that cannot be used and about the loss.

    Returns
    -------
    dict
        The content of ``card.json``.

    Raises
    ------
    UsageError
        ``out`` holds a student, or a state and ``resume`` is not set; or the encoder cannot be a teacher.
    DataError
        No clip of a corpus can be used, the state is of another training, or the loss is not finite.
    """
    if (out / GRAPH).exists():
        raise UsageError(f"{out} holds a student; choose another folder, or remove it")
    if (out / STATE).exists() and not resume:
        raise UsageError(
            f"{out} holds a training that was broken off; give --resume (resume=True in Python), or remove it"
        )
    master = Teacher(teacher, layers)
    segments = segments_of(data, master.frontend, jobs=jobs, progress=progress, say=say)

    def told(done: int, total: int, loss: float) -> None:
        if progress is not None:
            progress("distilling", done, total)
        if say is not None:
            say(f"step {done} of {total}: loss {loss:.4f}")

    student, history = distil(segments, master, settings, out / STATE, progress=told)
    card = _card(data, segments, master, settings, student, history)
    write(student, out, master.names, master.frontend, card)
    shutil.rmtree(out / STATE)
    return card


def _card(
    data: Sequence[DistillationData],
    segments: Segments,
    teacher: Teacher,
    settings: Settings,
    student: Student,
    history: list[dict[str, Any]],
) -> dict[str, Any]:
    licences = {licence for one in data for licence in one.licences}
    layers = ", ".join(teacher.names)
    seconds = [frames * float(teacher.frontend["hop"]) for frames in segments.frames]
    return {
        "about": f"student of {layers} of {teacher.attribution}, from random weights, without labels",
        "licence": "; ".join(sorted(licences)),
        "attribution": f"imitates {teacher.attribution}",
        "parameters": sum(value.numel() for value in student.parameters()),
        "teacher": {
            "attribution": teacher.attribution,
            "licence": teacher.licence,
            "sha256": teacher.settings["sha256"],
            "entries": list(teacher.names),
        },
        "corpora": [
            {
                "corpus": one.corpus,
                "clips": len(clips),
                "hours": round(length / 3600, 3),
                "share": round(float(share), 4),
                "speakers": list(one.speakers),
                "excluded": list(one.excluded),
                "licences": list(one.licences),
            }
            for one, clips, length, share in zip(
                data, segments.corpora, seconds, segments.shares, strict=True
            )
        ],
        "settings": plain(settings),
        "loss": history[-1]["loss"],
        "history": history,
    }
