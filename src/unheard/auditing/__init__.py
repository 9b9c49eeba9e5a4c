"""The audit of a table and its folds: leaks, duplicates, label leakage, broken files.

An audit reads training and test rows at once, and therefore fits nothing. Each check is a function of plain
values in a file of its own; :func:`audit` runs them all and puts the findings on one certificate.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from unheard._version import __version__
from unheard.audio import decode
from unheard.auditing.balance import check_balance
from unheard.auditing.certificate import Certificate, Finding
from unheard.auditing.duplicates import check_duplicates, find_pairs
from unheard.auditing.label_leakage import check_label_leakage
from unheard.auditing.names import check_names
from unheard.auditing.overlaps import check_overlaps
from unheard.auditing.recordings import check_files, read_recordings
from unheard.auditing.splits import check_splits
from unheard.corpora.table import complete, table_digest
from unheard.errors import ProtocolError, first_five
from unheard.protocols.fold import Protocol

__all__ = ["RULES", "Certificate", "Finding", "audit"]

#: Version of the checks; raised when one of them could find something else on the same data.
RULES = "2"


def audit(
    table: pl.DataFrame,
    protocol: Protocol | None = None,
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Certificate:
    """Check a table, its recordings, and the folds of a protocol where one is given.

    Parameters
    ----------
    table
        Utterance table; every recording it names is decoded once.
    protocol
        Folds over ids of the table. A speaker in two splits of a fold is an error, declared leaky or not.
    jobs
        Number of processes that decode; the result does not depend on it.
    progress
        Called as ``progress(done, total)`` while the recordings are decoded.

    Returns
    -------
    Certificate
        The same for the same rows in any order.

    Raises
    ------
    ProtocolError
        The protocol names clips that the table lacks.
    """
    table = complete(table).sort("id")
    if protocol is not None:
        _check_ids(table, protocol)
    recordings = read_recordings(table, jobs=jobs, progress=progress)
    findings = [
        *check_files(recordings),
        *check_names(table),
        *check_duplicates(find_pairs(recordings), table, protocol),
        *check_label_leakage(table, protocol),
        *check_balance(table, protocol),
        *(check_splits(table, protocol) if protocol is not None else ()),
        *(check_overlaps(table, protocol) if protocol is not None else ()),
    ]
    return Certificate(
        table_hash=table_digest(table),
        protocol=None if protocol is None else protocol.name,
        protocol_hash=None if protocol is None else protocol.hash,
        clips=len(table),
        speakers=table["speaker"].drop_nulls().n_unique(),
        findings=tuple(findings),
        versions={**decode.VERSIONS, "audit": RULES, "numpy": np.__version__, "unheard": __version__},
    )


def _check_ids(table: pl.DataFrame, protocol: Protocol) -> None:
    used = {name for parts in protocol.folds for ids in parts for name in ids}
    strange = sorted(used - set(table["id"]))
    if strange:
        raise ProtocolError(
            f"{protocol.name} names clips that the table lacks: {first_five(strange)}; "
            "make the protocol on this table"
        )
