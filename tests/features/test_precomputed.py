"""Arrays computed elsewhere: four forms, names with slashes, and every array that does not fit refused."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from unheard.errors import DataError, UsageError
from unheard.extraction.extract import extract
from unheard.features import build
from unheard.features.precomputed import Precomputed
from unheard.inputs import Clip, Piece

FORMS = ["npz", "folder", "safetensors"]
ARRAYS = {
    "03-01": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a/b/c d": np.ones((4, 3), dtype=np.float32),
    "ünï.x": np.zeros((1, 3), dtype=np.float32),
}


def store(folder: Path, form: str, arrays: dict[str, np.ndarray], name: str = "arrays") -> str:
    path = folder / name
    if form == "npz":
        path = path.with_suffix(".npz")
        np.savez(path, **arrays)  # type: ignore[arg-type]
    elif form == "safetensors":
        path = path.with_suffix(".safetensors")
        save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, path)
    else:
        for key, array in arrays.items():
            file = path / f"{key}.npy"
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, array)
    return str(path)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i2", "u1"])
def test_arrays_are_found_by_id(tmp_path: Path, form: str, dtype: str) -> None:
    spec = Precomputed(store(tmp_path, form, {key: array.astype(dtype) for key, array in ARRAYS.items()}))
    assert spec.ids == tuple(sorted(ARRAYS))
    assert spec.names == ("x0", "x1", "x2")
    for name, array in ARRAYS.items():
        found = spec.lookup(name)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("form", FORMS)
def test_one_vector_for_each_utterance(tmp_path: Path, form: str) -> None:
    spec = Precomputed(store(tmp_path, form, {"a": np.arange(5.0), "b": np.ones(5)}))
    assert len(spec.names) == 5
    assert spec.lookup("a").shape == (5,)


def test_a_table_has_one_vector_a_row(tmp_path: Path) -> None:
    path = tmp_path / "units.csv"
    path.write_text('\ufeffid,AU01_r,AU02_r\n03-01,0.25,-1e-3\n"a/b, c",2,3\nhole,1,\nword,1,n/a\n', "utf-8")
    spec = build({"name": "precomputed", "path": str(path)})
    assert len(spec.names) == 2
    done = extract([Clip(i) for i in ("03-01", "a/b, c", "hole", "word", "no")], spec)
    assert {i: array.tolist() for i, array in done.features.items()} == {
        "03-01": [0.25, np.float32(-1e-3)],
        "a/b, c": [2, 3],
    }
    assert [bad.id for bad in done.errors] == ["hole", "word", "no"]
    assert "'hole' holds 1 values that are not finite" in done.errors[0].reason


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected the column 'id'"),
        ("name,x\na,1\n", "found name, x"),
        ("id\na\n", "then one a dimension"),
        ("id,x\na,1,2\n", "row 2 has 3 fields, the header has 2"),
        ("id,x\na,1\na,2\n", "row 3: the id 'a' stands in an earlier row"),
        ("id,x\n", "holds no arrays"),
        ('id,x\n"a,1\n', "row 2: unexpected end of data"),
    ],
)
def test_tables_that_cannot_be_meant_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        Precomputed(str(tmp_path / "a.csv"))


def test_features_without_a_file_have_settings_and_nothing_else() -> None:
    spec = build({"name": "precomputed", "path": ""})
    assert spec.settings == {"name": "precomputed", "path": "", "sha256": ""}
    for ask in (lambda: spec.names, lambda: extract([Clip("a")], spec)):
        with pytest.raises(UsageError, match=r"set features\.path"):
            ask()


@pytest.mark.parametrize("form", FORMS)
def test_extraction_reads_no_audio_and_names_what_is_missing(tmp_path: Path, form: str) -> None:
    spec = build({"name": "precomputed", "path": store(tmp_path, form, ARRAYS)})
    clips = [Clip(name, Piece("/no/such/file.wav")) for name in [*ARRAYS, "absent", "../../etc/passwd"]]
    steps: list[tuple[int, int]] = []
    done = extract(clips, spec, jobs=2, progress=lambda *step: steps.append(step))
    assert list(done.features) == list(ARRAYS)
    np.testing.assert_array_equal(done.features["a/b/c d"], ARRAYS["a/b/c d"])
    assert [bad.id for bad in done.errors] == ["absent", "../../etc/passwd"]
    assert "no array named 'absent'" in done.errors[0].reason
    assert "its 3 are called 03-01, a/b/c d, ünï.x" in done.errors[0].reason
    assert steps[-1] == (5, 5)


@pytest.mark.parametrize("form", FORMS)
def test_values_that_are_not_finite_are_refused_for_their_clip(tmp_path: Path, form: str) -> None:
    broken = np.ones((2, 3))
    broken[1, 2] = np.nan
    arrays = {"good": np.ones((2, 3)), "nan": broken, "huge": np.full((1, 3), 1e300)}
    spec = Precomputed(store(tmp_path, form, arrays))
    done = extract([Clip(name) for name in arrays], spec)
    assert list(done.features) == ["good"]
    reasons = {bad.id: bad.reason for bad in done.errors}
    assert "'nan' holds 1 values that are not finite" in reasons["nan"]
    assert "'huge' holds 3 values that are not finite" in reasons["huge"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (np.ones((2, 4)), r"3 arrays are \(frames, 3\), but not odd \(2, 4\)"),
        (np.ones(3), r"3 arrays are \(frames, 3\), but not odd \(3,\)"),
        (np.ones((1, 2, 3)), r"none empty; found odd \(1, 2, 3\)"),
        (np.ones((0, 3)), r"none empty; found odd \(0, 3\)"),
        (np.ones((2, 3), dtype=bool), "arrays of real numbers are read; found odd"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(
    tmp_path: Path, form: str, odd: np.ndarray, message: str
) -> None:
    path = store(tmp_path, form, {**ARRAYS, "odd": odd})
    with pytest.raises(DataError, match=message):
        Precomputed(path)


class Bomb:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("form", ["npz", "folder"])
def test_objects_are_refused_and_never_unpickled(tmp_path: Path, form: str) -> None:
    path = store(tmp_path, form, {**ARRAYS, "odd": np.array([Bomb(tmp_path / "gone off")], dtype=object)})
    with pytest.raises(DataError, match="only arrays of numbers and text are"):
        Precomputed(path)
    assert not (tmp_path / "gone off").exists()


def test_types_that_numpy_does_not_have_are_named(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(DataError, match=r"found a \(BF16\)"):
        Precomputed(str(path))


@pytest.mark.parametrize("form", ["npz", "folder"])
def test_a_header_that_promises_more_than_there_is_is_refused_before_allocation(
    tmp_path: Path, form: str
) -> None:
    file = tmp_path / "big.npy"
    np.save(file, np.ones((2, 3)))
    data = file.read_bytes()
    file.unlink()
    lie = data.replace(b"'shape': (2, 3), }          ", b"'shape': (200000000000, 3), }")[: len(data)]
    assert lie != data
    path = tmp_path / ("a.npz" if form == "npz" else "a")
    if form == "npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("big.npy", lie)
    else:
        path.mkdir()
        (path / "big.npy").write_bytes(lie)
    with pytest.raises(
        DataError, match=r"is of 4,800,000,000,000 bytes; at most 268,435,456 are read of one"
    ):
        Precomputed(str(path))


@pytest.mark.parametrize("name", ["a.npz", "a.safetensors", "a/x.npy"])
@pytest.mark.parametrize("content", [b"", b"hello" * 100, b"PK\x03\x04" + bytes(200)])
def test_files_that_are_something_else(tmp_path: Path, name: str, content: bytes) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be read|not readable arrays"):
        Precomputed(str(tmp_path / name.partition("/")[0]))


def test_paths_that_are_none_of_the_forms(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        Precomputed(str(tmp_path / "absent.npz"))
    (tmp_path / "a.txt").write_text("1,2")
    with pytest.raises(UsageError, match=r"expected a \.npz, \.safetensors or \.csv file"):
        Precomputed(str(tmp_path / "a.txt"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no arrays"):
        Precomputed(str(tmp_path / "empty"))


@pytest.mark.parametrize("form", FORMS)
def test_content_and_not_the_path_is_what_counts(tmp_path: Path, form: str) -> None:
    spec = Precomputed(store(tmp_path, form, ARRAYS))
    full = spec.settings
    assert build(full) == spec
    assert build({"name": "precomputed", "path": spec.path}) == spec
    elsewhere = Precomputed(store(tmp_path, form, ARRAYS, "elsewhere"))
    changed = {**ARRAYS, "03-01": ARRAYS["03-01"] + 1}
    if form != "npz":  # zip files hold the time of writing
        assert elsewhere.key == spec.key
    os.utime(spec.path, (5, 5))
    assert build(full).key == spec.key
    store(tmp_path, form, changed)
    with pytest.raises(DataError, match="the content has changed"):
        build(full)
    now = Precomputed(spec.path)
    assert now.key != spec.key
    np.testing.assert_array_equal(now.lookup("03-01"), changed["03-01"])


def test_there_is_nothing_to_compute_or_to_trim(tmp_path: Path) -> None:
    path = store(tmp_path, "npz", ARRAYS)
    with pytest.raises(UsageError, match="cannot be computed from a recording"):
        Precomputed(path).compute(np.zeros(100, dtype=np.float32))
    with pytest.raises(UsageError, match="unknown key of the features 'precomputed' 'trim'"):
        build({"name": "precomputed", "path": path, "trim": 40})
