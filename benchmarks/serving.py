"""Many clients of `unheard serve` at once: answers lost or wrong, latency, throughput, memory; and the library's.

The server is a process of its own, the clients are threads of a second one, on the same cores. Each client sends
one clip after the other on its connection for --seconds, and compares each answer with what the library gave
before. In the same run the library predicts the same clips as a folder, before and after, in a process of its own.
Then a server that may hold little is overloaded, must say 429 and must answer again. Clips are of the synthetic
corpus. The last line is one JSON object, also written to --out.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from unheard.bundle.default import default_model
from unheard.bundle.runtime import load
from unheard.corpora.synthetic import write

FOLDER = """
import json, sys, time, unheard as ut
bundle = ut.load(sys.argv[1])
paths = sys.argv[3:]
list(bundle.predict_many(paths[:4]))
begin, count = time.perf_counter(), 0
while time.perf_counter() - begin < float(sys.argv[2]):
    count += len(list(bundle.predict_many(paths)))
print(count / (time.perf_counter() - begin))
"""


class Server:
    """`unheard serve` in a process of its own."""

    def __init__(self, model: Path, *options: str) -> None:
        command = [sys.executable, "-m", "unheard", "serve", str(model), "--port", "0", *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        self.url = line.split(" at ")[1].split()[0]

    def megabytes(self) -> float:
        """What the process holds of the memory."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return float(text.split("VmRSS:")[1].split()[0]) / 1000

    def stop(self) -> int:
        """End it, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def main() -> None:
    """Measure, print and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="bundle; default: the default model")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    model = args.model or default_model()
    with tempfile.TemporaryDirectory() as place:
        write(Path(place) / "corpus", speakers=4)
        paths = sorted(Path(place).rglob("*.wav"))[:: 240 // args.clips][: args.clips]
        found = measure(model, paths, args.clients, args.seconds)
    found |= {
        "model": model.name,
        "seconds": args.seconds,
        "clients": args.clients,
        "load_average": os.getloadavg()[0],
    }
    for name, value in found.items():
        print(f"{name:28} {value}")
    print(json.dumps(found))
    if args.out is not None:
        args.out.write_text(json.dumps(found, indent=2) + "\n")


def measure(model: Path, paths: list[Path], clients: int, seconds: float) -> dict[str, Any]:
    """Return what the server and the library do with the clips."""
    bundle = load(model)
    expected = {path: bundle.predict_file(path).as_dict() for path in paths}
    command = [sys.executable, "-c", FOLDER, str(model), str(seconds / 4), *map(str, paths)]

    def folder() -> float:
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    before = folder()
    server = Server(model)
    answers = ask_all(server.url, expected, 4, 2.0)  # warm
    memory = [server.megabytes()]
    stopped = threading.Event()

    def watch() -> None:
        while not stopped.wait(1.0):
            memory.append(server.megabytes())

    watching = threading.Thread(target=watch)
    watching.start()
    begin = time.perf_counter()
    answers = ask_all(server.url, expected, clients, seconds)
    taken = time.perf_counter() - begin
    stopped.set()
    watching.join()
    code = server.stop()
    after = folder()
    times = sorted(each for each, _ in answers)
    said = [each for _, each in answers]
    library = (before + after) / 2
    return {
        "answers": len(answers),
        "right": said.count("right"),
        "wrong": said.count("wrong"),
        "lost": said.count("lost"),
        "refused": said.count("refused"),
        "a_second": len(answers) / taken,
        "library_a_second": library,
        "share_of_library": len(answers) / taken / library,
        "p50": statistics.quantiles(times, n=100)[49],
        "p95": statistics.quantiles(times, n=100)[94],
        "p99": statistics.quantiles(times, n=100)[98],
        "megabytes_first_fifth": max(memory[: max(1, len(memory) // 5)]),
        "megabytes_last_fifth": max(memory[-max(1, len(memory) // 5) :]),
        "exit_code": code,
        **overloaded(model, expected),
    }


def overloaded(model: Path, expected: dict[Path, dict[str, Any]]) -> dict[str, Any]:
    """Return how a server that may hold four recordings bears thirty clients, and if it answers afterwards."""
    server = Server(model, "--max-waiting", "4")
    answers = ask_all(server.url, expected, 30, 3.0)
    again = ask_all(server.url, expected, 1, 1.0)
    server.stop()
    said = [each for _, each in answers]
    return {
        "overload": {name: said.count(name) for name in ("right", "refused", "wrong", "lost")},
        "after_overload": {
            name: [each for _, each in again].count(name) for name in ("right", "refused", "lost")
        },
    }


def ask_all(
    url: str, expected: dict[Path, dict[str, Any]], clients: int, seconds: float
) -> list[tuple[float, str]]:
    """Return seconds and outcome of every request of so many clients."""
    outcomes: list[tuple[float, str]] = []
    content = {path: path.read_bytes() for path in expected}
    until = time.monotonic() + seconds

    def client(number: int) -> None:
        paths = list(expected)
        with httpx.Client(base_url=url, timeout=120) as connection:
            while time.monotonic() < until:
                number += 1
                path = paths[number % len(paths)]
                begin = time.perf_counter()
                try:
                    asked = connection.post(
                        "/v1/predict", content=content[path], headers={"content-type": "audio/wav"}
                    )
                except httpx.TransportError:
                    outcomes.append((time.perf_counter() - begin, "lost"))
                    continue
                taken = time.perf_counter() - begin
                if asked.status_code == 429:
                    outcomes.append((taken, "refused"))
                    time.sleep(0.05)
                elif asked.status_code == 200 and alike(asked.json()["predictions"][0], expected[path]):
                    outcomes.append((taken, "right"))
                else:
                    outcomes.append((taken, "wrong"))

    threads = [threading.Thread(target=client, args=(7 * k,)) for k in range(clients)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return outcomes


def alike(answer: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether an answer is the library's, probabilities to 1e-6."""
    mine, theirs = answer["probabilities"], expected["probabilities"]
    same = mine.keys() == theirs.keys() and all(abs(mine[name] - theirs[name]) <= 1e-6 for name in mine)
    rest = ("label", "flags", "warnings", "seconds", "quality")
    return same and all(answer[name] == expected[name] for name in rest)


if __name__ == "__main__":
    main()
