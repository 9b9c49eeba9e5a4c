"""Heads that adapt to a speaker: planted voices that only their own clips give away, and what must hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from one_input import NAME, examples
from unheard import heads
from unheard.adaptation.draws import Known, draw
from unheard.adaptation.profile import Priors, population, profile, sum_of
from unheard.errors import DataError
from unheard.inputs import Form
from unheard.runs.adapted_head import COPIES, AdaptedHead
from unheard.training.examples import Examples

CLASSES, DIMS, CLIPS = 3, 6, 30
PROBE = {"name": "probe", "statistics": "mean", "grid": (0.01, 1.0), "augmented": True}


def voices(first: int, count: int, offset: float, seed: int = 0) -> Examples:
    """Clips whose features are an emotion's effect in units of the voice, moved by the voice's own offset."""
    rng = np.random.default_rng(seed)
    effect = np.random.default_rng(99).standard_normal((CLASSES, DIMS)) * 1.5
    clips, labels, speakers = [], [], []
    for number in range(first, first + count):
        own = np.random.default_rng(1000 + number)
        moved, width = own.standard_normal(DIMS) * offset, own.uniform(0.7, 1.4)
        for clip in range(CLIPS):
            label = clip % CLASSES
            values = moved + width * (effect[label] + rng.standard_normal(DIMS))
            clips.append(values.astype(np.float32))
            labels.append(label)
            speakers.append(f"s{number}")
    return examples(clips, np.array(labels), np.array(speakers), CLASSES)


def adapted(**settings: Any) -> AdaptedHead:
    return AdaptedHead(heads.build({**PROBE, **settings}), {NAME: Priors()})


def accuracy(head: AdaptedHead, rows: Examples, count: int | None, seed: int = 5) -> float:
    speakers = rows.speakers.tolist()
    known = draw(speakers, np.random.default_rng(seed), (count,))
    found = head.outputs_knowing(rows.inputs, speakers, known)
    return float((found.argmax(axis=1) == rows.labels).mean())


@pytest.fixture(scope="module")
def fitted() -> AdaptedHead:
    return adapted().fit(voices(0, 12, offset=4.0))


def test_knowing_the_voice_helps_where_voices_differ(fitted: AdaptedHead) -> None:
    test = voices(50, 6, offset=4.0, seed=1)
    nothing, some, much = (accuracy(fitted, test, count) for count in (0, 8, None))
    assert nothing < 0.6
    assert some > nothing + 0.1
    assert much > some + 0.03


def test_it_costs_little_where_voices_are_alike() -> None:
    head = adapted().fit(voices(0, 12, offset=0.0))
    test = voices(50, 6, offset=0.0, seed=1)
    assert accuracy(head, test, 8) > accuracy(head, test, 0) - 0.05


def test_nothing_known_is_the_training_population(fitted: AdaptedHead) -> None:
    train, test = voices(0, 12, offset=4.0), voices(50, 2, offset=4.0, seed=1)
    around = population(train.inputs[NAME], train.speakers.tolist(), Form.ROW)
    own = profile(sum_of([], around, Form.ROW), around, Priors())
    expected = fitted.head.outputs({NAME: [own.apply(clip) for clip in test.inputs[NAME]]})
    assert_array_equal(fitted.outputs(test.inputs), expected)
    assert_allclose(fitted.outputs({NAME: test.inputs[NAME][:1]}), expected[:1], rtol=1e-12)


def test_clips_of_others_change_nothing(fitted: AdaptedHead) -> None:
    rows = voices(50, 2, offset=4.0, seed=1)
    speakers = rows.speakers.tolist()
    known = {"s50": Known((0, 1, 2), None), "s51": Known((30, 31), None)}
    both = fitted.outputs_knowing(rows.inputs, speakers, known, [5, 40])
    changed = [
        clip if speaker == "s50" else clip + 9
        for clip, speaker in zip(rows.inputs[NAME], speakers, strict=True)
    ]
    after = fitted.outputs_knowing({NAME: changed}, speakers, known, [5, 40])
    assert_array_equal(both[0], after[0])
    assert not np.allclose(both[1], after[1])


def test_a_head_learns_from_each_clip_under_several_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Examples] = []
    head = adapted()
    monkeypatch.setattr(type(head.head), "fit", lambda self, train, val=None: seen.append(train) or self)
    rows = voices(0, 6, offset=4.0)
    head.fit(rows)
    (given,) = seen
    versions = [given.inputs[NAME], *given.augmented[NAME]]
    assert len(versions) == COPIES and all(len(one) == len(rows) for one in versions)
    assert not np.allclose(versions[0][0], versions[1][0])
    assert_array_equal(given.targets, rows.targets)


def test_the_state_is_the_whole_head(fitted: AdaptedHead) -> None:
    test = voices(50, 2, offset=4.0, seed=1)
    again = adapted().from_state(fitted.state())
    assert_array_equal(again.outputs(test.inputs), fitted.outputs(test.inputs))
    assert accuracy(again, test, 8) == accuracy(fitted, test, 8)
    lacking = {key: value for key, value in fitted.state().items() if "variance" not in key}
    with pytest.raises(DataError, match="adapts to speakers"):
        adapted().from_state(lacking)


def test_refitting_takes_the_population_of_its_own_rows(fitted: AdaptedHead) -> None:
    rows = voices(0, 16, offset=4.0)
    again = fitted.refit(rows)
    around = population(rows.inputs[NAME], rows.speakers.tolist(), Form.ROW)
    assert_array_equal(again.populations_[NAME].mean, around.mean)
    assert again.chosen_ == fitted.chosen_
    assert not np.allclose(fitted.populations_[NAME].mean, around.mean)


def test_a_network_learns_with_it_and_validates_at_two_counts() -> None:
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)

    def frames(rows: Examples) -> Examples:
        clips = [
            (clip + 0.3 * rng.standard_normal((5 + k % 3, DIMS))).astype(np.float32)
            for k, clip in enumerate(rows.inputs[NAME])
        ]
        return Examples({NAME: clips}, rows.targets, rows.target, rows.speakers)

    train, val = frames(voices(0, 8, offset=4.0)), frames(voices(20, 3, offset=4.0))
    head = AdaptedHead(
        heads.build({"name": "tcgru", "epochs": 4, "patience": 4, "learning_rate": 3e-3}), {NAME: Priors()}
    )
    head.fit(train, val)
    test = frames(voices(50, 4, offset=4.0, seed=1))
    assert accuracy(head, test, 8) > accuracy(head, test, 0)
    again = AdaptedHead(heads.build(head.settings()), {NAME: Priors()}).from_state(head.state())
    assert_allclose(again.outputs(test.inputs), head.outputs(test.inputs), rtol=1e-6)
