"""Hidden states of a frozen network of Transformers by number; nothing above the highest wanted one is computed.

They are the inputs of the layers, so that they mean the same in every model and version: state k enters layer k,
counted from 0, and the last one is what the network calls its last hidden state, with the final norm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from unheard.errors import UsageError


class HiddenStates:
    """A network that returns chosen hidden states.

    Parameters
    ----------
    network
        Network in evaluation mode; layers above the cut are removed from it.
    count
        Number of its layers.
    cut
        Highest state that will be wanted.

    Raises
    ------
    UsageError
        The network has no list of this many layers.
    """

    def __init__(self, network: nn.Module, count: int, cut: int) -> None:
        self.network = network
        self.top = cut
        self._last = count
        self._layers = _layers(network, count)
        if self.top < count:
            del self._layers[self.top + 1 :]
            self._layers[self.top] = nn.Identity()  # only its input is wanted

    def __call__(self, inputs: Mapping[str, Tensor], wanted: Sequence[int]) -> list[Tensor]:
        """Return the states ``wanted``, in that order, each (batch, frames, dims).

        Parameters
        ----------
        inputs
            Arguments of the network, by name.
        wanted
            Numbers of states, at most the cut.
        """
        found: dict[int, Tensor] = {}
        highest = max(wanted)

        def tap(number: int) -> Any:
            def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
                state = cast(Tensor, args[0] if args else kwargs["hidden_states"])
                if number in wanted:
                    found[number] = state.clone()  # a layer may write into what it was given
                if number == highest:
                    raise _ReachedError

            return hook

        doors = list(self._layers)[: highest + 1]
        handles = [
            door.register_forward_pre_hook(tap(number), with_kwargs=True) for number, door in enumerate(doors)
        ]
        try:
            with torch.inference_mode():
                found[self._last] = self.network(**inputs).last_hidden_state
        except _ReachedError:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return [found[number] for number in wanted]


class _ReachedError(Exception):
    """No error: the highest state that was asked for is there."""


def _layers(network: nn.Module, count: int) -> nn.ModuleList:
    """Return the list of the network's layers: of its lists of that length, the last that lies in no other one."""
    lists = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == count
    ]
    outer = [module for name, module in lists if not any(name.startswith(f"{other}.") for other, _ in lists)]
    if not outer:
        raise UsageError(
            f"{type(network).__name__} has no list of its {count} layers, whose hidden states could be taken"
        )
    return outer[-1]
