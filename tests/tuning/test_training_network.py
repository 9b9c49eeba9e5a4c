"""What moves, how fast, and what stays frozen: looked at module by module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from training_toys import model, tones  # noqa: E402

from one_input import clips_of  # noqa: E402
from unheard.errors import UsageError  # noqa: E402
from unheard.tuning.finetuned import FineTuned  # noqa: E402
from unheard.tuning.network import TunedNetwork  # noqa: E402
from unheard.tuning.parameters import groups  # noqa: E402
from unheard.tuning.waves import padded  # noqa: E402

TUNES: list[dict[str, Any]] = [
    {"tune": "all"},
    {"tune": "all", "front": "tuned"},
    {"tune": "all", "time_mask": [0.2, 2]},
    {"tune": "top 1"},
    {"tune": "top 2"},
    {"tune": "lora", "lora_rank": 2},
]


def made(folder: Path, family: str = "hubert", **settings: Any) -> TunedNetwork:
    tuned = model(folder, family, **settings)
    torch.manual_seed(0)
    return tuned._network(2)


def moves(name: str, settings: dict[str, Any], pre_norm: bool) -> bool:
    """Whether a parameter of a toy of three layers is to move, by its name."""
    part, _, rest = name.partition(".")
    if part == "head":
        return True
    tune = settings["tune"]
    if tune == "lora":
        return ".lora_" in name
    if tune == "all":
        below = {"front": settings.get("front") == "tuned", "masked_spec_embed": "time_mask" in settings}
        return below.get(rest.partition(".")[0], True)
    first = 3 - int(tune[-1])
    return any(rest.startswith(f"layers.{k}.") for k in range(first, 3)) or (
        pre_norm and rest.startswith("norm.")
    )


@pytest.mark.parametrize("settings", TUNES, ids=str)
@pytest.mark.parametrize("family", ["hubert", "wavlm"])
def test_only_what_should_move_moves(tmp_path: Path, family: str, settings: dict[str, Any]) -> None:
    # WavLM here as its large model: norms before attention, one more at the end.
    large = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"} if family == "wavlm" else {}
    config = {**large, "conv_bias": family == "wavlm"}
    before = made(tmp_path, family, config=config, **settings)
    tuned = model(tmp_path, family, epochs=2, warmup=0.0, **settings).fit(tones(0), tones(1))
    start, end = before.state_dict(), tuned.network_.state_dict()
    assert set(start) == set(end)
    trained = {name for name, value in before.named_parameters() if value.requires_grad}
    assert trained == {name for name, _ in before.named_parameters() if moves(name, settings, bool(large))}
    changed = {name for name in start if not torch.equal(start[name], end[name])}
    assert changed <= trained
    # Keys' biases shift all scores of a query alike, and a bias before a norm over time cancels: no gradient.
    assert {name for name in trained - changed if "k_proj.bias" not in name} == set()


@pytest.mark.parametrize("settings", TUNES, ids=str)
def test_frozen_parts_are_in_eval_mode_throughout_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    seen: list[dict[str, bool]] = []
    real = TunedNetwork.forward

    def forward(self: TunedNetwork, waves: Any, lengths: Any) -> Any:
        if self.training:
            assert torch.is_grad_enabled()
            seen.append({name: part.training for name, part in self.named_modules()})
        return real(self, waves, lengths)

    monkeypatch.setattr(TunedNetwork, "forward", forward)
    tuned = model(tmp_path, epochs=2, **settings).fit(tones(0), tones(1))
    assert len(seen) == 6
    for name, part in tuned.network_.named_modules():
        values = list(part.parameters())
        frozen = values and not any(value.requires_grad for value in values)
        modes = {modes[name] for modes in seen}
        if frozen or (name == "encoder" and settings["tune"] != "all"):
            assert modes == {False}, name
        elif values:
            assert modes == {True}, name
        assert not part.training


def test_below_the_tuned_layers_training_draws_nothing(tmp_path: Path) -> None:
    config = {"hidden_dropout": 0.5, "attention_dropout": 0.5, "activation_dropout": 0.5}
    network = made(tmp_path, config=config, tune="top 1").train()
    waves, lengths = padded(clips_of(tones(0)))

    def entries() -> Any:
        return network.encoder(waves, lengths, (0, 1, 2, 3))[0]

    once, again = entries(), entries()
    for k in (0, 1, 2):
        assert torch.equal(once[k], again[k])
    assert not torch.equal(once[3], again[3])
    assert not once[2].requires_grad
    assert once[3].requires_grad


def test_masks_are_drawn_in_training_alone(tmp_path: Path) -> None:
    config = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0}
    network = made(tmp_path, config=config, time_mask=[0.9, 2])
    waves, lengths = padded(clips_of(tones(0)))
    network.head.eval()

    def scores(mode: bool) -> Any:
        network.train(mode)
        network.head.eval()
        return network(waves, lengths).detach()

    assert not torch.equal(scores(True), scores(True))
    assert torch.equal(scores(False), scores(False))


def test_learning_rates_fall_by_layer(tmp_path: Path) -> None:
    network = made(tmp_path, layer_decay=0.5, lr_head=1e-2, lr_backbone=8e-4)
    found = {}
    for group in groups(network, model(tmp_path, layer_decay=0.5, lr_head=1e-2, lr_backbone=8e-4).training):
        assert group["weight_decay"] == 0.01
        found |= {id(value): group["peak"] for value in group["params"]}
    names = {name: found.get(id(value)) for name, value in network.named_parameters()}
    expected = {"head": 1e-2, "layers.2": 8e-4, "layers.1": 4e-4, "layers.0": 2e-4}
    for name, rate in names.items():
        key = "head" if name.startswith("head.") else name.removeprefix("encoder.")[:8]
        frozen = name.startswith("encoder.front.") or name == "encoder.masked_spec_embed"
        assert rate == (None if frozen else pytest.approx(expected.get(key, 1e-4))), name


def test_the_final_norm_has_the_rate_of_the_top_layer(tmp_path: Path) -> None:
    config = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}
    network = made(tmp_path, "wavlm", config=config, layer_decay=0.5, tune="top 2")
    found = groups(network, model(tmp_path, "wavlm", layer_decay=0.5, tune="top 2").training)
    assert [group["peak"] for group in found] == pytest.approx([1e-2, 1e-3, 5e-4])
    norm = {id(value) for value in network.encoder.norm.parameters()}
    assert norm <= {id(value) for value in found[1]["params"]}


def test_low_rank_matrices_start_as_nothing_and_are_added_to_the_weights(tmp_path: Path) -> None:
    waves, lengths = padded(clips_of(tones(0)))
    plain = made(tmp_path, tune="top 1")
    network = made(tmp_path, tune="lora", lora_rank=2)
    matrices = [name for name, value in network.named_parameters() if ".lora_" in name]
    assert len(matrices) == 3 * 2 * 2
    with torch.no_grad():
        assert torch.equal(network(waves, lengths), plain(waves, lengths))
    tuned = model(tmp_path, tune="lora", lora_rank=2, epochs=2).fit(tones(0), tones(1)).network_
    with torch.no_grad():
        learned, before = tuned(waves, lengths).numpy(), plain(waves, lengths).numpy()
    assert abs(learned - before).max() > 1e-3
    held = tuned.state_dict()
    weights = {name.replace(".base_layer", ""): value for name, value in held.items() if ".lora_" not in name}
    for name in matrices:
        if ".lora_B" in name:
            a, b = held[name.replace(".lora_B", ".lora_A")], held[name]
            weights[name.replace(".lora_B.default", "")] += 8 * b @ a  # alpha over rank
    plain.load_state_dict(weights)
    with torch.no_grad():
        assert_allclose(plain(waves, lengths).numpy(), learned, atol=1e-5)


def test_more_layers_than_there_are_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'top 4', and the encoder has 3 layers"):
        model(tmp_path, tune="top 4").fit(tones(0), tones(1))


def test_the_state_of_another_network_is_refused(tmp_path: Path) -> None:
    tuned = model(tmp_path, tune="top 1", epochs=1).fit(tones(0), tones(1))
    state = tuned.state()
    from unheard.errors import DataError

    with pytest.raises(DataError, match="does not fit"):
        FineTuned.from_state({k: v for k, v in state.items() if "layers.2.attention.q_proj" not in k})
