"""Learning curves: the data ratio by hand, and a planted corpus on which one input needs fewer clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import unheard as ut
from unheard.analysis import learning_curves as room
from unheard.analysis.data_ratio import Curve, data_ratio, needed
from unheard.analysis.learning_curves import learning_curves, rows
from unheard.cli import app
from unheard.corpora.table import utterances, write_table
from unheard.errors import UsageError
from unheard.metrics.estimators import estimate
from unheard.recipe_inputs.preparing import read_inputs
from unheard.recipes import recipe as recipes
from unheard.runs.fitting import fit_fold

LABELS = ("angry", "happy", "calm", "sad")
#: How far the classes of each input lie apart, in standard deviations of its noise.
APART = {"clear": 1.2, "faint": 0.55}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, dict[str, Path]]:
    """Clips without sound, and a file of features for each input."""
    chance = np.random.default_rng(4)
    table = utterances(
        [
            {
                "id": f"{s:02d}-{label}-{take}",
                "path": f"/nowhere/{s:02d}-{label}-{take}.wav",
                "speaker": f"s{s:02d}",
                "gender": ("female", "male")[s % 2],
                "label": label,
            }
            for s in range(24)
            for label in LABELS
            for take in range(8)
        ],
        corpus="planted",
        labels=LABELS,
    )
    folder = tmp_path_factory.mktemp("planted")
    files = {}
    number = {name: k for k, name in enumerate(LABELS)}
    for name, apart in APART.items():
        x = chance.standard_normal((len(table), 12))
        x[np.arange(len(table)), [number[str(label)] for label in table["label"]]] += 2 * apart
        files[name] = folder / f"{name}.csv"
        pl.DataFrame({"id": table["id"], **{f"x{k}": x[:, k] for k in range(12)}}).write_csv(files[name])
    return table, files


def two(files: dict[str, Path], **more: Any) -> list[recipes.Recipe]:
    changes = {"corpus": None, "protocol": "group-3", "held_back": [], "head.grid": [0.01]} | more
    return [
        recipes.load("ravdess-face", changes | {"features.path": str(file)}).model_copy(
            update={"recipe": name}
        )
        for name, file in files.items()
    ]


@pytest.fixture(scope="module")
def made(
    planted: tuple[pl.DataFrame, dict[str, Path]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path]:
    table, files = planted
    out = tmp_path_factory.mktemp("curve") / "out"
    found = learning_curves(two(files), table, ut.protocol("group-3", table), out, sizes=[4, 16, 64], draws=3)
    return found, out


def test_needed_is_read_on_a_line_over_the_logarithm() -> None:
    scores = np.array([0.4, 0.6, 0.8])
    assert needed((4, 8, 16), scores, 0.6) == (8, 8)
    assert needed((4, 8, 16), scores, 0.5) == pytest.approx((4 * 2**0.5, 4 * 2**0.5))
    assert needed((4, 8, 16), scores, 0.3) == (0, 4)
    assert needed((4, 8, 16), scores, 0.9) == (16, float("inf"))


def test_data_ratio_by_hand() -> None:
    # The weaker reaches 60 % with 32 clips, the stronger with 8.
    strong = Curve("strong", (4, 8, 16), np.array([[0.4, 0.6, 0.8]]))
    weak = Curve("weak", (8, 16, 32), np.array([[0.2, 0.4, 0.6]]))
    found = data_ratio(weak, strong)
    assert (found.fewer, found.more, found.score) == ("strong", "weak", 0.6)
    assert (found.n_fewer, found.n_more, found.ratio) == (8, 32, 4)
    assert found.low is None and found.draws == 1  # one draw says nothing of others
    half = data_ratio(strong, weak, 0.5)
    assert half.ratio == pytest.approx(4)  # 16 √2 over 4 √2
    above = data_ratio(strong, weak, 0.7)
    assert above.ratio is None and above.most is None
    assert above.least == pytest.approx(32 / (8 * 2**0.5))  # the weaker needs more than 32
    below = data_ratio(strong, weak, 0.3)
    assert below.least == pytest.approx(8 * 2**0.5 / 4) and below.most is None


def test_the_interval_of_the_ratio_comes_from_the_draws_that_both_have() -> None:
    same = np.array([[0.4, 0.6, 0.8]])
    steady = data_ratio(
        Curve("a", (4, 8, 16), np.repeat(same, 5, axis=0)),
        Curve("b", (4, 8, 16), np.repeat(same - 0.2, 3, axis=0)),
    )
    assert steady.draws == 3
    assert steady.low == pytest.approx(2) and steady.high == pytest.approx(2)
    noise = np.random.default_rng(0).normal(0, 0.03, (6, 3))
    shaky = data_ratio(Curve("a", (4, 8, 16), same + noise), Curve("b", (4, 8, 16), same - 0.2 - noise))
    assert shaky.low is not None and shaky.high is not None and shaky.ratio is not None
    assert shaky.low < shaky.ratio < shaky.high


def test_the_clear_input_needs_fewer_clips(made: tuple[dict[str, Any], Path]) -> None:
    found, _ = made
    (ratio,) = found["ratios"]
    assert (ratio["fewer"], ratio["more"]) == ("clear", "faint")
    assert (ratio["low"] or ratio["least"]) > 2
    for curve in found["curves"]:
        low, *_, high = (point["uar"]["pooled"] for point in curve["points"])
        assert high > low > found["chance"]
        assert [point["n_train_clips"] for point in curve["points"]] == [16, 64, 256]


def test_scores_are_those_of_the_answers(
    made: tuple[dict[str, Any], Path], planted: tuple[pl.DataFrame, dict[str, Path]]
) -> None:
    found, out = made
    table, _ = planted
    label = dict(table.select("id", pl.col("label").cast(pl.String)).iter_rows())
    folds = ut.protocol("group-3", table).folds
    truth = np.array([LABELS.index(label[i]) for fold in folds for i in sorted(fold.test)])
    lines = [json.loads(line) for line in (out / "curve.jsonl").read_text().splitlines()][1:]
    assert len(lines) == 2 * 3 * 3
    point = found["curves"][0]["points"][1]
    own = [np.array(p["answers"]) for p in lines if p["recipe"] == "clear" and p["n"] == 16]
    uars = [np.mean([(a[truth == c] == c).mean() for c in range(4)]) for a in own]
    assert point["uar"]["pooled"] == pytest.approx(np.mean(uars))
    assert point["uar"]["sd"] == pytest.approx(np.std(uars, ddof=1))
    assert (point["uar"]["least"], point["uar"]["most"]) == pytest.approx((min(uars), max(uars)))
    assert point["uar"]["low"] < point["uar"]["pooled"] < point["uar"]["high"]


def test_the_largest_size_is_the_whole_training_part(
    made: tuple[dict[str, Any], Path], planted: tuple[pl.DataFrame, dict[str, Path]]
) -> None:
    table, files = planted
    recipe = two(files, calibration="none")[0]
    inputs = read_inputs(recipe, table).inputs
    protocol = ut.protocol("group-3", table)
    whole = pl.concat(
        fit_fold(recipe, table, protocol, inputs, number=number, seed=0, data_hash="0").predictions
        for number in range(3)
    )
    expected = estimate(whole, draws=1)["uar"]["pooled"]
    assert made[0]["curves"][0]["points"][-1]["uar"]["pooled"] == pytest.approx(expected)


def test_no_head_learns_from_a_speaker_whom_it_is_tested_on(
    planted: tuple[pl.DataFrame, dict[str, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, files = planted
    speaker = dict(table.select("id", "speaker").iter_rows())
    fitted: list[tuple[int, set[str], set[str]]] = []
    real = room.fit_fold

    def watched(recipe: Any, rows: Any, protocol: Any, inputs: Any, **more: Any) -> Any:
        fold = protocol.folds[more["number"]]
        taught = {speaker[i] for i in (*fold.train, *fold.val)}
        fitted.append((more["number"], taught, {speaker[i] for i in fold.test}))
        return real(recipe, rows, protocol, inputs, **more)

    monkeypatch.setattr(room, "fit_fold", watched)
    found = learning_curves(
        two(files)[:1], table, ut.protocol("group-3", table), tmp_path, by="speakers", sizes=[2, 5], draws=2
    )
    assert len(fitted) == 2 * 2 * 3 and {len(taught) for _, taught, _ in fitted} == {2, 5}
    assert all(not taught & tested for _, taught, tested in fitted)
    assert {i for _, _, tested in fitted for i in tested} == set(table["speaker"])
    assert [point["n"] for point in found["curves"][0]["points"]] == [2, 5] and found["ratios"] == []


def test_a_stopped_curve_goes_on_with_its_points(
    planted: tuple[pl.DataFrame, dict[str, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, files = planted
    asked = (two(files)[:1], table, ut.protocol("group-3", table), tmp_path)
    first = learning_curves(*asked, sizes=[4, 8], draws=2)
    file = tmp_path / "curve.jsonl"
    whole = file.read_text()
    *before, last = whole.splitlines(keepends=True)
    file.write_text("".join(before) + last[:30])  # the last line was cut off while it was written
    points: list[int] = []
    real = room._point

    def counted(*args: Any) -> Any:
        points.append(args[6])
        return real(*args)

    monkeypatch.setattr(room, "_point", counted)
    with pytest.raises(UsageError, match="holds a curve; --resume goes on"):
        learning_curves(*asked, sizes=[4, 8], draws=2)
    assert learning_curves(*asked, sizes=[4, 8], draws=2, resume=True) == first
    assert points == [8]
    said: list[str] = []
    learning_curves(*asked, sizes=[4, 16], draws=2, resume=True, say=said.append)
    assert points == [8, 16, 16]  # what a larger curve adds
    assert "2 of 4 points are done" in said[0] and "6 heads to fit" in said[0]
    with pytest.raises(UsageError, match="is about another by"):
        learning_curves(*asked, by="speakers", sizes=[4], draws=2, resume=True)


def test_recipes_and_sizes_of_which_no_curve_can_be_made_are_refused(
    planted: tuple[pl.DataFrame, dict[str, Path]], tmp_path: Path
) -> None:
    table, files = planted
    protocol = ut.protocol("group-3", table)
    with pytest.raises(UsageError, match="every fold has 64 clips a class"):
        learning_curves(two(files), table, protocol, tmp_path, sizes=[65])
    with pytest.raises(UsageError, match="each once; found clear, clear"):
        learning_curves(two({"clear": files["clear"]}) * 2, table, protocol, tmp_path)
    tuned = recipes.load("ravdess-wavlm-large-finetuned", {"corpus": None})
    with pytest.raises(UsageError, match="tunes its encoder; curves are of heads"):
        learning_curves([tuned], table, protocol, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_command_prints_and_writes_the_same(
    planted: tuple[pl.DataFrame, dict[str, Path]], tmp_path: Path
) -> None:
    table, files = planted
    write_table(table, tmp_path / "table.parquet")
    import yaml

    names = []
    for one in two(files):
        plain = one.plain() | {"recipe": one.recipe}
        plain.pop("changed")
        names.append(str(tmp_path / f"{one.recipe}.yaml"))
        Path(names[-1]).write_text(yaml.safe_dump(plain))
    done = CliRunner().invoke(
        app,
        ["curve", *names, "-d", str(tmp_path / "table.parquet"), "-o", str(tmp_path / "out"),
         "--sizes", "4,16", "--draws", "3", "--score", "60"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "out" / "curve.json").read_text())
    assert (
        "clear: 4, 16 clips a class × 3 draws × 3 folds: 18 heads to fit, on parts of 768 clips"
        in done.output
    )
    assert "for a UAR of 60.0 %" in done.output and "faint needs" in done.output
    for row in rows(found):
        line = next(
            text for text in done.output.splitlines() if text.split()[:2] == [row["recipe"], str(row["n"])]
        )
        assert f"{100 * row['uar']:.1f} [" in line
    table_of = pl.read_csv(tmp_path / "out" / "curve.csv")
    assert table_of["uar"].to_list() == pytest.approx([row["uar"] for row in rows(found)])
    page = (tmp_path / "out" / "curve.html").read_text()
    assert "<svg" in page and "faint needs" in page
