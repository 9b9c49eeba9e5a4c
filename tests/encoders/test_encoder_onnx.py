"""ONNX encoders: equal to the graph worked out by hand, cut, shuffled, refused where they do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from unheard import encoders
from unheard.encoders.kaldi import kaldi_norm
from unheard.errors import DataError, UnheardError, UsageError
from unheard.features.logmel import LogMel

BANDS, WIDTH = 6, 4


def wave(seconds: float = 0.5, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(round(seconds * 16_000)) * 0.1).astype(np.float32)


def write(folder: Path, *, opset: int = 17, nan: bool = False, changes: dict | None = None) -> dict:
    """A graph of two layers over three spliced frames: (1, T, 18) → ReLU (1, 4, T), softmax (1, T, 4)."""
    rng = np.random.default_rng(5)
    W = rng.standard_normal((3 * BANDS, WIDTH)).astype(np.float32)
    V = rng.standard_normal((WIDTH, WIDTH)).astype(np.float32)
    if nan:
        V[1, 2] = np.nan
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Transpose", ["b"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["b", "V"], ["c"]),
        helper.make_node("Softmax", ["c"], ["out"], axis=2),
    ]
    # The oldest form of the file: weights are inputs too.
    shapes = {"W": W.shape, "V": V.shape} if opset < 10 else {}
    held = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in shapes.items()
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "T", 3 * BANDS]), *held],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, "T", WIDTH])],
        [numpy_helper.from_array(W, "W"), numpy_helper.from_array(V, "V")],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8 if opset > 9 else 3
    )
    folder.mkdir(exist_ok=True)
    onnx.save(model, folder / "toy.onnx")
    shift, scale = np.arange(18) / 10.0, 1.0 / (1.0 + np.arange(18))
    rows = "<Nnet>\n<AddShift> 18 18\n<LearnRateCoef> 0 [ {} ]\n<Rescale> 18 18\n<LearnRateCoef> 0 [ {} ]\n</Nnet>"
    text = rows.format(*(" ".join(f"{v:.8g}" for v in row) for row in (shift, scale)))
    (folder / "norm.mvn").write_text(text, encoding="utf-8")
    description = {
        "rate": 16000,
        "frontend": {"name": "logmel", "bands": BANDS, "window": "hamming"},
        "splice": 3,
        "normalise": "norm.mvn",
        "input": {"tensor": "x", "axes": ["one", "frames", "dims"]},
        "layers": [
            {"name": "hidden", "tensor": "turned", "axes": ["one", "dims", "frames"]},
            {"name": "posterior", "tensor": "out", "axes": ["one", "frames", "dims"]},
        ],
        "licence": "MIT",
        "attribution": "nobody",
    } | (changes or {})
    (folder / "encoder.json").write_text(json.dumps(description), encoding="utf-8")
    return {"name": "onnx", "model": str(folder)}


def by_hand(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return hidden layer and posterior of the toy graph, frame by frame."""
    rng = np.random.default_rng(5)
    W, V = rng.standard_normal((18, 4)), rng.standard_normal((4, 4))
    W, V = W.astype(np.float32).astype(float), V.astype(np.float32).astype(float)
    mel = LogMel(bands=BANDS, window="hamming").compute(samples).astype(float)
    hidden, posterior = [], []
    for t in range(len(mel)):
        x = np.concatenate([mel[max(0, t - 1)], mel[t], mel[min(len(mel) - 1, t + 1)]])
        x = (x + np.arange(18) / 10.0) * (1.0 / (1.0 + np.arange(18)))
        hidden.append(np.maximum(0.0, x @ W))
        z = np.exp(hidden[-1] @ V - (hidden[-1] @ V).max())
        posterior.append(z / z.sum())
    return np.array(hidden), np.array(posterior)


def test_equals_the_graph_by_hand(tmp_path: Path) -> None:
    encoder = encoders.load(write(tmp_path / "m"))
    samples = wave()
    ((hidden, posterior),) = encoder.extract([samples], [0, 1])
    expected = by_hand(samples)
    np.testing.assert_allclose(hidden, expected[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(posterior, expected[1], atol=1e-5)
    assert tuple(layer.name for layer in encoder.layers) == ("hidden", "posterior")
    assert tuple(layer.dims for layer in encoder.layers) == (4, 4)
    assert tuple(layer.rate for layer in encoder.layers) == (100.0, 100.0)
    assert encoder.source.licence == "MIT"
    assert encoder.frames(len(samples)) == (len(hidden),) * 2 == (48, 48)


@pytest.mark.parametrize("opset", [9, 11, 13, 18, 20])
def test_holds_for_operator_sets_old_and_new(tmp_path: Path, opset: int) -> None:
    changes = {
        "splice": 1,
        "normalise": None,
        "frontend": {"name": "logmel", "bands": 18},
        "layers": [{"name": "mean", "tensor": "turned", "axes": ["dims", "mean", "frames"]}],
    }
    encoder = encoders.load(write(tmp_path / "m", opset=opset, changes=changes))
    ((frames,),) = encoder.extract([wave()], [0])
    mel = LogMel(bands=18).compute(wave())
    W = np.random.default_rng(5).standard_normal((18, 4)).astype(np.float32)
    np.testing.assert_allclose(frames[:, 0], np.maximum(0, mel @ W).mean(axis=1), rtol=1e-4)


def test_a_clip_alone_equals_a_clip_among_others_and_order_does_not_matter(tmp_path: Path) -> None:
    encoder = encoders.load(write(tmp_path / "m"))
    clips = [wave(0.01), wave(1.0, 1), wave(0.3, 2)]
    together = encoder.extract(clips, [1, 0])
    for clip, (posterior, hidden) in zip(clips, together, strict=True):
        alone = encoder.extract([clip], [0, 1])[0]
        np.testing.assert_array_equal(hidden, alone[0])
        np.testing.assert_array_equal(posterior, alone[1])
        assert len(hidden) == encoder.frames(len(clip))[0]


def test_cut_gives_the_entries_below_and_drops_what_lies_above(tmp_path: Path) -> None:
    settings = write(tmp_path / "m")
    whole, cut = encoders.load(settings), encoders.load({**settings, "cut": 0})
    assert tuple(layer.name for layer in cut.layers) == ("hidden",)
    np.testing.assert_array_equal(cut.extract([wave()], [0])[0][0], whole.extract([wave()], [0])[0][0])
    kept = onnx.load_from_string(cut.graph([0]))  # type: ignore[attr-defined]
    assert "V" not in {tensor.name for tensor in kept.graph.initializer}
    assert "Softmax" not in {node.op_type for node in kept.graph.node}
    assert encoders.key(cut.settings) != encoders.key(whole.settings)
    with pytest.raises(UsageError, match="has the layers 0 … 1"):
        encoders.load({**settings, "cut": 2})


def test_the_graph_stands_alone(tmp_path: Path) -> None:
    import onnxruntime

    encoder = encoders.load(write(tmp_path / "m"))
    session = onnxruntime.InferenceSession(encoder.graph([0, 1]))  # type: ignore[attr-defined]
    mel = LogMel(bands=BANDS, window="hamming").compute(wave())
    found = session.run(["unheard.posterior"], {"unheard.frames": mel})[0]
    np.testing.assert_array_equal(found, encoder.extract([wave()], [1])[0][0])


def test_shuffled_weights_keep_their_values_and_lose_their_places(tmp_path: Path) -> None:
    settings = write(tmp_path / "m")

    def weights(**changes: object) -> np.ndarray:
        graph = onnx.load_from_string(encoders.load({**settings, **changes}).graph([0, 1])).graph  # type: ignore[attr-defined]
        return next(numpy_helper.to_array(t) for t in graph.initializer if t.name == "W")

    trained, one, two = weights(), weights(weights="shuffled"), weights(weights="shuffled", seed=1)
    np.testing.assert_array_equal(np.sort(trained, axis=None), np.sort(one, axis=None))
    assert (trained != one).mean() > 0.8
    assert (two != one).mean() > 0.8
    np.testing.assert_array_equal(one, weights(weights="shuffled"))


def test_a_waveform_may_enter_a_graph_with_strides(tmp_path: Path) -> None:
    kernel = np.array([[[1.0, 2.0, 3.0, 4.0]], [[0.0, 0.0, 0.0, 1.0]]], dtype=np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "k"], ["y"], strides=[3])],
        "toy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, "N"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, "T"])],
        [numpy_helper.from_array(kernel, "k")],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        tmp_path / "g.onnx",
    )
    description = {
        "rate": 8000,
        "min_samples": 6,
        "input": {"tensor": "x", "axes": ["one", "one", "samples"]},
        "layers": [{"name": "y", "tensor": "y", "axes": ["one", "dims", "frames"], "stride": 3, "window": 4}],
        "licence": "MIT",
    }
    (tmp_path / "mine.json").write_text(json.dumps(description))
    encoder = encoders.load(
        {"name": "onnx", "model": str(tmp_path / "g.onnx"), "description": str(tmp_path / "mine.json")}
    )
    assert (encoder.rate, tuple(layer.rate for layer in encoder.layers)) == (8000, (8000 / 3,))
    samples = np.arange(1.0, 11.0, dtype=np.float32)
    long, short = encoder.extract([samples, samples[:2]], [0])
    np.testing.assert_allclose(long[0], [[30, 4], [60, 7], [90, 10]])
    np.testing.assert_allclose(short[0], [[5, 0]])
    assert (encoder.frames(10), encoder.frames(2)) == ((3,), (1,))
    description["layers"][0]["window"] = 1  # type: ignore[index]
    (tmp_path / "mine.json").write_text(json.dumps(description))
    with pytest.raises(DataError, match="correct its axes, stride or window"):
        encoders.load(encoder.settings | {"sha256": ""})


def test_the_digest_follows_every_part(tmp_path: Path) -> None:
    settings = write(tmp_path / "m")
    encoder = encoders.load(settings)
    assert encoders.load(encoder.settings).settings == encoder.settings
    norm = tmp_path / "m" / "norm.mvn"
    norm.write_text(norm.read_text().replace("0.1 ", "0.2 ", 1))
    with pytest.raises(DataError, match=r"sha256 of weights and configuration is .* expected"):
        encoders.load(encoder.settings)
    assert encoders.key(encoders.load(settings).settings) != encoders.key(encoder.settings)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"rate": None}, DataError, "declares no rate"),
        ({"speed": 3}, DataError, "unknown key .*'speed'"),
        ({"splice": 2}, DataError, "must be odd"),
        ({"frontend": {"name": "logmle"}}, DataError, "did you mean 'logmel'"),
        ({"frontend": {"name": "logmel", "bands": 7}}, DataError, "cannot be run|refuses"),
        ({"input": {"tensor": "y", "axes": ["one", "frames", "dims"]}}, UsageError, "no tensor 'y'"),
        ({"input": {"tensor": "x", "axes": ["one", "frames"]}}, DataError, "must be 'one' and frames and dims"),
        ({"layers": []}, DataError, "layers is"),
        ({"layers": [7]}, DataError, r"layers is \[7\], expected an object for each layer"),
        ({"splice": 10**9 + 1}, DataError, r"splice must be in 1 … 101"),
        ({"rate": 10**9}, DataError, r"rate must be in 1000 … 192000"),
        ({"min_samples": 10**9}, DataError, r"min_samples must be in 0 … 1e\+06"),
        ({"frontend": {"name": "logmel", "fft": 10**9}}, DataError, r"fft must be in 1 … 65536"),
        ({"frontend": {"name": "logmel", "bands": 10**9}}, DataError, r"bands must be in 1 … 1024"),
        ({"frontend": {"name": "whisper", "seconds": 3600}}, DataError, r"seconds must be in 0 … 60"),
        ({"layers": [{"name": "a", "tensor": "b", "axes": ["dims", "frames"], "stride": 10**9}]}, DataError, "1e"),
        ({"trained_on": {"ravdess": "x"}}, DataError, "'ravdess' is 'x', expected a list of speakers"),
        ({"heard": {"ravdess": "x"}}, DataError, "'ravdess' is 'x', expected a list of speakers"),
        ({"licence": "free\x1b[2J"}, DataError, r"holds the control character U\+001B"),
        ({"layers": [{"name": "a", "tensor": "b", "axes": ["one", "dims", "frames"]}]}, DataError, "has shape"),
        ({"input": {"tensor": "x", "axes": ["one", "frames", "dims"]}, "extra": None}, DataError, "unknown key"),
        ({"normalise": "../norm.mvn"}, DataError, "without a folder"),
        ({"normalise": "other.mvn"}, DataError, r"other\.mvn: no such file"),
        ({"model": "other.onnx"}, DataError, "holds no other.onnx"),
    ],
)  # fmt: skip
def test_a_description_that_does_not_fit_is_refused(
    tmp_path: Path, changes: dict, error: type[UnheardError], message: str
) -> None:
    with pytest.raises(error, match=message):
        encoders.load(write(tmp_path / "m", changes=changes))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"model": "nowhere"}, UsageError, "no file or folder"),
        ({"description": "fsmn-vat"}, UsageError, "did you mean 'fsmn-vad'"),
        ({"description": "mine/encoder.json"}, UsageError, "no description of the ONNX encoder at"),
        ({"weights": "random"}, UsageError, "take 'shuffled'"),
        ({"precision": "bfloat16"}, UsageError, "'float32' or 'auto'"),
        ({"device": "cuda"}, UsageError, "runs on 'cpu'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    tmp_path: Path, settings: dict, error: type[UnheardError], message: str
) -> None:
    with pytest.raises(error, match=message):
        encoders.load(write(tmp_path / "m") | {"description": "fsmn-vad"} | settings)


def test_a_file_that_names_twice_is_refused(tmp_path: Path) -> None:
    settings = write(tmp_path / "m")
    file = tmp_path / "m" / "encoder.json"
    file.write_text(file.read_text().replace("{", '{"rate": 8000, ', 1))
    with pytest.raises(DataError, match="the name 'rate' stands twice"):
        encoders.load(settings)


def test_the_encoder_is_named_where_its_graph_lacks_a_tensor(tmp_path: Path) -> None:
    settings = write(tmp_path / "m", changes={"input": {"tensor": "y", "axes": ["one", "frames", "dims"]}})
    with pytest.raises(UsageError, match=f"{tmp_path / 'm'}: the graph has no tensor 'y'"):
        encoders.load(settings)


def test_signalling_nan_is_found_without_a_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    settings = write(tmp_path / "m")
    model = onnx.load(tmp_path / "m" / "toy.onnx")
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "V")
    tensor.raw_data = b"\x01\x00\xa0\x7f" + tensor.raw_data[4:]
    (tmp_path / "m" / "toy.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match="weights hold NaN: V"):
        encoders.load(settings)
    assert not recwarn.list


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    settings = write(tmp_path / "m", nan=True)
    with pytest.raises(DataError, match="weights hold NaN: V"):
        encoders.load(settings)
    (tmp_path / "m" / "toy.onnx").write_bytes(b"no graph at all")
    with pytest.raises(DataError, match="is not an ONNX graph"):
        encoders.load(settings)
    (tmp_path / "m" / "second.onnx").touch()
    with pytest.raises(UsageError, match=r"2 graphs: name one of second\.onnx, toy\.onnx"):
        encoders.load(settings)
    for file in (tmp_path / "m").glob("*.onnx"):
        file.unlink()
    with pytest.raises(DataError, match="holds no weights"):
        encoders.load(settings)
    (tmp_path / "norm.mvn").write_text("<AddShift> 2 2 <LearnRateCoef> 0 [ 1 2 ] <Rescale> [ 1 ]")
    with pytest.raises(DataError, match="of one length"):
        kaldi_norm(tmp_path / "norm.mvn")


@pytest.mark.data
def test_fsmn_equals_its_layers_by_hand(data_folder: Path) -> None:
    folder = data_folder / "weights" / "fsmn-vad"
    encoder = encoders.load({"name": "onnx", "model": str(folder), "description": "fsmn-vad"})
    samples = wave(0.4)
    found = encoder.extract([samples], range(6))[0]
    assert tuple(layer.dims for layer in encoder.layers) == (250, 250, 250, 250, 250, 248)

    graph = onnx.load(folder / "fsmnvad-offline.onnx").graph
    w = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    mel = LogMel(window="hamming").compute(samples)
    ends = np.concatenate([mel[:1], mel[:1], mel, mel[-1:], mel[-1:]])
    shift, scale = kaldi_norm(folder / "am.mvn")
    x = (np.concatenate([ends[k : k + len(mel)] for k in range(5)], axis=1) + shift) * scale
    x = x @ w["onnx::MatMul_175"] + w["encoder.in_linear1.linear.bias"]
    x = np.maximum(0, x @ w["onnx::MatMul_176"] + w["encoder.in_linear2.linear.bias"])
    hidden = [x]
    for block, (down, up) in enumerate(((177, 180), (181, 184), (185, 188), (189, 192))):
        p = x @ w[f"onnx::MatMul_{down}"]
        memory = w[f"encoder.fsmn.{block}.fsmn_block.conv_left.weight"][:, 0, :, 0]
        past = np.concatenate([np.zeros((19, 128)), p])
        p = p + sum(past[k : k + len(p)] * memory[:, k] for k in range(20))
        x = np.maximum(0, p @ w[f"onnx::MatMul_{up}"] + w[f"encoder.fsmn.{block}.affine.linear.bias"])
        hidden.append(x)
    for ours, theirs in zip(found, hidden, strict=False):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found[5].sum(axis=1), 1.0, atol=1e-5)


def test_a_graph_with_another_input_is_refused(tmp_path: Path) -> None:
    settings = write(tmp_path / "m")
    model = onnx.load(tmp_path / "m" / "toy.onnx")
    model.graph.input.append(helper.make_tensor_value_info("speed", TensorProto.FLOAT, [1]))
    model.graph.node[0].output[0] = "a0"
    model.graph.node.insert(1, helper.make_node("Mul", ["a0", "speed"], ["a"]))
    onnx.save(model, tmp_path / "m" / "toy.onnx")
    with pytest.raises(UsageError, match="more inputs than its description names: speed"):
        encoders.load(settings)


def test_weights_beside_the_graph_count(tmp_path: Path) -> None:
    settings = write(tmp_path / "m")
    whole = encoders.load(settings)
    model = onnx.load(tmp_path / "m" / "toy.onnx")
    onnx.save(
        model, tmp_path / "m" / "toy.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
    )
    apart = encoders.load(settings)
    np.testing.assert_array_equal(apart.extract([wave()], [1])[0][0], whole.extract([wave()], [1])[0][0])
    data = tmp_path / "m" / "w.bin"
    data.write_bytes(np.frombuffer(data.read_bytes(), np.float32)[::-1].tobytes())
    with pytest.raises(DataError, match="another model"):
        encoders.load(apart.settings)


def test_descriptions_in_the_first_words_are_read_and_have_the_same_digest(tmp_path: Path) -> None:
    today = write(tmp_path / "today")
    file = tmp_path / "today" / "encoder.json"
    content = json.loads(file.read_text()) | {"min_samples": 640, "trained_on": {"toy": ["01"]}}
    file.write_text(json.dumps(content))
    write(tmp_path / "then")
    then = {
        name: content[name]
        for name in content
        if name not in ("frontend", "layers", "min_samples", "trained_on")
    }
    then |= {"front": content["frontend"], "least": 640, "heard": {"toy": ["01"]}}
    then["entries"] = [{"entry": layer["name"], **{k: v for k, v in layer.items() if k != "name"}}
                       for layer in content["layers"]]  # fmt: skip
    (tmp_path / "then" / "encoder.json").write_text(json.dumps(then))
    new, old = encoders.load(today), encoders.load({**today, "model": str(tmp_path / "then")})
    assert old.settings["sha256"] == new.settings["sha256"]
    assert (old.layers, old.source, old.frames(10)) == (new.layers, new.source, new.frames(10))
    assert old.source.trained_on == {"toy": ["01"]}


@pytest.mark.data
def test_the_digest_of_the_detector_is_that_of_its_stored_results(data_folder: Path) -> None:
    encoder = encoders.load(
        {"name": "onnx", "model": str(data_folder / "weights" / "fsmn-vad"), "description": "fsmn-vad"}
    )
    stored = Path(__file__).parents[2] / "results" / "ravdess-probe-fsmn" / "ravdess-article6" / "config.yaml"
    assert encoder.settings["sha256"] in stored.read_text()
