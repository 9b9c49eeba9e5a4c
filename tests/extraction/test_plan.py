"""The plan: true in bytes, measured in time where that pays, refused with advice where the disk is too small."""

from __future__ import annotations

import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import fake_encoder
import numpy as np
import pytest
import soundfile

from unheard import encoders
from unheard.audio.medium import AudioMedium
from unheard.errors import MachineError
from unheard.extraction import missing_clips as filling
from unheard.extraction import plan as planning
from unheard.extraction.extract import extract
from unheard.extraction.plan import planned, refuse_too_large, resolved
from unheard.extraction.storage import Storage, pack
from unheard.inputs import Clip, Form, Piece

RATE = 16_000
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def _fake() -> None:
    fake_encoder.register()


def clips_of(folder: Path, lengths: list[float]) -> list[Clip]:
    clips = []
    for n, seconds in enumerate(lengths):
        noise = np.random.default_rng(n).uniform(-0.5, 0.5, round(seconds * RATE))
        soundfile.write(folder / f"{n}.wav", noise, RATE)
        clips.append(Clip(f"c{n}", Piece(str(folder / f"{n}.wav"))))
    return clips


@pytest.mark.parametrize(
    "storage",
    [
        Storage(),
        Storage(layers=(1,)),
        Storage(Form.FRAMES, (1,)),
        Storage(Form.LAYERS, None, "float16", 3),
        Storage(Form.LAYERS, None, "int8"),
        Storage(Form.FRAMES, (2,), "int8", 2),
    ],
)
def test_the_bytes_are_those_that_are_written(tmp_path: Path, storage: Storage) -> None:
    encoder = encoders.load({"name": "fake", "model": "a"})
    lengths = [0.31, 0.5, 1.27]
    storage = resolved(encoder, storage)
    plan = planned(encoder, storage, 5, lengths, tmp_path / "not" / "there")
    rng = np.random.default_rng(0)
    waves = [rng.uniform(-1, 1, round(seconds * RATE)).astype(np.float32) for seconds in lengths]
    packed = [pack(layers, storage) for layers in encoder.extract(waves, storage.layers)]
    assert plan.bytes == sum(part.nbytes for clip in packed for part in clip.parts)
    assert (plan.clips, plan.stored, plan.amount) == (5, 2, pytest.approx(2.08))
    assert 0 < plan.free <= shutil.disk_usage(tmp_path).total


def test_it_is_said_before_work_starts_and_counts_what_is_missing(tmp_path: Path) -> None:
    log, said = tmp_path / "log", []

    def say(text: str) -> None:
        assert not log.exists()
        said.append(text)

    clips = clips_of(tmp_path, [0.5] * 8)
    options = {"folder": tmp_path / "store", "say": say}
    extract(clips[:3], {"name": "fake", "model": "a"}, Storage(), **options)  # type: ignore[arg-type]
    extract(clips, {"name": "fake", "model": "a", "log": str(log)}, Storage(), **options)  # type: ignore[arg-type]
    extract(clips, {"name": "fake", "model": "a"}, Storage(), **options)  # type: ignore[arg-type]
    first, second = ("\n".join(said[:4]), "\n".join(said[4:]))  # and nothing where nothing is missing
    assert "extract: fake (a), pooled statistics of 4 layers, 0 … 3" in first
    assert "clips:   3, 0 of them stored; 2 s of audio to do" in first
    assert "clips:   8, 3 of them stored; 2 s of audio to do" in second
    assert f"disk:    {5 * 4 * 2 * 6 * 4} B to write, " in second
    assert "time:    not measured: under 10 min of audio" in second


def test_the_time_is_measured_on_a_few_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "WORTH_MEASURING", 1.0)
    said: list[str] = []
    log = tmp_path / "log"
    clips = clips_of(tmp_path, [0.4] * 40)
    given = {"name": "fake", "model": "a", "pause": 0.05, "log": str(log)}
    extract(clips, given, Storage(), folder=tmp_path / "store", say=said.append)
    assert "time:    about 2 s, as measured on 4 clips" in said[3]  # 40 × 0.05 s
    assert log.read_text().count("\n") == 40 + 1 + 4


def test_a_disk_that_is_too_small_is_refused_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    clips = clips_of(tmp_path, [0.5] * 8)
    given = {"name": "fake", "model": "a", "log": str(log)}
    monkeypatch.setattr(planning.shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 1000))
    with pytest.raises(MachineError) as refused:
        extract(clips, given, Storage(Form.LAYERS, None, "float16", 2), folder=tmp_path / "store")
    for part in (
        f"{8 * 4 * 13 * 6 * 2 / 1000:.3g} kB to write and 67.1 MB to keep free, 1 kB free",
        "type int8",
        "average 4 (half)",
        "fewer layers",
        "form pooled",
        "UNHEARD_CACHE",
    ):
        assert part in str(refused.value)
    with pytest.raises(MachineError) as refused:
        extract(clips, given, Storage(), folder=tmp_path / "store")
    assert "int8" not in str(refused.value)
    assert not log.exists()
    assert not (tmp_path / "store").exists()


def test_some_room_stays_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = encoders.load({"name": "fake", "model": "a"})
    need = planned(encoder, Storage(layers=(0,)), 1, [1.0], tmp_path).bytes + planning.SPARE
    for free in (need, need - 1):
        monkeypatch.setattr(planning.shutil, "disk_usage", lambda _, free=free: Usage(0, 0, free))
        plan = planned(encoder, Storage(layers=(0,)), 1, [1.0], tmp_path)
        if free == need:
            refuse_too_large(plan)
        else:
            with pytest.raises(MachineError, match="too small"):
                refuse_too_large(plan)


def test_lengths_come_from_headers_and_pieces(tmp_path: Path) -> None:
    (clip,) = clips_of(tmp_path, [1.5])
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    for start, end, expected in ((None, None, 1.5), (0.5, None, 1.0), (0.5, 0.75, 0.25), (2.0, None, 0.0)):
        assert AudioMedium().size(Clip("a", Piece(clip.audio.path, start, end))) == pytest.approx(expected)
    assert AudioMedium().size(Clip("a", Piece(str(tmp_path / "bad.wav")))) == 0


def test_a_plan_counts_what_the_extractor_takes(tmp_path: Path) -> None:
    encoder = encoders.load({"name": "fake", "model": "a"})
    plan = planned(encoder, resolved(encoder, Storage()), 1, [1200.0], tmp_path)
    assert "of audio to do" in plan.lines()[1]
    assert "; 1,200 words to do" in replace(plan, medium="text").lines()[1]
