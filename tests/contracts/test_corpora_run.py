"""Whatever reader the package holds: its owner's layout goes through prepare, audit and a run of functionals."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import unheard as ut
from unheard.cli import app
from unheard.corpora.relabel import relabel
from unheard.corpora.table import read_table
from unheard.errors import ProtocolError
from unheard.labels import Labels

sys.path.insert(0, str(Path(__file__).parents[1] / "trees"))
from miniature import TREES

#: Every tree takes the whole way in the slow suite; these do in every suite: votes, pieces of a recording.
QUICK = ("crema-d", "mosei")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in sorted(TREES)]
)
def test_from_the_owners_folder_to_scores(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ids = TREES[name](tmp_path / "corpus")
    done = CliRunner().invoke(app, ["prepare", name, "corpus", "--out", "table.parquet"])
    assert done.exit_code == 0, done.output
    table = read_table("table.parquet")
    assert set(table["id"]) == ids
    done = CliRunner().invoke(app, ["audit", "table.parquet"])
    assert done.exit_code in (0, 1) and f"{len(table)} clips" in done.output, done.output
    # Two classes of what labels there are, each trained on, and one clip tested.
    labels = sorted(set(table["label"].drop_nulls()))
    assert len(labels) >= 2
    pair = relabel(
        table, Labels({label: ("one", "two")[k % 2] for k, label in enumerate(labels)}, others=False)
    )
    clips = dict(pair.filter(pair["label"].is_not_null()).select("label", "id").iter_rows())
    tested = [i for i in pair.filter(pair["label"].is_not_null())["id"] if i not in clips.values()]
    assert tested, "a miniature needs three clips with a label"
    rows = [f"{i},0,train" for i in clips.values()] + [f"{i},0,test" for i in tested]
    Path("folds.csv").write_text("\n".join(["id,fold,part", *rows]))
    folds = ut.protocol("folds.csv", pair, declare_leaky=True)
    changes = {"calibration": "none", "head.grid": [0.01]}
    run = ut.run("functionals", pair, folds, out="run", changes=changes)
    assert sorted(run.predictions["id"]) == sorted(tested)
    assert run.predictions["probabilities"].null_count() == 0


def test_a_protocol_that_trains_nobody_is_not_run(tmp_path):
    TREES["mosei"](tmp_path / "corpus")
    table = ut.read("mosei", tmp_path / "corpus")
    with pytest.raises(ProtocolError, match="mosei-test tests models that were trained elsewhere"):
        ut.run("functionals", table, ut.protocol("mosei-test", table), out=tmp_path / "run")
