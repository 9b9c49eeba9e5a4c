"""Heads over several inputs: equations, padding, inputs that are missing, and what modality dropout takes away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from one_input import examples
from unheard import heads
from unheard.errors import UsageError
from unheard.training.examples import Examples, Rows

torch = pytest.importorskip("torch")

from unheard.heads.networks.several_inputs_network import (  # noqa: E402
    Attention,
    CrossAttentionNetwork,
    GatesNetwork,
)

DIMS = {"voice": 5, "words": 4}
KINDS = ("alignment", "concatenation", "cross_attention", "gates")
SMALL: dict[str, Any] = {"hidden": 8, "epochs": 15, "batch": 8, "learning_rate": 1e-2, "dropout": 0.0}


def build(name: str, **settings: Any) -> Any:
    more = {"attention_heads": 2} if name == "cross_attention" else {}
    return heads.build({"name": name, "inputs": list(DIMS), **SMALL, **more, **settings})


def network(kind: type = CrossAttentionNetwork, **settings: Any) -> Any:
    torch.manual_seed(0)
    more = {"attention_heads": 2} if kind is CrossAttentionNetwork else {}
    return kind(DIMS, 3, **{"hidden": 8, "dropout": 0.0, "drop_inputs": 0.0, **more, **settings}).eval()


def both(seed: int, n: int = 36, voice_says: bool = True) -> Examples:
    """Clips whose words, and if asked voice too, say the class, of different numbers of frames."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    inputs: dict[str, list[np.ndarray]] = {"voice": [], "words": []}
    for label in labels:
        for name, dims in DIMS.items():
            clip = rng.normal(0, 1, (int(rng.integers(2, 7)), dims)).astype(np.float32)
            clip[:, label] += 2.0 if name == "words" or voice_says else 0.0
            inputs[name].append(clip)
    made = examples(inputs["voice"], labels.astype(np.int64), np.array([f"s{i % 4}" for i in range(n)]), 3)
    return replace(made, inputs=inputs)


def without(rows: Examples, name: str, which: list[int]) -> Examples:
    """The same clips, of which some lack an input."""
    listed = [str(i) for i in range(len(rows))]
    inputs = {
        other: Rows(
            {i: clip for i, clip in zip(listed, clips, strict=True) if other != name or int(i) not in which},
            listed,
            missing=True,
        )
        for other, clips in rows.inputs.items()
    }
    return replace(rows, inputs=inputs)


def test_attention_is_torch_s_own_and_sees_no_padding() -> None:
    torch.manual_seed(1)
    ours = Attention(8, 2)
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in (ours.query, ours.key, ours.value)]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in (ours.query, ours.key, ours.value)]))
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(ours.out.bias)
        queries, keys = torch.randn(2, 3, 8), torch.randn(2, 5, 8)
        seen = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]], dtype=torch.bool)[..., None]
        expected, _ = theirs(queries, keys, keys, key_padding_mask=~seen[..., 0])
        torch.testing.assert_close(ours(queries, keys, seen), expected)
        # Nothing to attend to gives zeros, not NaN.
        assert not ours(queries, keys, torch.zeros_like(seen)).any()


def test_gates_of_two_inputs_are_the_published_equation() -> None:
    gates = network(GatesNetwork)
    text, audio = torch.randn(1, 4, 8), torch.randn(1, 6, 8)
    masks = torch.ones(1, 4, 1, dtype=torch.bool), torch.ones(1, 6, 1, dtype=torch.bool)
    with torch.no_grad():
        found = gates.join({"words": (text, masks[0]), "voice": (audio, masks[1])})
        t, a = text.tanh().mean(1), audio.tanh().mean(1)
        scores = gates.gate(torch.cat([t, a], dim=1))
        g = torch.sigmoid(scores[:, :8] - scores[:, 8:])
    torch.testing.assert_close(found, g * t + (1 - g) * a)


@pytest.mark.parametrize("name", KINDS)
def test_clips_that_lack_an_input_are_learned_from_and_answered(name: str) -> None:
    train, val = without(both(0), "voice", [0, 5, 9]), without(both(1), "voice", [3])
    head = build(name, missing=True, drop_inputs=0.3).fit(train, val)
    test = both(2)
    whole = head.outputs(test.inputs)
    assert (whole.argmax(1) == test.labels).mean() > 0.8
    for gone in DIMS:
        found = head.outputs(without(test, gone, list(range(1, 36))).inputs)
        assert np.isfinite(found).all()
        assert (found.argmax(1) == test.labels).mean() > 0.6
        # A clip that has both is not changed by what others lack.
        np.testing.assert_allclose(found[0], whole[0], atol=1e-5)
        np.testing.assert_allclose(head.outputs(without(test, gone, [7]).inputs)[7], found[7], atol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_a_row_is_one_frame(name: str) -> None:
    rows = [both(seed) for seed in range(3)]
    means = [replace(r, inputs={**r.inputs, "words": [c.mean(0) for c in r.inputs["words"]]}) for r in rows]
    frames = [replace(r, inputs={**r.inputs, "words": [c[None] for c in r.inputs["words"]]}) for r in means]
    one, other = (build(name, epochs=3).fit(*side[:2]).outputs(side[2].inputs) for side in (means, frames))
    np.testing.assert_array_equal(one, other)


def test_modality_dropout_never_takes_the_last_input() -> None:
    torch.manual_seed(0)
    net = network(drop_inputs=0.5)
    lengths = {"voice": torch.full((4000,), 3), "words": torch.full((4000,), 2)}
    lengths["words"][:1000] = 0  # absent from the start
    found = net._dropped(lengths)
    there = torch.stack([found["voice"] > 0, found["words"] > 0])
    assert there.any(0).all()
    assert (found["voice"][:1000] == 3).all() and (found["words"][:1000] == 0).all()
    # Of two, both stay in a quarter of the draws, and none, which becomes one, in another.
    assert abs(float(there[:, 1000:].all(0).float().mean()) - 0.25) < 0.03
    assert abs(float((found["voice"][1000:] > 0).float().mean()) - 0.625) < 0.03


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="do not divide"):
        build("cross_attention", hidden=9)
    with pytest.raises(UsageError, match="several inputs"):
        build("gates", input="voice")
    with pytest.raises(UsageError, match="the same input twice"):
        build("gates", inputs=["voice", "voice"])
    with pytest.raises(UsageError, match="did you mean 'words'"):
        build("gates", inputs=["voice", "word"]).fit(both(0), both(1))
