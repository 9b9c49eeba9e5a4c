"""`unheard score` tells a bundle from a file of predictions, and says what each of them needs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from one_input import examples, export_features
from unheard import features, heads
from unheard.corpora import read

SPEC = {"name": "mfbf0", "average": 8}


@pytest.fixture(scope="module")
def bundle(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = read("synthetic", toy_folder)
    spec = features.build(SPEC)
    waves = [soundfile.read(path, dtype="float32")[0] for path in table["path"]]
    names = table["label"].dtype.categories.to_list()  # type: ignore[attr-defined]
    rows = examples(
        [spec.compute(wave) for wave in waves],
        table["label"].to_physical().to_numpy().astype(np.int64),
        table["speaker"].to_numpy().astype(np.str_),
        len(names),
    )
    head = heads.build({"name": "probe", "grid": [0.01]}).fit(rows)
    heard = table["speaker"].unique().to_list()
    options = {"temperature": 1.0, "training_speakers": heard, "corpus": "synthetic", "scores": None}
    out = tmp_path_factory.mktemp("bundles") / "b"
    return export_features(head, SPEC, names, out, recipe={"recipe": "toy"}, licences={}, **options)


def test_a_bundle_is_scored_and_stamped(call, bundle: Path, toy_folder: Path) -> None:  # type: ignore[no-untyped-def]
    done = call("score", bundle, "--table", toy_folder)
    assert done.returncode == 0
    first, second, stamps = done.stdout.splitlines()
    assert second == "  96 clips of 6 speakers, chance 12.5 %, always the commonest class 12.5 %"
    assert stamps == "  CONTAMINATED · SYNTHETIC · FEW SPEAKERS"
    assert "the bundle, or its encoder, was trained on 6 of these speakers: 01, 02, 03" in done.stderr
    made = json.loads(call("score", bundle, "--table", toy_folder, "--json").stdout)
    assert made["n_clips"] == 96
    assert first.startswith(
        f"toy on synthetic: accuracy {100 * made['metrics']['accuracy']['pooled']:.1f} % ["
    )
    assert made["baselines"]["chance"]["accuracy"] == 1 / 8
    assert made["baselines"]["majority"]["accuracy"]["pooled"] == pytest.approx(1 / 8)
    details = call("score", bundle, "--table", toy_folder, "--details").stdout
    assert details.startswith(done.stdout) and "\n  macro F1" in details and "\n  ECE" in details


def test_a_protocol_says_which_clips_a_bundle_is_scored_on(
    call,  # type: ignore[no-untyped-def]
    bundle: Path,
    toy_folder: Path,
    tmp_path: Path,
) -> None:
    rows = read("synthetic", toy_folder).select("id", "speaker").iter_rows()
    parts = [f"{clip},0,{'test' if speaker == '03' else 'train'}" for clip, speaker in rows]
    (tmp_path / "folds.csv").write_text("\n".join(["id,fold,part", *parts]))
    made = json.loads(
        call("score", bundle, "--table", toy_folder, "--protocol", tmp_path / "folds.csv", "--json").stdout
    )
    assert made["n_clips"] == 16 and made["heard"] == ["03"]


def test_what_does_not_fit_is_said(call, bundle: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for arguments, said in (
        ((bundle, "--table", "x", "--name", "mine"), "is a bundle"),
        ((bundle, "--table", "nowhere"), "nowhere: no such file or folder"),
        (("p.csv", "--table", "x"), "no such file or bundle"),
        (("y" * 300, "--table", "x"), "no such file or bundle"),
        ((tmp_path, "--table", "x"), "no bundle"),
        ((__file__, "--table", "x"), "--protocol"),
        ((bundle, "--table", "x", "--labels", "sevn"), "did you mean 'seven'"),
    ):
        done = call("score", *arguments)
        assert done.returncode == 2
        assert said in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
