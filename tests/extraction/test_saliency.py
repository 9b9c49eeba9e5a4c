from __future__ import annotations

import numpy as np
import pytest

from unheard.errors import DataError
from unheard.extraction import saliency as room
from unheard.extraction.saliency import highest, one_vs_rest, saliency, salient, sample, shares
from unheard.metrics.intervals import draws_of_units


def by_loops(H: np.ndarray, L: np.ndarray) -> tuple[float, float]:
    """Equations 1-3 as they are written, one correlation at a time: score and mean of r."""

    def corr(a: np.ndarray, b: np.ndarray) -> float:
        if np.ptp(a) < 1e-9 or np.ptp(b) < 1e-9:
            return 0.0
        return abs(float(np.corrcoef(a, b)[0, 1]))

    N, D = H.shape[1], L.shape[1]
    r = [[corr(H[:, j], L[:, d]) for d in range(D)] for j in range(N)]
    R = [[corr(H[:, i], H[:, j]) for j in range(N)] for i in range(N)]
    S = [
        r[i][d] + sum(r[j][d] * R[i][j] for j in range(N) if j != i) / (N - 1)
        for i in range(N)
        for d in range(D)
    ]
    return float(np.mean(S)), float(np.mean(r))


def made(utterances: int = 60, dims: int = 7, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means that follow the targets and each other a little, at odd scales; one dimension is constant."""
    rng = np.random.default_rng(seed)
    L = rng.normal(size=(utterances, 3))
    H = (
        rng.normal(size=(utterances, dims))
        + L @ rng.normal(size=(3, dims))
        + rng.normal(size=(utterances, 1))
    )
    H = H * 10.0 ** rng.integers(-3, 3, dims) + 1000 * rng.normal(size=dims)
    H[:, 2] = 0.1
    return H, L, rng.integers(0, 6, utterances).astype(str)


def test_a_case_computed_by_hand() -> None:
    # Dims: x = (1, 0, -1, 0), y = (0, 1, 0, -1), x + y. Correlations: x y 0, each with the sum √½.
    x, y = np.array([1.0, 0, -1, 0]), np.array([0.0, 1, 0, -1])
    H = np.stack([x, y, x + y], axis=1)
    found = saliency(H, 3 * x[:, None] + 5)
    root = np.sqrt(0.5)
    # r = (1, 0, √½); γ_x = ½ (0·0 + √½·√½) = ¼; γ_y = ½ (0 + ½) = ¼; γ_sum = ½ (√½ + 0) = √⅛.
    assert found.correlation.value == pytest.approx((1 + root) / 3)
    assert found.score.value == pytest.approx((1 + root + 0.25 + 0.25 + root / 2) / 3)
    assert found.targets == pytest.approx([found.score.value])


@pytest.mark.parametrize("seed", range(3))
def test_score_is_that_of_the_equations_written_as_loops(seed: int) -> None:
    H, L, _ = made(seed=seed)
    L = np.concatenate([L, np.full((len(L), 1), 0.3)], axis=1)  # a target that never varies counts 0
    found = saliency(H, L)
    score, correlation = by_loops(H, L)
    assert found.score.value == pytest.approx(score, rel=1e-9)
    assert found.correlation.value == pytest.approx(correlation, rel=1e-9)
    assert found.targets.mean() == pytest.approx(score, rel=1e-9) and found.targets[-1] == 0


@pytest.mark.parametrize("room_for", [16_000_000, 300], ids=["one block", "a column at a time"])
def test_a_draw_is_the_score_of_the_rows_it_repeats(room_for: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_ROOM", room_for)
    H, L, who = made()
    labels = one_vs_rest((L[:, 0] > 1).astype(int) + (L[:, 0] > 1.5), 3)
    found = saliency(H, labels, who, draws=40, seed=5)
    names = np.unique(who)
    weights = np.concatenate(list(draws_of_units(np.zeros(len(names), int), 40, np.random.default_rng(5))))
    assert found.draws.shape == (40,)
    for value, times in zip(found.draws, weights, strict=True):
        rows = np.concatenate(
            [
                np.flatnonzero(who == name)
                for name, n in zip(names, times.astype(int), strict=True)
                for _ in range(n)
            ]
        )
        assert value == pytest.approx(by_loops(H[rows], labels[rows])[0], rel=1e-8)
    ends = np.quantile(found.draws, [0.025, 0.975]) - found.draws.mean() + found.score.value
    assert (found.score.low, found.score.high) == pytest.approx(tuple(ends))


def test_bands_hold_their_value_where_nothing_is_correlated() -> None:
    # Percentiles of the draws alone would not: drawing again adds chance correlation to chance correlation.
    rng = np.random.default_rng(0)
    found = saliency(rng.normal(size=(400, 30)), rng.normal(size=(400, 2)), np.arange(400) % 16)
    assert np.quantile(found.draws, 0.025) > found.score.value
    for band in (found.score, found.correlation):
        assert band.low is not None and band.high is not None and band.low < band.value < band.high


def test_scale_sign_offset_and_order_of_dims_and_rows_do_not_matter() -> None:
    H, L, who = made()
    rng = np.random.default_rng(1)
    dims, rows = rng.permutation(7), rng.permutation(60)
    other = saliency((-3 * H + 7)[rows][:, dims], (0.1 - 2 * L)[rows], who[rows])
    found = saliency(H, L, who)
    assert other.score.value == pytest.approx(found.score.value, rel=1e-9)
    assert other.draws == pytest.approx(found.draws, rel=1e-8)


def test_a_speakers_clips_are_drawn_together() -> None:
    # Twice the clips of the same speakers say nothing new: the bands stay; as other speakers they narrow.
    H, L, who = made(200, 5)
    once = saliency(H, L, who)
    twice = saliency(np.tile(H, (2, 1)), np.tile(L, (2, 1)), np.tile(who, 2))
    assert twice.draws == pytest.approx(once.draws, rel=1e-8)
    many = saliency(H, L, np.arange(200).astype(str))
    assert np.std(many.draws) < np.std(once.draws)


def known_layer(
    rng: np.random.Generator, speakers: int = 12
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Six layers of which the fourth knows the class, its neighbours less; all know the speaker well."""
    who = np.repeat(np.arange(speakers), 24)
    label = np.tile(np.arange(4), 6 * speakers)
    voice = rng.normal(size=(speakers, 20))[who]
    emotion = rng.normal(size=(4, 20))[label]
    known = (0.0, 0.1, 0.4, 1.0, 0.4, 0.1)
    return [k * emotion + voice + rng.normal(size=voice.shape) for k in known], label, who.astype(str)


def test_the_entry_that_was_built_to_know_the_class_is_salient() -> None:
    for seed in range(5):
        layers, label, who = known_layer(np.random.default_rng(seed))
        found = [saliency(H, one_vs_rest(label, 4), who) for H in layers]
        assert (
            highest(found) == highest(found, correlation=True) == salient(layers, one_vs_rest(label, 4)) == 3
        )
        share = shares(found)
        assert share is not None and share[3] > 0.95 and share.sum() == pytest.approx(1)
        # A dimensional target: the valence of each class.
        valence = np.array([0.1, 0.4, 0.6, 0.9])[label][:, None]
        assert salient(layers, valence) == 3


def test_dims_that_repeat_each_other_raise_the_score_and_not_the_correlation() -> None:
    rng = np.random.default_rng(0)
    L = rng.normal(size=(300, 1))
    apart = L + 2 * rng.normal(size=(300, 10))
    alike = np.tile(L + 2 * rng.normal(size=(300, 1)), (1, 10))
    different, same = saliency(apart, L), saliency(alike, L)
    assert same.correlation.value == pytest.approx(different.correlation.value, abs=0.08)
    # γ of ten equal dims is r itself.
    assert same.score.value == pytest.approx(2 * same.correlation.value)
    assert different.score.value < 1.5 * different.correlation.value


def test_equal_entries_give_the_lower_one() -> None:
    H, L, who = made()
    found = [saliency(h, L, who) for h in (L[:, :1] * 0 + 1, H, H.copy())]
    assert highest(found) == 1
    share = shares(found)
    assert share is not None and share.tolist() == [0, 1, 0]


def test_one_dim_has_no_others() -> None:
    L = np.arange(6.0)[:, None]
    assert saliency(L * 2, L).score.value == pytest.approx(1)


def test_too_few_speakers_have_no_bands() -> None:
    H, L, _ = made()
    for found in (
        saliency(H, L),
        saliency(H, L, ["a", "b", "c"] * 20),
        saliency(H, L, ["a", "b", "c", "d"] * 15, draws=0),
    ):
        assert found.score.low is None and found.correlation.high is None and not len(found.draws)
    assert shares([saliency(H, L)]) is None


def test_a_large_corpus_is_sampled_without_regard_to_order_or_entry() -> None:
    rows = sample(100_000, seed=3)
    assert len(rows) == 30_000 == len(np.unique(rows)) and (np.diff(rows) > 0).all() and rows.max() < 100_000
    assert (sample(100_000, seed=3) == rows).all() and (sample(100_000, seed=4) != rows).any()
    assert (sample(5) == np.arange(5)).all()
    rng = np.random.default_rng(0)
    L = rng.normal(size=(31_000, 1))
    H = L + rng.normal(size=(31_000, 2))
    kept = sample(31_000, seed=1)
    assert saliency(H, L, seed=1).score == saliency(H[kept], L[kept]).score


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"means": np.ones(4)}, r"means have shape \(4,\)"),
        ({"means": np.ones((3, 2))}, "3 rows of means and 4 of targets"),
        ({"targets": np.array([[0.0], [np.nan], [1], [1]])}, "targets are NaN or infinite in row 1"),
        ({"speakers": ["a"]}, "1 speakers for 4 rows"),
        ({"means": np.zeros((0, 2)), "targets": np.zeros((0, 1))}, "not empty"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], message: str) -> None:
    given = {"means": np.arange(8.0).reshape(4, 2), "targets": np.arange(4.0)[:, None], **change}
    with pytest.raises(DataError, match=message):
        saliency(**given)  # type: ignore[arg-type]


def test_a_target_that_is_not_always_known_counts_by_the_utterances_for_which_it_is() -> None:
    H, L, _ = made()
    other, _, _ = made(seed=1)
    L = L.copy()
    L[40:, 1] = np.nan
    known = np.arange(60) < 40

    def score(entry: np.ndarray) -> float:
        whole = saliency(entry, L[:, [0, 2]], draws=0).targets
        part = saliency(entry[known], L[known][:, [1]], draws=0).targets
        return float(np.mean([*whole, *part]))

    best = int(score(H) > score(other))
    unknown = np.full((60, 1), np.nan)
    assert salient([other, H], L) == salient([other, H], np.hstack([L, unknown])) == best
