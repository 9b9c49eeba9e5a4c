"""An ensemble predicted as the mean of its members, which are what they would be alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax

from one_input import clips_of, examples, outputs_of
from unheard import heads
from unheard.errors import UsageError
from unheard.heads import Examples

pytest.importorskip("torch")

from unheard.training.batches import Batches
from unheard.training.examples import labelled

PROBE: dict[str, Any] = {"name": "probe", "grid": [0.01, 1.0]}
NETWORK: dict[str, Any] = {"name": "convolutional", "channels": 6, "attention": 4, "epochs": 3, "batch": 8}


def rows(seed: int, n: int = 24) -> Examples:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    clips = [(rng.normal(0, 1, (int(rng.integers(4, 9)), 5)) + y).astype(np.float32) for y in labels]
    return examples(clips, labels.astype(np.int64), np.array([f"s{i % 4}" for i in range(n)]), 3)


def test_its_answer_is_the_mean_of_what_its_heads_say_alone() -> None:
    train, val, other = rows(0), rows(1), rows(2)
    ensemble = heads.build({"name": "ensemble", "of": [PROBE, NETWORK, NETWORK], "seed": 2})
    ensemble.fit(train, val)
    # Seeds 3 · 2 + 0, 1, 2.
    alone = [heads.build({**member, "seed": 6 + k}) for k, member in enumerate([PROBE, NETWORK, NETWORK])]
    logits = [outputs_of(head.fit(train, val), clips_of(other)) for head in alone]
    assert not np.allclose(logits[1], logits[2])
    assert_allclose(
        outputs_of(ensemble, clips_of(other)), np.mean([log_softmax(z, axis=1) for z in logits], axis=0)
    )
    chosen = {f"{k}.{name}": value for k, head in enumerate(alone, 1) for name, value in head.chosen_.items()}
    assert ensemble.chosen_ == chosen
    assert {record["head"] for record in ensemble.history_} == {1, 2, 3}


def test_each_head_takes_the_input_that_it_names() -> None:
    def both(side: Examples) -> Examples:
        row = [clip.mean(axis=0) for clip in clips_of(side)]
        frames = [clip[:, 1:4] for clip in clips_of(side)]
        classes = ["0", "1", "2"]
        return labelled({"voice": frames, "row": row}, side.labels, side.speakers, classes)

    train, val, other = (both(rows(seed)) for seed in range(3))
    named = [{**PROBE, "input": "row"}, {**NETWORK, "input": "voice"}]
    head = heads.build({"name": "ensemble", "of": named}).fit(train, val)
    probe = heads.build(PROBE).fit(examples(train.inputs["row"], train.labels, train.speakers, 3))
    assert_array_equal(head.heads_[0].outputs(other.inputs), outputs_of(probe, other.inputs["row"]))
    changed = {**other.inputs, "row": [row + 1 for row in other.inputs["row"]]}
    assert_array_equal(head.heads_[1].outputs(changed), head.heads_[1].outputs(other.inputs))
    assert not np.allclose(head.outputs(changed), head.outputs(other.inputs))
    with pytest.raises(UsageError, match=r"there are 2: voice, row; name one with head\.input"):
        heads.build({"name": "ensemble", "of": [PROBE, named[1]]}).fit(train, val)
    with pytest.raises(UsageError, match="unknown input of the head 'probe' 'rows'; did you mean 'row'"):
        heads.build({**PROBE, "input": "rows"}).fit(train)


def test_refitting_hands_each_member_what_it_chose() -> None:
    train, val = rows(0), rows(1)
    ensemble = heads.build({"name": "ensemble", "of": [PROBE, NETWORK]}).fit(train, val)
    again = ensemble.refit(train + val)
    alone = heads.build({**NETWORK, "seed": 1})
    alone.chosen_ = {"epochs": ensemble.chosen_["2.epochs"]}
    wanted = outputs_of(alone.refit(train + val), clips_of(val))
    assert_array_equal(outputs_of(again.heads_[1], clips_of(val)), wanted)
    assert again.chosen_ == ensemble.chosen_


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ([PROBE], "two heads or more"),
        ([PROBE, {"name": "weighted"}], "number 2, 'weighted'"),
        ([PROBE, {"name": "ensemble"}], "number 2, 'ensemble'"),
        ([PROBE, {"name": "prob"}], "did you mean"),
        ([PROBE, "probe"], "expected settings"),
        ([PROBE, {"name": "probe", "gird": [1]}], "gird"),
    ],
)
def test_heads_that_cannot_sit_together_are_refused(of: list[Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        heads.build({"name": "ensemble", "of": of})


def test_a_network_hears_variants_and_only_in_training() -> None:
    train, val = rows(0), rows(1)
    # In its variant every clip is of the next class: who hears it half of the time cannot know any more.
    shifted = [clip + 1 for clip in clips_of(train)]
    both = examples(clips_of(train), train.labels, train.speakers, 3, (shifted,))
    heard = heads.build(NETWORK).fit(both, val)
    without = heads.build(NETWORK).fit(train, val)
    assert heard.history_ != without.history_
    # Whatever the validation clips' variants hold, nothing looks at them.
    wild = examples(clips_of(val), val.labels, val.speakers, 3, ([clip * np.nan for clip in clips_of(val)],))
    assert heads.build(NETWORK).fit(both, wild).history_ == heard.history_
    # The probe draws no batches and hears the clips as they are.
    probes = [outputs_of(heads.build(PROBE).fit(side), clips_of(val)) for side in (both, train)]
    assert_array_equal(*probes)


def test_clips_meet_in_batches_by_their_length_as_they_are_heard() -> None:
    short, long = ([np.full((n, 2), n, np.float32)] * 16 for n in (10, 40))
    both = examples(short, np.zeros(16, np.int64), np.full(16, "a"), 2, (long,))
    batches = list(Batches(both, ["voice"], {"voice": [10] * 16}, 4, np.random.default_rng(0)))
    lengths = np.concatenate([batch["lengths"]["voice"] for batch in batches])
    assert 3 <= (lengths == 10).sum() <= 13  # each way as often
    mixed = [batch for batch in batches if len(set(batch["lengths"]["voice"].tolist())) > 1]
    assert len(mixed) <= 1
    for batch in batches:
        assert_array_equal(batch["inputs"]["voice"][:, 0, 0].numpy(), batch["lengths"]["voice"].numpy())
    # Without a generator nobody hears a variant.
    assert {
        int(b["lengths"]["voice"].max()) for b in Batches(both, ["voice"], {"voice": [10] * 16}, 4, None)
    } == {10}


def test_a_probe_asked_for_variants_has_them_as_rows() -> None:
    train = rows(0)
    other = [clip + 1 for clip in clips_of(train)]
    both = examples(clips_of(train), train.labels, train.speakers, 3, (other,))
    flat = examples([*clips_of(train), *other], np.tile(train.labels, 2), np.tile(train.speakers, 2), 3)
    asked = heads.build({**PROBE, "augmented": True})
    expected = heads.build(PROBE).fit(flat)
    found = asked.fit(both)
    assert found.history_ == expected.history_
    assert_array_equal(outputs_of(found, other), outputs_of(expected, other))
    assert_array_equal(outputs_of(found.refit(both), other), outputs_of(expected, other))


def test_two_sides_keep_their_variants_in_order() -> None:
    one, other = rows(0, 6), rows(1, 3)
    marked = [
        examples(clips_of(side), side.labels, side.speakers, 3, ([clip + 9 for clip in clips_of(side)],))
        for side in (one, other)
    ]
    together = marked[0] + marked[1]
    for clip, other in zip(clips_of(together), together.augmented["voice"][0], strict=True):
        assert_array_equal(clip + 9, other)
