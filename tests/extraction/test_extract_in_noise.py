"""Clips encoded in noise: the same noise for whoever asks, and no clip that was stored before is another one."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import fake_encoder
import numpy as np
import pytest
import soundfile

from unheard import encoders
from unheard.audio.conditions import realised_snr
from unheard.audio.decode import load
from unheard.audio.levels import active_power
from unheard.audio.medium import AudioMedium
from unheard.audio.noise import Noise, Voices, noisy
from unheard.audio.trim import trim
from unheard.errors import UsageError
from unheard.extraction import missing_clips as filling
from unheard.extraction.extract import Storage, extract
from unheard.extraction.store import Store
from unheard.files import digest, file_digest
from unheard.inputs import Clip, Form, Piece
from unheard.recipe_inputs.preparing import CROWD

RATE = 16_000
FRAMES = Storage(Form.FRAMES, (1,))
NOISE = Noise("coloured", 0, 20)


def spoken(person: int, number: int, rate: int) -> np.ndarray:
    """A hum of its own for each person and recording."""
    t = np.arange(rate // 2 + 900 * person) / rate
    return np.sin(2 * np.pi * (200 + 300 * person + 40 * number) * t).astype(np.float32)


PEOPLE = Voices("hums", 6, 3, spoken)
BABBLE = Noise("babble", 0, 20, voices=PEOPLE)
CROWDED = Noise("babble", 0, 20, voices=CROWD)


@pytest.fixture(autouse=True)
def _fake() -> None:
    fake_encoder.register()


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    made = []
    for n in range(9):
        path = tmp_path / f"{n}.wav"
        wave = 0.3 * np.sin(np.arange(6_400 + 800 * (n % 4)) * (0.05 + 0.01 * n))
        # Not of floats: their header holds the time of day, and the noise is drawn by the content of the file.
        soundfile.write(path, np.concatenate([np.zeros(3_200), wave]), RATE, subtype="PCM_24")
        made.append(Clip(f"c{n}", Piece(str(path))))
    return made


def given(**more: object) -> dict[str, object]:
    return {"name": "fake", "model": "a", **more}


def logged(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.mark.parametrize("noise", [NOISE, BABBLE], ids=lambda noise: noise.kind)
def test_the_same_noise_for_any_order_any_jobs_any_ids_and_after_a_break(
    tmp_path: Path, clips: list[Clip], monkeypatch: pytest.MonkeyPatch, noise: Noise
) -> None:
    monkeypatch.setattr(filling, "MAX_CLIPS", 4)
    once = extract(clips, given(), FRAMES, folder=tmp_path / "once", jobs=1, noise=noise)
    turned = extract(clips[::-1], given(), FRAMES, folder=tmp_path / "turned", jobs=2, noise=noise)
    some = extract(clips[4:6], given(), FRAMES, folder=tmp_path / "some", noise=noise)
    others = [Clip(f"x{clip.id}", Piece(clip.audio.path)) for clip in clips]
    renamed = extract(others, given(), FRAMES, folder=tmp_path / "renamed", noise=noise)
    monkeypatch.setattr(filling, "SHARD", 1)

    def stop(done: int, _: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(clips, given(), FRAMES, folder=tmp_path / "broken", progress=stop, noise=noise)
    broken = extract(clips, given(), FRAMES, folder=tmp_path / "broken", noise=noise)
    for name, frames in once.features.items():
        np.testing.assert_array_equal(frames, turned.features[name])
        np.testing.assert_array_equal(frames, renamed.features[f"x{name}"])
        np.testing.assert_array_equal(frames, broken.features[name])
        if name in some.features:
            np.testing.assert_array_equal(frames, some.features[name])


def test_what_was_stored_without_noise_stays_and_is_found(tmp_path: Path, clips: list[Clip]) -> None:
    log = tmp_path / "log"
    clean = extract(clips, given(log=str(log)), FRAMES, folder=tmp_path / "store")
    before = {path: path.read_bytes() for path in clean.folder.iterdir()}
    kept = {name: np.array(frames) for name, frames in clean.features.items()}
    # The key of a clip is what it was before there was noise.
    keys = [AudioMedium().key(clip) for clip in clips]
    store = Store(tmp_path / "store", clean.folder.name)
    assert all(key in store for key in keys)
    said: list[str] = []
    found = {}
    for noise in (NOISE, Noise("coloured", 0, 20, 1), Noise("coloured", -5, 5), BABBLE):
        heard = extract(
            clips, given(log=str(log)), FRAMES, folder=tmp_path / "store", noise=noise, say=said.append
        )
        assert heard.folder == clean.folder
        found[noise] = {name: np.array(frames) for name, frames in heard.features.items()}
    assert "\n".join(said).count(f"clips:   {len(clips)}, 0 of them stored") == 4
    assert logged(log) == 5 * len(clips)
    for name, frames in kept.items():
        for one in found.values():
            assert one[name].shape == frames.shape
            assert not np.allclose(one[name], frames)
        assert not np.allclose(found[NOISE][name], found[Noise("coloured", 0, 20, 1)][name])
    assert all(path.read_bytes() == content for path, content in before.items())
    for noise in (None, *found):
        again = extract(clips, given(log=str(log)), FRAMES, folder=tmp_path / "store", noise=noise)
        for name, frames in again.features.items():
            np.testing.assert_array_equal(frames, kept[name] if noise is None else found[noise][name])
    assert logged(log) == 5 * len(clips)


def test_silence_is_cut_off_after_the_noise_and_speed_comes_before(tmp_path: Path, clips: list[Clip]) -> None:
    settings = given(trim=40)
    encoder = encoders.load(settings)
    heard = extract(clips, settings, FRAMES, folder=tmp_path / "store", noise=NOISE)
    slow = extract(clips, settings, FRAMES, folder=tmp_path / "store", noise=NOISE, speed=0.5)
    for clip in clips:
        wave = load(clip.audio.path).wave
        key = digest(
            {
                "content": file_digest(clip.audio.path),
                "piece": [0.0, None],
                "channel": None,
                "allow_truncated": False,
            }
        )
        mixed = noisy(wave, RATE, NOISE, key)
        (expected,) = encoder.extract([trim(mixed, 40, RATE)], [1])
        np.testing.assert_allclose(heard.features[clip.id], expected[0], atol=1e-6)
        # The noise fills the silence at the beginning, which is then no longer cut off.
        assert len(heard.features[clip.id]) == len(wave) // 320
        assert len(slow.features[clip.id]) == 2 * len(wave) // 320


@pytest.mark.parametrize("noise", [NOISE, BABBLE, CROWDED], ids=["coloured", "babble", "synthetic"])
def test_the_ratio_is_drawn_uniformly_and_the_draw_is_the_clips_and_the_numbers(noise: Noise) -> None:
    wave = (0.05 * np.sin(np.arange(8_000) * 0.1)).astype(np.float32)
    ratios = [realised_snr(wave, noisy(wave, RATE, noise, f"{n}"), RATE) for n in range(300)]
    assert 0 <= min(ratios) < 1 and 19 < max(ratios) <= 20.01
    counts, _ = np.histogram(ratios, 4, (0, 20.01))
    assert counts.min() > 50
    assert realised_snr(
        wave, noisy(wave, RATE, replace(noise, min_level=7, max_level=7), "a"), RATE
    ) == pytest.approx(7, abs=0.01)
    # Another range, the same noise: only louder.
    added = [added_to(wave, replace(noise, min_level=snr, max_level=snr), "a") for snr in (20, 40)]
    np.testing.assert_allclose(added[0], 10 * added[1], atol=1e-6)
    numbered = [added_to(wave, replace(noise, min_level=20, max_level=20, number=n), "a") for n in (0, 1)]
    assert abs(np.corrcoef(*numbered)[0, 1]) < 0.1


def test_one_to_four_different_people_babble_and_each_number_is_as_likely() -> None:
    drawn: list[tuple[int, int]] = []

    def take(person: int, number: int, rate: int) -> np.ndarray:
        drawn.append((person, number))
        return spoken(person, number, rate)

    noise = Noise("babble", 0, 20, voices=Voices("hums", 6, 3, take))
    wave = (0.05 * np.sin(np.arange(8_000) * 0.1)).astype(np.float32)
    heard = []
    for n in range(200):
        drawn.clear()
        noisy(wave, RATE, noise, f"{n}")
        heard.append(tuple(drawn))
        assert len({person for person, _ in drawn}) == len(drawn)
    sizes = np.bincount([len(one) for one in heard], minlength=5)
    assert sizes[0] == 0 and len(sizes) == 5 and sizes[1:].min() > 30
    assert {one for some in heard for one in some} == set(product(range(6), range(3)))
    assert len(set(heard)) > 120


def test_other_kinds_and_other_voices_are_other_clips() -> None:
    others = replace(BABBLE, voices=replace(PEOPLE, name="others"))
    keys = [noise.key()["noise"] for noise in (NOISE, BABBLE, others, replace(BABBLE, number=1))]
    assert len({digest(key) for key in keys}) == 4
    assert [key[1] for key in keys] == ["coloured", "babble", "babble", "babble"]


@pytest.mark.parametrize(("kind", "voices"), [("babble", None), ("coloured", PEOPLE)])
def test_a_babble_needs_voices_and_nothing_else_takes_them(kind: str, voices: Voices | None) -> None:
    with pytest.raises(UsageError, match="voices belong to"):
        Noise(kind, 0, 20, voices=voices)  # type: ignore[arg-type]


def added_to(wave: np.ndarray, noise: Noise, clip: str) -> np.ndarray:
    return noisy(wave, RATE, noise, clip).astype(float) - wave


def test_two_recordings_hear_different_voices() -> None:
    wave = (0.05 * np.sin(np.arange(8_000) * 0.1)).astype(np.float32)
    one, other = (added_to(wave, replace(CROWDED, min_level=20, max_level=20), clip) for clip in "ab")
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.1
    np.testing.assert_array_equal(one, added_to(wave, replace(CROWDED, min_level=20, max_level=20), "a"))


def test_noise_stays_within_full_scale() -> None:
    wave = np.sin(np.arange(8_000) * 0.1).astype(np.float32)
    assert np.abs(noisy(wave, RATE, Noise("coloured", -20, -20), "a")).max() == 1


def test_a_waveform_without_power_stays_as_it_is() -> None:
    silent = np.zeros(8_000, np.float32)
    assert active_power(silent, RATE) == 0
    np.testing.assert_array_equal(noisy(silent, RATE, NOISE, "a"), silent)
