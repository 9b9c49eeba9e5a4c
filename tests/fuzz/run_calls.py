"""Every way in which a run folder is read again, for a process of an oracle: ``WAY/mutated`` is read that way."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import unheard as ut
from unheard import protocols
from unheard.corpora.table import read_table
from unheard.errors import DataError
from unheard.external.predictions import score as score_external
from unheard.fusion.fuse import fuse
from unheard.runs import run as runs
from unheard.runs.folder import open_run
from unheard.runs.pool import Outcome
from unheard.runs.reporting import report

NOT_FITTED = "it would be fitted again"


def read(path: Path) -> Any:
    """Read a run folder in the way that the folder around it is called; ``healthy`` lies beside that."""
    out = path.parent / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    return globals()[f"to_{path.parent.name}"](path, path.parents[1] / "healthy", out)


def to_report(path: Path, healthy: Path, out: Path) -> Any:
    return report([open_run(path)], out / "report.html").read_text()


def to_compare(path: Path, healthy: Path, out: Path) -> Any:
    return ut.compare(path, healthy).as_dict()


def to_fuse(path: Path, healthy: Path, out: Path) -> Any:
    fused = fuse([open_run(path), open_run(healthy)], out / "fused", weights="equal")
    return fused.scores


def to_export(path: Path, healthy: Path, out: Path) -> Any:
    return (ut.export(open_run(path), out / "bundle", fold=0) / "bundle.json").read_text()


def to_score(path: Path, healthy: Path, out: Path) -> Any:
    table = read_table(path / "table.parquet")
    folds = protocols.make(str(path / "protocol.json"), table)
    return score_external(healthy.parent / "external.csv", table, folds, system="external")


def to_resume(path: Path, healthy: Path, out: Path) -> Any:
    """Resume, with folds that must be fitted again only named: that takes processes and seconds."""
    runs.fit_all = lambda folder, tasks, **_: Outcome(dict.fromkeys(tasks, NOT_FITTED))
    before, said = open_run(healthy), []
    digests = [file.relative_to(healthy) for file in healthy.rglob("digests.json")]
    known = all(_bytes(path / file) == _bytes(healthy / file) for file in digests)
    try:
        again = runs.run(before.recipe, before.table, before.protocol, path, resume=True, say=said.append)
    except DataError as error:
        if NOT_FITTED not in str(error):
            raise
        return [*said, str(error)]
    if known:
        assert again.predictions.equals(before.predictions), "damage that digests show was taken"
    return said


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
