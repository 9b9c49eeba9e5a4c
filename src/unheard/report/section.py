"""The part of the page about one system: its figures and tables, as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from unheard.metrics.blocks import stored_dimensions
from unheard.metrics.categorical import confusion, per_class
from unheard.metrics.dimensional import MEAN, METRICS
from unheard.metrics.formatting import NONE, interval, percent, score, spread
from unheard.metrics.k_best import second_answers
from unheard.metrics.probabilistic import reliability
from unheard.metrics.speakers import per_speaker
from unheard.report import published
from unheard.report.figures.chart import Chart
from unheard.report.figures.classes import classes_chart
from unheard.report.figures.confusion import confusion_chart
from unheard.report.figures.curves import curves, curves_chart
from unheard.report.figures.dimensions import dimensions_chart
from unheard.report.figures.enrolment import enrolment_chart
from unheard.report.figures.folds import fold_scores, folds_chart
from unheard.report.figures.fusion import fusion_chart, fusion_fits
from unheard.report.figures.layer_choices import choices, choices_chart, weights_chart
from unheard.report.figures.reliability import reliability_chart
from unheard.report.figures.risk_coverage import risk_coverage_chart
from unheard.report.figures.scatter import scatter_chart
from unheard.report.figures.second_answers import second_answers_chart
from unheard.report.figures.speakers import speaker_scores, speakers_chart
from unheard.report.figures.temperatures import temperatures_chart
from unheard.report.figures.votes import votes_chart
from unheard.report.findings import baseline, certificate_of, remarks
from unheard.report.sounds import MOST, player
from unheard.report.system import System
from unheard.report.wording import printable
from unheard.report.worst import most_confidently_wrong


@dataclass(frozen=True)
class Section:
    """What the template shows of one system; ``anchor`` is its id on the page."""

    anchor: str
    name: str
    about: str
    changed: tuple[str, ...]
    stamps: tuple[str, ...]
    certificate: str
    certificate_rows: list[tuple[str, str, str, str, str]]
    scores: list[tuple[str, str, str, str]]
    dimension_columns: tuple[str, ...]
    dimensions: list[tuple[str, ...]]
    remarks: list[str]
    published_columns: tuple[str, ...]
    published: list[tuple[str, ...]]
    published_words: list[str]
    charts: list[Chart]
    worst_columns: tuple[str, ...]
    worst: list[tuple[Any, ...]]
    fold_rows: list[tuple[str, str, str, str]]
    recipe: list[tuple[str, str]]
    made_with: list[tuple[str, str]]


def section(anchor: str, system: System, *, audio: bool = False) -> Section:
    """Collect everything about one system; with ``audio`` the recordings of its worst mistakes, too."""
    worst_columns, worst = _worst(system, audio)
    dimension_columns, dimensions = _dimensions(system)
    others = published.references(system)
    return Section(
        anchor=anchor,
        name=system.name,
        about=str(system.config.get("about") or ""),
        changed=tuple(map(str, system.results.get("changed") or ())),
        stamps=system.stamps,
        certificate=certificate_of(system),
        certificate_rows=_certificate(system),
        scores=_scores(system),
        dimension_columns=dimension_columns,
        dimensions=dimensions,
        remarks=[remark.text for remark in remarks(system) if remark.kind != "probabilities"],
        published_columns=published.COLUMNS,
        published=[published.row(other) for other in others],
        published_words=[other.words for other in others],
        charts=_charts(anchor, system),
        worst_columns=worst_columns,
        worst=worst,
        fold_rows=_folds(system),
        recipe=[row for key, value in system.config.items() if key not in ("published", "about", "changed")
                for row in _flat(key, value)],
        made_with=_made_with(system),
    )  # fmt: skip


def _charts(anchor: str, system: System) -> list[Chart]:
    found = _class_charts(anchor, system) if len(system.labelled.label) else []
    step, histories = curves(system.fits)
    also = (
        enrolment_chart(f"{anchor}-enrolment", system.results.get("enrolment", ())),
        votes_chart(f"{anchor}-votes", system.rows),
        dimensions_chart(f"{anchor}-dimensions", system.metrics),
        scatter_chart(f"{anchor}-scatter", system.rows),
        curves_chart(f"{anchor}-curves", step, histories, system),
        choices_chart(f"{anchor}-choices", choices(system.fits)),
        weights_chart(f"{anchor}-weights", system.fits),
        fusion_chart(f"{anchor}-fusion", fusion_fits(system.fits)),
    )
    return [*found, *(chart for chart in also if chart is not None)]


def _class_charts(anchor: str, system: System) -> list[Chart]:
    """Return the charts of the clips that have a label."""
    rows = system.labelled
    seeds = system.seeds
    chance, majority = (baseline(system, which, "accuracy") for which in ("chance", "majority"))
    found: list[Chart] = []
    folds = fold_scores(system)
    if folds:
        found.append(
            folds_chart(f"{anchor}-folds", folds, system.metric("accuracy", "mean"), chance, majority)
        )
    speakers = speaker_scores(per_speaker(system.clean))
    if speakers:
        found.append(speakers_chart(f"{anchor}-speakers", speakers, chance))
    counts = confusion(rows.label, rows.predicted, len(rows.classes))
    found.append(classes_chart(f"{anchor}-classes", per_class(counts), rows.classes, seeds))
    bins = reliability(rows.probabilities, rows.label)
    found.append(reliability_chart(f"{anchor}-reliability", bins, system.metric("ece")))
    found.append(confusion_chart(f"{anchor}-confusion", counts, rows.classes, seeds))
    second = second_answers_chart(f"{anchor}-second", second_answers(rows), rows.classes, seeds)
    found += [] if second is None else [second]
    silence = risk_coverage_chart(f"{anchor}-risk-coverage", rows, system.results.get("aurc"))
    found += [] if silence is None else [silence]
    temperatures = temperatures_chart(f"{anchor}-temperatures", folds)
    return found if temperatures is None else [*found, temperatures]


def _scores(system: System) -> list[tuple[str, str, str, str]]:
    """Return every score of the results: name, pooled with its interval, mean over folds with its spread."""
    return [
        (
            f"{metric.label} %" if metric.percent else metric.label,
            score(estimate["pooled"], metric.percent),
            # The interval of the calibration error lies too high (docs/metrics.md): the error may be outside it.
            NONE if metric.name == "ece" else interval(estimate["low"], estimate["high"], metric.percent),
            spread(estimate["mean"], estimate["sd"], metric.percent),
        )
        for metric, estimate in system.metrics
        if "." not in metric.name
    ] + [
        (name, score(found["pooled"], in_percent), interval(found["low"], found["high"], in_percent), NONE)
        for name, found, in_percent in _beside(system.results)
    ]


#: Groups of ``unheard.metrics.speakers_above`` in words.
_PEOPLE = {
    "all": "speakers",
    "female": "women",
    "male": "men",
    "enough": "speakers with 10 clips and 3 classes",
}


def _beside(results: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Yield what is no mean over clips: name, estimate, whether it is a share. People are the human ceiling."""
    if "aurc" in results:
        yield "area under risk-coverage", results["aurc"], False
    for row in results.get("speakers_above") or ():
        if row["k"] == 1:
            yield (
                f"{_PEOPLE[row['group']]} above {row['above']} % UAR, %",
                {**row, "pooled": row["share"]},
                True,
            )
    for name, found in (results.get("graders") or {}).items():
        if isinstance(found, Mapping):
            dimension, _, metric = name.rpartition(".")
            label = {"accuracy": "accuracy %", "uar": "UAR %"}.get(name, f"CCC of {dimension}")
            yield f"a person against the others: {label}", found, metric != "ccc"


def _dimensions(system: System) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the table of scores of dimensions: each metric pooled with its interval, and over folds."""
    found = {metric.name: estimate for metric, estimate in system.metrics}
    names = stored_dimensions(system.results)
    columns = ["dimension"]
    for metric in METRICS:
        columns += [metric.label, "95 % interval", "mean ± sd over folds"]
    rows = []
    for name in (*names, MEAN) if names else ():
        row = [name]
        for metric in METRICS:
            value = found.get(f"{name}.{metric.name}")
            if value is None:
                row += [NONE] * 3
                continue
            row += [
                score(value["pooled"], metric.percent),
                interval(value["low"], value["high"], metric.percent),
                spread(value["mean"], value["sd"], metric.percent),
            ]
        rows.append(tuple(row))
    return tuple(columns), rows


def _certificate(system: System) -> list[tuple[str, str, str, str, str]]:
    """Return the findings of the certificate, the gravest first: severity, code, count, message, examples."""
    order = ("error", "warning", "information")
    found = sorted(
        (system.certificate or {}).get("findings") or (),
        key=lambda f: order.index(f["severity"]) if f.get("severity") in order else 0,
    )
    return [
        (
            str(f.get("severity", "")),
            str(f.get("code", "")),
            str(f.get("count", "")),
            str(f.get("message", "")),
            "; ".join(_plain(example) for example in list(f.get("examples") or ())[:5]),
        )
        for f in found
    ]


def _worst(system: System, audio: bool) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Return the columns and rows of the worst mistakes; columns of which nothing is known are left out."""
    names = (
        "clip",
        "sound",
        "path",
        "speaker",
        "fold",
        "truth",
        "prediction",
        "probability %",
        "of the truth %",
    )
    wrong = most_confidently_wrong(system)
    played = [clip for clip in wrong if clip.path][:MOST] if audio else []
    sounds = {clip.id: player(clip.path, clip.start, clip.end, clip.id) for clip in played}
    rows = [
        (
            clip.id, sounds.get(clip.id, NONE), clip.path or NONE, clip.speaker or NONE, str(clip.fold),
            clip.truth, clip.predicted, percent(clip.sure), percent(clip.true_probability),
        )
        for clip in wrong
    ]  # fmt: skip
    kept = [i for i in range(len(names)) if any(row[i] != NONE for row in rows)]
    return tuple(names[i] for i in kept), [tuple(row[i] for i in kept) for row in rows]


def _folds(system: System) -> list[tuple[str, str, str, str]]:
    """Return what was chosen inside each fold: fold, training speakers, temperature, chosen values."""
    rows = []
    for fold in system.results.get("folds") or ():
        temperatures = [t for t in _as_list(fold.get("temperature")) if t is not None]
        chosen = [c for c in _as_list(fold.get("chosen")) if c]
        if temperatures or chosen:
            rows.append(
                (
                    str(fold["fold"]),
                    str(fold.get("n_train_speakers") or NONE),
                    ", ".join(f"{t:.2f}" for t in temperatures) or NONE,
                    "; ".join(dict.fromkeys(_plain(c) for c in chosen)) or NONE,
                )
            )
    return rows


def _made_with(system: System) -> list[tuple[str, str]]:
    named = {"protocol": system.protocol, "protocol_hash": system.protocol_hash, "folder": system.folder}
    known = {**{key: value for key, value in named.items() if value}, **system.provenance}
    return [row for key, value in known.items() for row in _flat(key, value)]


def _flat(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield nested settings as lines: ``head.C``, ``0.01``."""
    if isinstance(value, Mapping) and value:
        for inner, item in value.items():
            yield from _flat(f"{key}.{inner}", item)
    else:
        yield key, _plain(value)


def _plain(value: Any) -> str:
    """Return plain values as text: mappings and lists without their brackets."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(item) for item in value)
    if isinstance(value, float):
        return f"{value:g}"
    return NONE if value is None else printable(value)


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
