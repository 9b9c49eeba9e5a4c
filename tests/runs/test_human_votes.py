"""People who hear, who see and who do both, as systems."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from unheard import protocols
from unheard.analysis.human_votes import human_votes
from unheard.corpora.table import utterances
from unheard.errors import DataError
from unheard.metrics.estimators import estimate

NAMES = ("a", "b", "c")


def test_people_are_fused_like_systems_and_their_votes_are_their_answers() -> None:
    rng = np.random.default_rng(0)
    rows, truth = [], {}
    for s in range(10):
        for i in range(12):
            clip, label = f"{s}-{i:02d}", NAMES[i % 3]
            truth[clip] = label
            votes: list[dict[str, Any]] = []
            for modality, skill in (("audio", 0.5), ("video", 0.5), ("audiovisual", 0.9)):
                said = [label if rng.random() < skill else str(rng.choice(NAMES)) for _ in range(7)]
                votes += [
                    {"grader": None, "label": name, "weight": float(said.count(name)), "modality": modality}
                    for name in NAMES
                    if name in said
                ]
            rows.append(
                {"id": clip, "path": f"{clip}.wav", "speaker": f"s{s}", "label": label, "votes": votes}
            )
    table = utterances(rows, corpus="toy", labels=NAMES)
    folds = protocols.make("group-5", table, classes="votes")
    found = human_votes(table, folds, truth)
    scores = {name: estimate(frame, draws=50)["accuracy"]["pooled"] for name, frame in found.items()}
    assert all(frame["id"].n_unique() == 120 for frame in found.values())
    heard = [
        max(
            NAMES,
            key=lambda name: sum(
                v["weight"] for v in row["votes"] if (v["modality"], v["label"]) == ("audio", name)
            ),
        )
        for row in rows
    ]
    due = np.mean([label == truth[row["id"]] for label, row in zip(heard, rows, strict=True)])
    assert scores["audio"] == pytest.approx(due)
    assert max(scores["audio"], scores["video"]) < scores["fusion"] < scores["audiovisual"] == 1
    with pytest.raises(DataError, match="no clip has votes"):
        human_votes(table, folds, {})
