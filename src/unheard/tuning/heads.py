"""The head behind a tuned encoder: any head that is a network, made for the encoder's frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unheard import heads
from unheard.errors import UsageError, unknown
from unheard.heads.networks.network_head import NetworkHead, Size
from unheard.inputs import Form
from unheard.training import objective
from unheard.tuning.settings import Settings


def check_head(settings: Mapping[str, Any], training: Settings) -> None:
    """Refuse a head that is no network, or that takes other layers than ``training.layer`` gives it."""
    head = heads.build(settings)
    if not isinstance(head, NetworkHead):
        networks = [name for name in heads.HEADS if isinstance(heads.build({"name": name}), NetworkHead)]
        raise unknown("head that can be tuned with an encoder", settings["name"], networks)
    every = head.form is Form.LAYERS
    if every != (training.layer == "weighted"):
        raise UsageError(
            f"head {head.name!r} takes {'all layers' if every else 'one layer'}, and training.layer is "
            f"{training.layer!r}; take training.layer={'weighted' if every else 'last'}"
        )


def head_network(
    settings: Mapping[str, Any], dims: int, layers: int, classes: int, dimensions: int = 0
) -> Any:
    """Make the unfitted network of a head for frames of ``dims``; the caller has seeded torch."""
    head = heads.build(settings)
    assert isinstance(head, NetworkHead)
    return head.network({"voice": Size(dims, layers)}, classes, dimensions)


def objective_of(settings: Mapping[str, Any]) -> objective.Objective:
    """Return the objective that a head's settings ask for."""
    head = heads.build(settings)
    assert isinstance(head, NetworkHead)
    return objective.objective_of(head.objective)
