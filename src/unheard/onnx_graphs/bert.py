"""The networks of BERT and RoBERTa as an ONNX graph, written node by node from their weights.

Takes the tokens of one text, ``unheard.tokens`` (tokens,) int64; gives ``unheard.K`` (frames, dims) for the layers
that are asked for, or ``unheard.pooler`` (1, dims). The computation is that of the models of these names in
Transformers, with which it is compared when a bundle is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from unheard.errors import UsageError
from unheard.onnx_graphs.graph import PREFIX, Graph
from unheard.onnx_graphs.parts import activation, array, attention, linear, norm

#: Types of models whose networks have these parts; of the second, positions are counted from behind the padding.
BERT, ROBERTA = ("bert",), ("roberta", "xlm-roberta", "camembert")
ACTIVATIONS = ("relu", "gelu")


def bert_graph(network: Any, layers: Sequence[int], tokens: str, name: str) -> Any:
    """Return the ModelProto of a network up to the highest layer that is asked for.

    Parameters
    ----------
    network
        ``BertModel`` or ``RobertaModel``, whose highest layers may have been cut away.
    layers
        Numbers of hidden states in increasing order; [0] where the pooler is asked for.
    tokens
        Which frames there are: of ``all`` tokens, of the ``first``, or what the ``pooler`` makes of it.
    name
        What errors call the model.

    Raises
    ------
    UsageError
        Another network, or one with another activation.
    """
    config = network.config
    if config.model_type not in BERT + ROBERTA or config.hidden_act not in ACTIVATIONS:
        raise UsageError(
            f"{name} is a {config.model_type} with {config.hidden_act}, and a graph of words is known for "
            f"{', '.join(BERT + ROBERTA)} with {' or '.join(ACTIVATIONS)}: take another model for a bundle"
        )
    g = Graph()
    numbers = g.take(PREFIX + "tokens", g.types.INT64, ["tokens"])
    x = _embeddings(g, network, numbers)
    pooled = tokens == "pooler"
    highest = config.num_hidden_layers if pooled else max(layers)
    wanted = {0: x}
    for index, layer in enumerate(network.encoder.layer[:highest], start=1):
        x = wanted[index] = _layer(g, config, layer, x)
    if pooled:
        g.give(
            f"{PREFIX}pooler", g.add("Tanh", linear(g, network.pooler.dense, _first(g, x))), _shape(config)
        )
        return g.model()
    for k in layers:
        state = _first(g, wanted[k]) if tokens == "first" else wanted[k]
        g.give(f"{PREFIX}{k}", state, _shape(config))
    return g.model()


def _embeddings(g: Graph, network: Any, numbers: str) -> str:
    """Add words, positions and the type of the first of two texts: (tokens,) to (tokens, dims)."""
    part = network.embeddings
    places = _places(g, network.config, numbers)
    words = g.add("Gather", g.constant(array(part.word_embeddings.weight)), numbers, axis=0)
    positions = g.add("Gather", g.constant(array(part.position_embeddings.weight)), places, axis=0)
    kind = g.constant(array(part.token_type_embeddings.weight)[:1])
    return norm(g, part.LayerNorm, g.add("Add", g.add("Add", words, kind), positions))


def _places(g: Graph, config: Any, numbers: str) -> str:
    """Return the positions of tokens, (tokens,)."""
    count = g.add("Gather", g.add("Shape", numbers), g.constant(0))
    counted = g.add("Range", g.constant(0), count, g.constant(1))
    if config.model_type in BERT:
        return counted
    # Tokens of padding, which a text can hold by their name, have the position of padding and count for no other.
    padding = g.constant(config.pad_token_id)
    real = g.add("Cast", g.add("Not", g.add("Equal", numbers, padding)), to=g.types.FLOAT)
    columns, rows = (g.add("Unsqueeze", counted, g.constant([axis])) for axis in (0, 1))
    before = g.add("Cast", g.add("LessOrEqual", columns, rows), to=g.types.FLOAT)
    summed = g.add("MatMul", before, g.add("Unsqueeze", real, g.constant([1])))
    place = g.add("Mul", g.add("Squeeze", summed, g.constant([1])), real)
    return g.add("Add", g.add("Cast", place, to=g.types.INT64), padding)


def _layer(g: Graph, config: Any, layer: Any, x: str) -> str:
    own, out = layer.attention.self, layer.attention.output
    found = attention(g, own.query, own.key, own.value, out.dense, x, config.num_attention_heads)
    x = norm(g, out.LayerNorm, g.add("Add", x, found))
    inner = activation(g, config.hidden_act, linear(g, layer.intermediate.dense, x))
    return norm(g, layer.output.LayerNorm, g.add("Add", x, linear(g, layer.output.dense, inner)))


def _first(g: Graph, x: str) -> str:
    """Return the frame of the first token, (1, dims)."""
    return g.add("Slice", x, *(g.constant(np.array([number])) for number in (0, 1, 0)))


def _shape(config: Any) -> list[Any]:
    return ["frames", config.hidden_size]
