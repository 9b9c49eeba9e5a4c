"""Speech emotion recognition by transfer learning, scored only on people it has never heard.

The main commands are each one call of this module; what it does not name is private. Imports are made when a
function is called, so that predicting needs the core packages alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

# onnxruntime reports its use over the network unless this is said before it is imported; a prediction is nobody
# else's business, and must work offline. Whoever wants it sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    import polars as pl

    from unheard._version import __version__
    from unheard.auditing.certificate import Certificate
    from unheard.bundle.runtime import Bundle, Prediction
    from unheard.comparison.compare import Comparison
    from unheard.protocols.fold import Protocol
    from unheard.runs.folder import Run

__all__ = [
    "__version__",
    "audit",
    "compare",
    "export",
    "fuse",
    "load",
    "open_run",
    "predict",
    "premium",
    "protocol",
    "read",
    "run",
    "score",
    "write_report",
]

_Path = str | os.PathLike[str]


def __getattr__(name: str) -> Any:
    """Return ``__version__`` when it is asked for; reading the metadata takes longer than starting to predict."""
    if name == "__version__":
        from unheard._version import __version__

        return __version__
    raise AttributeError(f"module 'unheard' has no attribute {name!r}")


def read(corpus: str, path: Any, *, labels: str | None = None) -> pl.DataFrame:
    """Return the utterances of a corpus, one row a clip (docs/tables.md).

    Parameters
    ----------
    corpus
        A reader (``unheard.corpora.names()``), such as ``ravdess``, or ``generic`` for data of one's own.
    path
        The folder of the corpus; for ``generic`` also a table, or a polars or pandas frame.
    labels
        Other classes, as ``--labels`` takes them: ``iemocap-4``, ``seven``, ``merge``, a YAML file, or
        ``OLD=NEW,DROPPED=``.
    """
    from unheard import corpora
    from unheard.corpora.frames import accept
    from unheard.corpora.relabel import mapping_of, relabel

    is_path = isinstance(path, str | os.PathLike)
    table = accept(path) if corpus == "generic" and not is_path else corpora.read(corpus, path)
    return table if labels is None else relabel(table, mapping_of(table, labels))


def protocol(
    name: str,
    table: Any,
    *,
    declare_leaky: bool = False,
    validation: str | None = None,
    classes: str = "label",
    dimensions: Sequence[str] = (),
) -> Protocol:
    """Return guarded folds: raises ProtocolError where a speaker is in two splits (docs/protocols.md).

    ``classes`` (``label``, ``votes`` or ``none``) and ``dimensions`` are the target: clips take part that have a
    value of any part of it.
    """
    from unheard import protocols
    from unheard.corpora.frames import accept

    return protocols.make(
        name, accept(table), declare_leaky=declare_leaky, validation=validation, classes=classes,
        dimensions=dimensions,
    )  # fmt: skip


def audit(table: Any, folds: Protocol | None = None, *, jobs: int = 1) -> Certificate:
    """Audit a table, and folds where given: leaks, duplicates, labels that give themselves away."""
    from unheard.auditing import audit as audit_table
    from unheard.corpora.frames import accept

    return audit_table(accept(table), folds, jobs=jobs)


def run(
    recipe: str,
    table: Any,
    folds: Protocol | None = None,
    *,
    out: _Path,
    changes: Mapping[str, Any] | None = None,
    **options: Any,
) -> Run:
    """Run a recipe over folds (its own protocol where None) into a folder, and score it.

    ``changes`` sets recipe fields (``{"head.dropout": 0.3}``, ``{"labels": "happy=joy,calm="}``); further options
    are those of :func:`unheard.runs.run.run`: ``only`` (fold numbers), ``jobs``, ``resume``, ``force``,
    ``progress`` … ``write_report([run])`` draws the page of the run that is returned.
    """
    from unheard import protocols
    from unheard.corpora.frames import accept
    from unheard.corpora.relabel import mapping_of, relabel
    from unheard.recipes.recipe import load as load_recipe
    from unheard.runs.run import run as run_folds

    utterances = accept(table)
    stated = load_recipe(recipe, changes)
    if stated.labels is not None:
        utterances = relabel(utterances, mapping_of(utterances, stated.labels))
    if folds is None:
        asked = stated.target
        folds = protocols.make(
            stated.protocol, utterances, classes=asked.classes, dimensions=asked.dimensions
        )
    return run_folds(stated, utterances, folds, out, **options)


def open_run(path: _Path) -> Run:
    """Open a run folder: ``.scores``, ``.predictions``, ``.table``, ``.protocol``."""
    from unheard.runs.folder import open_run as open_folder

    return open_folder(path)


def compare(a: Run | _Path, b: Run | _Path, *, across: bool = False) -> Comparison:
    """Compare two runs of one protocol or their folders, paired over speakers (docs/metrics.md)."""
    from unheard.comparison.compare import compare as compare_tables
    from unheard.runs.content import understood

    first, second = (open_run(run) if isinstance(run, str | os.PathLike) else run for run in (a, b))
    with understood([first.folder, second.folder]):
        return compare_tables(first.predictions, second.predictions, across=across)


def premium(a: Run, b: Run) -> Comparison:
    """Return the leakage gap between a leaky and a speaker-independent run of the same recipe, in either order."""
    from unheard.runs.leakage_gap import premium as premium_of

    return premium_of(a, b)


def fuse(runs: Sequence[Run], *, out: _Path, weights: str = "fitted", **options: Any) -> Run:
    """Fuse runs of one protocol into one: a weighted mean of calibrated probabilities (docs/fusion.md).

    ``weights`` is ``fitted`` on each fold's validation rows, ``equal`` or ``cross-fitted``; further options are
    those of :func:`unheard.fusion.fuse.fuse`: ``name``, ``force``, ``ledger`` …
    """
    from unheard.fusion.fuse import fuse as fuse_runs

    return fuse_runs(runs, out, weights=weights, **options)


def score(predictions: Any, table: Any, folds: Protocol, *, system: str = "external") -> dict[str, Any]:
    """Score anybody's predictions (``id``, ``p_CLASS…`` or ``logit_CLASS…``) as ours are; nothing is fitted."""
    from unheard.corpora.frames import accept
    from unheard.corpora.table import to_polars
    from unheard.external.predictions import joined
    from unheard.runs.scoring import results

    utterances = accept(table)
    predicted = joined(to_polars(predictions), utterances, folds, system=system)
    return results(
        utterances, predicted, folds, recipe=system, refit="unknown", settings_hash=None, records=[]
    )


def write_report(runs: Sequence[Run], out: _Path) -> Path:
    """Write one self-contained HTML page over one run or several."""
    from unheard.runs.reporting import report

    return report(runs, out)


def export(
    run: Run,
    out: _Path,
    *,
    fold: int | None = None,
    speakers: Sequence[str] | None = None,
    coverage: float = 0.9,
    force: bool = False,
) -> Path:
    """Write a bundle: retrained on all speakers or those named, or the model of one fold.

    It predicts this share of the clips that it was validated on, and withholds the less sure; 1 withholds none.
    """
    from unheard.exporting.from_run import export as export_run

    return export_run(run, out, fold=fold, speakers=speakers, coverage=coverage, force=force)


def load(path: _Path | None = None) -> Bundle:
    """Load and verify a bundle, the default model where None; ``.predict(wave, rate)`` needs no torch."""
    from unheard.bundle.default import default_model
    from unheard.bundle.runtime import load as load_bundle

    return load_bundle(default_model() if path is None else path)


def predict(path: _Path, *, model: _Path | None = None) -> Prediction:
    """Predict one recording with a bundle, the default model where None."""
    return load(model).predict_file(path)
