"""How fast frozen encoders give all their layers: ours against Transformers, in one run, on the same clips.

Full-size WavLM-large and HuBERT-base with random weights, whose cost is that of trained ones. Lengths are drawn as
RAVDESS has them (mean 3.7 s, 2.9-5.3) and as IEMOCAP (mean 4.5 s, log-normal, 0.6-30). The contenders take turns,
each in a process of its own; a figure is the median over the rounds. `one` is Transformers one file at a time in
float32, `plain` the same in bfloat16, `padded` Transformers on batches of eight as they come, `cut` ours in
bfloat16 up to the middle layer,
`int8` ours with matrix products of 8-bit integers (tried here, not offered). Ratios are to `one`, in clips a
second and in processor time, which is steadier where others use the machine as well; shares are of processor
time too. The last line is one JSON object, also written to --out.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

RATE = 16000
LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
}
MODELS = {"wavlm-large": ("wavlm", LARGE), "hubert-base": ("hubert", {})}
CONTENDERS = ("one", "plain", "padded", "float32", "bfloat16", "cut", "int8")
COMPARED = 2  # clips whose layers are compared with those of `one`


def lengths(corpus: str, count: int) -> list[int]:
    """Samples of each clip."""
    rng = np.random.default_rng(0)
    if corpus == "ravdess":
        seconds = np.clip(rng.normal(3.7, 0.35, count), 2.9, 5.3)
    else:
        seconds = np.clip(rng.lognormal(np.log(4.5) - 0.3, np.sqrt(0.6), count), 0.6, 30)
    return [int(s * RATE) for s in seconds]


def clips(corpus: str, count: int) -> list[np.ndarray]:
    """Noise whose level rises and falls as syllables do."""
    rng = np.random.default_rng(1)
    made = []
    for samples in lengths(corpus, count):
        level = np.clip(np.sin(2 * np.pi * 2 * np.arange(samples) / RATE), 0.05, 1)
        made.append((0.1 * level * rng.normal(size=samples)).astype(np.float32))
    return made


def theirs(folder: Path, kind: str, device: str) -> Callable[[list[np.ndarray]], list[Any]]:
    """Transformers as it is commonly used, with hidden states of every layer."""
    import torch
    from transformers import AutoModel

    padded, dtype = kind == "padded", torch.bfloat16 if kind == "plain" else torch.float32
    model = AutoModel.from_pretrained(folder).eval().to(device, dtype)
    normalize = json.loads((folder / "preprocessor_config.json").read_text())["do_normalize"]

    def standardized(wave: np.ndarray) -> Any:
        scaled = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7) if normalize else wave
        return torch.from_numpy(scaled)

    def run(waves: list[np.ndarray]) -> list[Any]:
        done: list[Any] = []
        size = 8 if padded else 1
        for first in range(0, len(waves), size):
            batch = [standardized(wave) for wave in waves[first : first + size]]
            counts = [len(wave) for wave in batch]
            x = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True).to(device, dtype)
            mask = (torch.arange(x.shape[1]) < torch.tensor(counts)[:, None]).long().to(device)
            with torch.inference_mode():
                out = model(x, attention_mask=mask if padded else None, output_hidden_states=True)
            states = [
                state.float().cpu().numpy() for state in (*out.hidden_states[:-1], out.last_hidden_state)
            ]
            for row, count in enumerate(counts):
                done.append([state[row, : (count - 400) // 320 + 1] for state in states])
        return done

    return run


def ours(folder: Path, family: str, kind: str, device: str) -> Callable[[list[np.ndarray]], list[Any]]:
    """Our encoder: all entries, or those up to the middle layer."""
    from unheard import encoders

    cut = (
        json.loads((folder / "config.json").read_text())["num_hidden_layers"] // 2 if kind == "cut" else None
    )
    precision = "float32" if kind == "float32" else "bfloat16"
    settings = {"name": family, "model": str(folder), "precision": precision, "cut": cut, "device": device}
    encoder: Any = encoders.load(settings)
    if kind == "int8":
        quantize(encoder.network.layers)
    entries = range(len(encoder.layers))
    return lambda waves: [list(clip) for clip in encoder.extract(waves, entries)]


def quantize(layers: Any) -> None:
    """Replace matrix products by those of 8-bit integers: weights by channel, activations by frame."""
    import torch
    from torch import Tensor, nn

    class Quantized(nn.Module):
        def __init__(self, linear: nn.Linear) -> None:
            super().__init__()
            weight = linear.weight.detach().float()
            self.scale = weight.abs().amax(1) / 127
            rounded = torch.round(weight / self.scale[:, None]).to(torch.int8)
            self.weight = torch.ops.onednn.qlinear_prepack(rounded, [800, weight.shape[1]])
            self.zero = torch.zeros(len(weight), dtype=torch.int32)
            self.bias = linear.bias.detach().float()

        def forward(self, x: Tensor) -> Tensor:
            step = x.abs().amax(1, keepdim=True).float().clamp_min(1e-9) / 127
            whole = (x.float() / step + 128.5).to(torch.uint8)
            made = torch.ops.onednn.qlinear_pointwise(
                whole,
                1.0,
                128,
                self.weight,
                self.scale,
                self.zero,
                None,
                1.0,
                0,
                torch.float32,
                "none",
                [],
                "",
            )
            return torch.addcmul(self.bias, made, step).to(x.dtype)

    for module in list(layers.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear and child.out_features > 8:
                setattr(module, name, Quantized(child))


def contender(pipe: Connection, kind: str, folder: Path, family: str, device: str, threads: int) -> None:
    """A process: loads its model, then runs what it is sent, and predicted with what it took."""
    import torch

    torch.set_num_threads(threads)
    known = theirs(folder, kind, device) if kind in CONTENDERS[:3] else None
    run = known or ours(folder, family, kind, device)
    while (waves := pipe.recv()) is not None:
        wall, used = time.perf_counter(), time.process_time()
        done = run(waves)
        wall, used = time.perf_counter() - wall, time.process_time() - used
        peak = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else resident()
        pipe.send((wall, used, peak, done[:COMPARED]))


def resident() -> float:
    """GiB of memory that this process held at most."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**20


def measured(model: str, corpora: dict[str, list[np.ndarray]], args: argparse.Namespace) -> dict[str, Any]:
    """All contenders on all corpora, in turns."""
    from unheard.testing import toy_encoder

    family, config = MODELS[model]
    sizes = {"conv_dim": [512] * 7, "num_conv_pos_embeddings": 128, "num_conv_pos_embedding_groups": 16}
    base = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
    context = multiprocessing.get_context("spawn")
    taken: dict[str, Any] = {corpus: {kind: [] for kind in args.contenders} for corpus in corpora}
    with tempfile.TemporaryDirectory() as place:
        folder = toy_encoder(Path(place), family, **{**sizes, **base, "initializer_range": 0.02, **config})
        workers = {}
        for kind in args.contenders:
            pipe, other = context.Pipe()
            process = context.Process(
                target=contender, args=(other, kind, folder, family, args.device, args.threads), daemon=True
            )
            process.start()
            workers[kind] = pipe, process
        for pipe, _ in workers.values():  # loads, and warms up
            pipe.send(corpora["ravdess"][:1])
            pipe.recv()
        for _ in range(args.rounds):
            for corpus, waves in corpora.items():
                for kind, (pipe, _) in workers.items():
                    pipe.send(waves)
                    taken[corpus][kind].append(pipe.recv())
        for pipe, process in workers.values():
            pipe.send(None)
            process.join()
    return taken


def cosine(one: list[Any], other: list[Any]) -> list[float]:
    """Least cosine of any frame, for each layer that both have."""
    worst = []
    for layer in range(len(other[0])):
        pairs = [(a[layer], b[layer]) for a, b in zip(one, other, strict=True)]
        dots = [(a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)) for a, b in pairs]
        worst.append(float(min(dot.min() for dot in dots)))
    return worst


def best_product(device: str) -> dict[str, float]:
    """Billions of multiply-adds in a second of one core, or of the GPU, of any library's best matrix product."""
    import torch

    torch.set_num_threads(1)
    clock = time.perf_counter if device == "cuda" else time.process_time
    rows, inner, columns = 1024, 1024, 4096
    found: dict[str, float] = {}

    def rate(name: str, product: Callable[[], Any]) -> None:
        took = []
        for _ in range(15):
            start = clock()
            product()
            if device == "cuda":
                torch.cuda.synchronize()
            took.append(clock() - start)
        found[name] = max(found.get(name, 0), round(rows * inner * columns / min(took) / 1e9, 1))

    with torch.inference_mode():
        for name, kind in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
            x = torch.randn(rows, inner, dtype=kind, device=device)
            w = torch.randn(columns, inner, dtype=kind, device=device)
            rate(name, lambda x=x, w=w: x @ w.T)
            rate(name, lambda x=x, w=w: torch.nn.functional.linear(x, w))
            if device == "cpu":
                packed = torch.ops.mkldnn._reorder_linear_weight(w, rows)
                rate(
                    name, lambda x=x, p=packed: torch.ops.mkldnn._linear_pointwise(x, p, None, "none", [], "")
                )
    if device == "cpu":
        a, b = (np.ones(shape, np.float32) for shape in ((rows, inner), (inner, columns)))
        rate("float32", lambda: a @ b)
        whole = torch.ones(rows, inner, dtype=torch.uint8)
        weight = torch.ones(columns, inner, dtype=torch.int8)
        packed = torch.ops.onednn.qlinear_prepack(weight, [rows, inner])
        ones, zeros = torch.ones(columns), torch.zeros(columns, dtype=torch.int32)
        options = (None, 1.0, 0, torch.float32, "none", [], "")
        rate("int8", lambda: torch.ops.onednn.qlinear_pointwise(whole, 1.0, 0, packed, ones, zeros, *options))
    return found


def main() -> None:
    """Measure, print a table for each model and corpus, and write JSON."""
    from unheard.encoders import cut
    from unheard.encoders.transformer import architecture

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--clips", type=int, default=8, help="of each corpus")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=None)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    args.contenders = args.contenders or [k for k in CONTENDERS if args.device == "cpu" or k != "int8"]
    corpora = {corpus: clips(corpus, args.clips) for corpus in ("ravdess", "iemocap")}
    best = best_product(args.device)
    print(
        "best matrix product, billion multiply-adds a second of one core or GPU:",
        {k: round(v) for k, v in best.items()},
    )
    results: dict[str, Any] = {}
    for model in args.models:
        family, config = MODELS[model]
        made = architecture.read({"model_type": family, **config}, family, model)
        for corpus, kinds in measured(model, corpora, args).items():
            waves = corpora[corpus]
            seconds = sum(map(len, waves)) / RATE
            print(f"\n{model}, {len(waves)} clips as {corpus} ({seconds / len(waves):.1f} s), {args.device}")
            print("             clips/s  × real time   ratio  (CPU)  peak GiB  share of best  least cosine")
            table = results.setdefault(model, {})[corpus] = {}
            for kind, runs in kinds.items():
                wall, used, peak = (float(np.median([run[i] for run in runs])) for i in range(3))
                layers = made.num_hidden_layers // 2 if kind == "cut" else made.num_hidden_layers
                products = sum(cut.cost(made, layers, len(wave)).multiply_adds for wave in waves)
                number = {"one": "float32", "padded": "float32", "plain": "bfloat16", "cut": "bfloat16"}.get(
                    kind, kind
                )
                spent = wall if args.device == "cuda" else used
                row = {
                    "clips_a_second": len(waves) / wall,
                    "times_real_time": seconds / wall,
                    "ratio": float(np.median([run[0] for run in kinds["one"]])) / wall,
                    "ratio_of_processor_time": float(np.median([run[1] for run in kinds["one"]])) / used,
                    "peak_gib": peak,
                    "share_of_best_product": products / spent / 1e9 / best[number],
                    "cosine": cosine(kinds["one"][0][3], runs[0][3]),
                }
                table[kind] = row
                print(
                    f"{kind:12} {row['clips_a_second']:7.2f} {row['times_real_time']:12.1f} {row['ratio']:7.2f} "
                    f"{row['ratio_of_processor_time']:6.2f} {peak:9.2f} {row['share_of_best_product']:14.0%} "
                    f"{min(row['cosine']):13.5f}"
                )
    final = {"device": args.device, "threads": args.threads, "rounds": args.rounds, "best": best, **results}
    if args.out:
        args.out.write_text(json.dumps(final, indent=1) + "\n")
    print(json.dumps(final))


if __name__ == "__main__":
    main()
