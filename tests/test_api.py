"""The functions of the package stay what they are, whatever rooms are imported."""

from __future__ import annotations

import importlib
import pkgutil

import unheard


def test_no_module_hides_a_function() -> None:
    for module in pkgutil.walk_packages(unheard.__path__, "unheard."):
        if not module.name.endswith(("__main__", ".worker")):
            importlib.import_module(module.name)
    for name in unheard.__all__:
        if name != "__version__":
            assert callable(getattr(unheard, name)), name
