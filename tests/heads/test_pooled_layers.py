"""Linear heads on the pooled layers of an encoder: which are seen, which is chosen, what padding costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from one_input import clips_of, examples, outputs_of
from unheard.errors import DataError, UsageError
from unheard.heads import Examples, build
from unheard.heads.linear.probe import Probe
from unheard.heads.linear.svm import SVM

ENTRIES, DIMS = 4, 6


def pooled(seed: int = 0, n: int = 72, knows: int = 2, padding: int = 0, strength: float = 2.0) -> Examples:
    """Clips (layers, 2, dims): the means of one layer say the class, the others are noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    clips = rng.normal(0, 1, (n, ENTRIES, 2, DIMS)).astype(np.float32)
    clips[:, :, 1] = np.abs(clips[:, :, 1])
    clips[np.arange(n), knows, 0, labels] += strength
    clips = np.pad(clips, ((0, 0), (0, 0), (0, 0), (0, padding)))
    groups = np.array([f"s{i // 3 % 6}" for i in range(n)])
    return examples(list(clips), labels.astype(np.int64), groups, 3)


def rows_of(rows: Examples, columns: Any) -> Examples:
    """The same clips as utterance features."""
    features = [np.asarray(columns(clip), dtype=np.float32).ravel() for clip in clips_of(rows)]
    return examples(features, rows.labels, rows.speakers, rows.classes)


@pytest.mark.parametrize("cls", [Probe, SVM])
@pytest.mark.parametrize("statistics", ["mean", "mean+sd"])
@pytest.mark.parametrize(
    ("layers", "columns", "highest"),
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
    cls: Any, statistics: str, layers: str, columns: Any, highest: int
) -> None:
    kept = 2 if statistics == "mean+sd" else 1
    head = cls(statistics=statistics, layers=layers, grid=(0.01, 1.0)).fit(pooled())
    plain = cls(grid=(0.01, 1.0)).fit(rows_of(pooled(), lambda clip: columns(clip)[..., :kept, :]))
    assert head.history_ == plain.history_
    assert head.chosen_ == plain.chosen_
    assert head.needs_layers_ == highest
    assert plain.needs_layers_ is None
    seen = rows_of(pooled(1), lambda clip: columns(clip)[..., :kept, :])
    assert_allclose(outputs_of(head, clips_of(pooled(1))), outputs_of(plain, clips_of(seen)), atol=1e-5)


@pytest.mark.parametrize("cls", [Probe, SVM])
def test_layer_and_c_are_chosen_together(cls: Any) -> None:
    head = cls(statistics="mean", grid=(1.0, 0.01)).fit(pooled())
    # One record for each, and each that of a head which has this layer alone.
    assert [(r["layer"], r["C"]) for r in head.history_] == [(k, C) for k in range(4) for C in (0.01, 1.0)]
    for k in range(4):
        alone = cls(grid=(0.01, 1.0)).fit(rows_of(pooled(), lambda clip, k=k: clip[k, 0]))
        assert [r["uar"] for r in head.history_ if r["layer"] == k] == [r["uar"] for r in alone.history_]
        if k == 2:
            assert head.chosen_ == {"layer": 2, **alone.chosen_}
            seen = [clip[2, 0] for clip in clips_of(pooled(1))]
            assert_array_equal(outputs_of(head, clips_of(pooled(1))), outputs_of(alone, seen))
    assert head.needs_layers_ == 2


def test_a_tie_goes_to_the_smaller_c_and_then_to_the_lower_layer() -> None:
    rows = pooled(strength=40.0)
    for clip in clips_of(rows):
        clip[1] = clip[2]
    head = Probe(statistics="mean", grid=(10.0, 1.0)).fit(rows)
    assert {(r["layer"], r["C"]) for r in head.history_ if r["uar"] == 1.0} >= {(1, 1.0), (1, 10.0), (2, 1.0)}
    assert head.chosen_ == {"layer": 1, "C": 1.0}


def test_one_c_still_leaves_an_layer_to_choose_and_one_layer_alone_nothing() -> None:
    assert Probe(grid=(0.1,)).fit(pooled()).chosen_ == {"layer": 2, "C": 0.1}
    single = pooled()
    alone = examples([clip[2:3] for clip in clips_of(single)], single.labels, single.speakers, 3)
    head = Probe(grid=(0.1,)).fit(alone)
    assert (head.chosen_, head.history_) == ({"layer": 0, "C": 0.1}, [])


@pytest.mark.parametrize("layers", [None, "last", "average", "concat", "concat 1-2"])
def test_padding_changes_nothing(layers: str | None) -> None:
    narrow = Probe(layers=layers, grid=(0.01, 1.0)).fit(pooled())
    wide = Probe(layers=layers, grid=(0.01, 1.0)).fit(pooled(padding=500))
    assert wide.history_ == narrow.history_
    assert_allclose(
        outputs_of(wide, clips_of(pooled(1, padding=500))), outputs_of(narrow, clips_of(pooled(1))), atol=1e-6
    )
    blocks = wide.coef_.reshape(3, -1, DIMS + 500)
    assert (blocks[:, :, DIMS:] == 0).all()
    # What a cut encoder gives has the width of what is left.
    assert_array_equal(
        outputs_of(wide, clips_of(pooled(1))), outputs_of(wide, clips_of(pooled(1, padding=500)))
    )


@pytest.mark.parametrize(("layers", "needed"), [(None, 2), ("concat 0-1", 1)])
def test_layers_above_the_highest_needed_are_not_looked_at(layers: str | None, needed: int) -> None:
    head = Probe(layers=layers, grid=(0.1,)).fit(pooled())
    assert head.needs_layers_ == needed
    cut = [clip[: needed + 1] for clip in clips_of(pooled(1))]
    assert_array_equal(outputs_of(head, cut), outputs_of(head, clips_of(pooled(1))))
    with pytest.raises(DataError, match=rf"trained on layer {needed} .* layers 0 … {needed - 1}"):
        outputs_of(head, [clip[:needed] for clip in clips_of(pooled(1))])


@pytest.mark.parametrize("layers", [None, "last", "average", "concat 1,3"])
def test_state_and_refit_keep_the_layers(layers: str | None) -> None:
    head = Probe(layers=layers, grid=(0.1, 1.0)).fit(pooled())
    again = Probe.from_state(head.state())
    assert_array_equal(outputs_of(again, clips_of(pooled(1))), outputs_of(head, clips_of(pooled(1))))
    assert again.needs_layers_ == head.needs_layers_
    assert again.chosen_ == head.chosen_
    told = Probe(layers=layers)
    told.chosen_ = head.chosen_
    assert_array_equal(
        outputs_of(told.refit(pooled()), clips_of(pooled(1))),
        outputs_of(head.refit(pooled()), clips_of(pooled(1))),
    )


def test_a_choice_that_the_features_do_not_have_is_refused() -> None:
    told = Probe()
    told.chosen_ = {"layer": 4, "C": 0.1}
    with pytest.raises(DataError, match="layer 4 was chosen, and these features have layers 0 … 3"):
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
    lazy = examples(Lazy(clips_of(rows)), rows.labels, rows.speakers, 3)
    one, two = Probe(grid=(0.1, 1.0)).fit(rows), Probe(grid=(0.1, 1.0)).fit(lazy)
    assert one.history_ == two.history_
    assert_array_equal(outputs_of(one, clips_of(rows)), outputs_of(two, clips_of(lazy)))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'average'"):
        Probe(layers="averge")
    for wrong in ("concat 2-", "concat a", "concat2-5"):
        with pytest.raises(UsageError, match="'concat 2-5' or 'concat 1,3,5'"):
            Probe(layers=wrong)
    with pytest.raises(UsageError, match="in 5-2 the first is above the last"):
        Probe(layers="concat 5-2")
    with pytest.raises(UsageError, match="there are layers 0 … 3: no 4, 5"):
        Probe(layers="concat 2-5").fit(pooled())
    with pytest.raises(UsageError, match=r"head.layers is 'last', and these features are \(12,\) a clip"):
        Probe(layers="last").fit(rows_of(pooled(), lambda clip: clip[2]))
    with pytest.raises(
        UsageError, match=r"needs pooled layers \(layers, 2, dims\), and these are \(4, 1, 6\)"
    ):
        Probe().fit(examples([c[:, :1] for c in clips_of(pooled())], pooled().labels, pooled().speakers, 3))
    bad = pooled()
    clips_of(bad)[7][1, 1, 2] = np.inf
    with pytest.raises(DataError, match="NaN or infinite in row 7"):
        Probe().fit(bad)
    mixed = pooled()
    features = [*clips_of(mixed)[:-1], clips_of(mixed)[-1][:-1]]
    with pytest.raises(DataError, match="features of row 71 have shape"):
        Probe().fit(examples(features, mixed.labels, mixed.speakers, 3))
    with pytest.raises(DataError, match="trained on 6 dims"):
        outputs_of(Probe(grid=(0.1,)).fit(pooled()), [clip[..., :-1] for clip in clips_of(pooled())])
    with pytest.raises(DataError, match="trained on 6 dims"):
        outputs_of(Probe(grid=(0.1,)).fit(pooled()), clips_of(pooled(padding=1)))


def test_an_average_over_layers_of_different_widths_is_refused() -> None:
    rows = pooled()
    for clip in clips_of(rows):
        clip[1, :, 4:] = 0
    with pytest.raises(DataError, match="the layers have 6, 4, 6, 6 dims"):
        Probe(layers="average").fit(rows)


def test_layers_is_a_plain_setting() -> None:
    assert build({"name": "probe", "layers": "concat 2-5"}).settings()["layers"] == "concat 2-5"
    assert build(build({"name": "svm"}).settings()).settings()["layers"] is None
    with pytest.raises(UsageError, match=r"head\.layers is 3, expected text or nothing"):
        build({"name": "probe", "layers": 3})
