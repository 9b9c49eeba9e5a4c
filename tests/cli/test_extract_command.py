"""`unheard extract` as a user calls it, and what `unheard cache` says of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from unheard.testing import toy_encoder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_encoder(tmp_path_factory.mktemp("toy"), "wavlm")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNHEARD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def few(tmp_path: Path, toy_folder: Path) -> Path:
    """A list of four of the toy corpus' recordings."""
    files = sorted(toy_folder.rglob("*.wav"))[:4]
    rows = [f"{path},{'happy' if n % 2 else 'sad'},s{n}" for n, path in enumerate(files)]
    table = tmp_path / "clips.csv"
    table.write_text("\n".join(["path,label,speaker", *rows, ""]))
    return table


def test_a_corpus_is_stored_once_and_the_cache_knows(  # type: ignore[no-untyped-def]
    call, few: Path, weights: Path, own_cache: Path
) -> None:
    options = ("--form", "layers", "--layers", "1-2", "--type", "int8", "--average", "2")
    common = ("extract", "--data", few, "--encoder", "wavlm", "--model", weights, "--set", "encoder.trim=30")
    done = call(*common, *options)
    assert done.returncode == 0, done.stderr
    assert "clips:   4, 0 of them stored" in done.stderr
    assert "frames as int8, averaged by 2 of 2 layers, 1 … 2" in done.stderr
    assert "4 clips in " in done.stdout
    assert "mean cosine to what was computed 0.99" in done.stdout
    (store,) = (own_cache / "store").iterdir()
    assert f"4 clips in {store}" in done.stdout
    again = call(*common, *options)
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert "clips:" not in again.stderr  # nothing is left to plan
    assert (
        f"{store.name[:12]}: wavlm ({weights}), frames as int8, averaged by 2, 1 … 2" in call("cache").stdout
    )
    (shard,) = store.glob("*.shard")
    shard.write_bytes(shard.read_bytes()[:-1])
    assert "1 damaged shards dropped" in call("cache", "--verify").stdout
    call("cache", "--clear")
    assert not list((own_cache / "store").iterdir())


@pytest.mark.slow
def test_bad_recordings_are_named_and_too_many_of_them_end_in_3(  # type: ignore[no-untyped-def]
    call, few: Path, weights: Path, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "silent.wav", [0.0] * 8000, 16_000)
    few.write_text(few.read_text() + f"{tmp_path / 'silent.wav'},sad,s9\n")
    common = ("extract", "--data", few, "--encoder", "wavlm", "--model", weights, "--out", tmp_path / "out")
    done = call(*common)
    assert done.returncode == 3
    assert "silent.wav: the recording is silent" in done.stderr
    assert "error: 1 of 5 recordings cannot be used, more than a share of 0.01 (--max-bad" in done.stderr
    assert "4 clips in " in done.stdout
    assert call(*common, "--max-bad", "0.2").returncode == 0


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--encoder", "wavlm"], 2, "no weights are named"),
        (["--encoder", "wavlm", "--type", "int8"], 2, "belong to the forms frames and layers"),
        (["--encoder", "wavlm", "--set", "head.dropout=1"], 2, "only settings of the encoder"),
        (["--encoder", "wavlm", "--set", "encoder.trimm=30"], 2, "did you mean 'trim'"),
    ],
)
def test_mistakes_end_in_one_line(call, few: Path, options: list[str], code: int, said: str) -> None:  # type: ignore[no-untyped-def]
    done = call("extract", "--data", few, *options)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
