"""What a cut saves, against the network itself and against what was published."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from unheard.encoders import cut
from unheard.encoders.transformer.architecture import Architecture, read
from unheard.encoders.transformer.network import Network
from unheard.errors import UsageError
from unheard.settings import plain

LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
}
WAVLM_LARGE = {**LARGE, "model_type": "wavlm", "conv_bias": False}
HUBERT_LARGE = {**LARGE, "model_type": "hubert", "conv_bias": True}


def test_published_savings() -> None:
    """WavLM cut at 20 of 24 saves 16 %, HuBERT-large at 22 of 24 saves 8 % (arXiv 2503.22711)."""
    assert round(100 * cut.saving(WAVLM_LARGE, 20).parameters) == 16
    assert round(100 * cut.saving(HUBERT_LARGE, 22).parameters) == 8
    assert cut.saving(WAVLM_LARGE, 20).whole.parameters == pytest.approx(315.5e6, rel=1e-3)
    assert "(16% saved)" in str(cut.saving(WAVLM_LARGE, 20))


@pytest.mark.parametrize("family", cut.FAMILIES)
@pytest.mark.parametrize("kind", [{}, LARGE, {**LARGE, "conv_bias": True, "feat_proj_layer_norm": False}])
@pytest.mark.parametrize("layers", [0, 5, "all"])
def test_parameters_are_those_of_the_network(family: str, kind: dict[str, Any], layers: Any) -> None:
    made = read({"model_type": family, **kind}, family, "here")
    layers = made.num_hidden_layers if layers == "all" else layers
    with torch.device("meta"):
        network = Network(made, False, layers)
    assert cut.cost(made, layers, 1).parameters == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("family", cut.FAMILIES)
def test_multiply_adds_are_those_that_are_computed(family: str) -> None:
    made = Architecture(family, 64, 3, 4, 128, conv_dim=(32,) * 7, num_conv_pos_embedding_groups=4)
    network = Network(made, False, 3).eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):  # the counter misses the fused kernel
        network.packed([torch.randn(64000)], [3])
    counted = cut.cost(made, 3, 64000).multiply_adds
    assert counter.get_total_flops() / 2 == pytest.approx(
        counted, rel=0.03
    )  # it sees the norms' statistics too
    assert cut.saving(plain(made), 0, 4.0).cut.multiply_adds < counted
    assert cut.saving(plain(made), 3).multiply_adds == 0


def test_faults() -> None:
    with pytest.raises(UsageError, match="24 layers"):
        cut.saving(WAVLM_LARGE, 25)
    with pytest.raises(UsageError, match="model_type"):
        cut.saving({**WAVLM_LARGE, "model_type": "bert"}, 2)
