"""What libsndfile and libmpg123 print goes nowhere; what anybody else prints meanwhile arrives."""

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


def streams() -> list[int | None]:
    return [ctypes.c_void_p.in_dll(LIBC, name).value for name in ("stdout", "stderr")]


def print_by_c(text: str) -> None:
    """Print as a C library does, through C's own ``stdout`` and ``stderr``."""
    LIBC.printf(text.encode())
    for stream in map(ctypes.c_void_p, streams()):
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


def test_a_caf_with_a_damaged_packet_table_is_read_without_a_word(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.caf"
    soundfile.write(path, 0.3 * np.random.default_rng(0).standard_normal(80_000), 16_000, subtype="ALAC_16")
    data = bytearray(path.read_bytes())
    place = data.find(b"pakt") + 12 + 24
    assert place > 36
    data[place : place + 8] = b"\xff" * 8  # a packet's length in more bytes than any has
    path.write_bytes(data)
    soundfile_alone = "import soundfile, sys; soundfile.read(sys.argv[1])"
    said = subprocess.run([sys.executable, "-c", soundfile_alone, str(path)], capture_output=True).stdout
    assert b"alac_pakt_read_decode" in said
    read(path)
    LIBC.fflush(None)
    assert capfd.readouterr() == ("", "")


def test_what_others_print_meanwhile_arrives(damaged: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with quiet():
        print_by_c("lost\n")
        with quiet():
            pass
        print_by_c("lost as well\n")
        for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
            stream.write("by Python\n")
            stream.flush()
            os.write(descriptor, b"to the descriptor\n")
        subprocess.run(["sh", "-c", "echo by a child; echo by a child >&2"], check=True)
    print_by_c("afterwards\n")
    told = "by Python\nto the descriptor\nby a child\nafterwards\n"
    assert capfd.readouterr() == (told + "afterwards\n", told)


def test_after_many_threads_all_is_as_before(damaged: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = streams()
    threads = [threading.Thread(target=lambda: [read(damaged) for _ in range(5)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert streams() == before
    assert capfd.readouterr() == ("", "")


def test_a_process_that_is_forked_inside_begins_as_before() -> None:
    before = streams()
    with quiet():
        child = os.fork()
        if child == 0:
            same = streams() == before
            with quiet():
                pass
            os._exit(0 if same and streams() == before else 1)
        assert os.waitpid(child, 0)[1] == 0
