"""A bundle that adapts, scored by how many clips of a speaker it knows (docs/adaptation.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from unheard.audio.decode import Clip
from unheard.bundle.head import Inputs
from unheard.bundle.runtime import Bundle
from unheard.decide.calibration import apply_temperature
from unheard.errors import AudioError
from unheard.predictions.table import predictions
from unheard.runs.enrolment import Asked, asked
from unheard.runs.enrolment_scores import enrolment_scores

#: From the probabilities of a bundle's classes to those of the classes among which is chosen.
Among = Callable[[Mapping[str, float]], list[float]]


def score_knowing(
    bundle: Bundle,
    rows: pl.DataFrame,
    clips: Iterable[Clip | AudioError],
    classes: tuple[str, ...],
    among: Among,
    nobody: pl.DataFrame,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Return one mapping for each kind and number of known clips, as of :func:`~unheard.runs.enrolment_scores`.

    Which clips are set aside and drawn is what it is for the folds of a run: other clips of the same speaker are
    scored, and each score is compared with that of the same clips where nothing is known.

    Parameters
    ----------
    bundle
        One that adapts to speakers.
    rows, clips
        Labelled utterances, and the recording of each.
    classes
        Classes among which is chosen.
    among
        What makes their probabilities of those of the bundle.
    nobody
        Prediction table of the rows where nothing is known.
    progress
        Function that is called with (clips done, all clips).
    """
    inputs: list[Inputs | None] = []
    for clip in clips:
        inputs.append(bundle.inputs_of(clip))
        if progress is not None:
            progress(len(inputs), len(rows))
    usable = [row for row, found in enumerate(inputs) if found is not None]
    speakers = [rows["speaker"][row] for row in usable]
    labels = rows["label"].cast(pl.String)
    tables = [
        _predicted(bundle, rows, inputs, usable, speakers, one, classes, among)
        for one in asked(speakers, [labels[row] for row in usable])
    ]
    return enrolment_scores(pl.concat([nobody, *tables])) if tables else []


def _predicted(
    bundle: Bundle,
    rows: pl.DataFrame,
    inputs: Sequence[Inputs | None],
    usable: Sequence[int],
    speakers: Sequence[str | None],
    one: Asked,
    classes: tuple[str, ...],
    among: Among,
) -> pl.DataFrame:
    """Return the prediction table of what is asked; a clip without features has no prediction."""
    count, temperature = len(bundle.classes), bundle.description.temperature
    found: dict[int, list[float] | None] = {}
    for speaker, known in one.known.items():
        scored = [usable[i] for i in one.scored if speakers[i] == speaker]
        outputs = bundle.outputs_knowing(
            _there(inputs, scored), _there(inputs, [usable[i] for i in known.rows])
        )
        shares = apply_temperature(outputs[:, :count], temperature).tolist()
        for row, each in zip(scored, shares, strict=True):
            found[row] = among(dict(zip(bundle.classes, each, strict=True)))
        lost = (row for row in range(len(rows)) if inputs[row] is None and rows["speaker"][row] == speaker)
        found |= dict.fromkeys(lost)
    frame = rows[list(found)].select("corpus", "id", "speaker", "gender", pl.col("label").cast(pl.String))
    return predictions(
        frame.with_columns(
            system=pl.lit(bundle.description.name),
            probabilities=pl.Series(list(found.values()), dtype=pl.List(pl.Float64)),
            enrol_kind=pl.lit(one.kind),
            enrol_k=pl.lit(one.count, pl.Int64),
            draw=pl.lit(one.draw, pl.Int64),
        ),
        classes,
    )


def _there(inputs: Sequence[Inputs | None], rows: Sequence[int]) -> list[Inputs]:
    return [found for row in rows if (found := inputs[row]) is not None]
