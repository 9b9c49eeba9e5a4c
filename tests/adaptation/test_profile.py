"""Profiles of speakers: what they are by hand, and what must hold of every one."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from unheard.adaptation.draws import COUNTS, Adapted, Known, draw
from unheard.adaptation.profile import Population, Priors, moments, population, profile, sum_of
from unheard.errors import DataError, UsageError
from unheard.inputs import Form

SHAPES = {Form.ROW: (5,), Form.POOLED: (3, 2, 4), Form.FRAMES: (7, 4), Form.LAYERS: (3, 7, 4)}


def some(form: Form, count: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal(SHAPES[form]) * 2 + 3).astype(np.float32) for _ in range(count)]


def naive(
    clips: list[np.ndarray], around: Population, priors: Priors, form: Form
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance as the formula says them, without running sums."""
    values = np.stack([np.asarray(clip, dtype=np.float64) for clip in clips])
    if form.has_frames:
        values = np.concatenate([np.moveaxis(clip, -2, 0) for clip in values])
    m, v, K = values.mean(axis=0), values.var(axis=0), len(clips)
    kappa, rho = priors.mean_prior, priors.variance_prior
    return (K * m + kappa * around.mean) / (K + kappa), (K * v + rho * around.variance) / (K + rho)


def test_a_case_by_hand() -> None:
    # Speaker a says 1 and 3, speaker b says 7 and 7: means 2 and 7, variances 1 and 0.
    clips = [np.array([x], np.float32) for x in (1, 3, 7, 7)]
    around = population(clips, ["a", "a", "b", "b"], Form.ROW)
    assert_allclose(around.mean, [4.5])
    assert_allclose(around.variance, [0.5])
    # Two clips, 10 and 14: mean 12, variance 4. With priors 4 and 8:
    known = sum_of([np.array([x], np.float32) for x in (10, 14)], around, Form.ROW)
    found = profile(known, around, Priors())
    assert_allclose(found.mean, [(2 * 12 + 4 * 4.5) / 6])
    assert_allclose(found.scale**2, [(2 * 4 + 8 * 0.5) / 10])
    assert found.clips == 2


def test_every_speaker_counts_alike_in_the_population() -> None:
    one, other = some(Form.ROW, 3), some(Form.ROW, 30, seed=1)
    around = population([*one, *other], ["a"] * 3 + ["b"] * 30, Form.ROW)
    assert_allclose(around.mean, (np.mean(one, axis=0) + np.mean(other, axis=0)) / 2, rtol=1e-6)
    assert_allclose(around.variance, (np.var(one, axis=0) + np.var(other, axis=0)) / 2, rtol=1e-5)


@pytest.mark.parametrize("form", list(Form))
def test_every_form_follows_the_formula(form: Form) -> None:
    around = population(some(form, 6), ["a", "b"] * 3, form)
    clips = some(form, 5, seed=2)
    mean, variance = naive(clips, around, Priors(2.0, 3.0), form)
    found = profile(sum_of(clips, around, form), around, Priors(2.0, 3.0))
    assert_allclose(found.mean, mean, rtol=1e-9)
    assert_allclose(found.scale, np.sqrt(variance), rtol=1e-9)
    shape = np.expand_dims(mean, -2), np.expand_dims(variance, -2)
    mean, variance = shape if form.has_frames else (mean, variance)
    assert_allclose(found.apply(clips[0]), (clips[0] - mean) / np.sqrt(variance), rtol=1e-4, atol=1e-5)
    assert found.apply(clips[0]).dtype == np.float32


def test_nothing_known_is_the_population_and_much_known_is_the_speaker() -> None:
    around = population(some(Form.ROW, 6), ["a", "b"] * 3, Form.ROW)
    nothing = profile(sum_of([], around, Form.ROW), around, Priors())
    assert_array_equal(nothing.mean, around.mean)
    assert_allclose(nothing.scale, np.sqrt(around.variance))
    clips = [clip * 5 + 100 for clip in some(Form.ROW, 4000, seed=3)]
    much = profile(sum_of(clips, around, Form.ROW), around, Priors())
    assert_allclose(much.mean, np.mean(clips, axis=0), rtol=2e-3)
    assert_allclose(much.scale, np.std(clips, axis=0), rtol=2e-2)


def test_a_clip_can_be_taken_out_of_a_profile_again() -> None:
    around = population(some(Form.FRAMES, 6), ["a", "b"] * 3, Form.FRAMES)
    clips = some(Form.FRAMES, 4, seed=4)
    whole = sum_of(clips, around, Form.FRAMES)
    without = whole - moments(clips[1], around, Form.FRAMES)
    other = sum_of([clips[0], *clips[2:]], around, Form.FRAMES)
    assert without.clips == other.clips == 3
    assert_allclose(without.total, other.total, rtol=1e-9, atol=1e-9)
    assert_allclose(without.squares, other.squares, rtol=1e-9)


def test_large_values_keep_their_variance() -> None:
    clips = [np.array([1e6 + x], np.float32) for x in (-1, 1, -1, 1)]
    around = population(clips, ["a", "a", "b", "b"], Form.ROW)
    assert_allclose(around.variance, [1.0])


def test_what_never_varies_is_not_divided_by_nothing() -> None:
    clips = [np.array([3.0, x], np.float32) for x in (1, 2)]
    around = population(clips, ["a", "a"], Form.ROW)
    found = profile(sum_of(clips, around, Form.ROW), around, Priors())
    assert found.scale[0] == 1 and np.isfinite(found.apply(clips[0])).all()


def test_bad_priors_and_no_clips_are_refused() -> None:
    with pytest.raises(UsageError, match="mean_prior"):
        Priors(mean_prior=0)
    with pytest.raises(DataError, match="training clips"):
        population([], [], Form.ROW)


def test_draws_hold_clips_of_the_speaker_alone() -> None:
    speakers = ["a"] * 20 + ["b"] * 3 + ["c"]
    seen = set()
    for seed in range(60):
        known = draw(speakers, np.random.default_rng(seed))
        assert set(known) == {"a", "b", "c"}
        for speaker, own in known.items():
            assert {speakers[row] for row in own.rows} <= {speaker}
            assert len(set(own.rows)) == len(own.rows)
            if own.spare is not None:
                assert speakers[own.spare] == speaker and own.spare not in own.rows
        seen.add(len(known["a"].rows))
    assert seen == {20 if count is None else count for count in COUNTS}


def test_a_clip_is_never_measured_by_itself_where_others_are_left() -> None:
    form = Form.ROW
    clips = some(form, 10)
    speakers = ["a"] * 10
    around = population(clips, speakers, form)
    known = {"a": Known((0, 1, 2), 3)}
    adapted = Adapted(clips, speakers, known, around, Priors(), form)
    for index, rows in ((5, (0, 1, 2)), (1, (0, 2, 3))):
        own = profile(sum_of([clips[i] for i in rows], around, form), around, Priors())
        assert_allclose(adapted[index], own.apply(clips[index]), rtol=1e-5, atol=1e-6)
    assert len(adapted[2:5]) == 3
    assert_array_equal(adapted[2:5][0], adapted[2])
