"""Examples over a single input, as most tests of heads need them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard import features
from unheard.exporting.export import ExportInput, export
from unheard.inputs import Form
from unheard.targets import Target
from unheard.training.examples import Examples, labelled

NAME = "voice"


def examples(
    features: Any,
    labels: NDArray[Any],
    speakers: NDArray[Any],
    classes: int,
    augmented: Sequence[Any] = (),
) -> Examples:
    """Clips with one class each; classes are called 0, 1, 2 …"""
    more = {NAME: tuple(augmented)} if augmented else {}
    names = [str(number) for number in range(classes)]
    return labelled({NAME: features}, labels, np.asarray(speakers), names, more)


def clips_of(rows: Examples) -> Any:
    """The features of the only input."""
    return rows.inputs[NAME]


def outputs_of(head: Any, clips: Any) -> NDArray[np.float64]:
    """What a head gives for features of the only input."""
    found: NDArray[np.float64] = head.outputs({NAME: clips})
    return found


def export_features(
    head: Any, settings: Mapping[str, Any], classes: Sequence[str], out: Path, **options: Any
) -> Path:
    """Write the bundle of a head on features, the only input."""
    spec = features.build(settings)
    form = Form.ROW if spec.frames_per_second is None else Form.FRAMES
    return export(head, {NAME: ExportInput(spec, form)}, Target(tuple(classes)), out, **options)
