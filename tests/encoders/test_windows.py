"""Windows over long recordings, and batches by length."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from unheard.encoders.windows import by_length, joined, spans


@pytest.mark.parametrize("seconds", [0, 1, 29.99, 30])
def test_short_clips_are_one_window(seconds: float) -> None:
    assert spans(int(seconds * 16000), 16000, 320) == [(0, int(seconds * 16000))]


@pytest.mark.parametrize("samples", [480_001, 500_000, 608_000, 608_001, 5_000_000])
def test_windows_cover_a_long_clip(samples: int) -> None:
    windows = spans(samples, 16000, 320)
    assert windows[0][0] == 0
    assert windows[-1][1] == samples
    assert all(stop - start == 320_000 for start, stop in windows[:-1])
    assert 32_000 < windows[-1][1] - windows[-1][0] <= 320_000
    assert all(b[0] - a[0] == 288_000 for a, b in itertools.pairwise(windows))


def test_overlapping_frames_are_averaged() -> None:
    windows = [np.full((4, 2), value, np.float32) for value in (1, 3, 8)]
    assert joined(windows, [0, 3, 6])[:, 0].tolist() == [1, 1, 1, 2, 3, 3, 5.5, 8, 8, 8]
    assert joined(windows[:1], [0]) is windows[0]


def test_batches_hold_every_clip_once_and_no_more_than_the_budget() -> None:
    frames = [*np.random.default_rng(0).integers(1, 400, 200).tolist(), 5000]
    made = by_length(frames, 1500)
    assert sorted(at for batch in made for at in batch) == list(range(201))
    assert made[0] == [200]
    assert all(len(batch) * max(frames[at] for at in batch) <= 1500 for batch in made[1:])
    # Neighbours in length: little padding.
    padded = sum(len(batch) * max(frames[at] for at in batch) for batch in made)
    assert padded < 1.1 * sum(frames)
    assert by_length([], 10) == []
