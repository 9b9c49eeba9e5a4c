"""Systems published on IEMOCAP run end to end on a miniature of its owners' tree, with tiny checkpoints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import unheard as ut
from unheard.predictions.table import classes
from unheard.recipes import recipe as recipes
from unheard.runs.run import run
from unheard.testing import toy_encoder

sys.path.insert(0, str(Path(__file__).parents[1] / "trees"))
from miniature import tone, write

pytest.importorskip("torch")
CODES = ("neu", "ang", "sad", "exc")
#: Those that differ from one above in their features alone, which other tests compute.
LIKE_OTHERS = {f"iemocap-data-efficiency-{name}" for name in ("descriptors", "egemaps", "mfcc")}
#: Trainings of one epoch: the plumbing is tested, not the score.
SHORT: dict[str, dict[str, Any]] = {
    "iemocap-bert-wav2vec": {"head.hidden": 8, "head.recurrent": 4, "head.epochs": 1},
    "iemocap-data-efficiency-wav2vec": {"head.epochs": 1},
    "iemocap-data-efficiency-lld": {"head.epochs": 1, "head.hidden": 8},
    "iemocap-data-efficiency-logmel": {"head.epochs": 1, "head.channels": 8},
    "iemocap-data-efficiency-raw": {"head.epochs": 1, "head.channels": 8},
}


def tree(folder: Path) -> Path:
    """Five sessions of a woman and a man, two improvised dialogues each, all four classes by both."""
    root = folder / "IEMOCAP_full_release"
    for session in range(1, 6):
        for number in (1, 2):
            dialogue, labels, words = f"Ses0{session}F_impro0{number}", ["% times, turns", ""], []
            place = root / f"Session{session}"
            for k, code in enumerate(CODES * 2):
                name = f"{dialogue}_{'FM'[k // 4]}{k:03d}"
                tone(
                    place / "sentences" / "wav" / dialogue / f"{name}.wav", 0.5, 150 + 60 * (k % 4) + session
                )
                labels += [f"[{k}.0000 - {k}.5000]\t{name}\t{code}\t[2.5000, 3.0000, 4.0000]", ""]
                words.append(f"{name} [{k:03d}.0000-{k:03d}.5000]: Words of turn {k}.")
            write(place / "dialog" / "EmoEvaluation" / f"{dialogue}.txt", "\n".join(labels) + "\n")
            write(place / "dialog" / "transcriptions" / f"{dialogue}.txt", "\n".join(words) + "\n")
    return folder


def test_every_system_of_the_comparison_is_tried() -> None:
    published = {name for name in recipes.names() if name.startswith("iemocap-data-efficiency")}
    assert published | {"iemocap-bert-wav2vec"} == set(SHORT) | LIKE_OTHERS
    assert len({recipes.load(name).protocol for name in published}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_it_runs_end_to_end(name: str, tmp_path: Path) -> None:
    if name.endswith("-lld"):
        pytest.importorskip("opensmile")
    stated = recipes.load(name)
    changes = dict(SHORT[name])
    for named, given in stated.inputs.items():
        if given.encoder is not None:
            toy = {"words": "bert"}.get(named, given.encoder["name"])
            changes[f"inputs.{named}.encoder.model"] = str(toy_encoder(tmp_path / named, toy))
    table = ut.read("iemocap", tree(tmp_path / "data"), labels=stated.labels)
    protocol = ut.protocol(stated.protocol, table)
    made = run(recipes.load(name, changes), table, protocol, tmp_path / "run", only=[0])
    assert made.scores["n_clips"] == 16 == len(made.protocol.folds[0].test)
    assert made.predictions["logits"].null_count() == 0
    assert sorted(classes(made.predictions)) == ["angry", "happy", "neutral", "sad"]
    assert all(figure.protocol == stated.protocol for figure in stated.published)
