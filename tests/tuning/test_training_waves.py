"""Waveforms in training: crops, augmentation, batches."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from unheard.errors import DataError
from unheard.tuning.settings import Settings

pytest.importorskip("torch")

from unheard.training.schedule import share
from unheard.tuning.batches import plain_batches, steps, steps_an_epoch, training_batch
from unheard.tuning.waves import augmented, cropped, drawn, padded

RAMP = np.arange(100, dtype=np.float32)


def test_crops_are_from_where_their_name_says() -> None:
    rng = np.random.default_rng(0)
    assert_array_equal(cropped(RAMP, 200, "random", rng), RAMP)
    assert_array_equal(cropped(RAMP, 10, "start", rng), RAMP[:10])
    assert_array_equal(cropped(RAMP, 10, "centre", rng), RAMP[45:55])
    assert_array_equal(cropped(RAMP, 10, "random", None), RAMP[45:55])
    starts = {int(cropped(RAMP, 10, "random", rng)[0]) for _ in range(2000)}
    assert starts == set(range(91))


def test_augmentation_changes_level_noise_and_a_span_as_published() -> None:
    wave = np.ones(10_000, dtype=np.float32)
    kept = wave.copy()
    noisy = silenced = 0
    for seed in range(400):
        heard = augmented(wave, np.random.default_rng(seed))
        zero = heard == 0
        rest = heard[~zero].astype(float)
        gain, deviation = rest.mean(), rest.std()
        assert 0.84 < gain < 1.16
        if zero.sum() > 1:
            silenced += 1
            assert 200 <= zero.sum() <= 1000
            first, last = np.flatnonzero(zero)[[0, -1]]
            assert last - first + 1 == zero.sum()
        if deviation > 1e-3:
            noisy += 1
            assert 14.5 < 20 * np.log10(gain / deviation) < 30.5
    assert 160 < noisy < 240
    assert 160 < silenced < 240
    assert_array_equal(wave, kept)


def test_what_a_clip_hears_depends_on_seed_epoch_and_row_alone() -> None:
    features = [np.random.default_rng(i).normal(0, 0.1, 400).astype(np.float32) for i in range(6)]
    settings = Settings(augment=True, crop="random", longest=0.1)

    def heard(rows: list[int], seed: int = 0, epoch: int = 0) -> dict[int, bytes]:
        batch = training_batch(features, rows, settings, 1000, seed, epoch)
        return {row: wave.tobytes() for row, wave in zip(batch.rows, batch.waves, strict=True)}

    whole = heard([0, 1, 2, 3, 4, 5])
    assert heard([5, 2])[2] == whole[2]
    assert heard([2], epoch=1)[2] != whole[2]
    assert heard([2], seed=1)[2] != whole[2]
    assert drawn(0, 0, 1).random() != drawn(0, 1, 0).random()


def test_steps_hold_every_row_once_in_another_order_every_epoch() -> None:
    settings = Settings(batch=4, accumulate=2)
    first, second = steps(21, settings, 0, 0), steps(21, settings, 0, 1)
    assert [len(step) for step in first] == [8, 8, 5]
    assert steps_an_epoch(21, settings) == 3
    for epoch in (first, second):
        assert sorted(row for step in epoch for row in step) == list(range(21))
    assert first != second
    # Two batches of four and four of two are the same steps.
    assert first == steps(21, Settings(batch=2, accumulate=4), 0, 0)


def test_plain_batches_hold_every_row_once_shortest_first_and_cut_at_the_centre() -> None:
    lengths = np.random.default_rng(0).integers(10, 300, 50)
    features = [np.arange(n, dtype=np.float32) for n in lengths]
    settings = Settings(longest=0.2, crop="random", augment=True)
    batches = list(plain_batches(features, range(50), settings, 1000, 4))
    assert sorted(row for batch in batches for row in batch.rows) == list(range(50))
    for batch in batches:
        sizes = [len(wave) for wave in batch.waves]
        assert sizes == sorted(sizes)
        for row, wave in zip(batch.rows, batch.waves, strict=True):
            assert_array_equal(wave, cropped(features[row], 200, "centre", None))


def test_padding_is_zero_after_each_end() -> None:
    rows, lengths = padded([RAMP[1:4], RAMP[1:6]])
    assert_array_equal(rows.numpy(), [[1, 2, 3, 0, 0], [1, 2, 3, 4, 5]])
    assert lengths.tolist() == [3, 5]


@pytest.mark.parametrize("wave", [np.zeros((3, 2), np.float32), np.zeros(0, np.float32)])
def test_what_is_no_waveform_is_refused_with_its_row(wave: np.ndarray) -> None:
    with pytest.raises(DataError, match="features of row 1 have shape"):
        training_batch([RAMP, wave], [0, 1], Settings(), 1000, 0, 0)


def test_a_waveform_with_nan_is_refused_with_its_row() -> None:
    with pytest.raises(DataError, match="waveform of row 0 is NaN or infinite"):
        training_batch([np.array([0.0, np.nan], np.float32)], [0], Settings(), 1000, 0, 0)


def test_rates_rise_to_their_peak_and_fall_to_zero() -> None:
    linear = [share(step, 10, 0.2, "linear") for step in range(10)]
    assert linear == pytest.approx([0.5, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])
    cosine = [share(step, 6, 1 / 3, "cosine") for step in range(7)]
    assert cosine == pytest.approx([0.5, 1, 1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5, 0])
    assert share(0, 5, 0.0, "linear") == 1
    assert share(4, 5, 1.0, "linear") == 1
