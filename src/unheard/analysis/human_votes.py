"""What people reach who only hear, only see, or do both: votes of one modality as answers, fused late.

A corpus such as CREMA-D has the votes of different people on the voice, the face, and both. Their shares are taken
as the probabilities of a system, so that people are calibrated, fused and scored as systems are.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard.corpora.table import classes, corpus_of
from unheard.decide.calibration import apply_temperature
from unheard.decide.late_fusion import fit_fusion, fuse
from unheard.errors import DataError
from unheard.predictions.table import predictions
from unheard.protocols.fold import Protocol

Floats = NDArray[np.float64]

#: Added to the votes of every class, so that what nobody chose is improbable and not impossible (Jeffreys' prior).
PRIOR = 0.5
MODALITIES = ("audio", "video", "audiovisual")


def human_votes(table: pl.DataFrame, protocol: Protocol, truth: dict[str, str]) -> dict[str, pl.DataFrame]:
    """Return predictions by people: ``audio``, ``video``, ``audiovisual``, and ``fusion`` of the first two.

    Temperatures and the weights of the fusion are fitted on the validation clips of each fold, as of any systems.
    The label is ``truth`` by clip, such as what the actors were asked for; clips without votes of all three are
    left out.

    Raises
    ------
    DataError
        No clip has votes of all three modalities.
    """
    names = classes(table)
    counts = {
        row["id"]: np.stack([_counts(row["votes"], modality, names) for modality in MODALITIES])
        for row in table.select("id", "votes").iter_rows(named=True)
    }
    kept = {i for i, found in counts.items() if (found.sum(axis=1) > 0).all() and truth.get(i) in names}
    if not kept:
        raise DataError(f"no clip has votes on {', '.join(MODALITIES)} and a label among {', '.join(names)}")
    people = table.select("id", "speaker", "gender")
    listed: dict[str, list[pl.DataFrame]] = {name: [] for name in (*MODALITIES, "fusion")}
    for number, parts in enumerate(protocol.folds):
        scored = {}
        for part, ids in (("val", parts.val), ("test", parts.test)):
            here = [i for i in ids if i in kept]
            found = np.stack([counts[i] for i in here]) + PRIOR
            labels = np.array([names.index(truth[i]) for i in here], dtype=np.int64)
            scored[part] = (
                here,
                np.log(found / found.sum(axis=-1, keepdims=True)).transpose(1, 0, 2),
                labels,
            )
        _, held, labels = scored["val"]
        both = fit_fusion([held[0], held[1]], labels)
        alone = [fit_fusion([logits], labels).temperatures[0] for logits in held]
        asked, tested, _ = scored["test"]
        answers = [apply_temperature(z, t) for z, t in zip(tested, alone, strict=True)]
        answers.append(fuse([tested[0], tested[1]], both))
        for name, p in zip(listed, answers, strict=True):
            frame = pl.DataFrame(
                {"id": asked, "label": [truth[i] for i in asked], "probabilities": p.tolist()}
            )
            listed[name].append(frame.with_columns(system=pl.lit(f"people, {name}"), fold=pl.lit(number)))
    common = {
        "corpus": pl.lit(corpus_of(table)),
        "protocol": pl.lit(protocol.name),
        "protocol_hash": pl.lit(protocol.hash),
    }
    return {
        name: predictions(pl.concat(frames).join(people, on="id", how="left").with_columns(**common), names)
        for name, frames in listed.items()
    }


def _counts(votes: list[dict[str, object]] | None, modality: str, names: tuple[str, ...]) -> Floats:
    """Return the weight of the votes of one modality for each class."""
    found = np.zeros(len(names))
    for vote in votes or ():
        if vote["modality"] == modality and vote["label"] in names:
            weight = vote["weight"]
            found[names.index(str(vote["label"]))] += 1.0 if weight is None else float(str(weight))
    return found
