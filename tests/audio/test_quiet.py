"""What libmpg123 prints goes nowhere; what anybody else prints meanwhile arrives."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unheard.audio.decode import load
from unheard.audio.quiet import quiet
from unheard.errors import AudioError

LIBC = ctypes.CDLL(None)


def print_by_c(text: str) -> None:
    """Print as a C library does, through C's own ``stderr``."""
    stream = ctypes.c_void_p.in_dll(LIBC, "stderr")
    LIBC.fputs(text.encode(), stream)
    LIBC.fflush(stream)


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """An MP3 of which libmpg123 has much to say."""
    path = tmp_path / "a.mp3"
    soundfile.write(path, 0.3 * np.random.default_rng(0).standard_normal(32_000), 16_000, format="MP3")
    data = bytearray(path.read_bytes())
    data[300::97] = bytes(len(data[300::97]))
    path.write_bytes(data)
    return path


def read(path: Path) -> None:
    try:
        load(path, allow_truncated=True)
    except AudioError as error:
        assert str(error).startswith(str(path))


def test_a_damaged_mp3_is_read_without_a_word(damaged: Path, capfd: pytest.CaptureFixture[str]) -> None:
    soundfile_alone = "import soundfile, sys; soundfile.read(sys.argv[1])"
    said = subprocess.run([sys.executable, "-c", soundfile_alone, str(damaged)], capture_output=True).stderr
    assert b"mpg123" in said, "libmpg123 does not print any more: `quiet` can go"
    read(damaged)
    assert capfd.readouterr() == ("", "")


def test_what_others_print_meanwhile_arrives(damaged: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with quiet():
        print_by_c("lost\n")
        with quiet():
            pass
        print_by_c("lost as well\n")
        sys.stderr.write("by Python\n")
        os.write(2, b"to the descriptor\n")
        subprocess.run(["sh", "-c", "echo by a child >&2"], check=True)
    print_by_c("afterwards\n")
    assert capfd.readouterr().err == "by Python\nto the descriptor\nby a child\nafterwards\n"


def test_after_many_threads_all_is_as_before(damaged: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = ctypes.c_void_p.in_dll(LIBC, "stderr").value
    threads = [threading.Thread(target=lambda: [read(damaged) for _ in range(5)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ctypes.c_void_p.in_dll(LIBC, "stderr").value == before
    assert capfd.readouterr() == ("", "")


def test_a_process_that_is_forked_inside_begins_as_before() -> None:
    before = ctypes.c_void_p.in_dll(LIBC, "stderr").value
    with quiet():
        child = os.fork()
        if child == 0:
            same = ctypes.c_void_p.in_dll(LIBC, "stderr").value == before
            with quiet():
                pass
            os._exit(0 if same and ctypes.c_void_p.in_dll(LIBC, "stderr").value == before else 1)
        assert os.waitpid(child, 0)[1] == 0
