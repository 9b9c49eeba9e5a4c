"""A bundle scored on a table of labelled clips: no folds, since nothing is trained here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from unheard.audio.decode import Clip, load
from unheard.audio.resample import RATE, to_rate
from unheard.auditing.swapped_labels import check_swapped_labels
from unheard.bundle.runtime import Bundle
from unheard.bundle.runtime import load as load_bundle
from unheard.corpora import generic
from unheard.corpora.names import comparable
from unheard.corpora.relabel import relabel
from unheard.corpora.table import clips, corpus_of
from unheard.errors import AudioError, DataError, UsageError, first_five, unknown
from unheard.external.score_knowing import score_knowing
from unheard.inputs import Turn
from unheard.labels import Labels
from unheard.metrics import estimators
from unheard.metrics.rows import marks
from unheard.predictions.table import predictions
from unheard.runs.scoring import by_class, commonest_class, majority


def score_bundle(
    folder: str | os.PathLike[str],
    table: pl.DataFrame,
    *,
    labels: Labels | None = None,
    channel: int | None = None,
    allow_truncated: bool = False,
    progress: Callable[[int, int], None] | None = None,
    enrol: bool = False,
) -> dict[str, Any]:
    """Predict every labelled clip of a table with a bundle and score the predictions (fractions).

    Parameters
    ----------
    folder
        Folder of the bundle.
    table
        Utterances; every label must be one of the bundle's.
    labels
        Other names for the labels of the table and the classes of the bundle. Clips with labels that the bundle
        does not have then are left out and counted, and it chooses among those that both have alone: its
        probabilities of merged classes are added, and those of these classes are scaled to sum to 1.
    channel
        Channel that is read; None for the one that the bundle was trained on.
    allow_truncated
        Read files that are cut short, up to where they end.
    progress
        Function that is called with (clips done, all clips).
    enrol
        Whether a bundle that adapts is scored knowing some clips of a speaker, too; they are read once more.

    Returns
    -------
    ``bundle``, ``corpus``, ``labels`` (classes), ``mapping`` (in words), ``stamps``, ``heard``, ``heard_clips``,
    ``heard_perhaps`` (the attributes of :class:`Contamination`), ``n_clips``, ``n_left_out``, ``n_unanswered``,
    ``n_unsure``, ``n_speakers``, ``metrics``, ``baselines``, ``per_class``, ``groups``, ``selective``,
    ``findings`` (pairs of classes whose labels may be swapped, of a corpus that it was not trained on), with
    ``enrol`` also ``enrolment`` (:func:`unheard.runs.enrolment_scores.enrolment_scores`). The baselines are
    chance, and always predicting the commonest class of these clips: how common the classes were in its training a
    bundle does not say. A clip without a prediction counts as an error. One that the bundle was not sure about
    counts with its most probable label; ``selective`` has the ``coverage`` of the bundle's threshold
    and the ``accuracy`` of the predictions that it gave (None where it gave none).

    Raises
    ------
    BundleError
        The bundle is not as it was made.
    DataError
        No labelled clip, or a label that the bundle does not know.
    UsageError
        The mapping names a label that neither the table nor the bundle has, or they share fewer than two classes.
    """
    bundle = load_bundle(folder)
    if enrol and not (bundle.adapts and bundle.classes):
        raise UsageError(
            f"{folder} does not adapt to voices, or predicts no classes: leave --enrol (enrol) out, or take a "
            "bundle of a run whose inputs have 'adapt' (docs/adaptation.md)"
        )
    rows = table.filter(pl.col("label").is_not_null())
    n_labelled = len(rows)
    shared = bundle.classes
    if labels is not None:
        rows, shared = _shared(rows, labels, bundle.classes)
    strange = sorted(set(rows["label"].cast(pl.String)) - set(shared))
    if rows.is_empty() or strange:
        if rows.is_empty():
            raise DataError("no clip has a label")
        raise DataError(
            f"the bundle predicts {', '.join(bundle.classes)}; the table has {first_five(strange)}: leave those "
            "clips out, or say which of its labels are which of the bundle's (labels anger=angry,fear=fearful)"
        )
    predicted: list[list[float] | None] = []
    unsure: list[bool] = []
    trained_on: list[bool] = []
    clips = _compared(_clips(rows, bundle, channel, allow_truncated), bundle, trained_on)
    for done, prediction in enumerate(bundle.predict_clips(clips), start=1):
        unsure.append("unsure" in prediction.flags)
        predicted.append(
            _among(prediction.probabilities, shared, labels) if prediction.probabilities else None
        )
        if progress is not None:
            progress(done, len(rows))
    kept = ("corpus", "id", "speaker", "gender")
    frame = rows.select(*kept, pl.col("label").cast(pl.String)).with_columns(
        system=pl.lit(bundle.description.name),
        probabilities=pl.Series(predicted, dtype=pl.List(pl.Float64)),
    )
    test = predictions(frame, shared)
    trained = contamination(bundle, rows, trained_on)
    swapped = [] if trained.speakers or trained.clips else check_swapped_labels(test)
    more: dict[str, Any] = {}
    if enrol:
        again = _clips(rows, bundle, channel, allow_truncated)
        more["enrolment"] = score_knowing(
            bundle, rows, again, shared, lambda found: _among(found, shared, labels), test, progress
        )
    return {
        "bundle": bundle.description.name,
        "corpus": corpus_of(rows),
        "labels": list(shared),
        "stamps": _stamps(bundle, rows, trained),
        "heard": list(trained.speakers),
        "heard_clips": list(trained.clips),
        "heard_perhaps": list(trained.perhaps),
        "mapping": None if labels is None else str(labels),
        "n_clips": len(rows),
        "n_left_out": n_labelled - len(rows),
        "n_unanswered": predicted.count(None),
        "n_unsure": sum(unsure),
        "n_speakers": rows["speaker"].drop_nulls().n_unique(),
        "metrics": estimators.estimate(test),
        "baselines": {
            "chance": {"accuracy": 1 / len(shared), "uar": 1 / len(shared)},
            "majority": majority(test, commonest_class(rows["label"].cast(pl.String).to_list(), shared)),
        },
        "per_class": by_class(test),
        "groups": {"gender": estimators.per_gender(test)},
        "findings": [one.as_dict() for one in swapped],
        "selective": _selective(shared, rows, predicted, unsure),
        **more,
    }


def _shared(
    rows: pl.DataFrame, labels: Labels, classes: Sequence[str]
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the clips whose new label the bundle has, and the classes that both have in the bundle's order."""
    renamed = relabel(rows, labels, also=classes).with_columns(pl.col("label").cast(pl.String))
    known = labels.classes(classes)
    strange = [new for new in labels.names.values() if new is not None and new not in known]
    if strange and labels.version is None:
        raise unknown("label of the bundle", strange[0], known)
    found = set(renamed["label"].drop_nulls())
    shared = tuple(name for name in known if name in found)
    if len(shared) < 2:
        raise UsageError(
            f"labels {labels.name}: the table has {', '.join(sorted(found)) or 'none'} then, the bundle "
            f"{', '.join(known)}; two classes of both are needed"
        )
    return renamed.filter(pl.col("label").is_in(shared)), shared


def _among(probabilities: Mapping[str, float], classes: Sequence[str], labels: Labels | None) -> list[float]:
    """Return the probabilities of some classes, scaled to sum to 1 where others are left out."""
    named = probabilities if labels is None else labels.shares(probabilities)
    kept = [named[name] for name in classes]
    return kept if len(kept) == len(named) else [value / sum(kept) for value in kept]


def _selective(
    classes: Sequence[str], rows: pl.DataFrame, predicted: list[list[float] | None], unsure: list[bool]
) -> dict[str, float | None]:
    """Return what the bundle predicted where it was sure, and how often that was right."""
    right = [
        classes[p.index(max(p))] == label
        for p, label, withheld in zip(predicted, rows["label"].cast(pl.String), unsure, strict=True)
        if p is not None and not withheld
    ]
    accuracy = sum(right) / len(right) if right else None
    return {"coverage": len(right) / len(predicted), "accuracy": accuracy}


@dataclass(frozen=True)
class Contamination:
    """What of a table a bundle was trained on.

    Attributes
    ----------
    speakers
        Speakers of the same name in the same corpus, and those of the clips.
    clips
        Ids of recordings that it was trained on, known by sound, whatever their name, corpus or speaker.
    perhaps
        Speakers of the same name where neither table says which corpus it is, and who may be other people.
    """

    speakers: tuple[str, ...]
    clips: tuple[str, ...]
    perhaps: tuple[str, ...]


def contamination(bundle: Bundle, table: pl.DataFrame, trained_on: Sequence[bool]) -> Contamination:
    """Return what of a table a bundle was trained on.

    Speakers are known by corpus and name, since two corpora have a speaker 03 each. A table of one's own has no
    name of its corpus, so there the sound alone decides; of a bundle that keeps nothing of its clips the name.
    """
    training = bundle.description.training
    corpora = {**training.get("others", {}), str(training.get("corpus")): bundle.training_speakers}
    rows = table.with_columns(known=pl.Series(trained_on, dtype=pl.Boolean))
    clips = rows.filter("known")
    speakers, perhaps = set(clips["speaker"].drop_nulls()), set()
    for corpus, names in corpora.items():
        there = rows.filter(pl.col("corpus") == corpus)["speaker"].drop_nulls().unique()
        people = {comparable(name) for name in names}
        same = {name for name in there if comparable(name) in people}
        if corpus == generic.NAME and bundle.known_clips is not None:
            perhaps |= same
        else:
            speakers |= same
    return Contamination(tuple(sorted(speakers)), tuple(clips["id"]), tuple(sorted(perhaps - speakers)))


def _stamps(bundle: Bundle, table: pl.DataFrame, trained: Contamination) -> list[str]:
    due = {
        "CONTAMINATED": bool(trained.speakers or trained.clips),
        "RANDOM WEIGHTS": bundle.description.random,
        "SYNTHETIC": corpus_of(table) == "synthetic",
        "UNVERIFIED": bool(trained.perhaps),
    }
    return list(dict.fromkeys([*(stamp for stamp in due if due[stamp]), *marks(table["speaker"])]))


def _compared(
    clips: Iterable[Clip | AudioError], bundle: Bundle, trained_on: list[bool]
) -> Iterator[Clip | AudioError]:
    """Yield the clips, and note of each whether the bundle was trained on it."""
    for clip in clips:
        wave = to_rate(clip.wave, clip.rate, RATE) if isinstance(clip, Clip) and clip.usable else None
        known = bundle.known_clips
        trained_on.append(known is not None and wave is not None and known.has(wave))
        yield clip


def _clips(
    rows: pl.DataFrame, bundle: Bundle, channel: int | None, allow_truncated: bool
) -> Iterator[Clip | AudioError]:
    d = bundle.description
    taken = d.channel if channel is None else channel
    said: list[tuple[Turn, ...]] = [()] * len(rows)
    if d.takes_words:
        # The words that its run was taught with: the owner's, or recognised ones.
        own = next(name for name, each in d.inputs.items() if each.words is not None)
        transcript = str(((d.recipe.get("inputs") or {}).get(own) or {}).get("transcript", "owner"))
        listed = clips(rows, taken, transcript=transcript)
        said = [() if clip.turn is None else (*clip.context, clip.turn) for clip in listed]
    for (path, start, end), turns in zip(rows.select("path", "start", "end").iter_rows(), said, strict=True):
        try:
            clip = load(
                path,
                start,
                end,
                channel=taken,
                allow_truncated=allow_truncated,
                rate=d.sample_rate,
            )
            yield replace(clip, turns=turns)
        except AudioError as error:
            yield error
