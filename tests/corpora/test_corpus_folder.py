from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from unheard.corpora.folder import LeftOut, clips, duration, recordings
from unheard.errors import DataError

sys.path.insert(0, str(Path(__file__).parents[1] / "trees"))
from miniature import tone


def everything(path: Path) -> dict[str, str]:
    return {}


def test_order_is_that_of_the_names(tmp_path):
    for name in ("b/2.wav", "a/3.wav", "a/1.wav", "c.wav"):
        tone(tmp_path / name)
    assert [str(path) for path in recordings(tmp_path)] == ["a/1.wav", "a/3.wav", "b/2.wav", "c.wav"]


def test_a_linked_folder_is_read_and_a_link_loop_ends(tmp_path):
    tone(tmp_path / "elsewhere" / "x.wav")
    root = tmp_path / "corpus"
    root.mkdir()
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "linked_again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(root)
    found = list(recordings(root))
    assert [str(item) for item in found if not isinstance(item, LeftOut)] == [
        "linked/x.wav",
        "linked_again/x.wav",
    ]
    assert [item.path for item in found if isinstance(item, LeftOut)] == ["linked/loop", "linked_again/loop"]


@pytest.mark.parametrize(
    "name", ["with space.wav", "-dash.wav", 'quo"te.wav', "new\nline.wav", "żółć.wav", "é" * 100 + ".wav"]
)
def test_odd_names_are_read(name, tmp_path):
    tone(tmp_path / name)
    rows = list(clips(tmp_path, everything))
    assert [row["id"] for row in rows] == [name.removesuffix(".wav")]
    assert rows[0]["duration"] == pytest.approx(0.2)


def test_a_name_that_is_not_utf8_is_left_out(tmp_path):
    tone(tmp_path / "x.wav")
    try:
        (tmp_path / "x.wav").rename(tmp_path / os.fsdecode(b"caf\xe9.wav"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert list(recordings(tmp_path)) == [LeftOut("caf\\xe9.wav", "its name is not UTF-8; rename it")]


def test_a_folder_that_cannot_be_opened(tmp_path, monkeypatch):
    tone(tmp_path / "closed" / "x.wav")
    real = Path.iterdir

    def refuse(self):
        if self.name == "closed":
            raise PermissionError(13, "Permission denied")
        return real(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert list(recordings(tmp_path)) == [LeftOut("closed", "cannot be opened: Permission denied")]


def test_a_file_is_not_a_folder(tmp_path):
    tone(tmp_path / "x.wav")
    with pytest.raises(DataError, match=r"x\.wav: not a folder"):
        list(recordings(tmp_path / "x.wav"))


def test_duration_comes_from_the_content_and_is_none_where_there_is_none(tmp_path):
    assert duration(tone(tmp_path / "x.wav", seconds=0.5)) == pytest.approx(0.5)
    assert duration(tone(tmp_path / "x.opus", seconds=0.5)) == pytest.approx(0.5)
    (tmp_path / "zero.wav").write_bytes(b"")
    (tmp_path / "folder.wav").mkdir()
    for name in ("zero.wav", "folder.wav", "absent.wav"):
        assert duration(tmp_path / name) is None


def test_a_header_that_promises_years_is_no_duration(tmp_path):
    path = tone(tmp_path / "x.wav")
    data = bytearray(path.read_bytes())
    data[24:28] = (1).to_bytes(4, "little")  # 1 Hz
    data[40:44] = (0x7FFFFFF0).to_bytes(4, "little")
    path.write_bytes(data)
    found = duration(path)
    assert found is None or found <= 24 * 3600
