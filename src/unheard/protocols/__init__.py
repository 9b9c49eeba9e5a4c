"""Who trains, who validates, who is tested: folds by name, checked when they are built."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from unheard.errors import ProtocolError, UsageError, unknown
from unheard.protocols import fold_assignment, of_corpora, ravdess
from unheard.protocols.fold import Fold, Protocol, check_classes, fold, guarded
from unheard.protocols.stored import from_emobox, from_file

__all__ = ["Fold", "Protocol", "check_classes", "fold", "guarded", "make", "names", "taking_part"]


NAMED: dict[str, Callable[[pl.DataFrame], Protocol]] = {
    "ravdess-balanced6": ravdess.balanced6,
    "ravdess-article6": ravdess.article6,
    "ravdess-loso24": ravdess.loso24,
    "ravdess-aus5": ravdess.aus5,
    "ravdess-emobox6": ravdess.emobox6,
    "ravdess-split21": ravdess.split21,
    "ravdess-last4": ravdess.last4,
    "ravdess-sentence2": ravdess.sentence2,
    "ravdess-random6": ravdess.random6,
    "ravdess-article-random6": ravdess.article_random6,
    "emodb-loso10": of_corpora.emodb_loso10,
    "nemo-speaker9": of_corpora.nemo_speaker9,
    **{f"{corpus}-speaker5": of_corpora.speaker5(corpus) for corpus in ("ased", "crema-d", "emotale")},
    "emotale-languages10": of_corpora.emotale_languages10,
    "iemocap-session5": of_corpora.iemocap_session5,
    "iemocap-speaker10": of_corpora.iemocap_speaker10,
    "meld": of_corpora.meld,
    "mosei-test": of_corpora.mosei_test,
    "msp-1.6": of_corpora.msp_podcast("1.6"),
    "msp-1.11": of_corpora.msp_podcast("1.11"),
    "loso": fold_assignment.loso,
    "session": fold_assignment.session,
    fold_assignment.LEAVE_CORPUS: fold_assignment.leave_corpus,
}


def names() -> list[str]:
    """Return every name that :func:`make` takes; ``k`` stands for a number."""
    return [*NAMED, "owner", "group-k", "random-k", "a file (.json, .csv)", "a folder of EmoBox"]


def make(
    name: str,
    table: pl.DataFrame,
    *,
    declare_leaky: bool = False,
    validation: str | None = None,
    classes: str = "label",
    dimensions: Sequence[str] = (),
) -> Protocol:
    """Make the folds of a named protocol on a table, and guard them.

    Parameters
    ----------
    name
        A name of :func:`names`, such as ``ravdess-balanced6``, ``loso``, ``group-5``, ``random-6``, or a file.
    table
        Utterances; those that have no value of any part of the target train and test nobody and are left out.
    declare_leaky
        Whether, for ``owner`` and files, to stamp a speaker in two splits of a fold instead of refusing.
    validation
        Takes validation speakers out of training where the folds have no validation part: ``next-fold`` those
        whom the next fold tests, ``speakers`` a fifth of the training speakers.
    classes, dimensions
        The target: classes by ``label``, by the ``majority`` of the graders, by ``votes`` or ``none``, and names
        of dimensions. Where the target is the label, every class must be in the training part of every fold.

    Raises
    ------
    UsageError
        Unknown name (with near matches).
    ProtocolError
        The folds cannot be made from this table, or break their promise.
    """
    table = taking_part(table, classes, dimensions)
    if validation not in (None, *fold_assignment.VALIDATION):
        raise unknown("way of validation", validation, fold_assignment.VALIDATION)
    made = _made(name, table, declare_leaky)
    if validation is not None:
        made = fold_assignment.with_validation(made, table, validation)
    if classes == "label":
        check_classes(made, table)
    return made


def taking_part(table: pl.DataFrame, classes: str, dimensions: Sequence[str]) -> pl.DataFrame:
    """Return the clips that have a value of any part of a target.

    Raises
    ------
    ProtocolError
        No clip has one, or none has a value of one of the dimensions.
    """
    known = {
        "label": pl.col("label").is_not_null(),
        # Whom the graders do not agree about is tested, too.
        **dict.fromkeys(("majority", "votes"), pl.col("votes").list.len().fill_null(0) > 0),
        "none": pl.lit(value=False),
    }
    found = table.filter(
        pl.any_horizontal(known[classes], *(pl.col(name).is_not_null() for name in dimensions))
    )
    if found.is_empty():
        wanted = [*({"label": ["label"], "none": []}.get(classes, ["votes"])), *dimensions]
        raise ProtocolError(f"no clip of the table has a value of {' or '.join(wanted)}")
    lacking = [name for name in dimensions if found[name].is_null().all()]
    if lacking:
        raise ProtocolError(f"the target asks for {', '.join(lacking)}, and no clip of the corpus has any")
    return found


def _made(name: str, table: pl.DataFrame, declare_leaky: bool) -> Protocol:
    if name in NAMED:
        return NAMED[name](table)
    if name == "owner":
        return fold_assignment.owner(table, declare_leaky=declare_leaky)
    numbered = re.fullmatch(r"(group|random)-(\d{1,3})", name)
    if numbered:
        maker = fold_assignment.group_k if numbered[1] == "group" else fold_assignment.random_k
        return maker(table, int(numbered[2]))
    if os.path.isdir(name):  # noqa: PTH112 - Path.is_dir raises where a name is too long
        return from_emobox(name, table, declare_leaky=declare_leaky)
    if Path(name).suffix in (".json", ".csv", ".tsv"):
        return from_file(name, table, declare_leaky=declare_leaky)
    if name in ("group-k", "random-k"):
        raise UsageError(f"put a number for k, such as {name[:-1]}5")
    raise unknown("protocol", name, names())
