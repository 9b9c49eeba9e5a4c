"""paUAR-X: for how many speakers a system works (arXiv 2503.22711, table 6).

A speaker is above X where the UAR on that speaker's own clips, over the classes that these have, is **above** X %.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard.metrics.intervals import DRAWS, FEWEST, draws_of_units, percentile
from unheard.metrics.k_best import SIZES, KBest
from unheard.metrics.rows import labelled_rows, units
from unheard.metrics.sums import crossed

Floats = NDArray[np.float64]

#: The X of paUAR-X, in percent, as published.
THRESHOLDS = (50, 75)
#: A speaker with fewer clips or classes says little of a UAR; the share without these stands beside (our choice).
MIN_CLIPS, MIN_CLASSES = 10, 3
#: Groups in the order of the strata of :func:`unheard.metrics.rows.units`.
GROUPS = ("female", "male")


def speakers_above(predictions: pl.DataFrame, draws: int = DRAWS, seed: int = 0) -> list[dict[str, Any]]:
    """Return the share of speakers whose own UAR is above a threshold, for each threshold, size and group.

    Returns
    -------
    Mappings with ``above`` (the threshold in percent), ``k`` (a clip is right where its class is among the k most
    probable), ``group`` (``all``, ``female``, ``male``, or ``enough`` for those with at least 10 clips of 3
    classes), ``n_speakers``, ``share`` (mean over seeds) and its 95 % interval ``low``, ``high`` over draws of
    speakers, None with fewer than four. Clips of unknown speakers are left out; empty where no speaker is known.
    """
    rows = labelled_rows(predictions)
    rows = rows.where(rows.frame["speaker"].is_not_null().to_numpy())
    if not len(rows.label):
        return []
    block = KBest(len(rows.classes))
    _, strata = units(rows.frame)
    sums = crossed(block.columns(rows), rows.frame["unit"], rows.frame["seed"])
    counts = sums.reshape(*sums.shape[:2], block.classes, -1)[..., 0]
    enough = ((counts.sum(axis=-1) >= MIN_CLIPS) & ((counts > 0).sum(axis=-1) >= MIN_CLASSES)).all(axis=1)
    groups = {"all": np.ones(len(strata), np.bool_)}
    groups |= {name: strata == number for number, name in enumerate(GROUPS) if (strata == number).any()}
    groups |= {"enough": enough} if enough.any() and not enough.all() else {}
    sizes = [k for k in SIZES if k < block.classes] or [1]
    found = []
    for name, here in groups.items():
        cells = [(above, k) for k in sizes for above in THRESHOLDS]
        # What lies on the threshold but for rounding is not above it.
        each = np.stack(
            [(block.uar(sums[here], k) > above / 100 + 1e-9).mean(axis=1) for above, k in cells], axis=1
        )
        drawn = _drawn(each, strata[here], draws, seed) if here.sum() >= FEWEST else None
        for column, (above, k) in enumerate(cells):
            low, high = (None, None) if drawn is None else percentile(drawn[:, column])
            share = float(each[:, column].mean())
            found.append(
                {"above": above, "k": k, "group": name, "n_speakers": int(here.sum()), "share": share,
                 "low": low, "high": high}
            )  # fmt: skip
    return found


def _drawn(each: Floats, strata: NDArray[np.int64], draws: int, seed: int) -> Floats:
    """Return the means of columns (speakers, columns) over draws of speakers, shape (draws, columns)."""
    parts = draws_of_units(strata, draws, np.random.default_rng(seed), each.shape[1])
    return np.concatenate([weights @ each / len(each) for weights in parts])
