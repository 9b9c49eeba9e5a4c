"""The head behind a tuned encoder: which heads are networks, and how each is made for an encoder's frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from unheard import heads
from unheard.errors import UsageError, unknown
from unheard.training.settings import Settings

if TYPE_CHECKING:
    from torch import nn

#: Heads that are networks, by what they hear: the frames of one entry, or of all entries.
FRAMES = ("tcgru",)
LAYERS: tuple[str, ...] = ()


def check_head(head: Mapping[str, Any], training: Settings) -> None:
    """Refuse a head that is no network, or that hears other entries than ``training.layer`` gives it."""
    name = head.get("name")
    heads.build(head)
    if name not in (*FRAMES, *LAYERS):
        raise unknown("head that can be tuned with an encoder", name, (*FRAMES, *LAYERS))
    if (training.layer == "weighted") != (name in LAYERS):
        raise UsageError(
            f"head {name!r} hears {'all entries' if name in LAYERS else 'one entry'} and training.layer is "
            f"{training.layer!r}; take training.layer={'last' if name in FRAMES else 'weighted'}"
        )


def head_network(head: Mapping[str, Any], dims: int, entries: int, classes: int) -> nn.Module:
    """Make the unfitted network of a head for frames of ``dims``; the caller has seeded torch."""
    made: Any = heads.build(head)
    network: nn.Module = made._network(dims, classes)
    return network
