"""Videos and compressed recordings through PyAV: the contract of every other container."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from signals import voice

from unheard.audio import media
from unheard.audio.decode import duration, load, versions
from unheard.audio.medium import AudioMedium
from unheard.audio.stream import Blocks
from unheard.errors import AudioError
from unheard.inputs import Clip, Piece

av = pytest.importorskip("av")

RATE = 48_000
#: Name, FFmpeg's format and codec, and the correlation with what was encoded that the codec leaves.
KINDS = {
    "a.m4a": ("mp4", "aac"),
    "a.mp4": ("mp4", "aac"),
    "a.mov": ("mov", "aac"),
    "a.webm": ("webm", "libopus"),
    "a.mkv": ("matroska", "aac"),
    "a.flv": ("flv", "aac"),
    "a.aac": ("adts", "aac"),
    "a.avi": ("avi", "ac3"),
}


def write(path: Path, wave: np.ndarray, rate: int = RATE, *, video: bool = False) -> Path:
    """Encode (n,) or (n, channels) samples; with pictures beside where asked for."""
    form, codec = KINDS[f"a{path.suffix}"]
    wave = wave.reshape(len(wave), -1).astype(np.float32)
    layout = "mono" if wave.shape[1] == 1 else "stereo"
    with av.open(str(path), "w", format=form) as out:
        pictures = out.add_stream("mpeg4", rate=25) if video else None
        track = out.add_stream(codec, rate=rate, layout=layout)
        if pictures is not None:
            pictures.width = pictures.height = 32
            for k in range(round(25 * len(wave) / rate)):
                frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), k % 255, np.uint8), format="rgb24")
                out.mux(pictures.encode(frame))
            out.mux(pictures.encode(None))
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(wave.reshape(1, -1)), format="flt", layout=layout
        )
        frame.sample_rate = rate
        resampler = av.AudioResampler(format=track.codec_context.format, layout=layout, rate=rate)
        fifo = av.AudioFifo()
        for each in resampler.resample(frame):
            fifo.write(each)
        size = track.codec_context.frame_size or 1024
        while (piece := fifo.read(size, partial=True)) is not None:
            out.mux(track.encode(piece))
        out.mux(track.encode(None))
    return path


def similarity(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest correlation within what encoders put before the sound."""
    size = min(len(found), len(expected)) - 4000
    best = 0.0
    for shift in range(-200, 2400, 4):
        a, b = found[max(0, shift) :][: size - 4000], expected[max(0, -shift) :][: size - 4000]
        best = max(best, float(np.corrcoef(a[: len(b)], b[: len(a)])[0, 1]))
    return best


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a voice in every container."""
    folder = tmp_path_factory.mktemp("media")
    for name in KINDS:
        write(folder / name, tone())
    return folder


def tone() -> np.ndarray:
    """Two seconds of a gliding voice at 48 kHz."""
    return np.interp(np.arange(2 * RATE) / 3, np.arange(32_000), voice(2.0)).astype(np.float32)


@pytest.mark.parametrize("name", KINDS)
def test_every_container_is_decoded_whatever_its_name(folder: Path, name: str, tmp_path: Path) -> None:
    clip = load(folder / name)
    assert (clip.source_rate, clip.source_channels) == (RATE, 1)
    assert clip.seconds == pytest.approx(2.0, abs=0.1)
    assert similarity(clip.wave, voice(2.0)) > 0.95
    other = tmp_path / "other.wav"
    other.write_bytes((folder / name).read_bytes())
    np.testing.assert_array_equal(load(other).wave, clip.wave)
    blocks = Blocks(folder / name)
    np.testing.assert_array_equal(np.concatenate(list(blocks)), clip.wave)
    assert duration(folder / name) is None or duration(folder / name) == pytest.approx(2.0, abs=0.1)


def test_amr_of_telephones_is_decoded(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = [b"\x3c" + rng.bytes(31) for _ in range(100)]  # 12.2 kbit/s, 20 ms each
    (tmp_path / "a.amr").write_bytes(b"#!AMR\n" + b"".join(frames))
    clip = load(tmp_path / "a.amr")
    assert clip.source_rate == 8000 and clip.seconds == pytest.approx(2.0)


@pytest.mark.parametrize("name", ["a.m4a", "a.webm"])
def test_pieces_channels_and_rates(folder: Path, name: str, tmp_path: Path) -> None:
    whole = load(folder / name, rate=RATE).wave
    piece = load(folder / name, 0.5, 1.25, rate=RATE).wave
    np.testing.assert_array_equal(piece, whole[RATE // 2 : RATE // 2 + round(0.75 * RATE)])
    both = write(tmp_path / name, np.stack([tone(), 0 * tone()], axis=1))
    left, right = (load(both, channel=k) for k in (0, 1))
    assert np.abs(right.wave).max() < 0.01 < np.abs(left.wave).max()
    assert "one_of_channels" in left.flags and "several_channels" in load(both).flags
    with pytest.raises(AudioError, match="has no channel 2; it has 2"):
        load(both, channel=2)
    with pytest.raises(AudioError, match=r"the piece starts at 9\.000 s|holds no samples|ends at"):
        load(folder / name, 9.0, 10.0)


def test_the_sound_of_a_video_is_taken_and_a_silent_film_is_said(tmp_path: Path) -> None:
    assert similarity(load(write(tmp_path / "a.mp4", tone(), video=True)).wave, voice(2.0)) > 0.95
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as out:
        pictures = out.add_stream("mpeg4", rate=25)
        pictures.width = pictures.height = 32
        for _ in range(5):
            out.mux(pictures.encode(av.VideoFrame(32, 32, "yuv420p")))
        out.mux(pictures.encode(None))
    with pytest.raises(AudioError, match=r"film\.mp4: MP4 .* without sound"):
        load(path)


def test_what_is_cut_or_damaged_is_refused_or_flagged(folder: Path, tmp_path: Path) -> None:
    # The index of an MP4 stands behind its sound, so one that is cut cannot be opened at all.
    data = (folder / "a.m4a").read_bytes()
    cut = tmp_path / "cut.m4a"
    cut.write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match=r"cut\.m4a: truncated"):
        load(cut)
    # With the index in front the sound is there as far as the file goes.
    with (
        av.open(str(folder / "a.m4a")) as source,
        av.open(str(cut), "w", format="mp4", options={"movflags": "faststart"}) as out,
    ):
        track = out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = track
                out.mux(packet)
    data = cut.read_bytes()
    cut.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(AudioError, match=r"truncated: [01]\.\d+ of 2\.0\d+ s"):
        load(cut)
    clip = load(cut, allow_truncated=True)
    assert "truncated" in clip.flags and 0.2 < clip.seconds < 1.8


@pytest.mark.parametrize("name", ["a.m4a", "a.webm", "a.flv"])
def test_damage_is_an_error_of_ours_or_nothing(folder: Path, name: str, tmp_path: Path) -> None:
    data = (folder / name).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(25):
        broken = bytearray(data)
        for place in rng.integers(8, len(data), 12):
            broken[place] = rng.integers(256)
        (tmp_path / name).write_bytes(broken[: rng.integers(len(data) // 2, len(data))])
        try:
            assert np.isfinite(load(tmp_path / name, allow_truncated=True).wave).all()
        except AudioError as error:
            assert str(error).startswith(f"{tmp_path / name}: ")


def test_without_pyav_the_message_says_what_to_install_and_how_to_convert(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "installed", lambda: False)
    with pytest.raises(AudioError) as caught:
        load(folder / "a.m4a")
    assert f"pip install 'unheard[media]', or convert it, for instance `ffmpeg -i {folder}/a.m4a" in str(
        caught.value
    )


def test_the_version_of_pyav_is_known_for_what_it_decodes_alone(folder: Path, tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "a.wav", voice(1.0), 16_000)
    assert "av" in versions(folder / "a.webm") and "av" not in versions(tmp_path / "a.wav")
    assert AudioMedium().key(Clip("a", Piece(str(folder / "a.webm"))))


def test_reading_other_files_does_not_import_it(tmp_path: Path) -> None:
    import subprocess

    import soundfile

    soundfile.write(tmp_path / "a.wav", voice(1.0), 16_000)
    code = (
        "import sys; from unheard.audio.decode import load; load(sys.argv[1]); assert 'av' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.wav")], check=True)


@pytest.mark.data
def test_real_videos_have_the_sound_that_their_names_say(data_folder: Path) -> None:
    videos = sorted((data_folder / "videos").glob("*.flv")) + sorted((data_folder / "videos").glob("*.mp4"))
    assert len(videos) >= 7
    for path in videos:
        clip = load(path)
        assert 1.0 < clip.seconds < 6.0 and clip.usable, path
