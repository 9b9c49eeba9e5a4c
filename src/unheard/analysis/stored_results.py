"""Small results kept with the code, and the check that a text says what they say.

``results/RECIPE/PROTOCOL`` (``PROTOCOL+val`` where refitted) holds ``results.json``, ``provenance.json``,
``config.yaml`` and, where our own outputs on the corpus may be kept, ``predictions.parquet``: test rows;
``noise.json`` of a run that was tested in noise; and comparisons (``unheard.analysis.stored_comparisons``).

A table of a text is checked where its first column is headed ``recipe``; what each other column means is told by
its heading (:data:`COLUMNS`). Sentences name a figure as ``<!-- RECIPE/PROTOCOL HEADING -->`` right behind it.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from unheard.analysis import stored_comparisons
from unheard.analysis.cross_corpus import among_its_classes
from unheard.analysis.stored_comparisons import kept_rows
from unheard.comparison.compare import leakage_gap
from unheard.errors import DataError, UsageError
from unheard.files import write_json, write_text
from unheard.formats import json_text
from unheard.metrics import estimators
from unheard.metrics.blocks import stored_metrics
from unheard.metrics.formatting import difference, headline, over_folds, percent
from unheard.metrics.rows import labelled_rows
from unheard.noise.evaluation import SCORES as NOISE
from unheard.predictions.table import write_predictions
from unheard.recipes.old_recipe import modern
from unheard.runs.folder import Run
from unheard.runs.scoring import scores

#: Corpora on which our own outputs may be stored.
KEPT = ("ravdess", "emodb", "nemo")

Cell = Callable[[Mapping[str, Any]], str]


def _gender(found: Mapping[str, Any]) -> str:
    groups = found["groups"]["gender"]
    return " / ".join(percent(groups[g]["accuracy"]["pooled"]) for g in ("female", "male"))


def _intensity(found: Mapping[str, Any]) -> str:
    """Return the pooled accuracy of RAVDESS' clips by their fourth number: 01 normal, 02 strong."""
    number = pl.col("id").str.split("/").list.last().str.split("-").list.get(3)
    return " / ".join(_share(found["rows"].filter(number == kind)) for kind in ("01", "02"))


def _speakers(found: Mapping[str, Any]) -> str:
    """Return the pooled accuracy of the speakers who are recognised worst and best."""
    each = [float(_share(rows)) for rows in found["rows"].partition_by("speaker")]
    return f"{min(each):.1f} / {max(each):.1f}"


def _share(rows: pl.DataFrame) -> str:
    return percent(float(np.mean(labelled_rows(rows).frame["right"].to_numpy())))


#: Heading of a column → what its cells must say, from the recomputed ``results.json``.
COLUMNS: dict[str, Cell] = {
    "training speakers": lambda r: "–" if r["n_train_speakers"] is None else str(r["n_train_speakers"]),
    "accuracy": lambda r: headline(r["metrics"]["accuracy"]),
    "UAR": lambda r: headline(r["metrics"]["uar"]),
    "over folds": lambda r: over_folds(r["metrics"]["accuracy"]),
    "pooled accuracy": lambda r: percent(r["metrics"]["accuracy"]["pooled"]),
    "pooled UAR": lambda r: percent(r["metrics"]["uar"]["pooled"]),
    "mean accuracy": lambda r: percent(r["metrics"]["accuracy"]["mean"]),
    "mean UAR": lambda r: percent(r["metrics"]["uar"]["mean"]),
    "macro-F1": lambda r: percent(r["metrics"]["macro_f1"]["pooled"]),
    "ECE": lambda r: f"{r['metrics']['ece']['pooled']:.3f}",
    "NLL": lambda r: f"{r['metrics']['nll']['pooled']:.3f}",
    "Brier": lambda r: f"{r['metrics']['brier']['pooled']:.3f}",
    "women / men": _gender,
    "actors 17-24": lambda r: headline(r["held_back"]["metrics"]["accuracy"]) if "held_back" in r else "–",
    "normal / strong": _intensity,
    "worst / best actor": _speakers,
    "stamps": lambda r: ", ".join(r["stamps"]) or "–",
    "AURC": lambda r: headline(r["aurc"], in_percent=False),
}

#: The same for tables with votes.
OF_GRADERS: dict[str, Cell] = {
    "a person's accuracy": lambda r: headline(r["graders"]["accuracy"]),
    "a person's UAR": lambda r: headline(r["graders"]["uar"]),
    "without agreement": lambda r: str(r["n_without_agreement"]),
}


def _of_people(heading: str) -> Cell | None:
    """Return ``speakers above 50 %`` (paUAR) and ``a person's CCC of valence``, with their intervals."""
    if heading in OF_GRADERS:
        return OF_GRADERS[heading]
    above = re.fullmatch(r"speakers above (\d+) %", heading)
    dimension = re.fullmatch(r"a person's CCC of (\w+)", heading)

    def speakers(found: Mapping[str, Any]) -> str:
        for row in found["speakers_above"]:
            if above and (row["above"], row["k"], row["group"]) == (int(above[1]), 1, "all"):
                return headline({**row, "pooled": row["share"]})
        raise DataError(f"no stored result has {heading!r}")

    if above:
        return speakers
    return (lambda r: headline(r["graders"][f"{dimension[1]}.ccc"], in_percent=False)) if dimension else None


def _of_noise(heading: str) -> Cell | None:
    """Return ``white 20 dB``: accuracy in that condition, with its interval."""
    match = re.fullmatch(r"(clean|(\w+) (-?\d+) dB)", heading)
    if match is None:
        return None
    name = "clean" if heading == "clean" else f"{match[2]}_{match[3]}dB"

    def cell(found: Mapping[str, Any]) -> str:
        for condition in found.get("noise", {}).get("conditions", ()):
            if condition["condition"] == name:
                return headline(condition["accuracy"])
        raise DataError(f"no stored noise.json has the condition {name!r}")

    return cell


def _of_enrolment(heading: str) -> Cell | None:
    """Return ``knowing 8 clips``, ``knowing 8 neutral clips`` or ``knowing all``: accuracy over the rest.

    With ``gain of`` in front instead, the paired difference to knowing nothing on the same clips. Both are as they
    were scored with the run: the predictions of all draws are too many to be kept.
    """
    match = re.fullmatch(r"(knowing|gain of) (all|(\d+) (neutral )?clips)", heading)
    if match is None:
        return None
    kind = "all" if match[2] == "all" else "neutral" if match[4] else "clips"
    clips = None if kind == "all" else int(match[3])

    def cell(found: Mapping[str, Any]) -> str:
        for score in found.get("enrolment", ()):
            if (score["kind"], score["clips"]) == (kind, clips):
                gain = score.get("difference")
                if match[1] == "knowing":
                    return headline(score["accuracy"])
                return "–" if gain is None else difference(gain["value"], gain["low"], gain["high"])
        raise DataError(f"no stored results.json has the enrolment {heading!r}")

    return cell


def _of_corpus(heading: str) -> Cell | None:
    """Return ``UAR on emodb``: a figure over one corpus of a joined table, among the classes that it has.

    Probabilities of the other classes are set to 0, so the model chooses among those alone.
    """
    match = re.fullmatch(r"(accuracy|UAR) on ([\w-]+)", heading)
    if match is None:
        return None

    def cell(found: Mapping[str, Any]) -> str:
        rows = found["rows"].filter(pl.col("id").str.starts_with(f"{match[2]}/"))
        if rows.is_empty():
            raise DataError(f"no stored prediction is of the corpus {match[2]!r}")
        return headline(estimators.estimate(among_its_classes(rows))[match[1].lower()])

    return cell


def store(run: Run, root: str | os.PathLike[str], against: Sequence[Run] = ()) -> Path:
    """Copy what may be kept of a run, and how it compares with others, and return its folder."""
    found = run.scores
    if found.get("incomplete"):
        raise UsageError(f"{run.folder}: only complete runs are stored; {found['incomplete'][0]}")
    suffix = "+val" if found["refit"] == "val" else ""
    target = Path(root) / str(found["recipe"]) / f"{found['protocol']}{suffix}"
    (target / "predictions.parquet").unlink(missing_ok=True)
    write_json(target / "results.json", found)
    write_text(
        target / "config.yaml", yaml.safe_dump(_portable(run.config), sort_keys=False, allow_unicode=True)
    )
    shutil.copyfile(run.folder / "provenance.json", target / "provenance.json")
    if (run.folder / NOISE).is_file():
        shutil.copyfile(run.folder / NOISE, target / NOISE)
    if set(found["corpus"].split("+")) <= set(KEPT) and found["settings_hash"] is not None:
        # Scores come from test rows alone; the validation rows of several seeds are as many again.
        tested = run.predictions.filter(pl.col("part") == "test")
        write_predictions(tested, target / "predictions.parquet")
    stored_comparisons.store_comparisons(run, against, target)
    return target


def _portable(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's recipe without the places where weights or features lay, which their digests stand for."""
    if "head" not in config:
        return dict(config)
    plain = modern(config)
    return {**plain, "inputs": {name: _without_place(own) for name, own in plain["inputs"].items()}}


def _without_place(own: Mapping[str, Any]) -> dict[str, Any]:
    encoder, features = own.get("encoder"), own.get("features")
    if encoder:
        local = Path(encoder["model"]).exists()
        return {
            **own,
            "encoder": {**encoder, "model": Path(encoder["model"]).name if local else encoder["model"]},
        }
    if features and "path" in features:
        return {**own, "features": {**features, "path": Path(features["path"]).name}}
    return dict(own)


@cache
def recomputed(folder: Path) -> dict[str, Any]:
    """Return stored results with the scores computed again from the stored predictions, where these are kept."""
    if not (folder / "results.json").is_file():
        raise DataError(f"{folder}: no stored result")
    found: dict[str, Any] = json_text.read_object(folder / "results.json")
    if (folder / "predictions.parquet").is_file():
        test = kept_rows(folder)
        found |= scores(test)
        if found["metrics"]:
            found["groups"] = {"gender": estimators.per_gender(test)}
        found["rows"] = test
        if "held_back" in found:
            part = test.filter(pl.col("speaker").is_in(found["held_back"]["speakers"]))
            found["held_back"] |= scores(part)
    if (folder / NOISE).is_file():
        found["noise"] = json_text.read_object(folder / NOISE)
    return found


def check(text: str | os.PathLike[str], root: str | os.PathLike[str]) -> tuple[int, list[str]]:
    """Return how many figures a text was checked for, and a line for each that differs."""
    source, folder = Path(text), Path(root)
    if not source.is_file():
        raise UsageError(f"{source}: no such file")
    lines = source.read_text(encoding="utf-8").splitlines()
    seen, problems = 0, []
    header: list[str] = []
    for number, line in enumerate(lines, start=1):
        cells = _cells(line)
        if not cells:
            header = []
        elif not header:
            header = cells
        elif header[0] == "recipe" and not set("".join(cells)) <= set("-: "):
            if len(cells) != len(header):
                problems.append(f"{source}:{number}: {len(cells)} cells under {len(header)} headings")
                continue
            for heading, said, due in _due(dict(zip(header, cells, strict=True)), folder):
                seen += 1
                if said != due:
                    problems.append(f"{source}:{number}: {cells[0]}, {heading}: says {said!r}, is {due!r}")
        for said, path, heading in re.findall(r"(\S+)\s?<!-- (\S+/\S+) ([^>]+?) -->", line):
            seen += 1
            due = _column(heading)(recomputed(folder / path))
            if said.strip("*,;.()%") != due:
                problems.append(f"{source}:{number}: {path}, {heading}: says {said!r}, is {due!r}")
    problems += _drift(folder) + stored_comparisons.drift(folder)
    return seen, problems


def _due(row: Mapping[str, str], folder: Path) -> list[tuple[str, str, str]]:
    """Return the heading, what stands there, and what should, for each cell that is a figure of ours."""
    recipe = row["recipe"].strip("`* ")
    for needed in ("leaky", "independent") if "premium" in row else ("protocol",):
        if needed not in row:
            raise DataError(f"a table of results needs the column {needed!r}; found {', '.join(row)}")
    if "premium" in row:
        leaky = folder / f"{recipe}-random" / row["leaky"].strip("` ")
        fair = folder / recipe / row["independent"].strip("` ")
        gap = leakage_gap(kept_rows(leaky), kept_rows(fair))
        return [("premium", row["premium"], stored_comparisons.cell(gap, "difference"))]
    figures = [name for name in row if name not in ("recipe", "protocol", "what", "published", "against")]
    at = row["protocol"].strip("` ")
    if "against" in row:
        pair = stored_comparisons.comparison(folder, recipe, row["against"].strip("` "), at)
        return [(name, row[name], stored_comparisons.cell(pair, name)) for name in figures]
    found = recomputed(folder / recipe / at)
    evaluations = _evaluations(folder.parent / "docs" / "ledger.csv", recipe, at) if "looks" in row else ""
    return [(name, row[name], evaluations if name == "looks" else _column(name)(found)) for name in figures]


def _evaluations(ledger: Path, recipe: str, protocol: str) -> str:
    """Return the number of rows of the ledger for a recipe on a protocol: how often its test set was evaluated."""
    name = recipe + ("+val" if protocol.endswith("+val") else "")
    with ledger.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["recipe"] == name]
    return str(sum(row["protocol"] == protocol.removesuffix("+val") for row in rows))


def _column(heading: str) -> Cell:
    if heading.startswith("recall of "):
        return lambda r: percent(r["per_class"][heading.removeprefix("recall of ")]["recall"])
    special = _of_people(heading) or _of_noise(heading) or _of_enrolment(heading) or _of_corpus(heading)
    if special is not None:
        return special
    return COLUMNS.get(heading) or _of_metric(heading)


def _of_metric(heading: str) -> Cell:
    """Return ``CCC of valence``: any other metric by its label, over all test clips with its interval."""

    def cell(found: Mapping[str, Any]) -> str:
        by_label = {metric.label: (metric, estimate) for metric, estimate in stored_metrics(found)}
        if heading not in by_label:
            raise DataError(
                f"no figure is called {heading!r}; known are: {', '.join(dict.fromkeys((*COLUMNS, *by_label)))}"
            )
        metric, estimate = by_label[heading]
        return headline(estimate, metric.percent)

    return cell


def _drift(folder: Path) -> list[str]:
    """Return where stored results are not what their own predictions give."""
    problems = []
    for path in sorted(folder.rglob("results.json")):
        stored = json_text.read_object(path)
        again = dict(_parts(recomputed(path.parent)))
        for place, value in _parts(stored):
            now = again.get(place)
            if value != now and (value is None or now is None or abs(value - now) > 1e-9):
                problems.append(f"{path}: {place} is stored as {value}, its predictions give {now}")
    return problems


def _parts(results: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    """Yield each number of each metric's estimate, as ``accuracy.mean``."""
    for metric, estimate in stored_metrics(results):
        for part, value in estimate.items():
            yield f"{metric.name}.{part}", value


def _cells(line: str) -> list[str]:
    stripped = line.strip()
    if not (stripped.startswith("|") and stripped.endswith("|")):
        return []
    return [cell.strip() for cell in stripped.strip("|").split("|")]
