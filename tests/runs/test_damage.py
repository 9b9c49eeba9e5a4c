"""Run folders that were damaged: what is wrong is named, resuming makes it again, and nobody else takes it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import unheard as ut
from unheard.errors import DataError, UsageError
from unheard.files import write_json
from unheard.fusion.fuse import fuse
from unheard.noise.evaluation import noisy
from unheard.predictions.table import read_predictions, write_predictions
from unheard.runs.folder import Run, open_run
from unheard.runs.reporting import report

#: How each command reads a run, given its folder, another run and a place for what is written.
READERS: dict[str, Callable[[Path, Run, Path], object]] = {
    "report": lambda run, other, out: report([open_run(run)], out / "report.html"),
    "compare": lambda run, other, out: ut.compare(run, other),
    "export": lambda run, other, out: ut.export(open_run(run), out / "bundle"),
    "noise": lambda run, other, out: noisy(open_run(run), ["white"], [10]),
    "fuse": lambda run, other, out: fuse([open_run(run), other], out / "fused"),
}


@pytest.fixture
def copied(toy_run: Run, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toy_run.folder, tmp_path / "copied"))


def flip(path: Path, place: float = 0.5) -> None:
    """Flip one bit, by default in the middle."""
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ["predictions.parquet", "model.npz", "fold.json"])
def test_a_fold_with_a_flipped_bit_is_named_by_every_command(
    copied: Path, toy_run: Run, tmp_path: Path, name: str, reader: str
) -> None:
    flip(copied / "folds" / "fold01-seed0" / name)
    with pytest.raises(
        DataError, match=rf"fold01-seed0/{name}: was damaged .*--resume` fits this fold again"
    ):
        READERS[reader](copied, toy_run, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copied"]


@pytest.mark.parametrize("digests", [True, False])
def test_resuming_fits_damaged_folds_again_and_says_so(
    copied: Path, toy: pl.DataFrame, toy_run: Run, digests: bool
) -> None:
    for inner in sorted((copied / "folds").iterdir()):
        if not digests:  # as an older version wrote it
            (inner / "digests.json").unlink()
    other = copied / "folds" / "fold01-seed0"
    flip(other / "model.npz")
    table = read_predictions(copied / "folds" / "fold02-seed0" / "predictions.parquet")
    write_predictions(table.slice(1), copied / "folds" / "fold02-seed0" / "predictions.parquet")
    if not digests:
        edited(copied / "folds" / "fold00-seed0" / "fold.json", lambda record: record.pop("n_train_speakers"))
    flip(copied / "results.json")
    said: list[str] = []
    again = ut.run("functionals", toy, toy_run.protocol, out=copied, resume=True, say=said.append)
    assert again.predictions.equals(toy_run.predictions)
    assert again.scores == toy_run.scores
    fitted = [line for line in said if line.endswith("it is fitted again")]
    assert len(fitted) == (2 if digests else 3)
    assert "fold01-seed0/model.npz" in fitted[-2]
    assert "fold02-seed0/predictions.parquet" in fitted[-1]
    assert [line for line in said if "results.json: was damaged" in line]
    said.clear()
    ut.run("functionals", toy, toy_run.protocol, out=copied, resume=True, say=said.append)
    assert not [line for line in said if "again" in line]


def test_swapped_folds_are_no_folds_of_their_numbers(copied: Path, toy_run: Run) -> None:
    first, second = (copied / "folds" / f"fold{n:02d}-seed0" for n in (0, 1))
    first.rename(copied / "folds" / "aside")
    second.rename(first)
    (copied / "folds" / "aside").rename(second)
    with pytest.raises(DataError, match=r"fold0.-seed0/fold.json: says that it is fold"):
        open_run(copied)


@pytest.mark.parametrize(
    "name", ["config.yaml", "provenance.json", "table.parquet", "protocol.json", "digests.json"]
)
def test_what_a_run_began_with_is_restored_by_nobody(
    copied: Path, toy: pl.DataFrame, toy_run: Run, name: str
) -> None:
    flip(copied / name, 0.9)
    with pytest.raises(DataError, match=rf"{name}: .*"):
        ut.run("functionals", toy, toy_run.protocol, out=copied, resume=True)
    with pytest.raises((DataError, UsageError), match=name):
        ut.export(open_run(copied), copied / "bundle")


def edited(path: Path, edit: Callable[[Any], object]) -> None:
    """Change a JSON file as somebody without knowledge of digests would, and forget these."""
    value = json.loads(path.read_text())
    edit(value)
    write_json(path, value)
    (path.parent / "digests.json").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("name", "edit", "said"),
    [
        ("results.json", lambda v: v.update(metrics=[]), "metrics"),
        ("results.json", lambda v: v.pop("stamps"), "stamps"),
        ("results.json", lambda v: v.update(folds={"a": 1}), "folds"),
        ("results.json", lambda v: v["metrics"]["accuracy"].update(pooled="high"), "metrics.accuracy.pooled"),
        ("results.json", lambda v: v.update(protocol_hash="0" * 64), "is of another run"),
        ("results.json", lambda v: v["groups"]["gender"].update(female={}), "do not fit together"),
        ("audit.json", lambda v: v.update(passed="yes"), "passed"),
        ("audit.json", lambda v: v.update(findings=[1]), "findings"),
        ("provenance.json", lambda v: v.pop("protocol_hash"), "protocol_hash"),
        ("folds/fold00-seed0/fold.json", lambda v: v.update(fold="0"), "fold"),
        ("folds/fold00-seed0/fold.json", lambda v: v.pop("n_train_speakers"), "n_train_speakers"),
        ("folds/fold00-seed0/fold.json", lambda v: v.update(learned={"layer_weights": "x"}), "not fit together"),
    ],
)  # fmt: skip
def test_values_of_a_wrong_kind_are_named(
    copied: Path, tmp_path: Path, name: str, edit: Callable[[Any], object], said: str
) -> None:
    edited(copied / name, edit)
    with pytest.raises(DataError, match=said) as refused:
        report([open_run(copied)], tmp_path / "report.html")
    assert (name if "together" not in said else "copied") in str(refused.value)


@pytest.mark.parametrize("name", ["config.yaml", "results.json", "folds/fold01-seed0/model.npz"])
def test_a_folder_in_the_place_of_a_file_is_named(
    copied: Path, toy: pl.DataFrame, toy_run: Run, name: str
) -> None:
    (copied / name).unlink()
    (copied / name).mkdir()
    for digests in copied.rglob("digests.json"):
        digests.unlink()
    with pytest.raises(DataError, match=f"{name}: is a folder"):
        ut.run("functionals", toy, toy_run.protocol, out=copied, resume=True)


def test_an_older_folder_without_digests_is_read(copied: Path, toy_run: Run, tmp_path: Path) -> None:
    for path in copied.rglob("digests.json"):
        path.unlink()
    run = open_run(copied)
    assert run.predictions.equals(toy_run.predictions)
    assert run.scores == toy_run.scores
    assert len(run.folds()) == 3
    report([run], tmp_path / "report.html")


def test_others_predictions_and_fusions_have_digests_too(
    copied: Path, toy: pl.DataFrame, toy_run: Run, tmp_path: Path
) -> None:
    second = ut.run(
        "functionals", toy, toy_run.protocol, out=tmp_path / "second", changes={"calibration": "none"}
    )
    fused = fuse([toy_run, second], tmp_path / "fused", weights="equal")
    flip(fused.folder / "folds" / "fold00-seed0" / "fold.json")
    with pytest.raises(DataError, match=r"fold00-seed0/fold.json"):
        open_run(fused.folder)
    flip(second.folder / "predictions.parquet")
    with pytest.raises(
        DataError, match=r"second/predictions.parquet: was damaged .*--resume` makes it again"
    ):
        ut.compare(second.folder, toy_run)


def test_a_damaged_index_of_a_run_in_hand_is_refused(tmp_path: Path) -> None:
    from unheard.formats import sealed_json

    path = tmp_path / "index.json"
    sealed_json.write(path, {"clips": [1, 2.5, "ä"]})
    assert sealed_json.read(path) == {"clips": [1, 2.5, "ä"]}
    rng = np.random.default_rng(0)
    whole = path.read_bytes()
    for place in rng.choice(len(whole), 40, replace=False):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"index.json"):
            sealed_json.read(path)
