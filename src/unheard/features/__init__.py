"""Features in numpy: one implementation for training and for prediction, described by plain settings.

``build`` makes a spec of settings. Each spec has ``compute(wave) -> (frames, dims)`` or ``(dims,)``, the ``names``
of its dimensions, its ``settings`` in full, and a ``version``.
"""

from unheard.features.contract import Spec
from unheard.features.spec import SPECS, build

__all__ = ["SPECS", "Spec", "build"]
