"""Numpy features: store and processes change nothing but the time; bad files are told and the others go on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import soundfile

from unheard.audio.decode import VERSIONS, load
from unheard.errors import DataError, MachineError, UsageError
from unheard.extraction.extract import extract
from unheard.features import Spec, build
from unheard.features.logmel import LogMel
from unheard.inputs import Clip, Piece

RATE = 16_000


@dataclass(frozen=True)
class Loudness(Spec):
    """A spec that is quick, counts its calls in a file, and misbehaves on demand."""

    calls: str = ""
    fault: str = ""

    version: ClassVar[int] = 1

    @property
    def names(self) -> tuple[str, ...]:
        return ("loudness", "length")

    @property
    def settings(self) -> dict[str, object]:
        return {"name": "loudness", "fault": self.fault}

    @property
    def key(self) -> str:
        return self.fault or "loudness"

    def compute(self, wave: np.ndarray) -> np.ndarray:
        if self.calls:
            with Path(self.calls).open("a") as file:
                file.write("x")
        loud = float(np.abs(wave).max())
        if self.fault == "nan":
            return np.array([np.nan], dtype=np.float32)
        if self.fault == "shape":
            return np.zeros((1, 2, 3), dtype=np.float32)
        if self.fault == "empty":
            return np.zeros((0, 3), dtype=np.float32)
        if self.fault == "kill" and loud > 0.75 and multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.array([loud, len(wave)], dtype=np.float32)


def recording(path: Path, *, loud: float = 0.5, seconds: float = 0.3, seed: int = 0) -> Path:
    noise = np.random.default_rng(seed).uniform(-1, 1, round(seconds * RATE))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, loud * noise / np.abs(noise).max(), RATE, format="WAV", subtype="FLOAT")
    return path


def corpus(folder: Path, count: int = 20) -> list[Clip]:
    return [
        Clip(f"c{n:02d}", Piece(str(recording(folder / f"{n}.wav", loud=0.1 + 0.01 * n, seed=n))))
        for n in range(count)
    ]


def calls(path: Path) -> int:
    return len(path.read_text()) if path.exists() else 0


def same(first: dict, second: dict) -> None:
    assert list(first) == list(second)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], strict=True)


# --- the store -------------------------------------------------------------------------------------------------


def test_features_are_those_of_the_spec_in_the_order_of_the_clips(tmp_path: Path) -> None:
    clips = corpus(tmp_path)[::-1]
    spec = build({"name": "logmel", "trim": 40})
    done = extract(clips, spec, folder=tmp_path / "store")
    assert list(done.features) == [clip.id for clip in clips]
    assert done.errors == ()
    for clip in clips[:3]:
        np.testing.assert_array_equal(done.features[clip.id], spec.compute(load(clip.audio.path).wave))


def test_a_second_run_computes_nothing_and_gives_the_same(tmp_path: Path) -> None:
    clips, store, log = corpus(tmp_path), tmp_path / "store", tmp_path / "log"
    spec = Loudness(str(log))
    first = extract(clips, spec, folder=store)
    assert calls(log) == len(clips)
    second = extract(clips, spec, folder=store)
    assert calls(log) == len(clips)
    same(first.features, second.features)


def test_the_key_is_content_piece_and_settings_and_neither_path_nor_time(tmp_path: Path) -> None:
    log = tmp_path / "log"
    path = recording(tmp_path / "a.wav", seconds=1.0)

    def new_calls(clip: Clip, fault: str = "", **options: object) -> int:
        before = calls(log)
        extract([clip], Loudness(str(log), fault), folder=tmp_path / "store", **options)  # type: ignore[arg-type]
        return calls(log) - before

    assert new_calls(Clip("a", Piece(str(path)))) == 1
    assert new_calls(Clip("b", Piece(str(path), 0.0, None))) == 0
    moved = path.rename(tmp_path / "moved.wav")
    os.utime(moved, (5, 5))
    assert new_calls(Clip("a", Piece(str(moved)))) == 0
    assert new_calls(Clip("a", Piece(str(moved), 0.0, 0.5))) == 1
    assert new_calls(Clip("a", Piece(str(moved), 0.5, 1.0))) == 1
    assert new_calls(Clip("a", Piece(str(moved), 0.5, 1.0))) == 0
    assert new_calls(Clip("a", Piece(str(moved), channel=0))) == 1
    assert new_calls(Clip("a", Piece(str(moved))), allow_truncated=True) == 1
    assert new_calls(Clip("a", Piece(str(moved))), "other settings") == 1
    state = moved.stat()
    recording(moved, seconds=1.0, seed=1)  # other content of the same size under the same name and time
    os.utime(moved, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert moved.stat().st_size == state.st_size
    assert new_calls(Clip("a", Piece(str(moved)))) == 1


def test_versions_of_what_decodes_are_part_of_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips, store, log = corpus(tmp_path, 1), tmp_path / "store", tmp_path / "log"
    extract(clips, Loudness(str(log)), folder=store)
    monkeypatch.setitem(VERSIONS, "libsndfile", "0.0")
    extract(clips, Loudness(str(log)), folder=store)
    assert calls(log) == 2


def test_pieces_of_one_file_are_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(recording(tmp_path / "long.wav", seconds=3.0))
    hashed: list[str] = []

    def counted(path: str) -> str:
        hashed.append(path)
        return "0" * 64

    monkeypatch.setattr("unheard.files.file_digest", counted)
    clips = [Clip(f"p{n}", Piece(path, n / 10, n / 10 + 0.2)) for n in range(20)]
    done = extract(clips, Loudness(), folder=tmp_path / "store")
    assert hashed == [path]
    assert [int(array[1]) for array in done.features.values()] == [3200] * 20


# --- processes -------------------------------------------------------------------------------------------------


def test_processes_change_nothing(tmp_path: Path) -> None:
    clips = corpus(tmp_path, 25)
    clips[3] = Clip("missing", Piece(str(tmp_path / "missing.wav")))
    (tmp_path / "7.wav").write_bytes(b"damaged")
    spec = build({"name": "logmel", "bands": 20})
    steps: list[tuple[int, int]] = []
    alone = extract(clips, spec, folder=tmp_path / "one")
    many = extract(
        clips,
        spec,
        folder=tmp_path / "two",
        jobs=2,
        progress=lambda done, total: steps.append((done, total)),
    )
    same(alone.features, many.features)
    assert alone.errors == many.errors
    assert steps == sorted(steps) and steps[-1] == (25, 25) and len(set(steps)) == 24
    again = extract(clips, spec, folder=tmp_path / "two", jobs=2)
    same(alone.features, again.features)
    assert alone.errors == again.errors


def test_a_clip_that_kills_its_process_is_the_only_one_lost(tmp_path: Path) -> None:
    clips = corpus(tmp_path, 20)
    recording(Path(clips[5].audio.path), loud=0.9)
    done = extract(clips, Loudness(fault="kill"), folder=tmp_path / "store", jobs=2)
    assert [(bad.id, "died" in bad.reason) for bad in done.errors] == [("c05", True)]
    assert len(done.features) == 19


WORKER = """
import sys
from unheard.extraction.extract import extract
from unheard.features.logmel import LogMel
import unheard.extraction.processes
heavy = {"polars", "scipy", "sklearn", "torch", "pydantic", "yaml", "matplotlib", "onnx", "pandas"}
print(sorted(heavy & set(sys.modules)))
"""


def test_workers_import_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", WORKER], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_script_without_guard_is_told(tmp_path: Path) -> None:
    clips = corpus(tmp_path, 20)
    script = tmp_path / "script.py"
    script.write_text(
        "from unheard.extraction.extract import extract\n"
        "from unheard.inputs import Clip, Piece\n"
        "from unheard.features.logmel import LogMel\n"
        f"clips = [Clip(str(n), Piece(path)) for n, path in enumerate({[clip.audio.path for clip in clips]})]\n"
        f"extract(clips, LogMel(), folder={str(tmp_path / 'store')!r}, jobs=2)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"{MachineError.__name__}: no further processes start" in done.stderr


# --- bad clips -------------------------------------------------------------------------------------------------


def test_bad_clips_are_named_with_their_reason_and_the_others_go_on(tmp_path: Path) -> None:
    good = recording(tmp_path / "good.wav", seconds=1.0)
    cut = tmp_path / "cut.wav"
    cut.write_bytes(good.read_bytes()[:-20_000])
    (tmp_path / "empty.wav").touch()
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(tmp_path / "nan.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    expected = {
        "absent.wav": "no such file",
        "empty.wav": "zero bytes",
        "loop.wav": "Too many levels",
        "": "not a regular file",
        "cut.wav": "truncated: 0.6",
        "silent.wav": "is silent",
        "nan.wav": "NaN",
        "x\0y": "null byte",
    }
    clips = [Clip(name, Piece(str(tmp_path / name))) for name in expected]
    clips += [Clip("late", Piece(str(good), 2.0, 3.0)), Clip("short", Piece(str(good), 0.5, 0.55))]
    clips += [Clip("good", Piece(str(good))), Clip("piece", Piece(str(good), 0.25, 0.5))]
    expected |= {"late": "starts at 2.000 s", "short": "shorter than 0.1 s"}
    done = extract(clips, Loudness(), folder=tmp_path / "store")
    assert list(done.features) == ["good", "piece"]
    assert [bad.id for bad in done.errors] == list(expected)
    for bad in done.errors:
        assert expected[bad.id] in bad.reason
        assert not bad.reason.startswith(bad.path)
    assert "cut.wav" in extract(clips, Loudness(), folder=tmp_path / "store", allow_truncated=True).features


@pytest.mark.parametrize("fault", ["nan", "shape", "empty"])
def test_features_that_are_none_are_an_error_of_the_clip(tmp_path: Path, fault: str) -> None:
    done = extract(corpus(tmp_path, 1), Loudness(fault=fault), folder=tmp_path / "store")
    assert dict(done.features) == {}
    assert "its features" in done.errors[0].reason


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_file_that_changes_or_disappears_during_the_run_is_an_error_of_that_file(
    tmp_path: Path, jobs: int
) -> None:
    clips, store = corpus(tmp_path, 40), tmp_path / "store"
    extract(clips[:1], Loudness(), folder=store)  # found at once, before anything is computed

    def meddle(done: int, _: int) -> None:
        if done == 2:  # the first that is computed
            recording(Path(clips[38].audio.path), seed=99)
            Path(clips[39].audio.path).unlink()

    done = extract(clips, Loudness(), folder=store, jobs=jobs, progress=meddle)
    assert {bad.id: bad.reason.split(";")[0] for bad in done.errors} == {
        "c38": "changed during the run",
        "c39": "disappeared during the run",
    }
    assert len(done.features) == 38
    assert len(extract(clips[:38], Loudness(fault=""), folder=store).features) == 38


def test_calls_that_are_off(tmp_path: Path) -> None:
    clips = corpus(tmp_path, 2)
    with pytest.raises(DataError, match="several clips have the same id: c00"):
        extract([clips[0], clips[1], clips[0]], Loudness(), folder=tmp_path)
    with pytest.raises(UsageError, match="0 processes"):
        extract(clips, Loudness(), folder=tmp_path, jobs=0)
    assert not extract([], LogMel(), folder=tmp_path).features
