"""A run: the same whatever runs at the same time, resumed after anything, refused where it would mix settings."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
import yaml

import unheard as ut
from unheard.corpora.table import write_table
from unheard.decide.calibration import fit_temperature
from unheard.errors import DataError, ProtocolError, UsageError
from unheard.predictions.table import logits, probabilities, truth
from unheard.runs.folder import FILES, Run, open_run


def test_the_run_folder_holds_what_is_documented(toy_run: Run, toy: pl.DataFrame) -> None:
    there = {p.name for p in toy_run.folder.iterdir()}
    later = {"report.html", "noise.parquet", "noise.json", "noise.html"}  # of `unheard report` and `noise`
    adapting = {"enrolment.parquet"}  # of a run that adapts to speakers
    assert set(FILES) - later - adapting | {"folds"} == there
    scores = toy_run.scores
    for key in (
        "recipe",
        "protocol",
        "protocol_hash",
        "labels",
        "stamps",
        "refit",
        "n_train_speakers",
        "n_speakers",
    ):
        assert key in scores
    for metric in ("accuracy", "uar", "macro_f1", "weighted_f1"):
        assert set(scores["metrics"][metric]) == {"mean", "sd", "pooled", "low", "high"}
    assert scores["stamps"] == ["FEW SPEAKERS", "SYNTHETIC"]
    test = toy_run.predictions.filter(pl.col("part") == "test")
    assert sorted(test["id"]) == sorted(toy["id"])
    right = probabilities(test).argmax(axis=1) == test["label"].to_physical().to_numpy()
    assert scores["metrics"]["accuracy"]["pooled"] == pytest.approx(right.mean())


def test_speakers_of_the_test_side_are_in_no_other_part(toy_run: Run) -> None:
    for (_,), rows in toy_run.predictions.group_by("fold"):
        val, test = (set(rows.filter(pl.col("part") == part)["speaker"]) for part in ("val", "test"))
        assert val
        assert not val & test
    assert all(record["n_train_speakers"] == toy_run.scores["n_train_speakers"] for record in toy_run.folds())


def test_more_processes_change_nothing(toy_run: Run, toy: pl.DataFrame, tmp_path: Path) -> None:
    alone = ut.run("functionals", toy, toy_run.protocol, out=tmp_path / "alone", jobs=1)
    name = "predictions.parquet"
    assert (alone.folder / name).read_bytes() == (toy_run.folder / name).read_bytes()
    assert alone.scores == toy_run.scores


def test_refitting_learns_from_validation_speakers_and_keeps_their_rows(
    toy_run: Run, toy: pl.DataFrame, tmp_path: Path
) -> None:
    refitted = ut.run(
        "functionals", toy, toy_run.protocol, out=tmp_path / "val", changes={"refit": "val"}, jobs=2
    )
    assert refitted.scores["n_train_speakers"] > toy_run.scores["n_train_speakers"]
    keep = ["fold", "id", "logits"]
    val = [r.predictions.filter(pl.col("part") == "val").select(keep) for r in (refitted, toy_run)]
    assert val[0].equals(val[1])
    test = [r.predictions.filter(pl.col("part") == "test").select(keep) for r in (refitted, toy_run)]
    assert not test[0].equals(test[1])
    temperatures = [[record["temperature"] for record in r.folds()] for r in (refitted, toy_run)]
    assert temperatures[0] == temperatures[1]


def test_changing_test_labels_changes_no_prediction(toy_run: Run, toy: pl.DataFrame, tmp_path: Path) -> None:
    """What a fold's model predicted for its test speakers does not depend on what they meant."""
    tested = list(toy_run.protocol.folds[0].test)
    turned = pl.when(pl.col("id").is_in(tested)).then(pl.col("label").reverse()).otherwise(pl.col("label"))
    table = toy.with_columns(turned.cast(toy.schema["label"]).alias("label"))
    run = ut.run(
        "functionals",
        table,
        toy_run.protocol,
        out=tmp_path / "turned",
        only=[0],
        changes={"protocol": "group-3"},
    )
    columns = ["id", "logits", "probabilities"]
    now = run.predictions.filter(pl.col("part") == "test").select(columns)
    before = toy_run.predictions.filter((pl.col("part") == "test") & (pl.col("fold") == 0)).select(columns)
    assert now.equals(before)


def test_a_part_of_the_folds_is_run_and_said(toy: pl.DataFrame, toy_run: Run, tmp_path: Path) -> None:
    part = ut.run(
        "functionals",
        toy,
        toy_run.protocol,
        out=tmp_path / "part",
        only=[1],
        ledger=tmp_path / "ledger.csv",
        decided="nothing",
    )
    assert part.predictions.filter(pl.col("part") == "test")["fold"].unique().to_list() == [1]
    assert part.scores["incomplete"] == ["fold 0: not asked for", "fold 2: not asked for"]
    ledger = pl.read_csv(tmp_path / "ledger.csv")
    assert ledger["decided"].to_list() == ["nothing"]
    assert "folds 1" in ledger["speakers"][0]
    # The rest can be added, and then nothing is missing.
    whole = ut.run("functionals", toy, toy_run.protocol, out=tmp_path / "part", resume=True)
    assert "incomplete" not in whole.scores
    assert whole.predictions.equals(toy_run.predictions)
    with pytest.raises(UsageError, match="has the folds 0-2; asked for 7"):
        ut.run("functionals", toy, toy_run.protocol, out=tmp_path / "x", only=[7])


def test_a_run_goes_on_after_a_field_was_added_to_recipes(
    toy: pl.DataFrame, toy_run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(toy_run.folder, folder)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    del config["target"]
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "digests.json").unlink()  # such a run is older than digests
    again = ut.run("functionals", toy, toy_run.protocol, out=folder, resume=True)
    assert again.predictions.equals(toy_run.predictions)


def test_a_folder_is_not_mixed_with_other_settings(toy: pl.DataFrame, toy_run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(toy_run.folder, folder)
    with pytest.raises(UsageError, match="holds a run"):
        ut.run("functionals", toy, toy_run.protocol, out=folder)
    with pytest.raises(UsageError, match=r"cannot be resumed: refit: none → val"):
        ut.run("functionals", toy, toy_run.protocol, out=folder, changes={"refit": "val"}, resume=True)
    with pytest.raises(UsageError, match=r"cannot be resumed: protocol: group-3 → group-4"):
        ut.run("functionals", toy, ut.protocol("group-4", toy), out=folder, resume=True)
    (folder / "notes.txt").write_text("mine")
    again = ut.run("functionals", toy, toy_run.protocol, out=folder, force=True)
    assert (folder / "notes.txt").read_text() == "mine"
    assert again.predictions.equals(toy_run.predictions)


def test_a_run_that_ended_before_its_first_fold_begins_again(
    toy: pl.DataFrame, toy_run: Run, tmp_path: Path
) -> None:
    absent = toy.with_columns(path=pl.lit("/absent/") + pl.col("id") + ".wav")
    with pytest.raises(DataError):
        ut.run("functionals", absent, toy_run.protocol, out=tmp_path / "run")
    again = ut.run("functionals", toy, toy_run.protocol, out=tmp_path / "run", only=[0])
    assert set(again.predictions["fold"]) == {0}


def test_folds_without_validation_say_what_works(toy: pl.DataFrame, tmp_path: Path) -> None:
    last = toy["speaker"].max()
    split = pl.when(pl.col("speaker") == last).then(pl.lit("test")).otherwise(pl.lit("train"))
    folds = ut.protocol("owner", toy.with_columns(split=split))
    with pytest.raises(ProtocolError, match=r"--val speakers .*--set calibration=none") as error:
        ut.run("functionals", toy, folds, out=tmp_path / "run")
    assert "next-fold" not in str(error.value)  # there is no next one


def test_bad_recordings_are_listed_and_bounded(
    toy: pl.DataFrame, toy_run: Run, toy_folder: Path, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(toy_folder, corpus)
    table = ut.read("synthetic", corpus)
    tested = table.filter(pl.col("id") == toy_run.protocol.folds[0].test[0])
    Path(tested["path"][0]).write_bytes(b"RIFF no longer a recording")
    folds = ut.protocol("group-3", table)
    with pytest.raises(DataError, match=f"1 of {len(table)} recordings cannot be used.*{tested['id'][0]}"):
        ut.run("functionals", table, folds, out=tmp_path / "strict", max_bad=0.0)
    run = ut.run("functionals", table, folds, out=tmp_path / "run", max_bad=0.05, only=[0])
    listed = [json.loads(line) for line in (run.folder / "errors.jsonl").read_text().splitlines()]
    assert [row["id"] for row in listed] == tested["id"].to_list()
    # It stays in its fold, without a prediction, and counts as an error.
    row = run.predictions.filter((pl.col("id") == tested["id"][0]) & (pl.col("part") == "test"))
    assert row["probabilities"].to_list() == [None]
    test = run.predictions.filter(pl.col("part") == "test")
    right = np.nan_to_num(probabilities(test)).argmax(axis=1) == test["label"].to_physical().to_numpy()
    answered = test["probabilities"].is_not_null().to_numpy()
    assert run.scores["metrics"]["accuracy"]["pooled"] == pytest.approx((right & answered).mean())
    with pytest.raises(DataError, match="strict: it stops at the first"):
        ut.run("functionals", table, folds, out=tmp_path / "first", max_bad=0.5, strict=True)


def test_a_recipe_for_another_corpus_and_a_leak_are_refused(toy: pl.DataFrame, tmp_path: Path) -> None:
    other = toy.with_columns(corpus=pl.lit("other"))
    with pytest.raises(UsageError, match="is for the corpus ravdess"):
        ut.run("ravdess-functionals", other, ut.protocol("group-3", other), out=tmp_path / "x")
    with pytest.raises(ProtocolError, match="asks for valence, and no clip of the corpus has any"):
        ut.protocol("group-3", toy, dimensions=["valence"])
    asked = {"target.dimensions": ["valence"]}
    with pytest.raises(DataError, match="asks for valence, and no clip of the corpus has any"):
        ut.run("functionals", toy, ut.protocol("group-3", toy), out=tmp_path / "x", changes=asked)
    assert not (tmp_path / "x").exists()
    one = toy.with_columns(speaker=pl.lit("everybody"))
    with pytest.raises(ProtocolError, match="at least 3 speakers"):
        ut.protocol("loso", one)


def test_the_premium_reads_which_run_is_leaky(toy: pl.DataFrame, toy_run: Run, tmp_path: Path) -> None:
    leaky = ut.run("functionals", toy, ut.protocol("random-3", toy), out=tmp_path / "leaky", jobs=2)
    assert leaky.scores["stamps"] == ["LEAKY", "FEW SPEAKERS", "SYNTHETIC"]
    assert not leaky.audit["passed"]
    assert toy_run.audit["passed"]
    a, b = ut.premium(leaky, toy_run), ut.premium(toy_run, leaky)
    assert a == b
    difference = (
        leaky.scores["metrics"]["accuracy"]["pooled"] - toy_run.scores["metrics"]["accuracy"]["pooled"]
    )
    assert a.difference == pytest.approx(difference, abs=1e-9)
    with pytest.raises(UsageError, match="one leaky and one speaker-independent"):
        ut.premium(leaky, leaky)
    with pytest.raises(UsageError, match="not of one protocol"):
        ut.compare(leaky, toy_run)
    assert ut.compare(leaky.folder, str(toy_run.folder), across=True) == ut.compare(
        leaky, toy_run, across=True
    )


COMMAND = [sys.executable, "-m", "unheard", "run", "functionals", "--protocol", "group-3", "--jobs", "2"]


def test_an_interrupt_finishes_the_fold_in_hand_and_says_how_to_go_on(
    toy: pl.DataFrame, toy_run: Run, tmp_path: Path
) -> None:
    data = tmp_path / "toy.parquet"
    write_table(toy, data)
    command = [*COMMAND, "--jobs", "1", "--data", str(data), "--out", str(tmp_path / "run")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        deadline = time.monotonic() + 60
        while not (tmp_path / "run" / "errors.jsonl").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        run.send_signal(signal.SIGINT)
        assert run.stderr is not None
        said = run.stderr.read()
    assert run.returncode == 130
    assert "--resume" in said
    assert "Traceback" not in said
    finished = list((tmp_path / "run" / "folds").glob("fold*"))
    assert len(finished) == 1
    resumed = ut.run("functionals", toy, toy_run.protocol, out=tmp_path / "run", resume=True)
    assert resumed.predictions.equals(toy_run.predictions)


def test_a_worker_that_dies_is_tried_again(toy: pl.DataFrame, toy_run: Run, tmp_path: Path) -> None:
    """The first worker process is killed; its fold is fitted by another, with the same result."""
    data = tmp_path / "toy.parquet"
    write_table(toy, data)
    command = [*COMMAND, "--jobs", "1", "--data", str(data), "--out", str(tmp_path / "run")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as run:
        killed = False
        deadline = time.monotonic() + 60
        while not killed and time.monotonic() < deadline:
            for child in _children(run.pid):
                if b"unheard.runs.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                    os.kill(child, signal.SIGKILL)
                    killed = True
            time.sleep(0.02)
        run.wait(timeout=120)
    assert killed
    assert run.returncode == 0
    assert open_run(tmp_path / "run").predictions.equals(toy_run.predictions)


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    found = []
    for task in tasks:
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:
            continue
    return found


def test_any_rate_and_a_path_of_any_kind(toy: pl.DataFrame, tmp_path: Path) -> None:
    """A clip under an odd name and another rate gives about the same features as the original."""
    from unheard import features
    from unheard.audio.decode import load

    source = Path(toy["path"][0])
    wave, rate = soundfile.read(source)
    odd = tmp_path / "-a 'quoted' \"name\" ü\nline.flac"
    soundfile.write(odd, wave, rate)
    spec = features.build({"name": "functionals"})
    np.testing.assert_allclose(
        spec.compute(load(odd).wave), spec.compute(load(source).wave), rtol=1e-3, atol=1e-3
    )


def test_what_no_run_wrote_is_never_removed(toy: pl.DataFrame, toy_run: Run, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}")
    for force in (False, True):
        with pytest.raises(UsageError, match=r"holds results.json, which no run wrote"):
            ut.run("functionals", toy, toy_run.protocol, out=tmp_path, force=force)
    assert (tmp_path / "results.json").read_text() == "{}"


def test_folds_without_validation_are_refused_before_any_work(toy: pl.DataFrame, tmp_path: Path) -> None:
    from unheard.protocols import fold, guarded

    of = {s: toy.filter(pl.col("speaker") == s)["id"].to_list() for s in toy["speaker"].unique()}
    bare = [fold([i for s, ids in of.items() if s != who for i in ids], [], of[who]) for who in ("01", "02")]
    folds = guarded("bare", toy, bare)
    for changes in (
        {},
        {"calibration": "none", "refit": "val"},
        {"calibration": "none", "features": {"name": "mfbf0"}, "head": {"name": "tcgru"}},
    ):
        with pytest.raises(ProtocolError, match=r"no validation clips.*--val next-fold"):
            ut.run("functionals", toy, folds, out=tmp_path / "run", changes=changes)
    assert not (tmp_path / "run" / "provenance.json").exists()
    run = ut.run("functionals", toy, folds, out=tmp_path / "run", changes={"calibration": "none"})
    assert [record["temperature"] for record in run.folds()] == [1.0, 1.0]


def test_a_free_temperature_may_sharpen_too(toy: pl.DataFrame, toy_run: Run, tmp_path: Path) -> None:
    # C is far too small here, and every prediction far too modest.
    changes = {"head": {"name": "probe", "grid": [1e-4]}}
    protocol = toy_run.protocol
    soft, free = (
        ut.run(
            "functionals",
            toy,
            protocol,
            out=tmp_path / kind,
            only=[0],
            changes={**changes, "calibration": kind},
        )
        for kind in ("temperature", "free")
    )
    (bound,), (found,) = ([record["temperature"] for record in run.folds()] for run in (soft, free))
    val = free.predictions.filter(pl.col("part") == "val")
    assert bound == 1.0 and found == fit_temperature(logits(val), truth(val), floor=0.0) < 0.5
    assert free.scores["metrics"]["accuracy"] == soft.scores["metrics"]["accuracy"]


def test_a_damaged_certificate_in_the_cache_is_made_again(
    toy: pl.DataFrame, toy_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNHEARD_CACHE", str(tmp_path / "cache"))
    first = ut.run("functionals", toy, toy_run.protocol, out=tmp_path / "a", only=[0])
    kept = [p for p in (tmp_path / "cache" / "audits").rglob("*") if p.is_file()]
    assert len(kept) == 1
    kept[0].write_bytes(kept[0].read_bytes()[:-7])
    again = ut.run("functionals", toy, toy_run.protocol, out=tmp_path / "b", only=[0])
    assert again.audit == first.audit


def test_an_export_is_of_whole_runs_and_of_declared_speakers(
    toy_run: Run, toy: pl.DataFrame, tmp_path: Path
) -> None:
    part = ut.run("functionals", toy, toy_run.protocol, out=tmp_path / "part", only=[0])
    with pytest.raises(UsageError, match="incomplete"):
        ut.export(part, tmp_path / "x")
    with pytest.raises(UsageError, match="no speaker is called 77"):
        ut.export(toy_run, tmp_path / "x", speakers=["01", "77"])
    bundle = ut.load(ut.export(toy_run, tmp_path / "bundle", speakers=["01", "02", "03"]))
    assert bundle.training_speakers == ("01", "02", "03")
    whole = ut.load(ut.export(toy_run, tmp_path / "whole"))
    assert len(whole.training_speakers) == 6


def test_a_bundle_agrees_with_the_model_it_was_made_of(
    toy_run: Run, toy: pl.DataFrame, tmp_path: Path
) -> None:
    bundle = ut.load(ut.export(toy_run, tmp_path / "bundle", fold=1))
    rows = toy_run.predictions.filter((pl.col("fold") == 1) & (pl.col("part") == "test")).head(12)
    paths = dict(zip(toy["id"], toy["path"], strict=True))
    for i, p in zip(rows["id"], probabilities(rows), strict=True):
        prediction = bundle.predict_file(paths[i])
        np.testing.assert_allclose(list(prediction.probabilities.values()), p, atol=1e-4)


def test_a_bundle_withholds_what_a_share_of_its_validation_clips_is_less_sure_of(
    toy_run: Run, tmp_path: Path
) -> None:
    val = toy_run.predictions.filter((pl.col("part") == "val") & (pl.col("fold") == 1))
    z = logits(val)
    for coverage in (0.5, 1.0):
        made = ut.load(ut.export(toy_run, tmp_path / f"{coverage}", fold=1, coverage=coverage)).description
        if coverage == 1:
            assert made.thresholds == {}
            continue
        p = np.exp(z / made.temperature)
        sure = (p / p.sum(axis=1, keepdims=True)).max(axis=1)
        assert (sure >= made.thresholds["confidence"] - 1e-12).sum() == int(np.ceil(len(val) / 2))
        assert made.thresholds["coverage"] == 0.5
    with pytest.raises(UsageError, match="coverage"):
        ut.export(toy_run, tmp_path / "none", coverage=0)


def test_looks_made_at_the_same_time_are_all_in_the_ledger(toy_run: Run, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from unheard.runs.ledger import append

    target = tmp_path / "ledger.csv"
    target.write_text(
        "date,recipe,settings_hash,protocol,speakers,accuracy,uar,decided\nx,y,,z,6,1,1,no line end"
    )
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: append(target, toy_run.scores, "6", f"look {n}"), range(24)))
    rows = pl.read_csv(target)
    assert len(rows) == 25
    assert set(rows["decided"]) == {"no line end", *(f"look {n}" for n in range(24))}
