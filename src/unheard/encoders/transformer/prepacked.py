"""Matrix products whose weights lie as the processor's kernels read them.

oneDNN, which multiplies for torch on x86 processors, else puts the weights into its own order at every call: 8 %
of the time in bfloat16, 20 % in float32 (measured with AVX-512). What is packed can be unpacked without loss.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_ROWS = 1024  # for which the order is chosen; any other number is computed as well


def pack(network: nn.Module) -> None:
    """Replace the linear layers of a network on the CPU, in place; it can then neither be trained nor saved."""
    if not _there():
        return
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear and _can_be_packed(child.weight):
                setattr(module, name, _Prepacked(child))


def unpack(network: nn.Module) -> None:
    """Give a network its linear layers back, in place."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, _Prepacked):
                setattr(module, name, child.linear())


class _Prepacked(nn.Module):
    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), _ROWS)
        self.bias = linear.bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        return made

    def linear(self) -> nn.Linear:
        weight = self.weight.to_dense()
        with torch.device("meta"):
            made = nn.Linear(weight.shape[1], weight.shape[0])
        made.weight, made.bias = nn.Parameter(weight), nn.Parameter(self.bias)
        return made.train(self.training)


def _can_be_packed(weight: Tensor) -> bool:
    """Return whether it lies on a processor that has a kernel for its number format."""
    short = weight.dtype == torch.bfloat16
    return weight.device.type == "cpu" and not (short and not torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _there() -> bool:
    """Return whether this torch has the two operations, which carry no promise of staying."""
    names = ("_reorder_linear_weight", "_linear_pointwise")
    return torch._C._has_mkldnn and all(hasattr(torch.ops.mkldnn, name) for name in names)
