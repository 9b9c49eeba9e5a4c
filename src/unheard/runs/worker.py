"""A worker process: fits folds that it is told of on standard input, answers on standard output.

One task a line, ``{"fold": 0, "seed": 0}``; one answer a line. It ends with its parent: when standard input
closes, whatever it is doing.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from unheard.errors import MachineError, UnheardError
from unheard.recipe_inputs.indexes import Indexes
from unheard.recipe_inputs.preparing import Prepared, read_inputs
from unheard.runs.fitting import fit_fold, save
from unheard.runs.folder import CHECKPOINTS, EXTRACTED, Run, fold_folder
from unheard.runs.salient_layer import of_fold


def main(folder: str) -> None:
    """Serve fold tasks for one run folder until standard input closes."""
    tasks: queue.Queue[dict[str, Any]] = queue.Queue()
    # What libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    threading.Thread(target=_listen, args=(tasks,), daemon=True).start()
    run = Run(Path(folder))
    indexes = Indexes(run.folder / EXTRACTED, read=True)
    prepared: Prepared | None = None
    while True:
        task = tasks.get()
        try:
            if prepared is None:
                prepared = read_inputs(run.recipe, run.table, indexes=indexes)
            number, seed = task["fold"], task["seed"]
            own, chosen = of_fold(run.recipe, run.table, run.protocol.folds[number], prepared, indexes)
            checkpoints = run.folder / CHECKPOINTS / fold_folder(run.folder, number, seed).name
            fitted = fit_fold(
                run.recipe,
                run.table,
                run.protocol,
                own.inputs,
                augmented=own.augmented,
                number=number,
                seed=seed,
                data_hash=run.provenance["data_hash"],
                chosen=chosen,
                checkpoints=checkpoints,
            )
            save(fitted, run.folder)
            shutil.rmtree(checkpoints, ignore_errors=True)
            answer = {**task, "seconds": fitted.record["seconds"]}
        except UnheardError as error:
            answer = {**task, "error": str(error), "machine": isinstance(error, MachineError)}
        except OSError as error:
            answer = {**task, "error": str(error), "machine": True}
        except Exception as error:
            with suppress(OSError):  # standard error may be closed
                traceback.print_exc()
            answer = {**task, "error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _listen(tasks: queue.Queue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        tasks.put(json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
