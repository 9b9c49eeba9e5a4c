"""Number format and device that an encoder computes with, as far as the machine has them."""

from __future__ import annotations

from typing import Any

from unheard.errors import MachineError, need


def precision_of(wanted: str, device: str) -> str:
    """Return ``float32`` or ``bfloat16``; ``auto`` is bfloat16 where the processor multiplies in it."""
    if wanted != "auto":
        return wanted
    torch = need("torch", "train")
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "float32"
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bfloat16" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "float32"


def device_of(name: str) -> Any:
    """Return the torch device.

    Raises
    ------
    MachineError
        ``cuda`` where there is no GPU that torch can use.
    """
    torch = need("torch", "train")
    if name == "cuda" and not torch.cuda.is_available():
        raise MachineError("encoder.device is 'cuda', but torch finds no GPU here; choose cpu")
    return torch.device(name)
