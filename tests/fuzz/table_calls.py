"""What is asked of tables, texts and archives of arrays: each function reads one file as the package does."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
from table_files import utterance_table

from unheard import corpora, label_files
from unheard.corpora.source import utterances
from unheard.corpora.table import classes, clips, read_table, table_digest
from unheard.external.predictions import score
from unheard.features.precomputed import Precomputed
from unheard.formats import json_text, yaml_text
from unheard.predictions.table import predicted_classes, probabilities, read_predictions
from unheard.protocols.fold import Protocol
from unheard.protocols.stored import from_file
from unheard.recipes import recipe

_table = cache(utterance_table)


@cache
def _folds() -> Protocol:
    from unheard import protocols

    return protocols.make("loso", _table())


def prepared(path: Path) -> object:
    """Read a table of a user's own."""
    table, left_out, _ = corpora.survey("generic", path)
    return _plain(table), left_out, table_digest(table)


def ours(path: Path) -> object:
    """Read a prepared table, whatever is then asked of it."""
    table = read_table(path)
    return _plain(table), classes(table), clips(table), table_digest(table), _plain(utterances(path))


def predicted(path: Path) -> object:
    """Read a table of predictions."""
    table = read_predictions(path)
    return _plain(table), predicted_classes(table), probabilities(table)


def scored(path: Path) -> object:
    """Join the predictions of another system with folds."""
    return score(path, _table(), _folds(), system="theirs")


def folded(path: Path) -> object:
    """Read folds from a file."""
    found = from_file(path, _table())
    return found.as_dict()


def loaded(path: Path) -> object:
    """Read a recipe."""
    return recipe.load(path).plain()


def mapped(path: Path) -> object:
    """Read a mapping of labels."""
    return label_files.parse(str(path))


def looked_up(path: Path) -> object:
    """Read features that somebody else computed."""
    found = Precomputed(str(path))
    return {name: found.lookup(name) for name in found.ids}


def plain(path: Path) -> object:
    """Read JSON or YAML."""
    return yaml_text.read(path) if path.suffix == ".yaml" else json_text.read(path)


def read(path: Path) -> object:
    """Call the function that the name of the folder names: one process serves all."""
    return globals()[path.parent.name](path)


def _plain(table: pl.DataFrame) -> list[dict[str, Any]]:
    return table.to_dicts()
