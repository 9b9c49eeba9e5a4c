"""Streams: whatever the pieces, the answers of a causal timeline over the whole recording; in constant memory."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from small_bundle import make_bundle
from unheard.adaptation.profile import Priors
from unheard.audio import activity, decode
from unheard.audio.resample import to_rate
from unheard.bundle.runtime import Bundle, load
from unheard.bundle.stream import Answer
from unheard.errors import AudioError, DataError, UsageError

sys.path.insert(0, str(Path(__file__).parents[1] / "audio"))
from signals import RATE, noise, voice


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load(make_bundle(tmp_path_factory.mktemp("stream") / "adapting", Priors()))


@pytest.fixture(scope="module")
def recording() -> np.ndarray:
    """40.6 seconds: voices with pauses of different lengths, and noise below them."""
    gap = [np.zeros(round(seconds * RATE), np.float32) for seconds in (0.7, 0.3, 5.0, 2.4)]
    wave = np.concatenate(
        [gap[0], voice(6.3, 120), gap[1], voice(1.1, 210), gap[2], voice(9.0, 110), gap[3], voice(0.4, 250),
         gap[3], voice(13.0, 140)]
    )  # fmt: skip
    return (wave + 0.01 * noise(len(wave) / RATE)).astype(np.float32)


def fed(
    bundle: Bundle, wave: np.ndarray, sizes: list[int], rate: int = RATE, **options: bool
) -> list[Answer]:
    """Feed pieces of these sizes, over and over."""
    stream, answers, place, k = bundle.stream(rate, **options), [], 0, 0
    while place < len(wave):
        answers += stream.feed(wave[place : place + sizes[k % len(sizes)]])
        place += sizes[k % len(sizes)]
        k += 1
    return answers + stream.finish()


def offline(bundle: Bundle, wave: np.ndarray, *, adapt: bool) -> list[Answer]:
    """Answer every second from what is measured of the whole recording up to there."""
    answers, profile, learnt = [], None, 0.0
    frames = activity.measure([wave])
    for t in [*range(1, len(wave) // RATE + 1), len(wave) / RATE]:
        last, before = t * RATE == len(wave), float(np.ceil(t) - 1)
        # The window of a frame reaches 15 ms beyond it.
        count = len(frames.energy) if last else 100 * int(t) - 2
        first = max(0, 100 * (int(np.ceil(t)) - 30) - 2)
        names = ("energy", "level", "periodicity", "period", "bands")
        cut = [getattr(frames, name)[..., first:count] for name in names]
        spoken = activity.segments(activity.Frames(*cut, frames.spectrum, t - first / 100))
        joined: list[list[float]] = []
        for start, end in spoken:
            if joined and start - joined[-1][1] < 0.5:
                joined[-1][1] = end
            else:
                joined.append([start, end])
        begin, stop = (first / 100 + each for each in joined[-1]) if joined else (0.0, 0.0)
        if stop <= before:
            answers.append(
                Answer(t, before, t, None, {}, ("no_speech",), {}, profile.clips if profile else 0)
            )
            continue
        begin = max(begin, stop - 4)
        window = wave[round(begin * RATE) : round(stop * RATE)]
        done = last or stop < count / 100 - 0.01 or stop - begin >= 4
        if adapt and done and begin >= learnt:
            own = bundle.enrol([(window, RATE)])
            profile, learnt = own if profile is None else profile + own, stop
        (found,) = bundle._predict_speech([decode.from_samples(window, RATE)], profile)
        answers.append(
            Answer(t, begin, stop, found.label, found.probabilities, found.flags, found.dimensions,
                   profile.clips if profile else 0)
        )  # fmt: skip
    return answers


@pytest.mark.parametrize("adapt", [False, True])
def test_answers_are_those_of_the_causal_timeline_of_the_whole(
    bundle: Bundle, recording: np.ndarray, adapt: bool
) -> None:
    found, expected = fed(bundle, recording, [1600], adapt=adapt), offline(bundle, recording, adapt=adapt)
    assert len(found) == len(expected) == 41
    for one, other in zip(found, expected, strict=True):
        assert (one.time, one.label, one.enrol_k) == (other.time, other.label, other.enrol_k)
        assert (one.start, one.end) == pytest.approx((other.start, other.end), abs=1e-9)
        assert list(one.probabilities) == list(other.probabilities) and one.flags == other.flags
        assert list(one.probabilities.values()) == pytest.approx(list(other.probabilities.values()), abs=1e-6)
    answered = [answer for answer in found if answer.answered]
    assert 28 <= len(answered) <= 34 and max(answer.end - answer.start for answer in answered) <= 4 + 1e-9
    assert (found[-1].enrol_k > 5) == adapt


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 90_000), min_size=1, max_size=6), st.sampled_from([8000, 16000, 44100]))
def test_pieces_of_any_size_give_the_same_answers(
    bundle: Bundle, recording: np.ndarray, sizes: list[int], rate: int
) -> None:
    wave = to_rate(recording[: 9 * RATE], RATE, rate)
    sizes = [max(size, 200) for size in sizes]
    assert fed(bundle, wave, sizes, rate, adapt=True) == fed(bundle, wave, [len(wave)], rate, adapt=True)


def test_an_answer_needs_nothing_that_comes_after_its_second(bundle: Bundle, recording: np.ndarray) -> None:
    stream = bundle.stream(RATE)
    for second in range(12):
        found = stream.feed(recording[second * RATE : (second + 1) * RATE])
        assert [answer.time for answer in found] == [second + 1]
        assert 0 < found[0].delay < 5  # what it took to compute


def test_the_delay_holds_what_was_fed_beyond_the_second(bundle: Bundle, recording: np.ndarray) -> None:
    early, late = bundle.stream(RATE).feed(recording[: 2 * RATE])
    assert early.delay >= 1 > late.delay > 0


def test_memory_does_not_grow(bundle: Bundle, recording: np.ndarray) -> None:
    stream = bundle.stream(RATE, adapt=True)
    stream.feed(recording[: 2 * RATE])

    def peak() -> int:
        tracemalloc.reset_peak()
        for second in range(2, 34):  # more than is ever kept
            stream.feed(0.5 * recording[second * RATE : (second + 1) * RATE])
        return tracemalloc.get_traced_memory()[1]

    tracemalloc.start()
    try:
        early, late = peak(), peak()
    finally:
        tracemalloc.stop()
    assert stream.seconds == 66 and late < 1.1 * early


def test_what_is_not_finite_is_not_answered_and_passes(bundle: Bundle, recording: np.ndarray) -> None:
    broken = recording.copy()
    broken[3 * RATE] = np.nan
    whole, found = fed(bundle, recording, [RATE]), fed(bundle, broken, [700, 40_000])
    bad = [answer.time for answer in found if "non_finite" in answer.flags]
    assert bad == [4, 5, 6, 7] and not any(found[int(time) - 1].answered for time in bad)
    assert [answer.label for answer in found[9:]] == [answer.label for answer in whole[9:]]


def test_channels(bundle: Bundle, recording: np.ndarray) -> None:
    wave = recording[: 5 * RATE]
    two = np.stack([np.zeros_like(wave), wave], axis=1)
    assert fed(bundle, two, [3000], channel=1) == fed(bundle, wave, [5000])
    assert {answer.flags for answer in fed(bundle, two, [3000], channel=0)} == {("no_speech",)}


def test_faults_are_said_and_change_nothing(bundle: Bundle, recording: np.ndarray) -> None:
    stream = bundle.stream(RATE)
    stream.feed(recording[:100])
    for bad, why in (
        (np.zeros(10, np.int16), "int16"),
        (np.zeros((10, 2)), "2 channels, and those before 1"),
        (np.zeros((2, 2, 2)), "shape"),
    ):
        with pytest.raises(AudioError, match=why):
            stream.feed(bad)
    assert stream.seconds == 100 / RATE and stream.feed(np.zeros(0)) == []
    assert [answer.time for answer in stream.finish()] == [100 / RATE]
    with pytest.raises(UsageError, match="finished"):
        stream.feed(recording[:100])
    with pytest.raises(AudioError, match="never scaled"):
        bundle.stream(RATE).feed(1000 * np.ones(10))
    with pytest.raises(AudioError, match="no channel 1"):
        bundle.stream(RATE, channel=1).feed(recording[:100])
    with pytest.raises(AudioError):
        bundle.stream(10)


def test_a_voice_that_is_known_before(bundle: Bundle, recording: np.ndarray, tmp_path: Path) -> None:
    profile = bundle.enrol([(recording[RATE : 4 * RATE], RATE)] * 2)
    first = bundle.stream(RATE, profile=profile).feed(recording[: 3 * RATE])
    assert {answer.enrol_k for answer in first} == {2}
    stream = bundle.stream(RATE, profile=profile, adapt=True)
    stream.feed(recording[: 6 * RATE])
    assert stream.profile is not None and stream.profile.clips == 3
    plain = load(make_bundle(tmp_path / "plain"))
    with pytest.raises(UsageError, match="does not adapt"):
        plain.stream(RATE, adapt=True)
    other = load(make_bundle(tmp_path / "other", Priors(1.0, 2.0)))
    with pytest.raises(DataError, match="another model"):
        other.stream(RATE, profile=profile)


def test_plain_values(bundle: Bundle, recording: np.ndarray) -> None:
    (answer,) = bundle.stream(RATE).feed(recording[2 * RATE : 3 * RATE])
    assert answer.as_dict() == {
        "time": 1.0, "start": round(answer.start, 3), "end": round(answer.end, 3),
        "label": answer.label, "probabilities": answer.probabilities or None, "flags": list(answer.flags),
        "delay": round(answer.delay, 4),
    }  # fmt: skip
