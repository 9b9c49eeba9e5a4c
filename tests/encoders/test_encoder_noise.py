"""Clips encoded in noise: the same noise for whoever asks, and no clip that was stored before is another one."""

from __future__ import annotations

from pathlib import Path

import fake_encoder
import numpy as np
import pytest
import soundfile

from unheard import encoders
from unheard.audio.conditions import active_power, realised_snr
from unheard.audio.decode import load
from unheard.audio.trim import trim
from unheard.encoders import fill as filling
from unheard.encoders.extract import Keep, Noise, extract
from unheard.encoders.noise import noisy
from unheard.encoders.store import Store
from unheard.features.extract import ClipRef
from unheard.files import digest, file_digest

RATE = 16_000
FRAMES = Keep("frames", (1,))
NOISE = Noise(0, 20)


@pytest.fixture(autouse=True)
def _fake() -> None:
    fake_encoder.register()


@pytest.fixture
def clips(tmp_path: Path) -> list[ClipRef]:
    made = []
    for n in range(9):
        path = tmp_path / f"{n}.wav"
        wave = 0.3 * np.sin(np.arange(6_400 + 800 * (n % 4)) * (0.05 + 0.01 * n))
        soundfile.write(path, np.concatenate([np.zeros(3_200), wave]), RATE, subtype="FLOAT")
        made.append(ClipRef(f"c{n}", str(path)))
    return made


def given(**more: object) -> dict[str, object]:
    return {"name": "fake", "model": "a", **more}


def logged(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_the_same_noise_for_any_order_any_jobs_any_ids_and_after_a_break(
    tmp_path: Path, clips: list[ClipRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "MOST_CLIPS", 4)
    once = extract(clips, given(), FRAMES, folder=tmp_path / "once", jobs=1, noise=NOISE)
    turned = extract(clips[::-1], given(), FRAMES, folder=tmp_path / "turned", jobs=2, noise=NOISE)
    some = extract(clips[4:6], given(), FRAMES, folder=tmp_path / "some", noise=NOISE)
    others = [ClipRef(f"x{clip.id}", clip.path) for clip in clips]
    renamed = extract(others, given(), FRAMES, folder=tmp_path / "renamed", noise=NOISE)
    monkeypatch.setattr(filling, "SHARD", 1)

    def stop(done: int, _: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(clips, given(), FRAMES, folder=tmp_path / "broken", progress=stop, noise=NOISE)
    broken = extract(clips, given(), FRAMES, folder=tmp_path / "broken", noise=NOISE)
    for name, frames in once.features.items():
        np.testing.assert_array_equal(frames, turned.features[name])
        np.testing.assert_array_equal(frames, renamed.features[f"x{name}"])
        np.testing.assert_array_equal(frames, broken.features[name])
        if name in some.features:
            np.testing.assert_array_equal(frames, some.features[name])


def test_what_was_stored_without_noise_stays_and_is_found(tmp_path: Path, clips: list[ClipRef]) -> None:
    log = tmp_path / "log"
    clean = extract(clips, given(log=str(log)), FRAMES, folder=tmp_path / "store")
    before = {path: path.read_bytes() for path in clean.folder.iterdir()}
    kept = {name: np.array(frames) for name, frames in clean.features.items()}
    # The key of a clip is what it was before there was noise.
    keys = [
        digest(
            {
                "content": file_digest(clip.path),
                "piece": [0.0, None],
                "channel": None,
                "allow_truncated": False,
            }
        )
        for clip in clips
    ]
    store = Store(tmp_path / "store", clean.folder.name)
    assert all(key in store for key in keys)
    said: list[str] = []
    found = {}
    for noise in (NOISE, Noise(0, 20, 1), Noise(-5, 5)):
        heard = extract(
            clips, given(log=str(log)), FRAMES, folder=tmp_path / "store", noise=noise, say=said.append
        )
        assert heard.folder == clean.folder
        found[noise] = {name: np.array(frames) for name, frames in heard.features.items()}
    assert [f"clips:   {len(clips)}, 0 of them stored" in text for text in said] == [True] * 3
    assert logged(log) == 4 * len(clips)
    for name, frames in kept.items():
        for one in found.values():
            assert one[name].shape == frames.shape
            assert not np.allclose(one[name], frames)
        assert not np.allclose(found[NOISE][name], found[Noise(0, 20, 1)][name])
    assert all(path.read_bytes() == content for path, content in before.items())
    for noise in (None, *found):
        again = extract(clips, given(log=str(log)), FRAMES, folder=tmp_path / "store", noise=noise)
        for name, frames in again.features.items():
            np.testing.assert_array_equal(frames, kept[name] if noise is None else found[noise][name])
    assert logged(log) == 4 * len(clips)


def test_silence_is_cut_off_after_the_noise_and_speed_comes_before(
    tmp_path: Path, clips: list[ClipRef]
) -> None:
    settings = given(trim=40)
    encoder = encoders.load(settings)
    heard = extract(clips, settings, FRAMES, folder=tmp_path / "store", noise=NOISE)
    slow = extract(clips, settings, FRAMES, folder=tmp_path / "store", noise=NOISE, speed=0.5)
    for clip in clips:
        wave = load(clip.path).wave
        key = digest(
            {
                "content": file_digest(clip.path),
                "piece": [0.0, None],
                "channel": None,
                "allow_truncated": False,
            }
        )
        mixed = noisy(wave, RATE, NOISE, key)
        (expected,) = encoder.encode([trim(mixed, 40, RATE)], [1])
        np.testing.assert_allclose(heard.features[clip.id], expected[0], atol=1e-6)
        # The noise fills the silence at the beginning, which is then no longer cut off.
        assert len(heard.features[clip.id]) == len(wave) // 320
        assert len(slow.features[clip.id]) == 2 * len(wave) // 320


def test_the_ratio_is_drawn_uniformly_and_the_draw_is_the_clips_and_the_numbers() -> None:
    wave = (0.05 * np.sin(np.arange(8_000) * 0.1)).astype(np.float32)
    ratios = [realised_snr(wave, noisy(wave, RATE, NOISE, f"{n}"), RATE) for n in range(300)]
    assert 0 <= min(ratios) < 1 and 19 < max(ratios) <= 20.01
    counts, _ = np.histogram(ratios, 4, (0, 20.01))
    assert counts.min() > 50
    assert realised_snr(wave, noisy(wave, RATE, Noise(7, 7), "a"), RATE) == pytest.approx(7, abs=0.01)
    # Another range, the same noise: only louder.
    added = [noisy(wave, RATE, noise, "a").astype(float) - wave for noise in (Noise(20, 20), Noise(40, 40))]
    np.testing.assert_allclose(added[0], 10 * added[1], atol=1e-6)
    numbered = [noisy(wave, RATE, Noise(20, 20, n), "a").astype(float) - wave for n in (0, 1)]
    assert abs(np.corrcoef(*numbered)[0, 1]) < 0.1


def test_noise_stays_within_full_scale() -> None:
    wave = np.sin(np.arange(8_000) * 0.1).astype(np.float32)
    assert np.abs(noisy(wave, RATE, Noise(-20, -20), "a")).max() == 1


def test_a_waveform_without_power_stays_as_it_is() -> None:
    silent = np.zeros(8_000, np.float32)
    assert active_power(silent, RATE) == 0
    np.testing.assert_array_equal(noisy(silent, RATE, NOISE, "a"), silent)
