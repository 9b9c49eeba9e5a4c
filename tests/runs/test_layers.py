from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import unheard as ut
from unheard.analysis import probing
from unheard.analysis.layers import layers, learned_weights
from unheard.errors import DataError, UsageError
from unheard.protocols.fold import Protocol

#: Strength of the emotion and of the voice in each layer: the third knows the emotion best, the first the voice.
EMOTION, VOICE = (0.2, 0.6, 1.5, 0.6), (3.0, 2.0, 1.0, 0.3)
WIDTHS = (6, 6, 6, 4)


@pytest.fixture(scope="module")
def protocol(toy: pl.DataFrame) -> Protocol:
    return ut.protocol("loso", toy)


@pytest.fixture(scope="module")
def pooled(toy: pl.DataFrame) -> dict[str, np.ndarray]:
    """Statistics in which it is known what each layer knows; the last is narrower and padded with zeros."""
    rng = np.random.default_rng(0)
    label = toy["label"].to_physical().to_numpy()
    who = toy["speaker"].rank("dense").to_numpy() - 1
    emotion, voice = rng.normal(size=(8, 2, 6)), rng.normal(size=(int(who.max()) + 1, 2, 6))
    found = {}
    for i, name in enumerate(toy["id"]):
        clip = [e * emotion[label[i]] + v * voice[int(who[i])] for e, v in zip(EMOTION, VOICE, strict=True)]
        clip = np.stack(clip) + 0.5 * rng.normal(size=(4, 2, 6))
        clip[3, :, 4:] = 0
        found[name] = clip.astype(np.float32)
    return found


def known(toy: pl.DataFrame, protocol: Protocol, pooled: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return layers(toy, protocol, 0, pooled, [str(k) for k in range(4)], WIDTHS, **more)


@pytest.fixture(scope="module")
def found(toy: pl.DataFrame, protocol: Protocol, pooled: dict[str, np.ndarray]) -> dict[str, Any]:
    return known(toy, protocol, pooled)


def test_what_was_put_into_each_entry_is_found_there(found: dict[str, Any]) -> None:
    saliency, emotion, speaker = (
        [e["saliency"]["score"]["value"] for e in found["layers"]],
        [e["emotion"]["uar"] for e in found["layers"]],
        [e["speaker"]["uar"] for e in found["layers"]],
    )
    assert found["salient"]["layer"] == np.argmax(saliency) == np.argmax(emotion) == 2
    assert emotion[2] > 0.8 and emotion[0] < 0.5
    assert np.argmax(speaker) == 0 and speaker[0] > speaker[3]
    for layer in found["layers"]:
        for about in ("emotion", "speaker"):
            assert layer[about]["low"] <= layer[about]["uar"] <= layer[about]["high"]
    json.dumps(found, allow_nan=False)


def test_it_says_what_was_asked_and_of_whom(
    found: dict[str, Any], protocol: Protocol, toy: pl.DataFrame
) -> None:
    train = toy.filter(pl.col("id").is_in(list(protocol.folds[0].train)))
    assert found["n_clips"] == len(train) and found["n_speakers"] == train["speaker"].n_unique()
    assert found["emotion"]["held_out"] == "speakers" and found["emotion"]["chance"] == 1 / 8
    # The toy corpus has two sentences, and everybody says both.
    assert found["speaker"] | {"C": None} == {
        "held_out": "sentences", "inner_folds": 2, "classes": found["n_speakers"],
        "chance": 1 / found["n_speakers"], "n_clips": len(train), "C": None,
    }  # fmt: skip
    assert found["stamps"] == ["FEW SPEAKERS", "SYNTHETIC"] and found["protocol_hash"] == protocol.hash


def test_nobody_but_the_training_clips_is_looked_at(
    toy: pl.DataFrame, protocol: Protocol, pooled: dict[str, np.ndarray], found: dict[str, Any]
) -> None:
    class Watched(dict[str, np.ndarray]):
        seen: set[str] = set()  # noqa: RUF012

        def __getitem__(self, name: str) -> np.ndarray:
            self.seen.add(name)
            return super().__getitem__(name)

    watched = Watched(pooled)
    assert known(toy, protocol, watched) == found
    assert watched.seen == set(protocol.folds[0].train)


def test_padding_of_narrower_entries_is_no_dimension(
    toy: pl.DataFrame, protocol: Protocol, pooled: dict[str, np.ndarray], found: dict[str, Any]
) -> None:
    wider = {name: np.pad(clip, ((0, 0), (0, 0), (0, 5))) for name, clip in pooled.items()}
    assert known(toy, protocol, wider) == found


def test_learned_weights_stamps_and_unreadable_clips(
    toy: pl.DataFrame, protocol: Protocol, pooled: dict[str, np.ndarray]
) -> None:
    train = protocol.folds[0].train
    readable = {name: clip for name, clip in pooled.items() if name != train[0]}
    records = [
        {"fold": 0, "seed": seed, "learned": {"layer_weights": weights}}
        for seed, weights in enumerate([[0.1, 0.2, 0.6, 0.1], [0.3, 0.2, 0.4, 0.1]])
    ]
    learned = learned_weights([*records, {"fold": 1, "seed": 0}], 0)
    assert learned == pytest.approx([0.2, 0.2, 0.5, 0.1])
    found = known(toy, protocol, readable, learned=learned, stamps=["RANDOM WEIGHTS"])
    assert [e["weight"] for e in found["layers"]] == learned
    assert (
        found["stamps"] == ["FEW SPEAKERS", "SYNTHETIC", "RANDOM WEIGHTS"]
        and found["n_clips"] == len(train) - 1
    )
    with pytest.raises(UsageError, match="no learned layer weights of fold 1"):
        learned_weights([*records, {"fold": 1, "seed": 0}], 1)
    with pytest.raises(UsageError, match="3 learned weights for 4 layers"):
        known(toy, protocol, pooled, learned=[0.2, 0.3, 0.5])


def test_targets_of_votes_and_of_dimensions(
    toy: pl.DataFrame, protocol: Protocol, pooled: dict[str, np.ndarray], found: dict[str, Any]
) -> None:
    valence = toy["label"].to_physical().cast(pl.Float64) / 7
    votes = [
        [{"grader": str(g), "label": label, "weight": None, "modality": None} for g in range(3)]
        for label in toy["label"].cast(pl.String)
    ]
    graded = toy.with_columns(
        valence=valence,
        activation=pl.lit(None, pl.Float64),
        votes=pl.Series(votes, dtype=toy.schema["votes"]),
    )
    one = known(graded, protocol, pooled, targets="dimensions")
    assert one["columns"] == ["valence"] and len(one["layers"][0]["saliency"]["targets"]) == 1
    # Everybody votes for the label: the distribution is the label against the rest.
    same = known(graded, protocol, pooled, targets="votes")
    scores = [[e["saliency"]["score"]["value"] for e in f["layers"]] for f in (same, found)]
    assert scores[0] == pytest.approx(scores[1])
    for kind in ("votes", "dimensions"):
        with pytest.raises(DataError, match=r"no training clip has .*take the targets 'labels'"):
            known(toy, protocol, pooled, targets=kind)
    with pytest.raises(UsageError, match="did you mean 'labels'"):
        known(toy, protocol, pooled, targets="label")


def test_what_cannot_be_asked_is_refused(
    toy: pl.DataFrame, protocol: Protocol, pooled: dict[str, np.ndarray]
) -> None:
    with pytest.raises(UsageError, match="has the folds 0-5, found 6"):
        layers(toy, protocol, 6, pooled, ["0"] * 4, WIDTHS)
    with pytest.raises(DataError, match="no training clip of the fold has features"):
        known(toy, protocol, {})


def rows_of(speakers: int = 6, clips: int = 10, sentences: int | None = None) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [f"{s}-{c:02}" for s in range(speakers) for c in range(clips)],
            "label": [c % 3 for _ in range(speakers) for c in range(clips)],
            "speaker": [f"s{s}" for s in range(speakers) for _ in range(clips)],
            "gender": [["female", "male"][s % 2] for s in range(speakers) for _ in range(clips)],
            "sentence": [
                None if sentences is None else f"t{c % sentences}"
                for _ in range(speakers)
                for c in range(clips)
            ],
        },
        schema_overrides={"gender": pl.Enum(["female", "male", "other"]), "sentence": pl.String},
    )


def test_for_emotion_no_speaker_is_in_two_splits() -> None:
    question = probing.emotion(rows_of(12), 3)
    assert len(np.unique(question.inner)) == 5 and question.held_out == "speakers"
    for unit in np.unique(question.unit):
        assert len(np.unique(question.inner[question.unit == unit])) == 1


def test_who_is_speaking_is_asked_on_sentences_that_were_not_heard_or_on_clips() -> None:
    by_sentence = probing.speaker(rows_of(sentences=3))
    assert by_sentence is not None and by_sentence.held_out == "sentences"
    sentence = np.array([int(i[-2:]) % 3 for i in by_sentence.ids])
    for text in range(3):
        assert len(np.unique(by_sentence.inner[sentence == text])) == 1
    for rows in (rows_of(), rows_of(sentences=1)):
        by_clip = probing.speaker(rows)
        assert by_clip is not None and by_clip.held_out == "clips"
        for unit in range(6):  # everybody is on every side
            assert np.bincount(by_clip.inner[by_clip.unit == unit], minlength=5).tolist() == [2] * 5
    # Somebody says one sentence only: on its side nobody would have heard them.
    odd = rows_of(sentences=2).with_columns(
        sentence=pl.when(pl.col("speaker") == "s0").then(pl.lit("t0")).otherwise(pl.col("sentence"))
    )
    question = probing.speaker(odd)
    assert question is not None and question.held_out == "clips"


def test_unknown_speakers_are_clips_of_their_own_and_cannot_be_told_apart() -> None:
    unknown = rows_of().with_columns(
        speaker=pl.lit(None, pl.String), gender=pl.lit(None, rows_of().schema["gender"])
    )
    assert probing.speaker(unknown) is None
    question = probing.emotion(unknown, 3)
    assert question.held_out == "clips" and len(np.unique(question.unit)) == 60
    assert probing.speaker(rows_of(1)) is None
    with pytest.raises(DataError, match="two speakers, found 1"):
        probing.emotion(rows_of(1), 3)


def test_answers_come_from_probes_that_did_not_hold_the_clip() -> None:
    # Each clip's own dimension says its class: only a probe that was fitted on the clip could use it.
    question = probing.emotion(rows_of(10, 9), 3)
    X = np.eye(len(question.ids))
    score = probing.score(question, probing.predictions(question, X))
    assert score["uar"] is not None and score["uar"] < 0.45
    told = np.eye(3)[question.truth]
    assert probing.score(question, probing.predictions(question, told))["uar"] == 1


def test_a_class_that_the_other_folds_lack_is_answered_wrongly_and_not_refused() -> None:
    rows = rows_of(4, 6).with_columns(
        label=pl.when(pl.col("speaker") == "s0").then(2).otherwise(pl.col("label") % 2)
    )
    question = probing.emotion(rows, 3)
    answered = probing.predictions(question, np.eye(3)[question.truth])
    assert (answered[question.truth == 2] != 2).all() and (answered[question.truth != 2] != 2).all()


def test_a_large_corpus_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "MAX_CLIPS", 40)
    monkeypatch.setattr(probing, "MAX_SPEAKERS", 3)
    assert len(probing.emotion(rows_of(), 3).ids) == 40
    question = probing.speaker(rows_of())
    assert question is not None and question.classes == 3 and len(question.ids) == 30


def test_intervals_draw_speakers() -> None:
    question = probing.emotion(rows_of(20, 12), 3)
    # Half of either gender are always right, the others never: a mean of 20 halves deviates by .5 / √20.
    good = question.unit < 10
    score = probing.score(question, np.where(good, question.truth, (question.truth + 1) % 3))
    low, high = score["low"], score["high"]
    assert score["uar"] == 0.5 and low is not None and high is not None
    assert (high - low) / (2 * 1.96 * 0.5 / np.sqrt(20)) == pytest.approx(1, abs=0.15)


def test_a_folder_is_written(found: dict[str, Any], tmp_path: Path) -> None:
    from unheard.report.layers import layers_page

    layers_page(found, tmp_path / "layers.html")
    assert "SYNTHETIC" in (tmp_path / "layers.html").read_text(encoding="utf-8")
