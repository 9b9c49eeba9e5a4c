"""A committee answers as the mean of its members, which are what they would be alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax

from unheard import heads
from unheard.errors import DataError, UsageError
from unheard.heads import Examples

pytest.importorskip("torch")

from unheard.training.batches import Batches

PROBE: dict[str, Any] = {"name": "probe", "grid": [0.01, 1.0]}
NETWORK: dict[str, Any] = {"name": "convolutional", "channels": 6, "attention": 4, "epochs": 3, "batch": 8}


def rows(seed: int, n: int = 24) -> Examples:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    clips = [(rng.normal(0, 1, (int(rng.integers(4, 9)), 5)) + y).astype(np.float32) for y in labels]
    return Examples(clips, labels.astype(np.int64), np.array([f"s{i % 4}" for i in range(n)]), 3)


def test_its_answer_is_the_mean_of_what_its_members_say_alone() -> None:
    train, val, other = rows(0), rows(1), rows(2)
    committee = heads.build({"name": "committee", "members": [PROBE, NETWORK, NETWORK], "seed": 2})
    committee.fit(train, val)
    # Seeds 3 · 2 + 0, 1, 2.
    alone = [heads.build({**member, "seed": 6 + k}) for k, member in enumerate([PROBE, NETWORK, NETWORK])]
    logits = [head.fit(train, val).logits(other.features) for head in alone]
    assert not np.allclose(logits[1], logits[2])
    assert_allclose(
        committee.logits(other.features), np.mean([log_softmax(z, axis=1) for z in logits], axis=0)
    )
    chosen = {f"{k}.{name}": value for k, head in enumerate(alone, 1) for name, value in head.chosen_.items()}
    assert committee.chosen_ == chosen
    assert {record["member"] for record in committee.history_} == {1, 2, 3}


def test_a_member_hears_the_dims_that_it_is_given() -> None:
    train, val, other = rows(0), rows(1), rows(2)
    some = heads.build({"name": "committee", "members": [{**PROBE, "dims": [1, 4]}, PROBE]}).fit(train, val)
    cut = Examples([clip[:, 1:4] for clip in train.features], train.labels, train.groups, 3)
    alone = heads.build(PROBE).fit(cut)
    assert_allclose(
        some.members_[0].logits([clip[:, 1:4] for clip in other.features]),
        alone.logits([clip[:, 1:4] for clip in other.features]),
    )
    changed = [clip.copy() for clip in other.features]
    for clip in changed:
        clip[:, 0] += 5
    only = heads.build(
        {"name": "committee", "members": [{**PROBE, "dims": [1, 4]}, {**PROBE, "dims": [2, 5]}]}
    )
    only.fit(train, val)
    assert_array_equal(only.logits(other.features), only.logits(changed))
    assert not np.allclose(some.logits(other.features), some.logits(changed))
    far = heads.build({"name": "committee", "members": [PROBE, {**PROBE, "dims": [3, 9]}]})
    with pytest.raises(DataError, match="dims 3-8 are asked for, and a clip has 5"):
        far.fit(train, val)


def test_refitting_hands_each_member_what_it_chose() -> None:
    train, val = rows(0), rows(1)
    committee = heads.build({"name": "committee", "members": [PROBE, NETWORK]}).fit(train, val)
    again = committee.refit(train + val)
    alone = heads.build({**NETWORK, "seed": 1})
    alone.chosen_ = {"epochs": committee.chosen_["2.epochs"]}
    wanted = alone.refit(train + val).logits(val.features)
    assert_array_equal(again.members_[1].logits(val.features), wanted)
    assert again.chosen_ == committee.chosen_


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([PROBE], "two heads or more"),
        ([PROBE, {"name": "weighted"}], "number 2, 'weighted'"),
        ([PROBE, {"name": "committee"}], "number 2, 'committee'"),
        ([PROBE, {"name": "prob"}], "did you mean"),
        ([PROBE, "probe"], "expected settings"),
        ([PROBE, {"name": "probe", "gird": [1]}], "gird"),
        ([PROBE, {**PROBE, "dims": [4, 4]}], "dims is"),
        ([PROBE, {**PROBE, "dims": [0.5, 4]}], "dims is"),
    ],
)
def test_members_that_cannot_sit_together_are_refused(members: list[Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        heads.build({"name": "committee", "members": members})


def test_a_network_hears_variants_and_only_in_training() -> None:
    train, val = rows(0), rows(1)
    # In its variant every clip is of the next class: who hears it half of the time cannot know any more.
    shifted = [clip + 1 for clip in train.features]
    both = Examples(train.features, train.labels, train.groups, 3, (shifted,))
    heard = heads.build(NETWORK).fit(both, val)
    without = heads.build(NETWORK).fit(train, val)
    assert heard.history_ != without.history_
    # Whatever the validation clips' variants hold, nothing looks at them.
    wild = Examples(val.features, val.labels, val.groups, 3, ([clip * np.nan for clip in val.features],))
    assert heads.build(NETWORK).fit(both, wild).history_ == heard.history_
    # The probe draws no batches and hears the clips as they are.
    probes = [heads.build(PROBE).fit(side).logits(val.features) for side in (both, train)]
    assert_array_equal(*probes)


def test_clips_meet_in_batches_by_their_length_as_they_are_heard() -> None:
    short, long = ([np.full((n, 2), n, np.float32)] * 16 for n in (10, 40))
    both = Examples(short, np.zeros(16, np.int64), np.full(16, "a"), 2, (long,))
    batches = list(Batches(both, [10] * 16, 4, np.random.default_rng(0)))
    lengths = np.concatenate([batch["lengths"] for batch in batches])
    assert 3 <= (lengths == 10).sum() <= 13  # each way as often
    mixed = [batch for batch in batches if len(set(batch["lengths"].tolist())) > 1]
    assert len(mixed) <= 1
    for batch in batches:
        assert_array_equal(batch["frames"][:, 0, 0].numpy(), batch["lengths"].numpy())
    # Without a generator nobody hears a variant.
    assert {int(b["lengths"].max()) for b in Batches(both, [10] * 16, 4, None)} == {10}


def test_a_probe_asked_for_variants_has_them_as_rows() -> None:
    train = rows(0)
    other = [clip + 1 for clip in train.features]
    both = Examples(train.features, train.labels, train.groups, 3, (other,))
    flat = Examples([*train.features, *other], np.tile(train.labels, 2), np.tile(train.groups, 2), 3)
    asked = heads.build({**PROBE, "variants": True})
    expected = heads.build(PROBE).fit(flat)
    found = asked.fit(both)
    assert found.history_ == expected.history_
    assert_array_equal(found.logits(other), expected.logits(other))
    assert_array_equal(found.refit(both).logits(other), expected.logits(other))
    # What was not asked for is not told: recipes from before keep their hash.
    assert "variants" not in expected.settings() and found.settings()["variants"] is True


def test_two_sides_keep_their_variants_in_order() -> None:
    one, other = rows(0, 6), rows(1, 3)
    marked = [
        Examples(side.features, side.labels, side.groups, 3, ([clip + 9 for clip in side.features],))
        for side in (one, other)
    ]
    together = marked[0] + marked[1]
    for clip, variant in zip(together.features, together.variants[0], strict=True):
        assert_array_equal(clip + 9, variant)
