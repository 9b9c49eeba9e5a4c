"""What NumPy writes is read alike, and an archive that says more than it holds is refused before it is read."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from unheard.errors import BundleError, DataError
from unheard.formats.arrays import Archive, read_archive, read_array, read_head

any_array = arrays.arrays(
    arrays.scalar_dtypes().filter(lambda kind: kind.kind in "biufcSU" and kind.itemsize),
    arrays.array_shapes(min_dims=0),
)


@settings(max_examples=60)
@given(any_array, st.booleans(), st.booleans())
def test_what_numpy_writes_is_read(array: np.ndarray, packed: bool, fortran: bool) -> None:
    array = np.asfortranarray(array) if fortran else array
    written = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(written, a=array, b=np.zeros((0, 3)))
    found = read_archive(written.getvalue(), "x")
    assert sorted(found) == ["a", "b"]
    for name, expected in np.load(io.BytesIO(written.getvalue())).items():
        assert (found[name].dtype, found[name].shape) == (expected.dtype, expected.shape)
        assert found[name].tobytes() == expected.tobytes()
        found[name].ravel()[:0] = 0  # it can be written to


def archive(*members: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", compression) as file:
        for name, data in members:
            file.writestr(name, data)
    return written.getvalue()


def head(said: str) -> bytes:
    text = said.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def npy(array: np.ndarray) -> bytes:
    written = io.BytesIO()
    np.save(written, array, allow_pickle=True)
    return written.getvalue()


HUGE = head("{'descr': '<f4', 'fortran_order': False, 'shape': (100000, 100000), }")
ONE = npy(np.arange(3.0))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            archive(("a.npy", HUGE + bytes(8))),
            "is of 40,000,000,000 bytes; at most 268,435,456 are read of one",
        ),
        (archive(("a.npy", ONE[:-1])), "is of 24 bytes by its head, and of 23 by the directory"),
        (archive(("a.npy", ONE + b"x")), "is of 24 bytes by its head, and of 25"),
        (archive(("a.npy", ONE), ("a.npy", ONE)), "stands in it twice"),
        (archive(("a.npy", npy(np.array([{}])))), "only arrays of numbers and text are"),
        (archive(("a.npy", ONE.replace(b"<f8", b"|O8"))), "holds objects or records"),
        (archive(("a.npy", npy(np.zeros(2, [("x", "f4")])))), "cannot be read"),
        (
            archive(("a.npy", head("{'descr': __import__('os'), 'fortran_order': False, 'shape': ()}"))),
            "cannot be read",
        ),
        (archive(("a.npy", ONE.replace(b"<f8", b"<i3"))), "of a type that NumPy does not have"),
        (archive(("a.npy", b"no array")), "is no array in NumPy's format"),
        (
            archive(("a.npy", ONE), compression=zipfile.ZIP_LZMA),
            "compressed in a way that NumPy does not write",
        ),
        (
            archive(("a.npy", ONE), compression=zipfile.ZIP_STORED).replace(ONE[-8:], b"12345678"),
            "Bad CRC-32",
        ),
        (b"PK no archive", "not a zip file"),
        (b"", "not a zip file"),
    ],
    ids=range(14),
)
def test_broken_archives_are_refused(data: bytes, said: str) -> None:
    with pytest.raises(BundleError) as caught:
        read_archive(data, "golden.npz", BundleError)
    assert str(caught.value).startswith("golden.npz: not readable arrays: ")
    assert said in str(caught.value)


@pytest.mark.parametrize("place", [4, 6, 8])
def test_members_that_need_more_than_numpy_writes_are_refused(place: int) -> None:
    """Version to unpack with, flags (encrypted, patched) and method, in both heads of the member."""
    data = bytearray(archive(("a.npy", ONE)))
    central = data.index(b"PK\x01\x02")
    for value in (1, 32, 99, 255):
        changed = bytearray(data)
        changed[place] = changed[central + place + 2] = value
        try:
            assert read_archive(bytes(changed), "x")["a"].tolist() == [0, 1, 2]
        except DataError as error:
            assert str(error).startswith("x: not readable arrays")


def test_deflate_that_breaks_off_is_refused() -> None:
    data = bytearray(archive(("a.npy", npy(np.random.default_rng(0).random(1000)))))
    data[2000:2100] = b"\xff" * 100
    with pytest.raises(DataError, match="x: not readable arrays"):
        read_archive(bytes(data), "x")


def test_a_bomb_is_refused_by_its_directory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        zeros = npy(np.zeros(2**24, dtype=np.float32))
        for number in range(5):
            file.writestr(f"{number}.npy", zeros)
    with pytest.raises(
        DataError, match=r"bomb\.npz: .*its 5 arrays unpack to 335,54\d,\d+ bytes; at most 268,435,456"
    ):
        Archive(path)
    with pytest.raises(DataError, match="at most 1,000 are read of a file"):
        Archive(archive(("a.npy", npy(np.zeros(1000)))), "x", most=1000)


def test_single_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(ONE)
    assert read_array(path).tolist() == [0, 1, 2]
    assert read_head(path).shape == (3,)
    path.write_bytes(ONE[:-1])
    with pytest.raises(
        DataError, match=r"a\.npy: not readable arrays: 24 bytes by its head, and 23 in the file"
    ):
        read_array(path)
    path.write_bytes(HUGE)
    with pytest.raises(DataError, match="40,000,000,000 bytes; at most"):
        read_head(path)
