"""The cache: what was put is what is got, whatever breaks, whoever else writes, and never more than its bound."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unheard.errors import MachineError
from unheard.extraction import cache as module
from unheard.extraction.cache import Cache, default_cache
from unheard.files import cache_folder


def key(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def entry(cache: Cache, name: object) -> Path:
    (path,) = cache.folder.glob(f"*/{key(name)}.entry")
    return path


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(array=hnp.arrays(st.sampled_from(["f4", "f8", "i8", "?"]), hnp.array_shapes(min_dims=0, min_side=0)))
def test_what_was_put_is_got(cache: Cache, array: np.ndarray) -> None:
    cache.put(key("a"), array)
    found = cache.get(key("a"))
    assert found is not None
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    np.testing.assert_array_equal(found, array)


def test_misses_and_replacements(cache: Cache) -> None:
    assert cache.get(key("a")) is None
    assert cache.size() == cache.verify() == cache.clear() == 0
    cache.put(key("a"), np.zeros(3))
    cache.put(key("a"), np.ones(4))
    np.testing.assert_array_equal(cache.get(key("a")), np.ones(4))  # type: ignore[arg-type]
    assert cache.get(key("b")) is None
    assert len(files(cache.folder)) == 1
    assert cache.size() == entry(cache, "a").stat().st_size


def test_objects_and_names_that_are_no_keys_are_refused(cache: Cache) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        cache.put(key("a"), np.array([{}], dtype=object))
    for name in ("../x", "", "A" * 64, key("a") + "0"):
        with pytest.raises(ValueError, match="64 hexadecimal digits"):
            cache.get(name)
    assert not cache.folder.exists()


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "foreign", "plain", "renamed"])
def test_a_damaged_entry_is_dropped_said_once_and_can_be_put_again(
    cache: Cache, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    arrays = {name: np.arange(50.0) + name for name in range(3)}
    for name, array in arrays.items():
        cache.put(key(name), array)
    for name in (0, 1):
        path = entry(cache, name)
        data = bytearray(path.read_bytes())
        if damage == "flip":
            data[len(data) // 2] ^= 1
        elif damage == "renamed":  # a whole entry, but another key's
            data = bytearray(entry(cache, 2).read_bytes())
        elif damage == "plain":
            with path.open("wb") as file:
                np.save(file, arrays[name])
            data = bytearray(path.read_bytes())
        else:
            data = {"cut": data[: len(data) // 2], "empty": bytearray(), "foreign": bytearray(b"hello")}[
                damage
            ]
        path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert cache.get(key(0)) is None
        assert cache.get(key(1)) is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "damaged cache entry dropped" in caplog.text
    assert cache.dropped == 2
    assert files(cache.folder) == [f"{key(2)}.entry"]
    np.testing.assert_array_equal(cache.get(key(2)), arrays[2])  # type: ignore[arg-type]
    cache.put(key(0), arrays[0])
    np.testing.assert_array_equal(cache.get(key(0)), arrays[0])  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 0.999), bit=st.integers(0, 7))
def test_any_flipped_bit_is_found(cache: Cache, place: float, bit: int) -> None:
    cache.put(key("a"), np.arange(20.0))
    path = entry(cache, "a")
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    path.write_bytes(data)
    assert cache.get(key("a")) is None


def test_verify_drops_what_is_damaged_and_clear_removes_only_what_is_ours(cache: Cache) -> None:
    for name in range(10):
        cache.put(key(name), np.full(100, name))
    for name in (3, 7):
        path = entry(cache, name)
        path.write_bytes(path.read_bytes()[:-1])
    notes = [
        cache.folder / "notes.txt",
        entry(cache, 0).parent / "notes.entry",
        cache.folder / "deep/ab/x.entry",
    ]
    for note in notes:
        note.parent.mkdir(exist_ok=True, parents=True)
        note.write_text("mine")
    assert cache.verify() == 2
    assert cache.verify() == 0
    assert all((cache.get(key(name)) is None) == (name in (3, 7)) for name in range(10))
    assert cache.clear() == 8
    assert cache.size() == 0
    assert files(cache.folder) == sorted(note.name for note in notes)


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    array = np.zeros(1000, dtype=np.float32)
    cache = Cache(tmp_path)
    cache.put(key("x"), array)
    one = cache.size()
    cache = Cache(tmp_path / "bound", max_bytes=10 * one)
    for name in range(10):
        cache.put(key(name), array)
        os.utime(entry(cache, name), (1000 + name, 1000 + name))
    assert cache.size() == 10 * one
    assert cache.get(key(0)) is not None  # used: now the youngest
    for name in range(10, 13):
        cache.put(key(name), array)
        assert cache.size() <= cache.max_bytes
    kept = {name for name in range(13) if cache.get(key(name)) is not None}
    assert {0, 10, 11, 12} <= kept
    assert {1, 2, 3}.isdisjoint(kept)
    assert kept - {0} == set(range(min(kept - {0}), 13))  # the youngest, without a gap
    cache.put(key("huge"), np.zeros(20_000, dtype=np.float32))  # larger than all there may be
    assert cache.get(key("huge")) is None
    assert {name for name in range(13) if cache.get(key(name)) is not None} == kept


def test_the_bound_holds_over_many_small_entries(tmp_path: Path) -> None:
    cache = Cache(tmp_path, max_bytes=20_000)
    for name in range(120):
        cache.put(key(name), np.zeros(64))
        if name % 10 == 9:
            assert cache.size() <= 20_000 * 1.02
    assert cache.size() > 15_000


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_read_only_cache_is_read(cache: Cache, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    cache.put(key("a"), np.ones(3))

    def refused(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(module, "atomic", refused)
    monkeypatch.setattr(os, "utime", refused)
    monkeypatch.setattr(Path, "unlink", refused)
    np.testing.assert_array_equal(cache.get(key("a")), np.ones(3))  # type: ignore[arg-type]
    cache.put(key("b"), np.ones(3))
    assert cache.get(key("b")) is None
    path = entry(cache, "a")
    path.write_bytes(b"damaged")
    assert cache.get(key("a")) is None


OTHER_USER = """
import os, sys
from unheard.extraction.cache import Cache
import numpy as np
os.setgid(65534); os.setuid(65534)
cache = Cache(sys.argv[1])
assert cache.get("a" * 64).sum() == 3
assert cache.get("c" * 64) is None
cache.put("b" * 64, np.ones(3))
assert cache.get("b" * 64) is None
assert cache.size() > 0
"""


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only the administrator can be another"
)
def test_a_folder_that_belongs_to_another_user() -> None:
    folder = Path(tempfile.mkdtemp(prefix="unheard-"))  # not below pytest's own, which nobody else may enter
    try:
        cache = Cache(folder)
        cache.put("a" * 64, np.ones(3))
        cache.put("c" * 64, np.ones(3))
        folder.chmod(0o755)
        for path in folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        (folder / "cc" / ("c" * 64 + ".entry")).write_bytes(b"damaged")
        done = subprocess.run(
            [sys.executable, "-c", OTHER_USER, folder], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_clear_error_and_the_cache_stays_usable(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    cache.put(key("a"), np.ones(3))

    def full(_: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(MachineError, match="the disk is full"):
            cache.put(key("b"), np.ones(3))
    assert files(cache.folder) == [f"{key('a')}.entry"]
    np.testing.assert_array_equal(cache.get(key("a")), np.ones(3))  # type: ignore[arg-type]
    cache.put(key("b"), np.ones(3))
    assert cache.get(key("b")) is not None


def test_a_folder_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    cache = Cache(tmp_path / "file")
    assert cache.get(key("a")) is None
    assert cache.size() == 0
    with pytest.raises(MachineError, match="cannot be written"):
        cache.put(key("a"), np.ones(3))


def test_the_default_lies_in_the_cache_folder() -> None:
    assert default_cache().folder == cache_folder() / "features"


WRITER = """
import hashlib, sys
import numpy as np
from unheard.extraction.cache import Cache
cache = Cache(sys.argv[1], max_bytes=int(sys.argv[2]))
order = np.random.default_rng(int(sys.argv[3])).permutation(40)
print("ready", flush=True)
for turn in range(int(sys.argv[4])):
    for name in order:
        key = hashlib.sha256(str(name).encode()).hexdigest()
        found = cache.get(key)
        assert found is None or (found == name).all()
        cache.put(key, np.full(500 + name, name))
assert cache.dropped == 0
"""


def writer(folder: Path, seed: int, turns: int, max_bytes: int = 10**9) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(max_bytes), str(seed), str(turns)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("max_bytes", [10**9, 60_000])
def test_two_processes_may_write_read_and_remove_at_once(tmp_path: Path, max_bytes: int) -> None:
    """With the small bound each removes entries while the other reads and writes them."""
    both = [writer(tmp_path, seed, 4, max_bytes) for seed in (1, 2)]
    for process in both:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert errors == ""
    cache = Cache(tmp_path)
    assert cache.verify() == 0
    assert not list(tmp_path.rglob("*.part"))
    assert cache.size() <= max_bytes * 1.04
    if max_bytes == 10**9:
        for name in range(40):
            np.testing.assert_array_equal(cache.get(key(name)), np.full(500 + name, name))  # type: ignore[arg-type]


def test_a_kill_at_any_moment_leaves_whole_entries(tmp_path: Path) -> None:
    moments = random.Random(0)
    for turn in range(5):
        process = writer(tmp_path, turn, 1000)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(moments.uniform(0.0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert Cache(tmp_path).verify() == 0
    cache = Cache(tmp_path)
    for path in tmp_path.rglob("*.entry"):
        found = cache.get(path.stem)
        assert found is not None
        assert path.stem == key(found[0])


def test_what_a_kill_left_half_written_is_removed_once_it_is_old(cache: Cache) -> None:
    cache.put(key("a"), np.ones(3))
    folder = entry(cache, "a").parent
    old, young = folder / f".{key('a')}.entry.x1.part", folder / f".{key('a')}.entry.x2.part"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    Cache(cache.folder).put(key("b"), np.ones(3))  # the first entry of every process looks at the folder
    assert not old.exists()
    assert young.exists()  # may be another process' entry in hand
    cache.clear()
    assert files(cache.folder) == []
