"""What each layer of an encoder knows: saliency, and a probe's scores for emotion and speaker (docs/layers.md).

All of it on the training speakers of one fold: the figure is for choosing, and nobody who is tested is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard.analysis import probing
from unheard.corpora.table import classes, corpus_of, counted
from unheard.errors import DataError, UsageError, unknown
from unheard.extraction.saliency import (
    Band,
    Saliency,
    highest,
    one_vs_rest,
    saliency,
    sample,
    shares,
)
from unheard.metrics.rows import marks
from unheard.protocols.fold import Protocol

Features = Mapping[str, NDArray[np.float32]]

TARGETS = ("labels", "votes", "dimensions")


def layers(
    table: pl.DataFrame,
    protocol: Protocol,
    fold: int,
    features: Features,
    names: Sequence[str],
    widths: Sequence[int],
    *,
    targets: str = "labels",
    learned: Sequence[float] | None = None,
    stamps: Sequence[str] = (),
    seed: int = 0,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Return what the layers know, as plain data: the content of ``layers.json``; scores are fractions.

    Parameters
    ----------
    table, protocol, fold
        Utterances, the folds, and the number of the one whose training clips are used.
    features
        Pooled statistics of the store: id → (layers, 2, widest), mean and standard deviation over frames.
    names, widths
        Names and widths of the layers; dims beyond a layer's width are padding.
    targets
        Targets of saliency: ``labels`` (each class against the rest), ``votes`` (their distribution), or
        ``dimensions`` (those of activation, valence and dominance that the table has).
    learned
        Weights of the layers that a head learned on this fold, to compare with the scores.
    stamps
        Beyond those of the protocol, such as ``RANDOM WEIGHTS``.
    seed
        Seed of draws, samples and inner folds.
    threads
        Number of threads of the probes.
    progress
        Function that is called with (layers done, all layers).

    Raises
    ------
    UsageError
        No such fold or kind of targets, or learned weights of another number of layers.
    DataError
        Too few training clips have features, or none has such targets.
    """
    if not 0 <= fold < len(protocol.folds):
        raise UsageError(f"{protocol.name} has the folds 0-{len(protocol.folds) - 1}, found {fold}")
    if learned is not None and len(learned) != len(names):
        raise UsageError(f"{len(learned)} learned weights for {len(names)} layers: are they of this encoder?")
    clips = _clips(table, protocol.folds[fold].train, features)
    aimed = _aimed(table, clips, targets)
    aimed = aimed[sample(len(aimed), seed)]
    aims = np.array(aimed["target"].to_list(), dtype=np.float64)
    speakers = aimed["speaker"].fill_null(aimed["id"]).to_numpy().astype(np.str_)
    questions = {
        "emotion": probing.emotion(clips, len(classes(table)), seed),
        "speaker": probing.speaker(clips, seed),
    }
    salience, known = [], []
    for k, (name, width) in enumerate(zip(names, widths, strict=True)):
        means = np.stack([features[i][k, 0, :width] for i in aimed["id"]])
        salience.append(saliency(means, aims, speakers, seed=seed))
        layer: dict[str, Any] = {"layer": k, "name": name, "width": width, "saliency": _plain(salience[k])}
        for about, question in questions.items():
            if question is not None:
                X = np.stack([features[i][k, :, :width].ravel() for i in question.ids]).astype(np.float64)
                predicted = probing.predictions(question, X, threads)
                layer[about] = probing.score(question, predicted, seed)
        if learned is not None:
            layer["weight"] = float(learned[k])
        known.append(layer)
        if progress is not None:
            progress(k + 1, len(names))
    share = shares(salience)
    salient = highest(salience)
    return {
        "corpus": corpus_of(table),
        "protocol": protocol.name,
        "protocol_hash": protocol.hash,
        "fold": fold,
        "stamps": _stamps(table, protocol, clips, stamps),
        "n_clips": len(clips),
        "n_speakers": clips["speaker"].drop_nulls().n_unique(),
        "targets": targets,
        "columns": _columns(table, targets, clips),
        "layers": known,
        "salient": {
            "layer": salient,
            "name": names[salient],
            "share": None if share is None else float(share[salient]),
            "by_correlation": highest(salience, correlation=True),
        },
        **{about: _asked(question) for about, question in questions.items()},
    }


def learned_weights(records: Sequence[Mapping[str, Any]], fold: int) -> list[float]:
    """Return the weights of the layers that a run's head learned on a fold, mean over seeds.

    ``records`` are those of ``Run.folds()``.

    Raises
    ------
    UsageError
        The run's head has no such weights, or the fold was not run.
    """
    own = [(r.get("learned") or {}).get("layer_weights") for r in records if r["fold"] == fold]
    found = [weights for weights in own if weights]
    if not found:
        raise UsageError(
            f"the run has no learned layer weights of fold {fold}: its head does not weight layers, or this fold "
            "was not run"
        )
    means: list[float] = np.mean(found, axis=0).tolist()
    return means


def _clips(table: pl.DataFrame, ids: Sequence[str], features: Features) -> pl.DataFrame:
    """Return the training clips with features: id, label as a class number, speaker, gender and sentence."""
    rows = table.filter(pl.col("id").is_in(list(ids))).sort("id")
    rows = rows.filter(pl.Series([i in features for i in rows["id"]], dtype=pl.Boolean))
    if rows.is_empty():
        raise DataError("no training clip of the fold has features")
    return rows.select("id", pl.col("label").to_physical().cast(pl.Int64), "speaker", "gender", "sentence")


def _aimed(table: pl.DataFrame, clips: pl.DataFrame, kind: str) -> pl.DataFrame:
    """Return the clips that have targets: id, speaker and ``target``, a list of D numbers."""
    columns = _columns(table, kind, clips)
    if kind == "labels":
        target = one_vs_rest(clips["label"].to_numpy(), len(columns)).tolist()
    else:
        rows = clips.select("id").join(table, on="id", how="left", maintain_order="left")
        if kind == "votes":
            target = [_shares(votes, columns) for votes in rows["votes"].to_list()]
        else:
            values = rows.select(columns).rows()
            target = [None if None in row else list(row) for row in values]
    found = clips.select("id", "speaker").with_columns(target=pl.Series(target, dtype=pl.List(pl.Float64)))
    found = found.filter(pl.col("target").is_not_null())
    if found.is_empty():
        raise DataError(f"no training clip has {kind}; take the targets 'labels'")
    return found


def _columns(table: pl.DataFrame, kind: str, clips: pl.DataFrame) -> list[str]:
    """Return the names of the targets."""
    if kind not in TARGETS:
        raise unknown("kind of targets", kind, TARGETS)
    if kind == "dimensions":
        known = table.filter(pl.col("id").is_in(clips["id"].to_list()))
        named = ("activation", "valence", "dominance")
        columns = [name for name in named if known[name].null_count() < len(known)]
        if not columns:
            raise DataError(
                "no training clip has activation, valence or dominance; take the targets 'labels'"
            )
        return columns
    return list(classes(table))


def _shares(votes: Sequence[Mapping[str, Any]] | None, labels: Sequence[str]) -> list[float] | None:
    """Return the votes for each class over all votes for one of the classes; None without any."""
    weight = dict.fromkeys(labels, 0.0)
    for vote in counted(votes):
        if vote["label"] in weight:
            weight[vote["label"]] += 1.0 if vote["weight"] is None else vote["weight"]
    total = sum(weight.values())
    return [w / total for w in weight.values()] if total > 0 else None


def _stamps(table: pl.DataFrame, protocol: Protocol, clips: pl.DataFrame, also: Sequence[str]) -> list[str]:
    own = ["SYNTHETIC"] if corpus_of(table) == "synthetic" else []
    return list(dict.fromkeys((*protocol.stamps, *marks(clips["speaker"]), *own, *also)))


def _asked(question: probing.Question | None) -> dict[str, Any] | None:
    if question is None:
        return None
    return {
        "held_out": question.held_out,
        "inner_folds": len(np.unique(question.inner)),
        "classes": question.classes,
        "chance": 1 / question.classes,
        "n_clips": len(question.ids),
        "C": probing.C,
    }


def _plain(found: Saliency) -> dict[str, Any]:
    def band(value: Band) -> dict[str, float | None]:
        return {"value": value.value, "low": value.low, "high": value.high}

    return {
        "score": band(found.score),
        "correlation": band(found.correlation),
        "targets": found.targets.tolist(),
    }
