"""Features of a table through the cache, and the digest of the data."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from unheard import features
from unheard.corpora.table import table_digest
from unheard.experiment.recipe import Recipe
from unheard.features.cache import default_cache
from unheard.features.extract import ClipRef, Extracted, extract
from unheard.files import digest, file_digest

Progress = Callable[[str, int, int], None]


def read_features(
    recipe: Recipe, table: pl.DataFrame, *, jobs: int = 1, progress: Progress | None = None
) -> Extracted:
    """Features of every clip of the table: from the cache, or computed and kept there."""
    spec = features.build(recipe.features)
    clips = [ClipRef(*row) for row in table.select("id", "path", "start", "end").iter_rows()]
    report = None if progress is None else lambda done, total: progress("features", done, total)
    return extract(
        clips,
        spec,
        cache=default_cache(),
        jobs=jobs,
        progress=report,
        channel=recipe.channel,
        allow_truncated=recipe.allow_truncated,
    )


def data_digest(table: pl.DataFrame) -> str:
    """SHA-256 over the rows and the content of their files, wherever these lie."""
    content: dict[str, str | None] = {}
    for path in table["path"].unique():
        try:
            content[path] = file_digest(path)
        except OSError:
            content[path] = None  # missing files are in errors.jsonl; here they are only different
    files = {i: content[path] for i, path in table.select("id", "path").iter_rows()}
    return digest({"table": table_digest(table), "files": files})
