"""Linear heads on the pooled entries of an encoder: which are seen, which is chosen, what padding costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from unheard.errors import DataError, UsageError
from unheard.heads import Examples, build
from unheard.heads.probe import Probe
from unheard.heads.svm import SVM

ENTRIES, DIMS = 4, 6


def pooled(seed: int = 0, n: int = 72, knows: int = 2, padding: int = 0, strength: float = 2.0) -> Examples:
    """Clips (entries, 2, dims): the means of one entry say the class, the others are noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    clips = rng.normal(0, 1, (n, ENTRIES, 2, DIMS)).astype(np.float32)
    clips[:, :, 1] = np.abs(clips[:, :, 1])
    clips[np.arange(n), knows, 0, labels] += strength
    clips = np.pad(clips, ((0, 0), (0, 0), (0, 0), (0, padding)))
    groups = np.array([f"s{i // 3 % 6}" for i in range(n)])
    return Examples(list(clips), labels.astype(np.int64), groups, 3)


def rows_of(rows: Examples, columns: Any) -> Examples:
    """The same clips as utterance features."""
    features = [np.asarray(columns(clip), dtype=np.float32).ravel() for clip in rows.features]
    return Examples(features, rows.labels, rows.groups, rows.classes)


@pytest.mark.parametrize("cls", [Probe, SVM])
@pytest.mark.parametrize("statistics", ["mean", "mean+sd"])
@pytest.mark.parametrize(
    ("entries", "columns", "highest"),
    [
        ("last", lambda clip: clip[3], 3),
        ("average", lambda clip: clip.astype(float).mean(axis=0), 3),
        ("concat", lambda clip: clip, 3),
        ("concat 1-2", lambda clip: clip[1:3], 2),
        ("concat 2,0", lambda clip: clip[[0, 2]], 2),
        ("concat 0,2-3", lambda clip: clip[[0, 2, 3]], 3),
    ],
)
def test_equals_the_head_on_the_columns_written_out(
    cls: Any, statistics: str, entries: str, columns: Any, highest: int
) -> None:
    kept = 2 if statistics == "mean+sd" else 1
    head = cls(statistics=statistics, entries=entries, grid=(0.01, 1.0)).fit(pooled())
    plain = cls(grid=(0.01, 1.0)).fit(rows_of(pooled(), lambda clip: columns(clip)[..., :kept, :]))
    assert head.history_ == plain.history_
    assert head.chosen_ == plain.chosen_
    assert head.needs_entries_ == highest
    assert plain.needs_entries_ is None
    seen = rows_of(pooled(1), lambda clip: columns(clip)[..., :kept, :])
    assert_allclose(head.logits(pooled(1).features), plain.logits(seen.features), atol=1e-5)


@pytest.mark.parametrize("cls", [Probe, SVM])
def test_entry_and_c_are_chosen_together(cls: Any) -> None:
    head = cls(statistics="mean", grid=(1.0, 0.01)).fit(pooled())
    # One record for each, and each that of a head which has this entry alone.
    assert [(r["entry"], r["C"]) for r in head.history_] == [(k, C) for k in range(4) for C in (0.01, 1.0)]
    for k in range(4):
        alone = cls(grid=(0.01, 1.0)).fit(rows_of(pooled(), lambda clip, k=k: clip[k, 0]))
        assert [r["uar"] for r in head.history_ if r["entry"] == k] == [r["uar"] for r in alone.history_]
        if k == 2:
            assert head.chosen_ == {"entry": 2, **alone.chosen_}
            seen = [clip[2, 0] for clip in pooled(1).features]
            assert_array_equal(head.logits(pooled(1).features), alone.logits(seen))
    assert head.needs_entries_ == 2


def test_a_tie_goes_to_the_smaller_c_and_then_to_the_lower_entry() -> None:
    rows = pooled(strength=40.0)
    for clip in rows.features:
        clip[1] = clip[2]
    head = Probe(statistics="mean", grid=(10.0, 1.0)).fit(rows)
    assert {(r["entry"], r["C"]) for r in head.history_ if r["uar"] == 1.0} >= {(1, 1.0), (1, 10.0), (2, 1.0)}
    assert head.chosen_ == {"entry": 1, "C": 1.0}


def test_one_c_still_leaves_an_entry_to_choose_and_one_entry_alone_nothing() -> None:
    assert Probe(grid=(0.1,)).fit(pooled()).chosen_ == {"entry": 2, "C": 0.1}
    single = pooled()
    alone = Examples([clip[2:3] for clip in single.features], single.labels, single.groups, 3)
    head = Probe(grid=(0.1,)).fit(alone)
    assert (head.chosen_, head.history_) == ({"entry": 0, "C": 0.1}, [])


@pytest.mark.parametrize("entries", [None, "last", "average", "concat", "concat 1-2"])
def test_padding_changes_nothing(entries: str | None) -> None:
    narrow = Probe(entries=entries, grid=(0.01, 1.0)).fit(pooled())
    wide = Probe(entries=entries, grid=(0.01, 1.0)).fit(pooled(padding=500))
    assert wide.history_ == narrow.history_
    assert_allclose(
        wide.logits(pooled(1, padding=500).features), narrow.logits(pooled(1).features), atol=1e-6
    )
    blocks = wide.coef_.reshape(3, -1, DIMS + 500)
    assert (blocks[:, :, DIMS:] == 0).all()
    # What a cut encoder gives has the width of what is left.
    assert_array_equal(wide.logits(pooled(1).features), wide.logits(pooled(1, padding=500).features))


@pytest.mark.parametrize(("entries", "needed"), [(None, 2), ("concat 0-1", 1)])
def test_entries_above_the_highest_needed_are_not_looked_at(entries: str | None, needed: int) -> None:
    head = Probe(entries=entries, grid=(0.1,)).fit(pooled())
    assert head.needs_entries_ == needed
    cut = [clip[: needed + 1] for clip in pooled(1).features]
    assert_array_equal(head.logits(cut), head.logits(pooled(1).features))
    with pytest.raises(DataError, match=rf"trained on entry {needed} .* entries 0 … {needed - 1}"):
        head.logits([clip[:needed] for clip in pooled(1).features])


@pytest.mark.parametrize("entries", [None, "last", "average", "concat 1,3"])
def test_state_and_refit_keep_the_entries(entries: str | None) -> None:
    head = Probe(entries=entries, grid=(0.1, 1.0)).fit(pooled())
    again = Probe.from_state(head.state())
    assert_array_equal(again.logits(pooled(1).features), head.logits(pooled(1).features))
    assert again.needs_entries_ == head.needs_entries_
    assert again.chosen_ == head.chosen_
    told = Probe(entries=entries)
    told.chosen_ = head.chosen_
    assert_array_equal(
        told.refit(pooled()).logits(pooled(1).features), head.refit(pooled()).logits(pooled(1).features)
    )


def test_an_older_state_without_entries_is_read() -> None:
    rows = rows_of(pooled(), lambda clip: clip[2])
    head = Probe(grid=(0.1,)).fit(rows)
    state = {key: value for key, value in head.state().items() if key != "entries_"}
    assert_array_equal(Probe.from_state(state).logits(rows.features), head.logits(rows.features))


def test_a_choice_that_the_features_do_not_have_is_refused() -> None:
    told = Probe()
    told.chosen_ = {"entry": 4, "C": 0.1}
    with pytest.raises(DataError, match="entry 4 was chosen, and these features have entries 0 … 3"):
        told.refit(pooled())


class Lazy(Sequence[Any]):
    """Features that are read when they are asked for."""

    def __init__(self, clips: Sequence[Any]) -> None:
        self.clips, self.read = clips, 0

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, number: Any) -> Any:
        self.read += 1
        return self.clips[number].copy()


def test_lazy_features_give_the_same() -> None:
    rows = pooled()
    lazy = Examples(Lazy(rows.features), rows.labels, rows.groups, 3)
    one, two = Probe(grid=(0.1, 1.0)).fit(rows), Probe(grid=(0.1, 1.0)).fit(lazy)
    assert one.history_ == two.history_
    assert_array_equal(one.logits(rows.features), two.logits(lazy.features))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'average'"):
        Probe(entries="averge")
    for wrong in ("concat 2-", "concat a", "concat2-5"):
        with pytest.raises(UsageError, match="'concat 2-5' or 'concat 1,3,5'"):
            Probe(entries=wrong)
    with pytest.raises(UsageError, match="in 5-2 the first is above the last"):
        Probe(entries="concat 5-2")
    with pytest.raises(UsageError, match="there are entries 0 … 3: no 4, 5"):
        Probe(entries="concat 2-5").fit(pooled())
    with pytest.raises(UsageError, match=r"head.entries is 'last', and these features are \(12,\) a clip"):
        Probe(entries="last").fit(rows_of(pooled(), lambda clip: clip[2]))
    with pytest.raises(
        UsageError, match=r"needs pooled entries \(entries, 2, dims\), and these are \(4, 1, 6\)"
    ):
        Probe().fit(Examples([c[:, :1] for c in pooled().features], pooled().labels, pooled().groups, 3))
    bad = pooled()
    bad.features[7][1, 1, 2] = np.inf
    with pytest.raises(DataError, match="NaN or infinite in row 7"):
        Probe().fit(bad)
    mixed = pooled()
    features = [*mixed.features[:-1], mixed.features[-1][:-1]]
    with pytest.raises(DataError, match="features of row 71 have shape"):
        Probe().fit(Examples(features, mixed.labels, mixed.groups, 3))
    with pytest.raises(DataError, match="trained on 6 dims"):
        Probe(grid=(0.1,)).fit(pooled()).logits([clip[..., :-1] for clip in pooled().features])
    with pytest.raises(DataError, match="trained on 6 dims"):
        Probe(grid=(0.1,)).fit(pooled()).logits(pooled(padding=1).features)


def test_an_average_over_entries_of_different_widths_is_refused() -> None:
    rows = pooled()
    for clip in rows.features:
        clip[1, :, 4:] = 0
    with pytest.raises(DataError, match="the entries have 6, 4, 6, 6 dims"):
        Probe(entries="average").fit(rows)


def test_entries_is_a_plain_setting() -> None:
    assert build({"name": "probe", "entries": "concat 2-5"}).settings()["entries"] == "concat 2-5"
    assert build(build({"name": "svm"}).settings()).settings()["entries"] is None
    with pytest.raises(UsageError, match=r"head\.entries: expected text, found 3"):
        build({"name": "probe", "entries": 3})
