"""Several corpora as one table, and folds that leave one of them out."""

import polars as pl
import pytest

from unheard import protocols
from unheard.corpora.joining import joined
from unheard.corpora.table import check, classes, corpus_of, utterances
from unheard.errors import DataError, ProtocolError, UsageError


def table(corpus: str, labels: tuple[str, ...]) -> pl.DataFrame:
    """Return two clips of each of two speakers, whose names and ids are those of every such corpus."""
    rows = [
        {"id": f"{s}{k}", "path": f"/{corpus}/{s}{k}.wav", "speaker": s, "label": label, "split": "train"}
        for s in "ab"
        for k, label in enumerate(labels)
    ]
    return utterances(rows, corpus=corpus, labels=labels)


def test_clips_and_speakers_of_one_name_stay_apart() -> None:
    both = joined([table("x", ("sad", "angry")), table("y", ("angry", "happy"))])
    assert both["id"].to_list() == ["x/a0", "x/a1", "x/b0", "x/b1", "y/a0", "y/a1", "y/b0", "y/b1"]
    assert both["speaker"].unique().sort().to_list() == ["x/a", "x/b", "y/a", "y/b"]
    assert classes(both) == ("sad", "angry", "happy")
    assert both["label"].cast(str).to_list() == ["sad", "angry"] * 2 + ["angry", "happy"] * 2
    assert both["path"].to_list()[0] == "/x/a0.wav"
    assert both["split"].null_count() == len(both)
    assert corpus_of(both) == "x+y"


def test_one_corpus_is_no_join_and_none_stands_twice() -> None:
    one = table("x", ("sad", "angry"))
    for tables in ([one], [one, one]):
        with pytest.raises(UsageError, match="two corpora or more"):
            joined(tables)


def test_a_table_of_two_corpora_tells_its_clips_apart() -> None:
    mixed = joined([table("x", ("sad", "angry")), table("y", ("sad", "angry"))])
    with pytest.raises(DataError, match="CORPUS/"):
        check(mixed.with_columns(pl.col("id").str.replace("/", "-")))


def test_each_corpus_is_left_out_once_and_whole() -> None:
    made = protocols.make(
        "leave-corpus",
        joined([table(name, ("sad", "angry")) for name in "zyx"]),
        validation="speakers",
    )
    assert [{i[0] for i in fold.test} for fold in made.folds] == [{"x"}, {"y"}, {"z"}]
    for fold in made.folds:
        assert len(fold.test) == 4
        assert not {i[0] for i in (*fold.train, *fold.val)} & {fold.test[0][0]}
        assert not {i[:3] for i in fold.train} & {i[:3] for i in fold.val}


def test_one_corpus_cannot_be_left_out() -> None:
    with pytest.raises(ProtocolError, match="'x' alone"):
        protocols.make("leave-corpus", table("x", ("sad", "angry")))
