"""MSP-Podcast and CMU-MOSEI in their owners' layout, from folder to folds, scores and other test sets."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
import pytest

import unheard as ut
from unheard.analysis.test_sets import TestSet, score_test_sets
from unheard.recipes import recipe as recipes

sys.path.insert(0, str(Path(__file__).parents[1] / "trees"))
from miniature import TREES


def test_the_owners_parts_of_msp_podcast(tmp_path: Path) -> None:
    TREES["msp-podcast"](tmp_path)
    table = ut.read("msp-podcast", tmp_path)
    split = dict(table.select("id", "split").iter_rows())
    for name in ("msp-1.6", "msp-1.11"):
        (fold,) = ut.protocol(name, table, classes="votes").folds
        assert [{split[i] for i in part} for part in fold] == [{"Train"}, {"Development"}, {"Test1"}]
        assert [len(part) for part in fold] == [4, 2, 2]


def test_the_owners_test_part_of_mosei(tmp_path: Path) -> None:
    TREES["mosei"](tmp_path)
    made = ut.protocol("mosei-test", ut.read("mosei", tmp_path))
    assert made.folds == (((), (), ("zz_9_11", "zz_9_3")),) and made.stamps == ("UNVERIFIED",)


def test_the_publications_recipes_differ_in_their_input_alone() -> None:
    names = (
        "msp-mfbf0",
        "msp-hubert-large",
        "msp-wavlm-large",
        "msp-whisper-medium",
        "msp-whisper-medium-last",
    )
    stated = [recipes.load(name) for name in names]
    for one in stated:
        assert (one.head, one.target, one.protocol) == (stated[0].head, stated[0].target, "msp-1.11")
        # The publication has no augmentation, and its loss is over all twelve outputs.
        assert [one.head[k] for k in ("level", "noise", "time_mask", "frequency_mask")] == [0, 0, 0, 0]
        assert one.head["objective"] == {"classes": "ccc", "dimensions": "ccc"}
    assert all(len(one.published) == 4 for one in stated[:4])


def test_from_the_owners_folder_to_two_test_sets(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    TREES["msp-podcast"](tmp_path / "corpus")
    table = ut.read("msp-podcast", tmp_path / "corpus")
    protocol = ut.protocol("msp-1.11", table, classes="votes")
    changes = {"head.epochs": 1, "head.hidden": 8, "calibration": "none"}
    run = ut.run("msp-mfbf0", table, protocol, out=tmp_path / "run", changes=changes)
    assert run.scores["dimensions"]["valence.ccc"]["pooled"] is not None
    parts = {name: table.filter(pl.col("split") == part) for name, part in
             (("msp-1.11", "Test1"), ("msp-1.6", "Test2"))}  # fmt: skip
    first, second = score_test_sets(run, [TestSet(name, rows) for name, rows in parts.items()])
    assert first["dimensions"]["valence.ccc"] == pytest.approx(run.scores["dimensions"]["valence.ccc"])
    assert [row["published"][0]["valence_ccc"] for row in (first, second)] == [0.39, 0.34]
