"""Which parameters of an encoder are trained, and how fast: all, its top layers, or low-rank matrices."""

from __future__ import annotations

from typing import Any

from torch import nn

from unheard.errors import UsageError, need
from unheard.tuning.network import TunedNetwork
from unheard.tuning.settings import Settings

#: Names of the linear maps to queries and to values in an encoder's layers.
QUERY_VALUE = ("q_proj", "v_proj")


def set_free(encoder: Any, settings: Settings) -> None:
    """Freeze the encoder's network except for what ``settings.tune`` names; with ``lora``, add the matrices."""
    encoder.requires_grad_(settings.tune == "all")
    if settings.time_mask is None and hasattr(encoder, "masked_spec_embed"):
        encoder.masked_spec_embed.requires_grad_(False)
    if settings.front == "frozen":
        encoder.front.requires_grad_(False)
    if settings.top is not None:
        layers = encoder.layers
        if settings.top > len(layers):
            raise UsageError(f"training.tune is {settings.tune!r}, and the encoder has {len(layers)} layers")
        layers[len(layers) - settings.top :].requires_grad_(True)
        for name in _after(encoder):
            getattr(encoder, name).requires_grad_(True)
    if settings.tune == "lora":
        _lora(encoder, settings)
    encoder.checkpointing = settings.checkpointing
    encoder.time_mask = settings.time_mask


def groups(network: TunedNetwork, settings: Settings) -> list[dict[str, Any]]:
    """Return parameter groups for AdamW, one for each trained layer; ``peak`` is its learning rate."""
    layers: list[nn.Module] = list(network.encoder.layers)  # type: ignore[arg-type]
    numbers = {id(value): number for number, layer in enumerate(layers) for value in layer.parameters()}
    for name in _after(network.encoder):
        numbers |= {id(value): len(layers) - 1 for value in getattr(network.encoder, name).parameters()}
    by_depth: dict[int, list[nn.Parameter]] = {}
    for value in network.encoder.parameters():
        if value.requires_grad:
            # What precedes the first layer counts as one more below it.
            by_depth.setdefault(len(layers) - 1 - numbers.get(id(value), -1), []).append(value)
    found = [{"params": list(network.head.parameters()), "peak": settings.lr_head}]
    for depth, values in sorted(by_depth.items()):
        found.append({"params": values, "peak": settings.lr_backbone * settings.layer_decay**depth})
    return [{**group, "lr": group["peak"], "weight_decay": settings.weight_decay} for group in found]


def _lora(encoder: nn.Module, settings: Settings) -> None:
    peft = need("peft", "train")
    layers: nn.ModuleList = encoder.layers  # type: ignore[assignment]
    targets = [
        f"layers.{name}"
        for name, module in layers.named_modules()
        if isinstance(module, nn.Linear) and name.rpartition(".")[2] in QUERY_VALUE
    ]
    if not targets:
        raise UsageError(
            "training.tune is 'lora', and this encoder has no query and value projections for it"
        )
    config = peft.LoraConfig(
        r=settings.lora_rank, lora_alpha=settings.lora_alpha, lora_dropout=0.0, target_modules=targets
    )
    peft.inject_adapter_in_model(config, encoder)


def _after(encoder: Any) -> list[str]:
    """Return the names of what comes after the last layer: the final norm where norms come before attention."""
    before = getattr(getattr(encoder, "config", None), "do_stable_layer_norm", True)
    return [name for name in ("norm", "layer_norm") if before and hasattr(encoder, name)]
