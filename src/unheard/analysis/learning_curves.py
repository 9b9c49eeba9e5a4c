"""Learning curves: the score of several recipes over the number of training clips or training speakers.

The training part of every fold is cut to nested subsets; its test speakers are always the same, and never learned
from. Features are computed once for all clips. The number is what a head learns from: nothing is refitted on
validation clips and no temperature is fitted. A head that stops early on validation speakers keeps these, all of
them at every size, and this is said.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard._version import __version__
from unheard.analysis.curve_points import Points
from unheard.analysis.data_ratio import Curve, data_ratio
from unheard.corpora.table import classes, corpus_of
from unheard.errors import UsageError, first_five
from unheard.files import write_json
from unheard.heads import HEADS
from unheard.metrics import categorical
from unheard.metrics.formatting import counted
from unheard.metrics.intervals import DRAWS, FEWEST, draws_of_units, percentile
from unheard.metrics.rows import UNIT, units
from unheard.predictions.table import predicted_classes
from unheard.protocols.fold import Fold, Protocol, check_classes, check_labels
from unheard.protocols.subsets import UNITS, largest, subset, usual_sizes, with_fold
from unheard.recipe_inputs.extracting import refuse_too_many_bad
from unheard.recipe_inputs.preparing import Prepared, Progress, Say, data_digest, loaded, read_inputs
from unheard.recipes.recipe import Recipe
from unheard.report.learning_curves import curves_page
from unheard.runs.dialogues import check_dialogues
from unheard.runs.fitting import fit_fold
from unheard.runs.folder import locked
from unheard.runs.run import check_validation
from unheard.runs.scoring import stamps

#: Files of the folder: the points, all numbers, the table, and the page.
POINTS, SCORES, TABLE, PAGE = "curve.jsonl", "curve.json", "curve.csv", "curve.html"
#: Draws of a head that is solved, and of one that is trained.
SOLVED, TRAINED = 10, 3
METRICS = {"uar": categorical.uar, "accuracy": categorical.accuracy}


@dataclass(frozen=True)
class _Tested:
    """The labelled test clips of the folds, in one order: their classes and units."""

    ids: tuple[tuple[int, str], ...]
    label: NDArray[np.int64]
    unit: NDArray[np.int64]
    strata: NDArray[np.int64]
    classes: int


def learning_curves(
    recipes: Sequence[Recipe],
    table: pl.DataFrame,
    protocol: Protocol,
    out: str | os.PathLike[str],
    *,
    by: str = "clips",
    sizes: Sequence[int] | None = None,
    draws: int | None = None,
    score: float | None = None,
    only: Sequence[int] | None = None,
    jobs: int = 1,
    resume: bool = False,
    force: bool = False,
    max_bad: float = 0.01,
    progress: Progress | None = None,
    say: Say | None = None,
) -> dict[str, Any]:
    """Fit recipes on parts of the training clips, score each on all test clips, and write the figure.

    Parameters
    ----------
    recipes
        Recipes on features or frozen encoders whose target is the label, each of another name.
    table, protocol
        The utterances and their folds, the same for all recipes.
    out
        Folder for the points, ``curve.json``, ``curve.csv`` and ``curve.html``.
    by
        ``clips``: n clips of each class; ``speakers``: all clips of n speakers.
    sizes
        The numbers n; None takes the largest that every fold has, its half, its quarter …, six at most.
    draws
        Draws of the training clips; None takes 10 for heads that are solved and 3 for those that are trained. The
        number of a draw is the seed of its heads too.
    score
        UAR, a fraction, at which data ratios are taken; None takes the best that the weaker of two reaches.
    only
        Numbers of the folds; all where None.
    jobs
        Number of processes that compute features.
    resume, force
        Go on with the points that are there, or start again. More recipes, sizes and draws may be asked for then:
        subsets are nested, so that what is done stays.
    max_bad, progress, say
        As for :func:`unheard.runs.run.run`.

    Returns
    -------
    What ``curve.json`` holds; scores are fractions. ``curves`` has for each recipe its ``points``: ``n``,
    ``n_train_clips`` (mean over folds and draws), and ``uar`` and ``accuracy`` with ``pooled`` (mean over draws of
    the score over all test clips), ``low`` and ``high`` (95 % interval over test speakers, draws averaged inside),
    ``sd``, ``least`` and ``most`` over draws. ``ratios`` has the data ratio of each pair of recipes.

    Raises
    ------
    UsageError
        A recipe or a size of which no curve can be made, or a folder with other points.
    ProtocolError
        A subset of speakers lacks a class.
    """
    if by not in UNITS:
        raise UsageError(f"a curve is by {' or '.join(UNITS)}; found {by!r}")
    if score is not None and not 0 < score < 1:
        raise UsageError(f"the score is a UAR between 0 and 1, both excluded; found {score}")
    asked = [_for_curves(recipe, protocol) for recipe in recipes]
    _check_recipes(asked, table, protocol)
    numbers = list(range(len(protocol.folds))) if only is None else sorted(set(only))
    if not numbers or not all(0 <= number < len(protocol.folds) for number in numbers):
        raise UsageError(
            f"{protocol.name} has folds 0 … {len(protocol.folds) - 1}, found {first_five(numbers)}"
        )
    most = largest(protocol, table, by, numbers)
    wanted = usual_sizes(most, by) if sizes is None else sorted(set(sizes))
    if not wanted or wanted[0] < 1 or wanted[-1] > most:
        raise UsageError(
            f"{protocol.name}: every fold has {most} {UNITS[by]}; sizes are numbers from 1 to that, "
            f"found {first_five(wanted) or 'none'}"
        )
    of_recipe = [_draws(recipe) if draws is None else draws for recipe in asked]
    if min(of_recipe) < 1:
        raise UsageError(f"a curve needs at least one draw, found {draws}")
    # Every subset is drawn before anything is computed: one that lacks a class is refused here.
    folds = {
        (n, draw): [subset(protocol, table, number, by=by, n=n, draw=draw) for number in numbers]
        for n in wanted
        for draw in range(max(of_recipe))
    }
    used = {i for number in numbers for part in protocol.folds[number] for i in part}
    table = table.filter(pl.col("id").is_in(list(used)))
    tested = _tested(table, protocol, numbers)
    data_hash = data_digest(table)
    folder = Path(out)
    with locked(folder):
        if (folder / POINTS).is_file() and not (resume or force):
            raise UsageError(
                f"{folder} holds a curve; --resume goes on with it, --force starts again (resume=True, force=True)"
            )
        of = {
            "unheard": __version__, "by": by, "corpus": corpus_of(table), "protocol": protocol.name,
            "protocol_hash": protocol.hash, "data_hash": data_hash, "folds": numbers,
            "labels": list(classes(table)),
        }  # fmt: skip
        points = Points(folder / POINTS, of, resume=resume and not force)
        curves = []
        for recipe, count in zip(asked, of_recipe, strict=True):
            recipe, encoders = loaded(recipe)
            keys = [(n, draw) for n in wanted for draw in range(count)]
            missing = [key for key in keys if points.get(recipe.recipe, recipe.settings_hash, *key) is None]
            if say is not None:
                say(_plan(recipe, table, wanted, by, count, numbers, len(keys) - len(missing)))
            if missing:
                found = read_inputs(recipe, table, encoders=encoders, jobs=jobs, progress=progress, say=say)
                refuse_too_many_bad(found.errors, len(table), max_bad)
                if found.errors and say is not None:
                    lost = counted(len(found.errors), "recording")
                    say(f"{lost} cannot be used: not learned from, and errors where tested")
                for done, (n, draw) in enumerate(missing):
                    _report(progress, recipe, done, len(missing))
                    points.add(
                        _point(
                            recipe,
                            table,
                            protocol,
                            found,
                            numbers,
                            folds[n, draw],
                            n,
                            draw,
                            tested,
                            data_hash,
                        )
                    )
                _report(progress, recipe, len(missing), len(missing))
            curves.append(_curve(recipe, points, wanted, count, tested))
        made = {
            **of,
            "stamps": _stamps(asked, table, protocol, tested),
            "n_clips": len({i for _, i in tested.ids}),
            "n_speakers": table.filter(pl.col("id").is_in([i for _, i in tested.ids]))["speaker"]
            .drop_nulls()
            .n_unique(),
            "chance": 1 / tested.classes,
            "curves": curves,
            "ratios": [data_ratio(a, b, score).plain() for a, b in combinations(map(_of, curves), 2)],
        }
        write_json(folder / SCORES, made)
        curves_page(made, folder / PAGE)
        pl.DataFrame(list(rows(made))).write_csv(folder / TABLE)
    return made


def rows(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the points of ``curve.json`` as rows of a table, scores as fractions."""
    for curve in found["curves"]:
        for point in curve["points"]:
            row = {"recipe": curve["recipe"], "by": found["by"], "n": point["n"], "draws": curve["draws"]}
            row["n_train_clips"] = point["n_train_clips"]
            yield row | {
                name if key == "pooled" else f"{name}_{key}": value
                for name in METRICS
                for key, value in point[name].items()
            }


def _for_curves(recipe: Recipe, protocol: Protocol) -> Recipe:
    """Return the recipe with what a curve leaves out: a refit on validation clips, and a temperature."""
    return recipe.model_copy(update={"refit": "none", "calibration": "none", "protocol": protocol.name})


def _check_recipes(recipes: Sequence[Recipe], table: pl.DataFrame, protocol: Protocol) -> None:
    """Refuse, before any work, recipes of which no curve can be made."""
    names = [recipe.recipe for recipe in recipes]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"name at least one recipe, each once; found {first_five(names) or 'none'}")
    check_labels(table)
    check_classes(protocol, table)
    for recipe in recipes:
        if recipe.corpus is not None and corpus_of(table) not in (recipe.corpus, "synthetic"):
            raise UsageError(
                f"recipe {recipe.recipe} is for the corpus {recipe.corpus}, the table holds {corpus_of(table)}"
            )
        own = recipe.inputs.values()
        refused = {
            "tunes its encoder": recipe.training is not None,
            f"learns the target {recipe.target.classes}": recipe.target.classes != "label",
            "adapts to speakers": any(one.adapt for one in own),
            "chooses a salient layer": any(one.layer == "salient" for one in own),
        }
        for why, is_so in refused.items():
            if is_so:
                raise UsageError(
                    f"recipe {recipe.recipe} {why}; curves are of heads that learn the label from features and "
                    "given layers of frozen encoders"
                )
        check_validation(recipe, protocol)
        check_dialogues(recipe, table, protocol)


def _heads(recipe: Recipe) -> list[dict[str, Any]]:
    return [recipe.head, *recipe.head.get("of", ())]


def _stops_early(recipe: Recipe) -> bool:
    return any(head.get("patience") is not None for head in _heads(recipe))


def _draws(recipe: Recipe) -> int:
    """Return the usual number of draws: many where every head is solved, few where one is trained."""
    trained = any(".networks." in HEADS[head["name"]][0] for head in _heads(recipe))
    return TRAINED if trained else SOLVED


def _plan(
    recipe: Recipe,
    table: pl.DataFrame,
    sizes: Sequence[int],
    by: str,
    draws: int,
    numbers: Sequence[int],
    done: int,
) -> str:
    """Say what is about to be computed."""
    points = len(sizes) * draws
    heads = counted((points - done) * len(numbers), "head")
    said = (
        f"{recipe.recipe}: {', '.join(map(str, sizes))} {UNITS[by]} × {counted(draws, 'draw')} × "
        f"{counted(len(numbers), 'fold')}: {heads} to fit, on parts of {counted(len(table), 'clip')}"
    )
    if done:
        said += f"; {done} of {counted(points, 'point')} are done"
    if _stops_early(recipe):
        said += "; it stops early on all validation speakers, who are not counted"
    return said


def _report(progress: Progress | None, recipe: Recipe, done: int, total: int) -> None:
    if progress is not None:
        progress(recipe.recipe, done, total)


def _tested(table: pl.DataFrame, protocol: Protocol, numbers: Sequence[int]) -> _Tested:
    names = classes(table)
    number_of = {name: place for place, name in enumerate(names)}
    known = table.filter(pl.col("label").is_not_null()).with_columns(UNIT)
    ids = set(known["id"])
    listed = tuple((number, i) for number in numbers for i in sorted(protocol.folds[number].test) if i in ids)
    if not listed:
        raise UsageError(f"{protocol.name}: no test clip has a label")
    test = known.filter(pl.col("id").is_in([i for _, i in listed]))
    unit_names, strata = units(test)
    place = {name: k for k, name in enumerate(unit_names)}
    label = dict(zip(test["id"], test["label"].cast(pl.String), strict=True))
    unit = dict(zip(test["id"], test["unit"], strict=True))
    return _Tested(
        listed,
        np.array([number_of[label[i]] for _, i in listed], dtype=np.int64),
        np.array([place[unit[i]] for _, i in listed], dtype=np.int64),
        strata,
        len(names),
    )


def _point(
    recipe: Recipe,
    table: pl.DataFrame,
    protocol: Protocol,
    found: Prepared,
    numbers: Sequence[int],
    folds: Sequence[Fold],
    n: int,
    draw: int,
    tested: _Tested,
    data_hash: str,
) -> dict[str, Any]:
    """Fit the heads of one subset, a fold at a time; the point holds their answers to the test clips."""
    started = time.monotonic()
    answers: dict[tuple[int, str], int] = {}
    learned = []
    for number, fold in zip(numbers, folds, strict=True):
        kept = fold if _stops_early(recipe) else fold._replace(val=())
        fitted = fit_fold(
            recipe, table, with_fold(protocol, number, kept), found.inputs,
            augmented=found.augmented, number=number, seed=draw, data_hash=data_hash,
        )  # fmt: skip
        test = fitted.predictions.filter(pl.col("part") == "test")
        answers |= {(number, i): int(c) for i, c in zip(test["id"], predicted_classes(test), strict=True)}
        learned.append(fitted.record["n_train_clips"])
    listed = np.array([answers[key] for key in tested.ids])
    counts = categorical.confusion(tested.label, listed, tested.classes)
    return {
        "recipe": recipe.recipe,
        "settings_hash": recipe.settings_hash,
        "n": n,
        "draw": draw,
        "n_train_clips": learned,
        **{name: float(metric(counts)) for name, metric in METRICS.items()},
        "seconds": round(time.monotonic() - started, 2),
        "answers": listed.tolist(),
    }


def _curve(
    recipe: Recipe, points: Points, sizes: Sequence[int], draws: int, tested: _Tested
) -> dict[str, Any]:
    """Put the points of a recipe together."""
    listed = []
    for n in sizes:
        own = [points.get(recipe.recipe, recipe.settings_hash, n, draw) for draw in range(draws)]
        there = [point for point in own if point is not None]
        answers = np.array([point["answers"] for point in there])
        listed.append(
            {
                "n": n,
                "n_train_clips": float(np.mean([point["n_train_clips"] for point in there])),
                **_estimates(tested, answers),
                "draws": [{name: point[name] for name in METRICS} for point in there],
            }
        )
    return {
        "recipe": recipe.recipe,
        "about": recipe.about,
        "settings_hash": recipe.settings_hash,
        "draws": draws,
        "stops_early": _stops_early(recipe),
        "changed": recipe.changes() if recipe.changed else [],
        "points": listed,
    }


def _estimates(tested: _Tested, answers: NDArray[np.int64]) -> dict[str, dict[str, float | None]]:
    """Return the scores of one size; ``answers`` (draws, clips) are class numbers, -1 where there is none."""
    draws, k = len(answers), tested.classes
    n_units = len(tested.strata)
    cell = tested.label * (k + 1) + np.where(answers < 0, k, answers)
    place = (tested.unit * draws + np.arange(draws)[:, None]) * k * (k + 1) + cell
    sums = np.bincount(place.ravel(), minlength=n_units * draws * k * (k + 1)).astype(np.float64)
    by_unit = sums.reshape(n_units, draws * k * (k + 1))
    found: dict[str, dict[str, float | None]] = {}
    drawn: dict[str, list[NDArray[np.float64]]] = {name: [] for name in METRICS}
    if n_units >= FEWEST:
        width = by_unit.shape[1]
        for weights in draws_of_units(tested.strata, DRAWS, np.random.default_rng(0), width):
            each = (weights @ by_unit).reshape(-1, draws, k, k + 1)
            for name, metric in METRICS.items():
                drawn[name].append(metric(each).mean(axis=-1))
    for name, metric in METRICS.items():
        scores = metric(by_unit.sum(axis=0).reshape(draws, k, k + 1))
        low, high = percentile(np.concatenate(drawn[name])) if drawn[name] else (None, None)
        found[name] = {
            "pooled": float(scores.mean()),
            "low": low,
            "high": high,
            "sd": float(scores.std(ddof=1)) if draws > 1 else None,
            "least": float(scores.min()),
            "most": float(scores.max()),
        }
    return found


def _of(curve: dict[str, Any]) -> Curve:
    scores = np.array([[draw["uar"] for draw in point["draws"]] for point in curve["points"]]).T
    return Curve(curve["recipe"], tuple(point["n"] for point in curve["points"]), scores)


def _stamps(recipes: Sequence[Recipe], table: pl.DataFrame, protocol: Protocol, tested: _Tested) -> list[str]:
    test = table.filter(pl.col("id").is_in([i for _, i in tested.ids]))
    due = stamps(test, protocol)
    return [*due, "RANDOM WEIGHTS"] if any(recipe.random_weights for recipe in recipes) else due
