"""A prediction reaches nothing and leaves nothing behind but what is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import soundfile

from bundle_parts import Made, sound


def test_onnxruntime_keeps_its_reports_to_itself(made: Callable[[str], Made], tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    soundfile.write(tmp_path / "clip.wav", sound(1), 16_000)
    code = "import sys, os, unheard as ut\nut.predict(sys.argv[1], model=sys.argv[2])\n"
    code += "print(os.environ['ORT_DISABLE_TELEMETRY'])"
    kept = {k: v for k, v in os.environ.items() if k not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}
    for said, expected in ((None, "1"), ("0", "0")):
        asked = {} if said is None else {"ORT_DISABLE_TELEMETRY": said}
        command = [sys.executable, "-c", code, str(tmp_path / "clip.wav"), str(made("probe").folder)]
        environment = {**kept, "HOME": str(home), **asked}
        run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        assert run.stdout.split() == [expected]
        if said is None:
            assert not list(home.rglob("*onnxruntime*"))
