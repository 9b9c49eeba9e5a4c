"""Decoding: any format gives the same samples, pieces are pieces of the whole, bad files get clear errors."""

from __future__ import annotations

import ctypes
import math
import os
import socket
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unheard import files
from unheard.audio import decode, source
from unheard.audio.decode import Clip, check_trainable, from_samples, load
from unheard.audio.resample import RATE, to_rate
from unheard.audio.stream import Blocks
from unheard.errors import AudioError

Wave = np.ndarray

#: Container, form of the samples, and the least signal-to-noise ratio (dB) that its own loss allows.
FORMATS = [
    ("WAV", "PCM_16", 75), ("WAV", "PCM_U8", 28), ("WAV", "PCM_24", 100), ("WAV", "PCM_32", 100),
    ("WAV", "FLOAT", 140), ("WAV", "DOUBLE", 140), ("WAV", "ALAW", 30), ("WAV", "ULAW", 30),
    ("WAV", "IMA_ADPCM", 20), ("WAV", "MS_ADPCM", 12), ("WAV", "GSM610", 5), ("WAVEX", "PCM_16", 75),
    ("RF64", "PCM_16", 75), ("W64", "PCM_16", 75), ("AIFF", "PCM_16", 75), ("AU", "PCM_16", 75),
    ("AU", "ULAW", 30), ("CAF", "PCM_16", 75), ("CAF", "ALAC_16", 75), ("NIST", "PCM_16", 75),
    ("FLAC", "PCM_16", 75), ("FLAC", "PCM_24", 100), ("FLAC", "PCM_S8", 28), ("OGG", "VORBIS", 8),
    ("OGG", "OPUS", 3), ("MP3", "MPEG_LAYER_III", 10),
]  # fmt: skip
#: Those that say how long they are, or where they end.
PROMISING = [
    ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "ALAW"), ("WAV", "IMA_ADPCM"), ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"), ("W64", "PCM_16"), ("AIFF", "PCM_16"), ("AU", "PCM_16"),
    ("NIST", "PCM_16"), ("CAF", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]  # fmt: skip


def voice(seconds: float = 1.0, rate: int = RATE, seed: int = 0) -> Wave:
    """Sixty tones in the band of 16 kHz, the same function of time at every rate."""
    return _voice(seconds, rate, seed).copy()


@lru_cache
def _voice(seconds: float, rate: int, seed: int) -> Wave:
    time = np.arange(round(seconds * rate)) / rate
    generator = np.random.default_rng(seed)
    tones = generator.uniform(100, 7000, 60)
    phases = generator.uniform(0, 2 * np.pi, 60)
    heights = 1.0 / (1.0 + tones / 800)
    wave = (np.sin(2 * np.pi * np.outer(time, tones) + phases) * heights).sum(axis=1)
    return (1.3 * wave / heights.sum()).astype(np.float32)


def decibels(original: Wave, other: Wave) -> float:
    n = min(len(original), len(other))
    noise = np.square(original[:n] - other[:n], dtype=np.float64).sum()
    return float(10 * np.log10(np.square(original[:n], dtype=np.float64).sum() / max(noise, 1e-30)))


def written(
    folder: Path, container: str, subtype: str, wave: Wave, rate: int = RATE, name: str = "a"
) -> Path:
    path = folder / name
    soundfile.write(path, wave, rate, format=container, subtype=subtype)
    return path


# --- formats, rates, channels ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("container", "subtype", "least"), FORMATS)
def test_every_format_gives_the_same_samples(
    tmp_path: Path, container: str, subtype: str, least: float
) -> None:
    wave = voice(2.0)
    clip = load(written(tmp_path, container, subtype, wave))
    padding = 1024 if "ADPCM" in subtype or subtype == "GSM610" else 0  # those come in whole blocks
    assert 0 <= len(clip.wave) - len(wave) <= padding
    assert clip.wave.dtype == np.float32
    assert clip.wave.ndim == 1
    assert decibels(wave, clip.wave) >= least
    assert clip.flags == ()
    assert (clip.source_rate, clip.source_channels) == (RATE, 1)


@pytest.mark.parametrize("name", ["a.wav", "a.raw", "a.txt", "a", "a.mp3", "a.vox"])
@pytest.mark.parametrize("container", ["FLAC", "WAV", "MP3", "OGG"])
def test_content_decides_and_not_the_name(tmp_path: Path, container: str, name: str) -> None:
    wave = voice()
    soundfile.write(tmp_path / "x", wave, RATE, format=container)
    (tmp_path / "x").rename(tmp_path / name)
    assert len(load(tmp_path / name).wave) == len(wave)


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 48_000, 96_000])
def test_every_rate_gives_the_same_wave(tmp_path: Path, rate: int) -> None:
    clip = load(written(tmp_path, "WAV", "FLOAT", voice(1.0, rate), rate))
    assert clip.source_rate == rate
    assert len(clip.wave) == RATE
    inside = slice(800, -800)  # the ends ring
    assert decibels(voice(1.0)[inside], clip.wave[inside]) > 60


@pytest.mark.parametrize("source", [8_000, 16_000, 32_000, 48_000])
def test_another_rate_is_reached_directly_from_the_files_own(tmp_path: Path, source: int) -> None:
    wave = voice(1.0, source)
    soundfile.write(tmp_path / "a.wav", wave, source, subtype="FLOAT")
    clip = load(tmp_path / "a.wav", rate=32_000)
    np.testing.assert_allclose(clip.wave, to_rate(wave, source, 32_000), atol=1e-6)
    assert clip.rate == 32_000
    assert clip.seconds == pytest.approx(1.0)
    assert clip.flags == load(tmp_path / "a.wav").flags
    assert load(tmp_path / "a.wav", rate=8_000).usable


def test_channels_are_averaged_or_one_is_taken(tmp_path: Path) -> None:
    left, right = voice(seed=1), voice(seed=2)
    path = written(tmp_path, "WAV", "FLOAT", np.stack([left, right], axis=1))
    np.testing.assert_allclose(load(path).wave, (left + right) / 2, atol=1e-7)
    np.testing.assert_array_equal(load(path, channel=0).wave, left)
    np.testing.assert_array_equal(load(path, channel=1).wave, right)
    assert load(path).flags == ("several_channels",)
    assert load(path, channel=1).flags == ("one_of_channels",)
    assert load(path).source_channels == 2
    for absent, said in ((2, "no channel 2; it has 2"), (-1, "channel -1, expected a whole number")):
        with pytest.raises(AudioError, match=said):
            load(path, channel=absent)


def test_long_recordings_are_the_same_as_short_ones_one_after_another(tmp_path: Path) -> None:
    """Blocks leave no seams: a rate that must be resampled, and more than two blocks."""
    wave = voice(7.0, 44_100)
    assert len(wave) > 2 * source.BLOCK
    clip = load(written(tmp_path, "WAV", "FLOAT", wave, 44_100))
    expected = from_samples(wave, 44_100)
    np.testing.assert_array_equal(clip.wave, expected.wave)


# --- pieces ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("container", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("WAV", "GSM610")]
)
@pytest.mark.parametrize(("start", "end"), [(0.0, 0.5), (0.25, None), (1.3, 1.9), (None, 2.0)])
def test_a_piece_is_a_piece_of_the_whole(
    tmp_path: Path, container: str, subtype: str, start: float | None, end: float | None
) -> None:
    path = written(tmp_path, container, subtype, voice(2.0))
    whole = load(path).wave
    piece = whole[round((start or 0) * RATE) : None if end is None else round(end * RATE)]
    np.testing.assert_allclose(load(path, start, end).wave, piece, atol=2e-4)


def test_an_end_may_lie_a_little_behind_the_file_and_no_more(tmp_path: Path) -> None:
    path = written(tmp_path, "WAV", "PCM_16", voice(1.0))
    assert len(load(path, 0.5, 1.05).wave) == RATE // 2
    with pytest.raises(AudioError, match=r"piece ends at 1\.200 s, but the file lasts 1\.000 s"):
        load(path, 0.5, 1.2)
    with pytest.raises(AudioError, match=r"piece starts at 1\.000 s, but the file lasts 1\.000 s"):
        load(path, 1.0, 1.05)


@pytest.mark.parametrize(
    ("start", "end"),
    [(0.5, 0.5), (0.5, 0.2), (-1, None), (float("nan"), None), (0, float("nan")), (1e300, None)],
)
def test_what_is_no_piece_of_time_is_refused(tmp_path: Path, start: float, end: float | None) -> None:
    path = written(tmp_path, "WAV", "PCM_16", voice(1.0))
    with pytest.raises(AudioError, match="not a piece of time"):
        load(path, start, end)


# --- truncated and lying files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [0.5, 0.97])
@pytest.mark.parametrize(("container", "subtype"), PROMISING)
def test_truncated_files_are_refused_and_flagged_on_demand(
    tmp_path: Path, container: str, subtype: str, part: float
) -> None:
    wave = voice(6.0)
    path = written(tmp_path, container, subtype, wave)
    whole = load(path).wave
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    if container == "CAF":  # libsndfile opens none that is cut
        with pytest.raises(AudioError, match="not audio"):
            load(path)
        return
    with pytest.raises(AudioError, match=r"truncated: [0-9.]+ of (6\.\d\d\d s|an unknown length)"):
        load(path)
    clip = load(path, allow_truncated=True)
    assert "truncated" in clip.flags
    assert 0.5 * part * len(wave) < len(clip.wave) < len(wave)
    close = 0.05 if container == "MP3" else 0.0
    np.testing.assert_allclose(clip.wave[:-4000], whole[: len(clip.wave) - 4000], atol=close)


def test_a_truncated_file_says_how_much_is_there(tmp_path: Path) -> None:
    path = written(tmp_path, "WAV", "PCM_16", voice(2.0))
    path.write_bytes(path.read_bytes()[: 44 + 2 * 8000])
    with pytest.raises(AudioError, match=r"truncated: 0\.500 of 2\.000 s"):
        load(path)


def test_damage_in_the_middle_is_not_passed_over(tmp_path: Path) -> None:
    path = written(tmp_path, "FLAC", "PCM_16", voice(6.0))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
    path.write_bytes(data)
    with pytest.raises(AudioError, match="truncated"):
        load(path)


@contextmanager
def memory_below(most: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < most


def wav_header(*, channels: int = 1, rate: int = RATE, size: int = 0xFFFFFFFF) -> bytes:
    form = struct.pack("<HHIIHH", 1, channels, rate, min(rate * channels * 2, 0xFFFFFFFF), channels * 2, 16)
    return b"RIFF" + struct.pack("<I", size) + b"WAVEfmt " + struct.pack("<I", 16) + form


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (wav_header(channels=1000), "1000 channels, expected 1 to 64|not audio"),
        (wav_header(channels=65), "65 channels, expected 1 to 64"),
        (wav_header(rate=1), "rate 1 Hz, expected 1000 to 768000 Hz|not audio"),
        (wav_header(rate=999), "rate 999 Hz"),
        (wav_header(rate=10_000_000), "rate 1e.07 Hz|not audio"),
        (wav_header(rate=0), "rate 0 Hz|nothing in it decodes"),
        (wav_header(channels=0), "nothing in it decodes"),
        (wav_header(), "35.0 h of audio by its header"),
    ],
)
def test_absurd_headers_are_refused_before_anything_is_allocated(
    tmp_path: Path, header: bytes, message: str
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(header + b"data" + struct.pack("<I", 0xF0000000) + bytes(64_000))
    with pytest.raises(AudioError, match=message), memory_below(200_000):
        load(path, allow_truncated=True)


LENGTHS = [0, 8, 36, 0xFFFFFFFF]
#: As other programs write them to a pipe: sox, and those that leave room for a header.
OPEN = [0, 0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFFFF - 36, 0x7FFFF000]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("riff", "data"), [(r, d) for r in LENGTHS for d in OPEN])
def test_a_wav_whose_length_was_left_open_is_read_to_its_end(
    tmp_path: Path, riff: int, data: int, order: str
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, voice(1.0), RATE, subtype="PCM_16", endian="BIG" if order == ">" else "LITTLE")
    whole = load(path).wave
    header, samples = path.read_bytes()[:44], path.read_bytes()[44:]
    header = header[:4] + struct.pack(f"{order}I", riff) + header[8:40] + struct.pack(f"{order}I", data)
    for kept in (len(samples), 8000):
        path.write_bytes(header + samples[:kept])
        for clip in (load(path), load(path, allow_truncated=True)):
            np.testing.assert_array_equal(clip.wave, whole[: kept // 2])
            assert clip.flags == ()
        np.testing.assert_array_equal(load(path, 0.1, 0.2).wave, whole[1600:3200])
        np.testing.assert_array_equal(np.concatenate(list(Blocks(path))), whole[: kept // 2])


def test_an_rf64_whose_length_was_left_open_is_read_to_its_end(tmp_path: Path) -> None:
    path = written(tmp_path, "RF64", "PCM_16", voice(1.0))
    whole, data = load(path).wave, bytearray(path.read_bytes())
    for length in (0, 0xFFFFFFFFFFFFFFFF):
        data[28:36] = struct.pack("<Q", length)
        path.write_bytes(data)
        np.testing.assert_array_equal(load(path).wave, whole)
        assert load(path).flags == ()


def test_no_audio_between_chunks_is_no_length_left_open(tmp_path: Path) -> None:
    """A comment behind an empty data chunk is not sound."""
    path = written(tmp_path, "WAV", "PCM_16", np.empty(0))
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 5) + b"words\0")
    for read in (load, lambda path: list(Blocks(path))):
        with pytest.raises(AudioError, match="holds no samples"):
            read(path)


@pytest.mark.parametrize("name", [b"data", b"junk"])
@pytest.mark.parametrize("length", [0, 23, 24, 25, 2**63 - 1, 2**63, 2**64 - 24, 2**64 - 1])
def test_wave64_chunks_of_any_length_are_refused_or_read(tmp_path: Path, length: int, name: bytes) -> None:
    path = written(tmp_path, "W64", "PCM_16", voice(0.2))
    whole, data = load(path).wave, path.read_bytes()
    place = data.find(b"data")
    chunk = name + data[place + 4 : place + 16] + struct.pack("<Q", length)
    path.write_bytes(data[:place] + chunk + data[place + 24 * (name == b"data") :])
    try:
        np.testing.assert_array_equal(load(path).wave, whole)
    except AudioError as error:
        assert str(error).startswith(f"{path}: ")
    else:
        assert name == b"junk" or length < 2**60 or length == 2**64 - 1


def flac_with_length(path: Path, frames: int) -> None:
    """Write another number of samples (36 bits) into the first metadata block of a FLAC file."""
    data = bytearray(path.read_bytes())
    data[21] = data[21] & 0xF0 | frames >> 32
    data[22:26] = struct.pack(">I", frames & 0xFFFFFFFF)
    path.write_bytes(data)


def test_decoding_follows_the_file_and_not_the_header(tmp_path: Path) -> None:
    path = written(tmp_path, "FLAC", "PCM_16", voice(2.0))
    flac_with_length(path, 2**36 - 1)
    with pytest.raises(AudioError, match="h of audio by its header"):
        load(path)
    flac_with_length(path, 20 * 3600 * RATE)  # within bounds, and a lie: 4.6 GB
    with (
        pytest.raises(AudioError, match=r"truncated: 2\.000 of the 20\.0 h that its header says"),
        memory_below(5_000_000),
    ):
        load(path)
    with memory_below(5_000_000):
        assert len(load(path, allow_truncated=True).wave) == 2 * RATE


def test_a_stream_of_unknown_length_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "FLAC", "PCM_16", voice(9.5))
    whole = load(path).wave
    flac_with_length(path, 0)
    np.testing.assert_array_equal(load(path).wave, whole)
    np.testing.assert_array_equal(load(path, 9.0).wave, whole[9 * RATE :])
    with pytest.raises(AudioError, match=r"ends at 9\.500 s, before the piece does"):
        load(path, 9.0, 20.0)
    monkeypatch.setattr(source, "LONGEST", 5)
    with pytest.raises(AudioError, match="more than"):
        load(path)


def test_a_small_file_of_many_hours_is_not_taken_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "FLAC", "PCM_16", voice(2.0))
    monkeypatch.setattr(decode, "MOST_SAMPLES", RATE)
    with pytest.raises(AudioError, match=f"^{path}: more than .* all that is taken at once; name a piece"):
        load(path)
    with pytest.raises(AudioError, match="all that is taken at once"):
        from_samples(voice(2.0), RATE)
    assert len(load(path, 0.5, 1.5).wave) == len(from_samples(voice(1.0), RATE).wave) == RATE
    assert sum(map(len, Blocks(path))) == 2 * RATE


def test_an_mp3_whose_end_libsndfile_would_leave_out_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    wave = np.concatenate(
        [voice(5.0), np.random.default_rng(0).uniform(-0.5, 0.5, 5 * RATE).astype(np.float32)]
    )
    with soundfile.SoundFile(
        path, "w", RATE, 1, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5
    ) as file:
        file.write(wave)
    assert len(load(path).wave) == len(wave)
    data = path.read_bytes()
    path.write_bytes(data[data.find(data[:2], 4) :])  # without the frame that holds the length
    with pytest.raises(AudioError, match=r"an MP3 of 10\.\d s"):
        load(path)


@pytest.fixture(scope="module")
def small_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("small")
    kinds = [
        ("WAV", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("AIFF", "PCM_24"),
        ("W64", "IMA_ADPCM"),
    ]
    return {c: written(folder, c, s, voice(0.3)).read_bytes() for c, s in kinds}


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["WAV", "FLAC", "OGG", "AIFF", "W64"]),
    cut=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(1, 255)), max_size=4),
    allow=st.booleans(),
)
def test_altered_bytes_give_a_clip_or_an_audio_error(
    small_files: dict[str, bytes], tmp_path: Path, kind: str, cut: float, flips: list, allow: bool
) -> None:
    data = bytearray(small_files[kind])
    for place, change in flips:
        data[int(place * len(data))] ^= change
    path = tmp_path / "fuzz"
    path.write_bytes(data[: int(cut * len(data))])
    try:
        clip = load(path, allow_truncated=allow)
    except AudioError as error:
        assert str(error).startswith(str(path))
    else:
        assert np.isfinite(clip.wave).all()
        assert allow or "truncated" not in clip.flags


# --- what is no audio file ---------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("not audio at all\n" * 100)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe.wav")
    for name, reason in {
        "absent.wav": "no such file",
        "folder": "not a file but a folder",
        "empty.wav": "zero bytes",
        "text.wav": "not audio but text that begins 'not audio at all",
        "loop": "cannot be opened: Too many levels",
        "pipe.wav": "a pipe, a socket or a device",
        "x" * 5000: "cannot be opened: File name too long",
    }.items():
        with pytest.raises(AudioError, match=reason) as caught:
            load(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name))
    with pytest.raises(AudioError, match="null byte"):
        load("a\0b")
    with pytest.raises(AudioError, match="device"):
        load("/dev/zero")


@pytest.mark.parametrize("length", [0, 1, 2**14 - 1])
@pytest.mark.parametrize(
    "container", ["SVX", "VOC", "PVF", "PAF", "IRCAM", "AVR", "MAT4", "MAT5", "SDS", "HTK", "XI"]
)
def test_containers_that_no_recording_comes_in_are_refused_by_their_first_bytes(
    tmp_path: Path, container: str, length: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Their readers take almost anything for audio, or print on standard output: SDS does for each block."""
    subtype = "DPCM_16" if container == "XI" else "PCM_16"
    path = written(tmp_path, container, subtype, voice(0.2), 44_100)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    tag = b"ID3\4\0\0" + bytes([0, 0, length >> 7, length & 0x7F]) + bytes(length)
    for changed in (data, tag + data):
        path.write_bytes(changed)
        with pytest.raises(AudioError, match=r"not audio that is read here \(WAV, RF64"):
            load(path)
    ctypes.CDLL(None).fflush(None)
    assert capfd.readouterr() == ("", "")


def test_what_is_no_file_is_refused_without_being_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name in ("pipe", "socket"):
            (tmp_path / f"link to {name}").symlink_to(tmp_path / name)
        places = [*tmp_path.iterdir(), Path("/dev/zero"), Path("/dev/stdin"), Path("/dev/tty")]
        program = (
            "import json, sys\n"
            "from unheard.audio.decode import load\n"
            "from unheard.audio.medium import AudioMedium\n"
            "from unheard.audio.stream import Blocks\n"
            "from unheard.corpora.folder import duration\n"
            "from unheard.inputs import Clip, Piece\n"
            "opened = []\n"
            "sys.addaudithook(lambda event, args: event == 'open' and opened.append(str(args[0])))\n"
            "for path in sys.argv[1:]:\n"
            "    clip = Clip('a', audio=Piece(path))\n"
            "    for call in (load, lambda p: list(Blocks(p)), lambda p: AudioMedium().open(clip),\n"
            "                 lambda p: AudioMedium().key(clip)):\n"
            "        try:\n"
            "            call(path)\n"
            "        except Exception as error:\n"
            "            said = str(error)\n"
            "            assert 'a pipe, a socket or a device' in said or 'not a regular file' in said, said\n"
            "        else:\n"
            "            raise SystemExit(f'{path} was read')\n"
            "    assert AudioMedium().size(clip) == 0 and duration(path) is None\n"
            "    assert path not in opened\n"
        )
        command = [sys.executable, "-c", program, *map(str, places)]
        subprocess.run(command, check=True, timeout=30, stdin=subprocess.PIPE)


def test_a_file_that_becomes_a_pipe_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, pipe = written(tmp_path, "WAV", "PCM_16", voice(0.2)), tmp_path / "pipe"
    os.mkfifo(pipe)
    found = path.stat()
    monkeypatch.setattr(files.os, "stat", lambda _: found)
    with pytest.raises(AudioError, match="a pipe, a socket or a device"):
        load(pipe)


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = written(tmp_path, "WAV", "PCM_16", voice(0.2))
    path.chmod(0)
    with pytest.raises(AudioError, match="Permission denied"):
        load(path)


@pytest.mark.parametrize(
    "name",
    [
        "a b.wav",
        'it\'s "so".wav',
        "ünï-測試.wav",
        "two\nlines.wav",
        "-dash.wav",
        os.fsdecode(b"\xff\xfe.wav"),
    ],
)
def test_odd_names_are_handled_and_can_be_printed(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, "FLAC", "PCM_16", voice(0.5), name="x").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(load(name).wave) == RATE // 2
    (tmp_path / name).write_text("no audio")
    with pytest.raises(AudioError, match="not audio") as caught:
        load(name)
    message = str(caught.value)
    assert "\n" not in message
    message.encode("utf-8")


# --- flags -------------------------------------------------------------------------------------------------------


def flags_of(wave: Wave, rate: int = RATE) -> set[str]:
    return set(from_samples(np.asarray(wave, dtype=np.float32), rate).flags)


def test_a_healthy_recording_has_no_flag() -> None:
    assert flags_of(voice()) == set()
    assert flags_of(voice() / np.abs(voice()).max()) == set()  # as loud as can be, without clipping


@pytest.mark.parametrize("factor", [200, 32_768, 2**23, 2**31 / 1.5])
def test_floats_on_the_scale_of_integers_are_refused(factor: float, tmp_path: Path) -> None:
    wave = (factor * 0.9 * voice() / np.abs(voice()).max()).astype(np.float32)
    path = written(tmp_path, "WAV", "FLOAT", wave)
    for read in (lambda: from_samples(wave, RATE), lambda: load(path), lambda: list(Blocks(path))):
        with pytest.raises(
            AudioError, match=r"full scale of floats is ±1: divide by (32768|8388608|2147483648)"
        ):
            read()


def test_quiet_whole_numbers_are_refused_and_loud_floats_are_scaled(tmp_path: Path) -> None:
    whole = np.round(20 * voice() / np.abs(voice()).max()).astype(np.float32)
    with pytest.raises(AudioError, match="divide by 32768"):
        from_samples(whole, RATE)
    loud = (20 * voice()).astype(np.float32)
    path = written(tmp_path, "WAV", "FLOAT", loud)
    clip = load(path)
    assert set(clip.flags) == {"rescaled"} and np.abs(clip.wave).max() == pytest.approx(1)
    np.testing.assert_allclose(clip.wave, loud / np.abs(loud).max(), rtol=1e-6)
    first = Blocks(path)
    assert len(np.concatenate(list(first))) == len(loud)
    again = np.concatenate(list(Blocks(path, scale=first.scale)))
    np.testing.assert_array_equal(again, clip.wave)
    # Mastered a little beyond full scale is no other scale, and steps of ±1 are no integers.
    assert "rescaled" not in flags_of(1.4 * voice() / np.abs(voice()).max())
    assert "rescaled" not in flags_of(np.sign(voice()))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "run `git lfs pull`"),
        (
            b"\xef\xbb\xbf\n<!DOCTYPE html><html>sign in</html>",
            "a web page, such as one that asks to sign in",
        ),
        (b"<html><body>404</body></html>", "a web page"),
        (b"path,label\na.wav,happy\n", "text that begins 'path,label"),
        (b"\x00\x01\x02\x03" * 20, r"convert it first, for instance `ffmpeg -i \S*a\.wav \S*a\.wav\.wav`"),
    ],
)
def test_what_is_no_recording_is_called_what_it_is(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(AudioError, match=reason):
        load(tmp_path / "a.wav")


def test_arrays_of_channels_by_samples_are_told_to_be_transposed() -> None:
    with pytest.raises(AudioError, match=r"\(2, 16000\).*transpose them \(samples\.T\)"):
        from_samples(np.zeros((2, RATE)), RATE)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_U8", "PCM_24", "FLOAT", "ALAW", "ULAW"])
def test_clipping_is_found_in_every_form_of_samples(tmp_path: Path, subtype: str) -> None:
    loud = np.clip(4 * voice(), -1, 1)
    assert "clipped" in load(written(tmp_path, "WAV", subtype, loud)).flags
    assert load(written(tmp_path, "WAV", subtype, 0.9 * voice())).flags == ()


def test_clipping_in_one_channel_counts_where_that_channel_is_used(tmp_path: Path) -> None:
    both = np.stack([voice(), np.clip(4 * voice(seed=3), -1, 1)], axis=1)
    path = written(tmp_path, "WAV", "PCM_16", both)
    assert "clipped" in load(path).flags
    assert "clipped" in load(path, channel=1).flags
    assert "clipped" not in load(path, channel=0).flags


def test_offset_and_bandwidth() -> None:
    assert flags_of(0.5 * voice() + 0.1) == {"dc_offset"}
    assert flags_of(0.5 * voice() + 0.001) == set()
    narrow = from_samples(voice(2.0, 8000), 8000)  # its tones above 4 kHz fold back below
    assert narrow.flags == ("narrowband",)
    assert narrow.source_rate == 8000
    assert flags_of(narrow.wave) == {"narrowband"}
    assert flags_of(voice(2.0, 48_000), 48_000) == set()


def test_what_teaches_nothing_is_flagged_and_refused_for_training() -> None:
    n = RATE
    broken = voice()
    broken[100], broken[200] = np.nan, np.inf
    cases: list[tuple[Wave, str, str]] = [
        (np.zeros(n), "silent", "silent"),
        (np.full(n, 1e-5), "silent", "silent"),
        (np.full(n, 0.25), "constant", "same value throughout"),
        (voice(0.09), "too_short", r"0\.090 s, shorter than 0\.1 s"),
        (broken, "non_finite", "NaN or infinite"),
        (np.full(n, np.nan), "non_finite", "NaN or infinite"),
        (np.full(n, 1e30), "non_finite", "NaN or infinite"),
    ]
    for wave, flag, reason in cases:
        clip = from_samples(wave, RATE)
        assert flag in clip.flags
        assert not clip.usable
        assert np.isfinite(clip.wave).all()
        with pytest.raises(AudioError, match=reason):
            check_trainable(clip)
    good = from_samples(voice(0.1), RATE)
    assert good.usable
    check_trainable(good)


def test_flags_are_the_same_from_a_file(tmp_path: Path) -> None:
    wave = voice()
    wave[10] = np.nan
    assert load(written(tmp_path, "WAV", "FLOAT", wave)).flags == ("non_finite",)
    assert load(written(tmp_path, "FLAC", "PCM_16", np.zeros(RATE))).flags == ("silent",)
    assert load(written(tmp_path, "OGG", "OPUS", np.zeros(RATE))).flags == ("silent",)
    assert load(written(tmp_path, "WAV", "PCM_16", np.full(RATE, 0.3))).flags == ("constant",)
    # Resampling rings at the ends of a constant; it is one all the same.
    assert load(written(tmp_path, "WAV", "PCM_16", np.full(48_000, 0.3), 48_000)).flags == ("constant",)
    assert "too_short" in load(written(tmp_path, "WAV", "PCM_16", voice(0.05))).flags
    one = load(written(tmp_path, "WAV", "PCM_16", np.array([0.5]), 48_000))
    assert "too_short" in one.flags
    empty = written(tmp_path, "WAV", "PCM_16", np.empty(0))
    with pytest.raises(AudioError, match="no samples"):
        load(empty)


@pytest.mark.parametrize("noisy", [0.0, 0.003])
@pytest.mark.parametrize("offset", [0.0, 0.1])
def test_opposite_channels_cancel(tmp_path: Path, noisy: float, offset: float) -> None:
    both = np.stack([voice(), -voice()], axis=1) + noisy * np.random.default_rng(0).normal(
        size=(len(voice()), 2)
    )
    path = written(tmp_path, "WAV", "FLOAT", (both + offset).astype(np.float32))
    clip = load(path)
    assert "cancelled" in clip.flags and not clip.usable
    with pytest.raises(AudioError, match="cancel each other"):
        check_trainable(clip)
    assert load(path, channel=0).usable
    blocks = Blocks(path)
    assert sum(map(len, blocks)) and "cancelled" in blocks.flags


@pytest.mark.parametrize("channels", [2, 6])
def test_other_channels_do_not_cancel(channels: int) -> None:
    others = [voice(seed=k) for k in range(1, channels + 1)]
    for both in (
        others,
        [voice()] * channels,
        [voice(), *(0 * voice() for _ in others[1:])],
        [voice(), -voice() / 2],
    ):
        assert "cancelled" not in from_samples(np.stack(both, axis=1), RATE).flags


NO_RATES: list[Any] = [
    *(0, -16_000, 1e9, 10**400, 16_000.5, np.float32(22_050.5), math.nan, math.inf, -math.inf),
    *(None, True, "16000", 16_000j, [16_000], np.array([16_000]), object()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("samples", "rate", "reason"),
    [
        (np.zeros(100, dtype=np.int16), RATE, "give floats"),
        (np.zeros((2, 3, 4)), RATE, "shape"),
        (np.zeros(0), RATE, "shape"),
        (np.zeros(100), 10, "rate 10 Hz"),
        (np.zeros((3, 65)), RATE, "65 channels"),
        *((np.zeros(100), rate, "sampling rate .* whole number") for rate in NO_RATES),
    ],
)
def test_samples_out_of_bounds_are_refused(samples: Wave, rate: int, reason: str) -> None:
    with pytest.raises(AudioError, match=reason):
        from_samples(samples, rate)


@pytest.mark.parametrize(
    "kind", [int, float, np.int16, np.uint16, np.int32, np.int64, np.float32, np.float64, np.array]
)
def test_a_rate_may_be_any_type_of_number(kind: Any, tmp_path: Path) -> None:
    """Of numpy's small integers, 24 hours of samples are more than they hold."""
    rate = kind(22_050)
    clip = from_samples(voice(0.5, 22_050), rate, target=kind(16_000))
    np.testing.assert_array_equal(clip.wave, from_samples(voice(0.5, 22_050), 22_050).wave)
    assert (clip.source_rate, type(clip.source_rate), clip.rate, type(clip.rate)) == (22_050, int, RATE, int)
    path = written(tmp_path, "WAV", "FLOAT", voice(0.5))
    np.testing.assert_array_equal(load(path, rate=rate).wave, load(path, rate=22_050).wave)
    for wrong in NO_RATES:
        with pytest.raises(AudioError, match="sampling rate"):
            load(path, rate=wrong)


@pytest.mark.data
def test_real_recordings(data_folder: Path) -> None:
    files = sorted((data_folder / "ravdess/speech").glob("Actor_*/*.flac"))[::96]
    files += sorted((data_folder / "emodb/wav").glob("*.ogg"))[::60]
    for file in files:
        clip: Clip = load(file)
        assert clip.usable
        assert 1.0 < clip.seconds < 10.0
        assert "narrowband" not in clip.flags
        expected, rate = soundfile.read(file, dtype="float32")
        assert rate == RATE
        np.testing.assert_array_equal(clip.wave, expected)
