"""Features in numpy: one implementation for training and for prediction, described by plain settings.

``build`` makes a spec of settings, ``settings`` gives them back in full, ``spec_hash`` is their digest. Each spec
has ``compute(wave) -> (frames, dims)`` or ``(dims,)``, the ``names`` of its dimensions, and a ``version``.
"""

from unheard.features.contract import Spec
from unheard.features.spec import SPECS, build, chosen, settings, spec_hash

__all__ = ["SPECS", "Spec", "build", "chosen", "settings", "spec_hash"]
