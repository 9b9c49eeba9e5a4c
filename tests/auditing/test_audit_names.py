"""One name in two spellings is found, in a table and in folds; names that are two people are left alone."""

from __future__ import annotations

import unicodedata

import polars as pl
import pytest
import typer

from unheard import corpora, protocols
from unheard.auditing.names import check_names
from unheard.cli.audit import audit
from unheard.corpora import source
from unheard.corpora.names import comparable, known, mistyped, nearly_equal, with_known
from unheard.corpora.relabel import mapping_of, relabel
from unheard.corpora.speakers import renamed
from unheard.corpora.table import complete, utterances, write_table
from unheard.errors import ProtocolError, UsageError
from unheard.protocols.fold import check_labels
from unheard.recipes import recipe
from unheard.runs.run import run

NAMES = ("José 01", "Zoë 02", "Jürgen 03", "Renée 10")
NUMBERS = ("01", "02", "03", "10")
#: How another tool writes a name, and names that it can be done to.
SPELLINGS = {
    "leading zeros": (NUMBERS, lambda s: str(int(s))),
    "decimals": (NUMBERS, lambda s: f"{int(s)}.0"),
    "small letters": (NAMES, str.lower),
    "capitals": (NAMES, str.upper),
    "decomposed": (NAMES, lambda s: unicodedata.normalize("NFD", s)),
    "wide digits": (NUMBERS, lambda s: s.translate({48 + k: 0xFF10 + k for k in range(10)})),
    "Arabic digits": (NUMBERS, lambda s: s.translate({48 + k: 0x660 + k for k in range(10)})),
    "quotes": (NUMBERS, lambda s: f"'{s}'"),
    "a Turkish capital": (("ilk 1", "izmir", "mine", "deniz 2"), lambda s: s.upper().replace("I", "İ")),
    "outer blanks": (NUMBERS, lambda s: f" {s}\u00a0"),
    "inner blanks": (NAMES, lambda s: s.replace(" ", "  ")),
    "underscores": (NAMES, lambda s: s.replace(" ", "_")),
    "hyphens": (NAMES, lambda s: s.replace(" ", "-")),
    "a mark of byte order": (NUMBERS, lambda s: "\ufeff" + s),
}


def table(speakers, labels=("a", "b")):
    rows = range(len(speakers))
    label = [labels[k // 2 % len(labels)] for k in rows]
    names = (
        with_known({"id": f"c{k:03d}", "path": f"c{k:03d}.wav", "speaker": speakers[k], "label": label[k]})
        for k in rows
    )
    return utterances(names, corpus="generic", labels=sorted(set(filter(known, label))))


def codes(found):
    return {f.code: f for f in found}


@pytest.mark.parametrize("kind", SPELLINGS)
def test_every_second_clip_spelled_otherwise_is_found_and_refused_and_merged(kind):
    names, spell = SPELLINGS[kind]
    mixed = table([spell(name) if k % 2 else name for name in names for k in range(9)])
    found = codes(check_names(mixed))["NEARLY_EQUAL_SPEAKERS"]
    changed = sum(spell(name) != name for name in names)
    assert (found.severity, found.count) == ("error", changed)
    with pytest.raises(ProtocolError, match=r"NEARLY_EQUAL_SPEAKERS.*--speakers merge"):
        protocols.make("loso", mixed)
    merged = renamed(mixed, "merge")
    assert set(merged["speaker"]) == set(names), "the commonest spelling stays"
    assert not check_names(merged)
    assert len(protocols.make("loso", merged).folds) == len(names)


def test_folds_declared_leaky_are_stamped_for_a_speaker_under_two_spellings():
    apart = [("s1", "train"), ("s2", "train"), ("S01", "test"), ("s4", "test")]
    mixed = table([name for name, _ in apart for _ in range(4)]).with_columns(
        split=pl.Series([split for _, split in apart for _ in range(4)])
    )
    with pytest.raises(ProtocolError, match="S01, s1"):
        protocols.make("owner", mixed)
    assert protocols.make("owner", mixed, declare_leaky=True).stamps == ("LEAKY",)


def test_names_that_differ_in_more_are_different_people():
    different = [
        "1_12",
        "11_2",
        "112",
        "S1",
        "S10",
        "SM1",
        "SF1",
        "M1",
        "1.5",
        "15",
        "-1",
        "Ann",
        "Anne",
        "ab",
        "a b",
    ]
    assert nearly_equal(different) == []
    assert comparable("S_03") == comparable("s3") != comparable("s30")


@pytest.mark.parametrize(
    "nobody", ["nan", "NaN", "None", "NULL", "", "  ", "<NA>", "n/a", "?", "-", "Unknown"]
)
def test_what_other_tools_write_for_nothing_is_nobody(nobody):
    assert known(nobody) is None
    made = table(["01", nobody, "02", "01"], labels=("a", nobody))
    assert made["speaker"].to_list() == ["01", None, "02", "01"]
    assert made["label"].to_list() == ["a", "a", None, None]


def test_labels_in_two_spellings_and_mistyped_ones_are_named():
    counts = {
        "anger": 60,
        "Anger": 4,
        "happiness": 60,
        "hapiness": 2,
        "sadness": 50,
        "level 1": 60,
        "level 2": 2,
    }
    labels = [label for label, n in counts.items() for _ in range(n)]
    rows = table(["x"] * len(labels)).with_columns(label=pl.Series(labels).cast(pl.Enum(list(counts))))
    found = codes(check_names(rows))["NEARLY_EQUAL_LABELS"]
    assert found.severity == "error"
    assert found.examples == (
        "Anger (4 clips) = anger (60 clips)",
        "hapiness (2 clips): did you mean happiness (60 clips)?",
    )


@pytest.mark.parametrize(
    ("rare", "common", "taken"),
    [
        ("Hapy", "Happy", True),  # two of 22: more than one in twenty
        ("Haappy", "happy", True),
        ("happi", "happy", True),
        ("ahppy", "happy", True),
        ("Sads", "sad", True),
        ("mad", "sad", False),  # of three letters, one makes another word
        ("unhappy", "happy", False),
        ("level 2", "level 1", False),
    ],
)
def test_a_label_of_few_clips_one_letter_from_another_is_a_mistyped_one(rare, common, taken):
    assert mistyped({rare: 2, common: 22}) == ({rare: common} if taken else {})
    assert mistyped({rare: 20, common: 22}) == {}, "as many clips as the other: two classes"


def test_labels_in_two_spellings_are_refused_by_runs_and_merged_when_asked(tmp_path):
    spelled = ("high", "low", "High", "low.")
    rows = table([f"s{k % 4}" for k in range(48)]).with_columns(
        label=pl.Series([spelled[k // 4 % 4] for k in range(48)]).cast(pl.Enum(spelled))
    )
    folds = protocols.make("loso", rows)
    with pytest.raises(
        ProtocolError, match=r"NEARLY_EQUAL_LABELS: High \(12 clips\) = high .*--labels merge"
    ):
        run(recipe.load("functionals"), rows, folds, tmp_path / "run")
    merged = relabel(rows, mapping_of(rows, "merge"))
    assert sorted(merged["label"].value_counts().iter_rows()) == [("High", 24), ("low", 24)]
    check_labels(merged)
    write_table(merged, tmp_path / "t.parquet", {"labels": str(mapping_of(rows, "merge"))})
    said: list[str] = []
    assert source.utterances(tmp_path / "t.parquet", say=said.append).equals(complete(merged))
    assert said == ["t.parquet: made with labels by merge: high → High, low. → low"]


def test_ids_in_two_spellings_are_named():
    rows = table(["x"] * 3).with_columns(id=pl.Series(["take1", "take01", "take2"]))
    found = codes(check_names(rows))["NEARLY_EQUAL_IDS"]
    assert (found.severity, found.count, found.examples) == ("warning", 1, ("take01 = take1",))


def test_speakers_are_renamed_one_by_one_and_unknown_ones_refused():
    assert renamed(table(["a", "A", "b"]), "A=anna")["speaker"].to_list() == ["a", "anna", "b"]
    for wrong, why in (("A", "OLD=NEW"), ("c=d", "did you mean|unknown"), ("a=x,a=y", "once")):
        with pytest.raises(UsageError, match=why):
            renamed(table(["a", "A", "b"]), wrong)


@pytest.mark.data
@pytest.mark.parametrize(
    "corpus",
    ["ravdess", "emodb", "ased", "emotale", "urdu", "baved", pytest.param("nemo", marks=pytest.mark.slow)],
)
def test_real_corpora_have_one_spelling_of_each_name(data_folder, corpus):
    folder = data_folder / ("ravdess/speech" if corpus == "ravdess" else corpus)
    assert check_names(corpora.read(corpus, folder)) == []


def test_a_table_whose_folds_are_refused_is_audited_all_the_same(tmp_path, capsys):
    write_table(table(["S1", "s_01", "S2", "S3"] * 4), tmp_path / "t.parquet")
    with pytest.raises(typer.Exit) as ended:
        audit(tmp_path / "t.parquet", protocol="loso", jobs=1)
    assert ended.value.exit_code == 1
    said = capsys.readouterr().out
    for must in (
        "PROTOCOL_REFUSED (1): no folds can be made: NEARLY_EQUAL_SPEAKERS",
        "NEARLY_EQUAL_SPEAKERS (1)",
        "S1 (4 clips) = s_01 (4 clips)",
        "MISSING_FILE (16)",
        "FAILED",
    ):
        assert must in said  # fmt: skip
