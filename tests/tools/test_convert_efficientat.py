"""EfficientAT as an ONNX encoder: equal to a restatement of frontend and network; speech is heard as speech."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile
import torch
from onnx import numpy_helper
from torch import Tensor
from torch.nn import functional

from tool_modules import tool as import_tool
from unheard import encoders
from unheard.audio.resample import to_rate
from unheard.errors import DataError, UsageError

torch.set_num_threads(1)
TINY = 0.1

tool = import_tool("convert_efficientat")


def divisible(channels: float) -> int:
    """Round to a multiple of 8, at least 8 and never by more than 10 % down (Howard et al. 2017)."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def wave(seconds: float = 0.4, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(round(seconds * 32_000)) * 0.1).astype(np.float32)


def published(width: float = TINY, seed: int = 0) -> dict[str, Tensor]:
    """A state dict with the names and shapes of the published ones, its norms with statistics of their own."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g) / np.sqrt(np.prod(shape[1:]) if len(shape) > 1 else 4.0)

    tensors: dict[str, Tensor] = {}

    def convolution(name: str, out: int, into: int, kernel: int) -> None:
        tensors[f"{name}.0.weight"] = normal(out, into, kernel, kernel)
        tensors[f"{name}.1.weight"] = 1.0 + 0.2 * normal(out)
        tensors[f"{name}.1.bias"] = normal(out)
        tensors[f"{name}.1.running_mean"] = normal(out)
        tensors[f"{name}.1.running_var"] = 0.5 + torch.rand(out, generator=g)
        tensors[f"{name}.1.num_batches_tracked"] = torch.tensor(7)

    before = divisible(16 * width)
    convolution("features.0", before, 1, 3)
    for k, block in enumerate(tool.BLOCKS, start=1):
        wide, after, place = divisible(block.expanded * width), divisible(block.out * width), 0
        if k > 1:
            convolution(f"features.{k}.block.0", wide, before, 1)
            place = 1
        convolution(f"features.{k}.block.{place}", wide, 1, block.kernel)
        if block.squeeze:
            place += 1
            few, name = divisible(wide // 4), f"features.{k}.block.{place}.conc_se_layers.0"
            tensors |= {f"{name}.fc1.weight": normal(few, wide), f"{name}.fc1.bias": normal(few)}
            tensors |= {f"{name}.fc2.weight": normal(wide, few), f"{name}.fc2.bias": normal(wide)}
        convolution(f"features.{k}.block.{place + 1}", after, wide, 1)
        before = after
    convolution("features.16", divisible(960 * width), before, 1)
    tensors["classifier.2.weight"] = normal(16, divisible(960 * width))
    return tensors


def restated(tensors: dict[str, Tensor], samples: np.ndarray) -> list[np.ndarray]:
    """Front end and network once more, with torch's own transform and norms that are not folded."""
    x = torch.from_numpy(samples).double()[None, None]
    x = functional.conv1d(x, torch.tensor([[[-0.97, 1.0]]], dtype=torch.float64))[0]
    spectrum = (
        torch.stft(
            x,
            1024,
            320,
            800,
            torch.hann_window(800, periodic=False, dtype=torch.float64),
            return_complex=True,
        ).abs()
        ** 2
    )
    mel = 1127.0 * np.log(1.0 + np.arange(513) * 31.25 / 700.0)
    step = 1127.0 * np.log(1.0 + 15_000.0 / 700.0) / 129.0
    bank = np.zeros((128, 513))
    for b in range(128):
        rise, fall = mel / step - b, b + 2 - mel / step
        bank[b] = np.maximum(0.0, np.minimum(rise, fall))
    x = (((torch.from_numpy(bank) @ spectrum + 1e-5).log() + 4.5) / 5.0)[None].float()

    def convolution(name: str, x: Tensor, stride: int, act: str, groups: int = 1) -> Tensor:
        w = tensors[f"{name}.0.weight"]
        x = functional.conv2d(x, w, stride=stride, padding=w.shape[-1] // 2, groups=groups)
        parts = (tensors[f"{name}.1.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        x = functional.batch_norm(x, *parts, eps=1e-3)
        return {"": x, "relu": functional.relu(x), "swish": x * functional.relu6(x + 3) / 6}[act]

    x = convolution("features.0", x, 2, "swish")
    entries = [x]
    for k, block in enumerate(tool.BLOCKS, start=1):
        act, y, place = "swish" if block.hard_swish else "relu", x, 0
        if k > 1:
            y, place = convolution(f"features.{k}.block.0", y, 1, act), 1
        y = convolution(f"features.{k}.block.{place}", y, block.stride, act, groups=y.shape[1])
        if block.squeeze:
            place += 1
            p = [tensors[f"features.{k}.block.{place}.conc_se_layers.0.{n}"]
                 for n in ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias")]  # fmt: skip
            scale = functional.relu(y.mean(dim=(2, 3)) @ p[0].T + p[1]) @ p[2].T + p[3]
            y = y / (1 + torch.exp(-scale))[:, :, None, None]
        y = convolution(f"features.{k}.block.{place + 1}", y, 1, "")
        x = y + x if y.shape == x.shape and block.stride == 1 else y
        entries.append(x)
    entries.append(convolution("features.16", x, 1, "swish"))
    return [entry.mean(dim=2)[0].T.numpy() for entry in entries]


@pytest.fixture
def tiny(tmp_path: Path) -> dict[str, Any]:
    torch.save(published(), tmp_path / "mn01.pt")
    tool.convert(tmp_path / "mn01.pt", tmp_path / "out")
    return {"name": "onnx", "model": str(tmp_path / "out")}


def test_equals_the_definition_of_the_network(tiny: dict[str, Any]) -> None:
    encoder = encoders.load(tiny)
    samples = wave(0.5)
    found = encoder.extract([samples], range(17))[0]
    for name, ours, expected in zip(tool.NAMES, found, restated(published(), samples), strict=True):
        np.testing.assert_allclose(
            ours, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max(), err_msg=name
        )
    assert tuple(layer.name for layer in encoder.layers) == tool.NAMES
    assert tuple(layer.dims for layer in encoder.layers) == tuple(layer.shape[1] for layer in found)
    assert encoder.frames(len(samples)) == tuple(len(layer) for layer in found)
    assert tuple(layer.rate for layer in encoder.layers) == (
        50,
        50,
        25,
        25,
        *[12.5] * 3,
        *[6.25] * 6,
        *[3.125] * 4,
    )
    assert encoder.rate == 32_000


def test_the_same_file_gives_the_same_bytes(tiny: dict[str, Any], tmp_path: Path) -> None:
    tool.convert(tmp_path / "mn01.pt", tmp_path / "again")
    for name in ("efficientat.onnx", "encoder.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_it_prints_the_settings_that_the_encoder_takes(
    tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mixed"
    monkeypatch.setattr("sys.argv", ["convert", str(tmp_path / "mn01.pt"), str(out), "--shuffle", "0"])
    tool.main()
    assert f"encoder {{name: onnx, model: {out}, weights: shuffled}}" in capsys.readouterr().out


def test_shuffled_weights_are_the_same_values_and_say_so(tiny: dict[str, Any], tmp_path: Path) -> None:
    def weights(seed: int | None) -> list[np.ndarray]:
        folder = tmp_path / f"seed{seed}"
        tool.convert(tmp_path / "mn01.pt", folder, seed)
        model = onnx.load(folder / "efficientat.onnx")
        return [numpy_helper.to_array(tensor) for tensor in model.graph.initializer]

    trained, shuffled = weights(None), weights(0)
    for one, other in zip(trained, shuffled, strict=True):
        np.testing.assert_array_equal(np.sort(one, axis=None), np.sort(other, axis=None))
    large = next(k for k, values in enumerate(trained) if values.ndim == 4 and values.size > 500)
    assert (trained[large] != shuffled[large]).mean() > 0.9
    assert (weights(1)[large] != shuffled[large]).mean() > 0.9
    np.testing.assert_array_equal(weights(0)[large], shuffled[large])

    control = {"name": "onnx", "model": str(tmp_path / "seed0")}
    with pytest.raises(UsageError, match=r"shuffled weights, .*set encoder\.weights=shuffled"):
        encoders.load(control)
    encoder = encoders.load({**control, "weights": "shuffled"})
    assert encoders.is_random(encoder.settings)
    again = encoders.load({**control, "weights": "shuffled", "seed": 5})
    np.testing.assert_array_equal(
        encoder.extract([wave()], [4])[0][0], again.extract([wave()], [4])[0][0]
    )  # they were shuffled when they were written


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "mn01.pt"
    whole = published()
    lacking = {name: value for name, value in whole.items() if not name.startswith("features.5.block.0")}
    for state, message in (
        (whole | {"features.3.block.0.1.bias": torch.full((8,), float("nan"))}, "NaN .*features.3"),
        (
            whole | {"features.3.block.0.0.weight": torch.zeros(8, 9, 1, 1)},
            r"blocks\.2\.widen\.weight .* is expected",
        ),
        (whole | {"features.3.block.0.1.weight": torch.zeros(9)}, "does not fit a MobileNetV3-large"),
        (lacking, r"tensors are missing .*features\.5\.block\.0\.1\.weight"),
        ({"weight": torch.zeros(2)}, "no state dict of EfficientAT"),
        ({"features.16.0.weight": Path("a class that is not a tensor")}, "that can be read safely"),
    ):
        torch.save(state, file)
        with pytest.raises(DataError, match=message):
            tool.convert(file, tmp_path / "out")
    file.write_bytes(b"nothing to be read")
    with pytest.raises(DataError, match="no state dict that can be read safely"):
        tool.convert(file, tmp_path / "out")
    with pytest.raises(UsageError, match="no such file"):
        tool.convert(tmp_path / "nowhere.pt", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_family_of_older_recipes_means_the_converted_network(tiny: dict[str, Any]) -> None:
    older = {**tiny, "name": "efficientat", "width": 1.0, "trim": 40}
    assert encoders.checked(older) == encoders.checked({**tiny, "trim": 40})
    np.testing.assert_array_equal(
        encoders.load(older).extract([wave()], [4])[0][0], encoders.load(tiny).extract([wave()], [4])[0][0]
    )


def test_a_state_dict_that_was_not_converted_is_refused(tmp_path: Path) -> None:
    torch.save(published(), tmp_path / "mn01.pt")
    for place in (tmp_path, tmp_path / "mn01.pt"):
        with pytest.raises(DataError, match=r"convert_efficientat\.py"):
            encoders.load({"name": "efficientat", "model": str(place)})


@pytest.mark.data
@pytest.mark.parametrize(
    "name",
    ["ravdess/speech/Actor_01/03-01-01-01-01-01-01.flac", "ravdess/speech/Actor_02/03-01-05-02-01-01-02.flac",
     "emodb/wav/03a01Fa.ogg"],
)  # fmt: skip
def test_the_owners_classifier_hears_speech(data_folder: Path, name: str, tmp_path: Path) -> None:
    file = data_folder / "weights" / "efficientat-mn04" / "mn04_as_mAP_432.pt"
    tool.convert(file, tmp_path)
    about = json.loads((tmp_path / "encoder.json").read_text())["about"]
    assert "width 0.4" in about
    encoder = encoders.load({"name": "onnx", "model": str(tmp_path)})
    samples, rate = soundfile.read(data_folder / name, dtype="float32")
    last = encoder.extract([to_rate(samples, rate, encoder.rate)], [16])[0][0]
    held = torch.load(file, weights_only=True)
    hidden = functional.hardswish(
        torch.from_numpy(last.mean(axis=0)) @ held["classifier.2.weight"].T + held["classifier.2.bias"]
    )
    classes = torch.sigmoid(hidden @ held["classifier.5.weight"].T + held["classifier.5.bias"])
    assert len(classes) == 527
    assert int(classes.argmax()) == 0  # "Speech" in AudioSet's order
    assert float(classes[0]) > 0.7
