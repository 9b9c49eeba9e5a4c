"""EfficientAT: equal to a restatement of front end and network, cut, widths; speech is heard as speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor
from torch.nn import functional

from unheard import encoders
from unheard.audio.resample import to_rate
from unheard.encoders.efficientat_network import BLOCKS, NAMES, divisible, wanted
from unheard.errors import DataError, UnheardError, UsageError

torch.set_num_threads(1)
TINY = 0.1


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
    for k, block in enumerate(BLOCKS, start=1):
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
    for k, block in enumerate(BLOCKS, start=1):
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
def tiny(tmp_path: Path) -> dict:
    torch.save(published(), tmp_path / "mn01.pt")
    return {"name": "efficientat", "model": str(tmp_path)}


def test_equals_the_definition_of_the_network(tiny: dict) -> None:
    encoder = encoders.load(tiny)
    samples = wave(0.5)
    found = encoder.encode([samples], range(17))[0]
    for name, ours, expected in zip(NAMES, found, restated(published(), samples), strict=True):
        np.testing.assert_allclose(
            ours, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max(), err_msg=name
        )
    assert encoder.widths == tuple(entry.shape[1] for entry in found)
    assert encoder.frames(len(samples)) == tuple(len(entry) for entry in found)
    assert encoder.frame_rates == (50, 50, 25, 25, *[12.5] * 3, *[6.25] * 6, *[3.125] * 4)


def test_a_clip_alone_equals_a_clip_in_any_batch(tiny: dict) -> None:
    encoder = encoders.load(tiny)
    clips = [wave(0.7, 1), wave(0.01, 2), wave(0.3, 3)]
    together = encoder.encode(clips, [3, 16])
    padded = np.zeros((3, max(map(len, clips))), dtype=np.float32)
    for row, clip in zip(padded, clips, strict=True):
        row[: len(clip)] = clip
    lengths = torch.tensor([len(clip) for clip in clips])
    entries, counts = encoder.network(torch.from_numpy(padded), lengths, [3, 16])  # type: ignore[attr-defined]
    assert counts.tolist() == [len(parts[1]) for parts in together]
    for b, clip in enumerate(clips):
        for k, alone in enumerate(encoder.encode([clip], [3, 16])[0]):
            np.testing.assert_array_equal(together[b][k], alone)
            np.testing.assert_array_equal(entries[k][b, : len(alone)].numpy(), alone)
            assert not entries[k][b, len(alone) :].any()


def test_cut_gives_the_entries_below_and_reads_nothing_above(tiny: dict, tmp_path: Path) -> None:
    whole, cut = encoders.load(tiny), encoders.load({**tiny, "cut": 4})
    assert cut.names == NAMES[:5]
    np.testing.assert_array_equal(cut.encode([wave()], [4])[0][0], whole.encode([wave()], [4])[0][0])
    kept = {name: value for name, value in published().items() if name in wanted(4)}
    torch.save(kept | {"features.16.0.weight": published()["features.16.0.weight"]}, tmp_path / "mn01.pt")
    np.testing.assert_array_equal(
        encoders.load({**tiny, "cut": 4}).encode([wave()], [4])[0][0], cut.encode([wave()], [4])[0][0]
    )
    with pytest.raises(DataError, match=r"tensors are missing .*features\.5\.block\.0\.0\.weight"):
        encoders.load(tiny)
    drawn = {"name": "efficientat", "weights": "random", "width": TINY}
    np.testing.assert_array_equal(
        encoders.load({**drawn, "cut": 2}).encode([wave()], [2])[0][0],
        encoders.load(drawn).encode([wave()], [2])[0][0],
    )


def test_random_and_shuffled_weights_follow_their_seed(tiny: dict) -> None:
    def weights(**changes: object) -> np.ndarray:
        network = encoders.load({**tiny, **changes}).network  # type: ignore[attr-defined]
        return next(network.layers[3].filter.parameters()).numpy()

    trained, shuffled = weights(), weights(weights="shuffled")
    np.testing.assert_array_equal(np.sort(trained, axis=None), np.sort(shuffled, axis=None))
    assert (trained != shuffled).mean() > 0.9
    for kind in ("shuffled", "random"):
        np.testing.assert_array_equal(weights(weights=kind), weights(weights=kind))
        assert (weights(weights=kind) != weights(weights=kind, seed=1)).mean() > 0.9
    assert encoders.checked({"name": "efficientat", "weights": "random"})["width"] == 1.0


def test_long_recordings_are_taken_in_windows(tiny: dict) -> None:
    encoder = encoders.load(tiny)
    samples = wave(33.0)
    found = encoder.encode([samples], [0, 16])[0]
    assert tuple(map(len, found)) == (encoder.frames(len(samples))[0], encoder.frames(len(samples))[16])
    first = encoder.encode([samples[: 20 * 32_000]], [0])[0][0]
    np.testing.assert_allclose(found[0][:800], first[:800], atol=1e-5)


def test_training_reaches_every_weight_and_masks_in_time(tiny: dict) -> None:
    network = encoders.load(tiny).network.requires_grad_(True)  # type: ignore[attr-defined]
    given = torch.from_numpy(wave()[None]), torch.tensor([len(wave())])
    plain = network(*given, [16])[0][0].detach()
    network.checkpointing = True
    network(*given, [16])[0][0].sum().backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in network.parameters())
    network.time_mask = (0.9, 4)
    assert torch.equal(network(*given, [16])[0][0], plain)
    assert not torch.allclose(network.train()(*given, [16])[0][0], plain)


def test_the_digest_is_that_of_the_weights(tiny: dict, tmp_path: Path) -> None:
    encoder = encoders.load(tiny)
    assert encoders.load(encoder.settings).settings == encoder.settings
    torch.save(published(seed=1), tmp_path / "mn01.pt")
    with pytest.raises(DataError, match="another model"):
        encoders.load(encoder.settings)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"model": "nowhere"}, UsageError, "no file or folder"),
        ({"cut": 17}, UsageError, r"entries 0 … 16 \(stem, block1"),
        ({"precision": "bfloat16"}, UsageError, "'float32' or 'auto'"),
        ({"revision": "main"}, UsageError, "not a hub name"),
        ({"weights": "random", "width": 0.0}, UsageError, "width must be in"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    tiny: dict, settings: dict, error: type[UnheardError], message: str
) -> None:
    with pytest.raises(error, match=message):
        encoders.load({**tiny, **settings})


def test_files_that_do_not_fit_are_refused(tiny: dict, tmp_path: Path) -> None:
    file = tmp_path / "mn01.pt"
    for changes, message in (
        ({"features.3.block.0.1.bias": torch.full((8,), float("nan"))}, "weights hold NaN: features.3"),
        (
            {"features.3.block.0.0.weight": torch.zeros(8, 9, 1, 1)},
            r"layers\.2\.widen\.weight .* is expected",
        ),
    ):
        torch.save(published() | changes, file)
        with pytest.raises(DataError, match=message):
            encoders.load(tiny)
    torch.save({"weight": torch.zeros(2)}, file)
    with pytest.raises(DataError, match="no state dict of EfficientAT"):
        encoders.load(tiny)
    file.write_bytes(b"nothing to be read")
    with pytest.raises(DataError, match="no state dict that can be read safely"):
        encoders.load(tiny)
    torch.save({"features.16.0.weight": Path("a class that is not a tensor")}, file)
    with pytest.raises(DataError, match="no state dict that can be read safely"):
        encoders.load(tiny)
    (tmp_path / "mn02.pt").touch()
    with pytest.raises(UsageError, match=r"2 state dicts: name one of mn01\.pt, mn02\.pt"):
        encoders.load(tiny)


@pytest.mark.data
@pytest.mark.parametrize(
    "name",
    ["ravdess/speech/Actor_01/03-01-01-01-01-01-01.flac", "ravdess/speech/Actor_02/03-01-05-02-01-01-02.flac",
     "emodb/wav/03a01Fa.ogg"],
)  # fmt: skip
def test_the_owners_classifier_hears_speech(data_folder: Path, name: str) -> None:
    file = data_folder / "weights" / "efficientat-mn04" / "mn04_as_mAP_432.pt"
    encoder = encoders.load({"name": "efficientat", "model": str(file)})
    samples, rate = soundfile.read(data_folder / name, dtype="float32")
    last = encoder.encode([to_rate(samples, rate, encoder.rate)], [16])[0][0]
    held = torch.load(file, weights_only=True)
    hidden = functional.hardswish(
        torch.from_numpy(last.mean(axis=0)) @ held["classifier.2.weight"].T + held["classifier.2.bias"]
    )
    classes = torch.sigmoid(hidden @ held["classifier.5.weight"].T + held["classifier.5.bias"])
    assert len(classes) == 527
    assert int(classes.argmax()) == 0  # "Speech" in AudioSet's order
    assert float(classes[0]) > 0.7
