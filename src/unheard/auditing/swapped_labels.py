"""Labels that a corpus may have swapped, by the answers of a model that has not heard it.

Of two classes the model is asked which of both a clip is: the one to which it gives the larger probability,
whatever it gives to the others. A model that knows little of a corpus is wrong about one class of a pair; wrong
about both, far beyond what tossing a coin would give, is what swapped names look like.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl

from unheard.auditing.certificate import Finding, finding
from unheard.predictions.table import classes, probabilities

#: Standard errors by which the share of crosswise answers must exceed one half, of either class. On corpora whose
#: labels are right the smaller of the two shares was at most 0.3.
BEYOND = 4.0


def check_swapped_labels(predicted: pl.DataFrame) -> list[Finding]:
    """Return ``LABELS_SWAPPED`` for each pair of classes that a model answers crosswise.

    Parameters
    ----------
    predicted
        Prediction table of one seed of a model that learned from no clip of the corpus. Clips without a label or
        a prediction are passed over.
    """
    ids, names = predicted["id"].to_list(), classes(predicted)
    label = predicted["label"].to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
    shares = probabilities(predicted)
    answered = ~np.isnan(shares).any(axis=1)
    found = []
    for a, b in combinations(range(len(names)), 2):
        heard_as_b = shares[:, b] > shares[:, a]
        of = {own: (label == own) & answered for own in (a, b)}
        crossed = {a: of[a] & heard_as_b, b: of[b] & ~heard_as_b}
        if not all(_beyond_chance(int(crossed[own].sum()), int(of[own].sum())) for own in (a, b)):
            continue
        said, cases = [], []
        for own, other in ((a, b), (b, a)):
            said.append(
                f"{crossed[own].sum()} of {of[own].sum()} clips called {names[own]} sound like {names[other]}"
            )
            cases += [
                f"{ids[i]}: {names[own]}, heard as {names[other]}" for i in np.flatnonzero(crossed[own])
            ]
        message = f"{names[a]} and {names[b]} may be swapped: to a model that has not heard the corpus "
        found.append(finding("LABELS_SWAPPED", "warning", message + " and ".join(said), cases))
    return found


def _beyond_chance(crossed: int, clips: int) -> bool:
    """Say whether the share exceeds one half by :data:`BEYOND` standard errors of a coin tossed for each clip."""
    return clips > 0 and crossed / clips - 0.5 >= BEYOND * 0.5 / clips**0.5
