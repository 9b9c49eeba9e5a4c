"""Frames come upright, at their times on the clock of the sound, and in bounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av")

from videos import RATE, plain, turned, write

from unheard.audio.decode import load
from unheard.errors import DataError
from unheard.inputs import Clip, Piece
from unheard.video import frames as module
from unheard.video.frames import Video
from unheard.video.medium import VideoMedium

BLACK, WHITE = plain((0, 0, 0)), plain((255, 255, 255))


def brightness(video: Video, rate: float | None = None) -> list[tuple[float, float]]:
    return [(frame.time, float(frame.image.mean())) for frame in video.frames(rate)]


@pytest.mark.parametrize("name", ["a.mp4", "a.flv", "a.mkv", "a.webm", "a.avi"])
def test_a_flash_and_a_click_are_at_one_time(name: str, tmp_path: Path) -> None:
    images = [WHITE if k in (20, 21) else BLACK for k in range(50)]
    sound = np.zeros(2 * RATE)
    sound[round(0.8 * RATE) : round(0.82 * RATE)] = np.sin(np.arange(round(0.02 * RATE)))
    path = write(tmp_path / name, images, 25, sound)
    flash = next(time for time, light in brightness(Video(str(path))) if light > 128)
    wave = np.abs(load(path).wave)
    click = np.argmax(wave > 0.3 * wave.max()) / load(path).rate
    assert abs(flash - click) <= 0.04


def test_a_picture_that_begins_later_stays_in_step(tmp_path: Path) -> None:
    times = [0.5 + k / 25 for k in range(25)]
    images = [WHITE if k == 10 else BLACK for k in range(25)]
    sound = np.zeros(2 * RATE)
    sound[round(0.9 * RATE)] = 1
    path = write(tmp_path / "a.mkv", images, times, sound)
    flash = next(time for time, light in brightness(Video(str(path))) if light > 128)
    assert abs(flash - 0.9) <= 0.04
    assert brightness(Video(str(path)), 10)[0][0] == pytest.approx(0.5)


def test_frames_are_taken_at_a_rate_from_a_picture_that_keeps_none(tmp_path: Path) -> None:
    levels = [plain((value,) * 3) for value in (0, 60, 120, 240)]
    path = write(tmp_path / "a.mkv", levels, [0.0, 0.1, 0.9, 1.0])
    found = brightness(Video(str(path)), 5)
    # At 0.2 … 0.8 s the second is still shown, at 1.0 s the last.
    assert [time for time, _ in found] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert [light for _, light in found] == pytest.approx([0, 60, 60, 60, 60, 240], abs=12)
    assert [time for time, _ in brightness(Video(str(path)))] == pytest.approx([0, 0.1, 0.9, 1.0], abs=0.002)


def test_a_piece_is_counted_from_its_start(tmp_path: Path) -> None:
    levels = [plain((5 * k,) * 3) for k in range(50)]
    path = write(tmp_path / "a.mkv", levels, 25)
    found = brightness(Video(str(path), 0.4, 1.2), 5)
    assert [time for time, _ in found] == pytest.approx([0.4, 0.6, 0.8, 1.0])
    assert [light for _, light in found] == pytest.approx([50, 75, 100, 125], abs=8)
    with pytest.raises(DataError, match="no picture from 9 s"):
        list(Video(str(path), 9.0).frames(5))


def test_a_turned_picture_comes_upright(tmp_path: Path) -> None:
    image = np.concatenate([plain((250, 0, 0), (32, 48)), plain((0, 0, 250), (64, 48))], axis=1)
    path = turned(write(tmp_path / "a.mp4", [image] * 3, 25))
    found = next(Video(str(path)).frames()).image
    assert found.shape == (96, 48, 3)
    assert found[8, 24, 0] > 150 > found[8, 24, 2] and found[-8, 24, 2] > 150 > found[-8, 24, 0]


def test_large_pictures_come_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.mkv", [WHITE] * 3, 25)
    monkeypatch.setattr(module, "LONGEST_SIDE", 32)
    assert next(Video(str(path)).frames()).image.shape == (24, 32, 3)
    monkeypatch.setattr(module, "MAX_PIXELS", 1000)
    with pytest.raises(DataError, match="64 × 48 pixels, at most 1,000"):
        list(Video(str(path)).frames())


def test_what_is_no_video_is_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [BLACK] * 50, 25)
    data = path.read_bytes()
    cases = {
        "zero bytes": b"",
        "no video": b"a picture, I swear",
        "truncated or damaged": data[: len(data) // 2],
        "is WAV": b"RIFF\x24\0\0\0WAVEfmt ",
    }
    for reason, content in cases.items():
        bad = tmp_path / "b.mp4"
        bad.write_bytes(content)
        with pytest.raises(DataError, match=reason):
            list(Video(str(bad)).frames(5))
    with pytest.raises(DataError, match="no such file"):
        list(Video(str(tmp_path / "none.mp4")).frames())


def test_a_file_that_ends_early_is_refused_unless_allowed(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    images = [noise.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(75)]
    path = write(tmp_path / "a.mp4", images, 25, movflags="faststart")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"truncated: 1\.\d+ of 3\.\d+ s of picture"):
        list(Video(str(path)).frames(5))
    assert 5 <= len(list(Video(str(path), allow_truncated=True).frames(5))) <= 9


def test_a_clip_without_sound_or_without_a_picture(tmp_path: Path) -> None:
    silent = write(tmp_path / "a.mp4", [BLACK] * 5, 25)
    assert len(list(Video(str(silent)).frames())) == 5
    with pytest.raises(DataError, match="without sound"):
        load(silent)
    with pytest.raises(DataError, match="has no video"):
        VideoMedium().key(Clip("a", Piece("a.wav")))


def test_the_medium_knows_a_video_by_its_content(tmp_path: Path) -> None:
    one, two = (write(tmp_path / name, [BLACK] * 5, 25) for name in ("a.mkv", "b.mkv"))
    two.write_bytes(one.read_bytes())
    medium = VideoMedium()
    key = medium.key(Clip("a", video=Piece(str(one))))
    assert key == medium.key(Clip("b", video=Piece(str(two))))
    assert key != medium.key(Clip("a", video=Piece(str(one), 0.04)))
    assert medium.size(Clip("a", video=Piece(str(one)))) == pytest.approx(0.2, abs=0.05)
    assert len(list(medium.open(Clip("a", video=Piece(str(one)))).frames())) == 5
