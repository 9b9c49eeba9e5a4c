"""One broken recording takes neither the other answers of a call with it nor a word of its output."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

WAVE = 0.1 * np.random.default_rng(0).standard_normal(16_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three healthy recordings, and what a library prints about, or fails at, or would wait for."""
    folder = tmp_path_factory.mktemp("recordings")
    for name in ("a.wav", "m.flac", "z.wav"):
        soundfile.write(folder / name, WAVE, 16_000)
    soundfile.write(folder / "sds.wav", WAVE, 16_000, format="SDS", subtype="PCM_16")
    sds = bytearray((folder / "sds.wav").read_bytes())
    sds[500::127] = bytes(len(sds[500::127]))
    (folder / "sds.wav").write_bytes(sds)
    soundfile.write(folder / "frames.mp3", WAVE, 16_000, format="MP3")
    frames = bytearray((folder / "frames.mp3").read_bytes())
    frames[300::97] = bytes(len(frames[300::97]))
    (folder / "frames.mp3").write_bytes(frames[: len(frames) // 2])
    soundfile.write(folder / "chunk.w64", WAVE, 16_000, subtype="PCM_16")
    chunk = bytearray((folder / "chunk.w64").read_bytes())
    chunk[40 + 16 : 40 + 24] = struct.pack("<Q", 2**63 + 8)
    (folder / "chunk.w64").write_bytes(chunk)
    soundfile.write(folder / "header.wav", np.empty(0), 16_000)
    os.mkfifo(folder / "pipe.wav")
    (folder / "loop.wav").symlink_to("loop.wav")
    return folder


HEALTHY = ("a.wav", "m.flac", "z.wav")
REASONS = {
    "sds.wav": "not audio that is read here",
    "frames.mp3": "truncated",
    "chunk.w64": "not audio that libsndfile can read",
    "header.wav": "holds no samples",
    "pipe.wav": "not a file but a pipe, a socket or a device",
    "loop.wav": "cannot be opened",
}


@pytest.mark.parametrize("options", [[], ["--timeline"]])
def test_the_others_are_answered_and_one_json_value_is_printed(folder: Path, options: list[str]) -> None:
    names = ["a.wav", *sorted(REASONS)[:3], "m.flac", *sorted(REASONS)[3:], "z.wav"]
    command = [sys.executable, "-m", "unheard", "predict", "--json", *options, *names]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    rows = {row["path"]: row for row in json.loads(done.stdout)}
    assert list(rows) == names
    assert done.returncode == 3
    for name in HEALTHY:
        assert "error" not in rows[name]
    for name, reason in REASONS.items():
        assert rows[name]["error"].startswith(f"{name}: ")
        assert reason in rows[name]["error"]
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(told) == len(REASONS)
    assert "mpg123" not in done.stderr and "Traceback" not in done.stderr
