"""EmoBox: its lists and folds, stamped by the speakers that the corpora's own names tell."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from unheard import protocols
from unheard.corpora import read, survey
from unheard.corpora.emobox import speaker
from unheard.corpora.relabel import relabel
from unheard.errors import DataError, ProtocolError
from unheard.label_files import parse

sys.path.insert(0, str(Path(__file__).parents[1] / "trees"))
from miniature import TREES, tone, write


@pytest.mark.parametrize("inside", ["", "data/ravdess"])
def test_a_set_from_its_folder_or_a_copy_with_nothing_else(inside, tmp_path):
    TREES["emobox"](tmp_path)
    table = read("emobox", tmp_path / inside)
    row = {
        key: value for key, value in table.row(0, named=True).items() if value is not None and key != "path"
    }
    assert row == {
        "corpus": "ravdess", "id": "03-01-01-01-01-01-01", "duration": 0.5, "speaker": "01", "channel": "speech",
        "label": "Neutral",
    }  # fmt: skip
    assert table["duration"].null_count() == 0


def test_labels_are_mapped_and_pieces_have_their_times(tmp_path):
    TREES["emobox"](tmp_path)
    list_ = tmp_path / "data" / "ravdess" / "ravdess.jsonl"
    list_.write_text(
        list_.read_text().replace('"channel": 1', '"channel": 1, "start_time": 0.1, "end_time": 0.4', 1)
    )
    write(tmp_path / "data" / "ravdess" / "label_map.json", '{"Neutral": "calm"}')
    table = read("emobox", tmp_path)
    assert table.select("start", "end", "label").row(0) == (0.1, 0.4, "calm")
    assert set(table["label"]) == {"calm", "Happy"}


def test_the_folds_of_a_set(tmp_path):
    TREES["emobox"](tmp_path)
    table = read("emobox", tmp_path)
    made = protocols.make(str(tmp_path / "data" / "ravdess"), table)
    of = dict(table.select("id", "speaker").iter_rows())
    assert [{of[i] for i in parts.test} for parts in made.folds] == [{"01", "03"}, {"02", "04"}]
    assert all(not parts.val for parts in made.folds) and made.stamps == ()
    # The corpus as its own reader finds it takes them too.
    own = relabel(read("ravdess", tmp_path / "downloads"), parse("neutral,happy"))
    assert protocols.make(str(tmp_path / "data" / "ravdess"), own).folds == made.folds


def test_folds_that_share_speakers_are_refused_or_stamped(tmp_path):
    TREES["emobox"](tmp_path)
    of_set = tmp_path / "data" / "ravdess"
    train, test = (of_set / "fold_1" / f"ravdess_{part}_fold_1.jsonl" for part in ("train", "test"))
    lines = [*train.read_text().splitlines(), *test.read_text().splitlines()]
    train.write_text("\n".join(lines[:5]) + "\n")
    test.write_text("\n".join(lines[5:]) + "\n")
    table = read("emobox", tmp_path)
    with pytest.raises(ProtocolError, match="SPEAKER_ON_TWO_SIDES"):
        protocols.make(str(of_set), table)
    assert protocols.make(str(of_set), table, declare_leaky=True).stamps == ("LEAKY",)


def test_the_newer_of_two_copies_of_a_fold_is_taken(tmp_path):
    TREES["emobox"](tmp_path)
    table = read("emobox", tmp_path)
    made = protocols.make(str(tmp_path / "data" / "ravdess"), table)
    older = tmp_path / "data" / "ravdess" / "fold_1" / "ravdess_test_fold1.jsonl"
    write(older, '{"wav": "nothing.wav"}\n')
    assert protocols.make(str(tmp_path / "data" / "ravdess"), table) == made


@pytest.mark.parametrize(
    ("name", "stem", "who"),
    [
        ("ravdess", "03-01-07-02-02-02-11", "11"),
        ("cremad", "1001_DFA_ANG_XX", "1001"),
        ("emodb", "03a01Fa", "03"),
        # Who wore the markers is not who speaks.
        ("iemocap", "Ses01M_impro01_F000", "Ses01F"),
        ("iemocap", "Ses05F_script01_1_M012", "Ses05M"),
        ("savee", "DC_a01", "DC"),
        ("tess", "OA_bite_neutral", "OAF"),
        ("tess", "YAF_bar_ps", "YAF"),
        ("ased", "a5-03-01-02-50", "50"),
        ("urdu", "SM1_F10_A010", "SM1"),
        ("shemo", "F01A02", "F01"),
        ("meld", "dia0_utt0", None),
        ("ravdess", "stranger", None),
    ],
)
def test_speakers_by_the_corpora_s_own_names(name, stem, who):
    assert speaker(name, stem) == who


def test_unknown_speakers_are_stamped(tmp_path):
    for name in "abcd":
        tone(tmp_path / "downloads" / "own" / f"{name}.wav")
    rows = [
        f'{{"key": "own-{n}", "wav": "downloads/own/{n}.wav", "emo": "{e}"}}\n'
        for n, e in zip("abcd", "xyxy", strict=True)
    ]
    of_set = tmp_path / "data" / "own"
    write(of_set / "own.jsonl", "".join(rows))
    write(of_set / "fold_1" / "own_train_fold_1.jsonl", "".join(rows[:2]))
    write(of_set / "fold_1" / "own_test_fold_1.jsonl", "".join(rows[2:]))
    table = read("emobox", of_set)
    assert table["speaker"].null_count() == 4 and table["corpus"][0] == "own"
    assert protocols.make(str(of_set), table).stamps == ("UNVERIFIED",)


def test_what_is_no_set_or_several(tmp_path):
    TREES["emobox"](tmp_path)
    write(tmp_path / "data" / "emodb" / "emodb.jsonl", '{"key": "a", "wav": "b.wav", "emo": "c"}\n')
    with pytest.raises(DataError, match="holds several sets of EmoBox; give the folder of one"):
        read("emobox", tmp_path)
    with pytest.raises(DataError, match=r"no SET\.jsonl there"):
        read("emobox", tmp_path / "downloads")
    with pytest.raises(ProtocolError, match="no fold_1 there"):
        protocols.make(str(tmp_path / "downloads"), read("emobox", tmp_path / "data" / "ravdess"))
    (tmp_path / "data" / "emodb" / "emodb.jsonl").write_text('{"key": "a", "wav": "", "emo": "c"}\n')
    with pytest.raises(DataError, match="row 1: wav is empty"):
        read("emobox", tmp_path / "data" / "emodb")


def test_recordings_that_the_list_lacks_are_left_out(tmp_path):
    TREES["emobox"](tmp_path)
    tone(tmp_path / "downloads" / "more.wav")
    left = survey("emobox", tmp_path).left_out
    assert {item.path: item.reason for item in left}["downloads/more.wav"] == "not in ravdess.jsonl"
