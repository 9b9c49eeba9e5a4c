from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unheard.corpora import read, survey
from unheard.corpora.ravdess import LABELS, by_name
from unheard.corpora.table import clips, table_digest

sys.path.insert(0, str(Path(__file__).parents[1] / "trees"))
from miniature import tone


def test_every_field_of_a_name():
    assert by_name("03-02-06-02-02-01-18", actors=24) == {
        "speaker": "18",
        "gender": "female",
        "language": "en",
        "sentence": "02",
        "text": "Dogs are sitting by the door",
        "take": "01",
        "intensity": "strong",
        "channel": "song",
        "label": "fearful",
    }
    assert by_name("03-01-01-01-01-02-07", actors=24)["gender"] == "male"


@given(
    st.tuples(*(st.integers(0, n) for n in (4, 3, 9, 3, 3, 3, 26))),
)
def test_a_name_is_taken_exactly_where_the_scheme_has_it(parts):
    modality, channel, emotion, intensity, sentence, take, actor = parts
    in_scheme = (
        modality == 3
        and 1 <= channel <= 2
        and 1 <= emotion <= (8 if channel == 1 else 6)
        and 1 <= intensity <= (1 if emotion == 1 else 2)
        and 1 <= sentence <= 2
        and 1 <= take <= 2
        and 1 <= actor <= 24
    )
    found = by_name("-".join(f"{part:02d}" for part in parts), actors=24)
    assert isinstance(found, dict) == in_scheme
    if in_scheme:
        assert found["label"] == LABELS[emotion - 1] and found["speaker"] == f"{actor:02d}"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("01-01-03-01-01-01-01", "modality 01 (audio and video)"),
        ("02-01-03-01-01-01-01", "modality 02 (video only)"),
        ("03-01-09-01-01-01-01", "emotion is 09"),
        ("03-01-01-02-01-01-01", "neutral has no strong intensity"),
        ("03-02-07-01-01-01-01", "no song with emotion 07"),
        ("03-01-03-01-01-01-25", "actor is 25"),
        ("03-01-03-01-01-01", "not an official name"),
        ("03-01-03-01-01-01-01 copy", "not an official name"),
    ],
)
def test_wrong_names_are_left_out_and_say_why(name, reason, tmp_path):
    tone(tmp_path / "03-01-01-01-01-01-01.wav")
    tone(tmp_path / f"{name}.wav")
    table, left, _ = survey("ravdess", tmp_path)
    assert len(table) == 1
    assert [item.path for item in left] == [f"{name}.wav"]
    assert reason in left[0].reason


@pytest.mark.parametrize("extension", [".wav", ".FLAC", ".ogg", ".opus", ".Wav"])
def test_any_audio_extension_at_any_depth(extension, tmp_path):
    tone(tmp_path / "a" / "b" / "Actor_07" / f"03-01-05-02-01-02-07{extension}")
    table = read("ravdess", tmp_path)
    assert table["id"].to_list() == ["03-01-05-02-01-02-07"]
    assert table["duration"][0] == pytest.approx(0.2, abs=1e-3)


def test_one_clip_in_several_files_is_one_row(tmp_path):
    name = "03-01-05-02-01-02-07"
    tone(tmp_path / "lossy" / f"{name}.opus")
    tone(tmp_path / "deep" / "er" / f"{name}.wav")
    tone(tmp_path / "x" / f"{name}.wav")
    tone(tmp_path / "x" / f"{name}.flac")
    table, left, _ = survey("ravdess", tmp_path)
    assert table["path"].to_list() == [str(tmp_path / "x" / f"{name}.wav")]
    assert sorted(item.path for item in left) == [
        f"deep/er/{name}.wav",
        f"lossy/{name}.opus",
        f"x/{name}.flac",
    ]
    assert all(f"x/{name}.wav" in item.reason for item in left)


def test_a_file_in_another_actors_folder_is_left_out(tmp_path):
    tone(tmp_path / "Actor_07" / "03-01-05-02-01-02-07.wav")
    tone(tmp_path / "Actor_01" / "03-01-05-02-01-02-07.wav")
    table, left, _ = survey("ravdess", tmp_path)
    assert table["path"].to_list() == [str(tmp_path / "Actor_07" / "03-01-05-02-01-02-07.wav")]
    assert "named for actor 07 but found in Actor_01" in left[0].reason


def test_videos_are_the_picture_of_their_clip(tmp_path):
    name = "01-05-02-01-02-07"
    tone(tmp_path / "Audio" / "Actor_07" / f"03-{name}.wav")
    videos = tmp_path / "Video" / "Actor_07"
    videos.mkdir(parents=True)
    for video in (f"01-{name}", f"02-{name}", "02-01-05-02-02-02-07", "01-01-05-02-02-02-07"):
        (videos / f"{video}.mp4").write_bytes(b"video")
    table, left, _ = survey("ravdess", tmp_path)
    assert table.select("id", "path", "video").rows() == [
        (
            f"03-{name}",
            str(tmp_path / "Audio" / "Actor_07" / f"03-{name}.wav"),
            str(videos / f"01-{name}.mp4"),
        ),
        ("03-01-05-02-02-02-07", *[str(videos / "01-01-05-02-02-02-07.mp4")] * 2),
    ]
    assert [item.path for item in left] == [
        f"Video/Actor_07/02-{name}.mp4",
        "Video/Actor_07/02-01-05-02-02-02-07.mp4",
    ]
    with_picture = clips(table)[0]
    assert with_picture.audio is not None and with_picture.video is not None
    assert with_picture.video.path.endswith(f"01-{name}.mp4") and with_picture.audio.path.endswith(".wav")
    assert table_digest(table) == table_digest(table.drop("video"))
