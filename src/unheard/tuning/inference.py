"""The outputs of a tuned network for waveforms; nothing is learned, drawn or masked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from unheard.inputs import Features
from unheard.tuning.batches import ahead, plain_batches
from unheard.tuning.network import TunedNetwork
from unheard.tuning.settings import Settings
from unheard.tuning.waves import padded


@torch.inference_mode()
def outputs_of(
    network: TunedNetwork, features: Features, rows: Sequence[int], settings: Settings, rate: int, part: int
) -> Tensor:
    """Return class scores and dimensions, in the order of ``rows``, on the network's device.

    Parameters
    ----------
    network : network in eval mode.
    features, rows : waveforms (samples,) at ``rate``, and the numbers of those to predict.
    part : number of clips to compute together.
    """
    device = next(network.parameters()).device
    found: dict[int, Tensor] = {}
    for batch in ahead(plain_batches(features, rows, settings, rate, part)):
        waves, lengths = padded(batch.waves)
        found |= zip(batch.rows, network(waves.to(device), lengths.to(device)), strict=True)
    return torch.stack([found[row] for row in rows])
