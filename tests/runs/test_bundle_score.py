"""A bundle scored on labelled clips: its predictions counted by hand, stamped where it has heard the speaker."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile

from one_input import examples, export_features
from unheard import features, heads
from unheard.bundle.manifest import write_manifest
from unheard.bundle.runtime import load
from unheard.corpora.table import classes
from unheard.errors import DataError, UsageError
from unheard.exporting.known_clips import add_known_clips
from unheard.external.score_bundle import score_bundle
from unheard.labels import Labels
from unheard.testing import toy_corpus

SPEC = {"name": "mfbf0", "average": 4}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    return toy_corpus(tmp_path_factory.mktemp("toy") / "corpus", speakers=6)


@pytest.fixture(scope="module")
def bundle(table: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on speakers 01 and 02."""
    heard = table.filter(pl.col("speaker").is_in(["01", "02"]))
    spec = features.build(SPEC)
    rows = examples(
        [spec.compute(soundfile.read(path, dtype="float32")[0]) for path in heard["path"]],
        heard["label"].to_physical().cast(pl.Int64).to_numpy(),
        heard["speaker"].to_numpy().astype(np.str_),
        len(classes(table)),
    )
    head = heads.build({"name": "probe", "grid": [0.01]}).fit(rows)
    options = {"temperature": 1.0, "training_speakers": ["01", "02"], "corpus": "synthetic", "scores": None}
    out = tmp_path_factory.mktemp("bundles") / "b"
    return export_features(head, SPEC, classes(table), out, recipe={}, licences={}, **options)


def test_scores_are_those_of_the_bundle_s_answers(bundle: Path, table: pl.DataFrame) -> None:
    unheard = table.filter(~pl.col("speaker").is_in(["01", "02"]))
    found = score_bundle(bundle, unheard)
    labels = [prediction.label for prediction in load(bundle).predict_many(unheard["path"])]
    right = np.array(labels) == unheard["label"].cast(pl.String).to_numpy()
    assert found["metrics"]["accuracy"]["mean"] == pytest.approx(right.mean())
    assert found["stamps"] == ["SYNTHETIC", "FEW SPEAKERS"]
    assert (found["heard"], found["n_clips"], found["n_speakers"]) == ([], len(unheard), 4)


def test_a_heard_speaker_is_stamped_in_the_same_corpus_alone(bundle: Path, table: pl.DataFrame) -> None:
    some = table.filter(pl.col("speaker").is_in(["02", "03"]))
    found = score_bundle(bundle, some)
    assert found["heard"] == ["02"]
    assert "CONTAMINATED" in found["stamps"]
    other = score_bundle(bundle, some.with_columns(corpus=pl.lit("other")))
    assert other["heard"] == []
    assert "CONTAMINATED" not in other["stamps"]


def test_labels_with_other_names_are_answered_among_those_that_both_have(
    bundle: Path, table: pl.DataFrame
) -> None:
    ours = classes(table)[:3]
    theirs = dict(zip(classes(table), ["zorn", "leere", "glück", *"xyzuvw"], strict=False))
    foreign = table.with_columns(
        pl.col("label").cast(pl.String).replace(theirs).cast(pl.Enum(list(theirs.values())))
    )
    names = {theirs[name]: name for name in reversed(ours)}
    found = score_bundle(bundle, foreign, labels=Labels(names))
    kept = table.filter(pl.col("label").cast(pl.String).is_in(ours))
    predicted = [prediction.probabilities for prediction in load(bundle).predict_many(kept["path"])]
    right = [
        max(ours, key=p.get) == label
        for p, label in zip(predicted, kept["label"].cast(pl.String), strict=True)
    ]
    assert found["metrics"]["accuracy"]["mean"] == pytest.approx(np.mean(right))
    assert (found["labels"], found["n_clips"]) == (list(ours), len(kept))
    assert found["n_left_out"] == len(table) - len(kept)
    # Scaled to sum to 1: the loss of the truth's share among the three.
    share = [
        p[label] / sum(p[name] for name in ours)
        for p, label in zip(predicted, kept["label"].cast(pl.String), strict=True)
    ]
    assert found["metrics"]["nll"]["pooled"] == pytest.approx(-np.mean(np.log(share)), rel=1e-6)
    for wrong in (
        {"zorn": ours[0]},
        {**names, "grimm": "angry"},
        {**names, "zorn": "rage"},
        dict.fromkeys(names, ours[0]),
    ):
        with pytest.raises(UsageError):
            score_bundle(bundle, foreign, labels=Labels(wrong))


def test_merged_classes_are_added_on_both_sides(bundle: Path, table: pl.DataFrame) -> None:
    first, second, *others = classes(table)
    labels = Labels({first: "both", second: "both"}, name="mine", version=3)
    found = score_bundle(bundle, table, labels=labels)
    assert found["labels"] == ["both", *others] and found["n_left_out"] == 0
    assert found["mapping"] == f"labels by mine, version 3: {first} → both, {second} → both"
    predicted = [prediction.probabilities for prediction in load(bundle).predict_many(table["path"])]
    right = []
    for p, label in zip(predicted, table["label"].cast(pl.String), strict=True):
        shares = {"both": p[first] + p[second]} | {name: p[name] for name in others}
        right.append(max(shares, key=shares.get) == (label if label in others else "both"))
    assert found["metrics"]["accuracy"]["mean"] == pytest.approx(np.mean(right))


def test_a_clip_without_an_answer_is_an_error(bundle: Path, table: pl.DataFrame, tmp_path: Path) -> None:
    some = table.filter(pl.col("speaker") == "03")
    whole = score_bundle(bundle, some)
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    predicted = list(load(bundle).predict_many(some["path"]))
    right = [k for k, prediction in enumerate(predicted) if prediction.label == some["label"][k]]
    paths = some["path"].to_list()
    paths[right[0]] = str(tmp_path / "broken.wav")
    found = score_bundle(bundle, some.with_columns(path=pl.Series(paths)))
    assert (whole["n_unanswered"], found["n_unanswered"]) == (0, 1)
    less = whole["metrics"]["accuracy"]["mean"] - found["metrics"]["accuracy"]["mean"]
    assert less == pytest.approx(1 / len(some))


def test_pieces_of_files_are_heard_as_pieces(bundle: Path, table: pl.DataFrame, tmp_path: Path) -> None:
    some = table.filter(pl.col("speaker") == "03").head(4)
    waves = [soundfile.read(path, dtype="float32")[0] for path in some["path"]]
    ends = np.cumsum([len(wave) for wave in waves]) / 16_000
    soundfile.write(tmp_path / "all.wav", np.concatenate(waves), 16_000, subtype="FLOAT")
    pieces = some.with_columns(
        path=pl.lit(str(tmp_path / "all.wav")), start=pl.Series([0.0, *ends[:-1]]), end=pl.Series(ends)
    )
    assert score_bundle(bundle, pieces)["metrics"] == score_bundle(bundle, some)["metrics"]


def test_labels_that_the_bundle_does_not_know_are_refused(bundle: Path, table: pl.DataFrame) -> None:
    other = table.with_columns(pl.lit("bored").cast(pl.Enum(["bored", "keen"])).alias("label"))
    with pytest.raises(DataError, match="the table has bored"):
        score_bundle(bundle, other)
    with pytest.raises(DataError, match="no clip has a label"):
        score_bundle(bundle, table.head(0))


def test_unsure_answers_count_and_are_told_apart(bundle: Path, table: pl.DataFrame, tmp_path: Path) -> None:
    sure = [max(prediction.probabilities.values()) for prediction in load(bundle).predict_many(table["path"])]
    folder = shutil.copytree(bundle, tmp_path / "strict")
    plain = json.loads((folder / "bundle.json").read_text())
    plain["thresholds"] = {"confidence": float(np.median(sure))}
    (folder / "bundle.json").write_text(json.dumps(plain))
    write_manifest(folder)
    free, strict = score_bundle(bundle, table), score_bundle(folder, table)
    assert strict["metrics"] == free["metrics"]
    assert (free["n_unsure"], free["selective"]["coverage"]) == (0, 1)
    assert free["selective"]["accuracy"] == pytest.approx(free["metrics"]["accuracy"]["pooled"])
    given = np.array(sure) >= np.median(sure)
    labels = [prediction.label for prediction in load(folder).predict_many(table["path"])]
    assert [label is not None for label in labels] == given.tolist()
    assert strict["n_unsure"] == (~given).sum()
    right = np.array(labels, dtype=object)[given] == table["label"].cast(pl.String).to_numpy()[given]
    assert strict["selective"] == {"coverage": given.mean(), "accuracy": pytest.approx(right.mean())}


def test_speakers_of_other_corpora_that_it_heard_are_stamped_too(
    bundle: Path, table: pl.DataFrame, tmp_path: Path
) -> None:
    folder = shutil.copytree(bundle, tmp_path / "several")
    plain = json.loads((folder / "bundle.json").read_text())
    plain["training"] = {"corpus": "emodb", "speakers": ["05"], "others": {"synthetic": ["04", "99"]}}
    (folder / "bundle.json").write_text(json.dumps(plain))
    write_manifest(folder)
    found = score_bundle(folder, table)
    assert found["heard"] == ["04"]
    assert "CONTAMINATED" in found["stamps"]


@pytest.fixture(scope="module")
def knowing(bundle: Path, table: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same bundle, which keeps by what its training clips are known again."""
    folder = shutil.copytree(bundle, tmp_path_factory.mktemp("knowing") / "b")
    return add_known_clips(folder, table.filter(pl.col("speaker").is_in(["01", "02"])))


def test_training_clips_are_known_by_sound_under_other_names(
    knowing: Path, bundle: Path, table: pl.DataFrame, tmp_path: Path
) -> None:
    some = table.filter(pl.col("speaker") == "02").head(10)
    copies = [tmp_path / f"{k}.ogg" for k in range(len(some))]
    for path, copy in zip(some["path"], copies, strict=True):
        wave, rate = soundfile.read(path, dtype="float32")
        soundfile.write(copy, 0.2 * wave, rate, format="OGG", subtype="OPUS", compression_level=0.88)
    strangers = table.filter(pl.col("speaker") == "05").head(10)
    other = pl.concat([some.with_columns(path=pl.Series(map(str, copies))), strangers]).with_columns(
        id=pl.Series([f"x{k:02}" for k in range(20)]), speaker=pl.lit("anna"), corpus=pl.lit("generic")
    )
    found = score_bundle(knowing, other)
    assert "CONTAMINATED" in found["stamps"]
    assert found["heard_clips"] == [f"x{k:02}" for k in range(10)]
    assert found["heard"] == ["anna"]
    assert score_bundle(bundle, other)["stamps"] == ["FEW SPEAKERS"]
    assert score_bundle(knowing, other.tail(10))["heard_clips"] == []


def test_one_name_in_two_tables_of_one_s_own_may_be_two_people(
    knowing: Path, table: pl.DataFrame, tmp_path: Path
) -> None:
    folder = shutil.copytree(knowing, tmp_path / "own")
    plain = json.loads((folder / "bundle.json").read_text())
    plain["training"]["corpus"] = "generic"
    (folder / "bundle.json").write_text(json.dumps(plain))
    write_manifest(folder)
    others = table.filter(pl.col("speaker").is_in(["03", "04"])).with_columns(corpus=pl.lit("generic"))
    renamed = others.with_columns(speaker=pl.col("speaker").replace({"03": "1"}))
    found = score_bundle(folder, renamed)
    assert "CONTAMINATED" not in found["stamps"] and "UNVERIFIED" in found["stamps"]
    assert (found["heard"], found["heard_perhaps"]) == ([], ["1"])
    assert "UNVERIFIED" not in score_bundle(folder, others)["stamps"]
