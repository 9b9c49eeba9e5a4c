"""A folder that runs the page as a Hugging Face Space, or with ``python app.py`` anywhere else.

The package lies in it as it is installed here, since it is in no package index; the requirements are the versions
that are installed here, without torch. A Space installs its requirements before it sees its files, so a wheel
among them would not be found.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import unheard
from unheard.bundle.manifest import MANIFEST, read_verified
from unheard.errors import UsageError
from unheard.temporary import part_folder

#: What the page needs besides Gradio, which a Space brings by the version in its README.
CORE = ("numpy", "soundfile", "soxr", "onnxruntime", "typer", "rich")
APP = '''"""The page of a model, as a Hugging Face Space or on this machine alone."""

import os
import threading
from pathlib import Path

from unheard.bundle.default import default_model
from unheard.bundle.runtime import load
from unheard.demo.page import build, served

here = Path(__file__).parent
own = here / "bundle"
bundle = load(own if own.is_dir() else default_model())
page = build(bundle, sorted((here / "examples").glob("*.wav")))
host = "0.0.0.0" if "SPACE_ID" in os.environ else "127.0.0.1"
with served(page, host, int(os.environ.get("PORT", "7860"))) as address:
    print(f"the page is at {address}", flush=True)
    threading.Event().wait()
'''


def write(out: Path, bundle: Path | None = None, examples: Sequence[Path] = ()) -> Path:
    """Write the folder of a Space.

    Parameters
    ----------
    out
        Folder to make.
    bundle
        Folder of a bundle that is put beside the page; None: the default model, which is part of the package.
    examples
        Recordings to try.

    Raises
    ------
    UsageError
        The folder exists.
    BundleError
        The bundle is not as it was made.
    """
    if out.exists():
        raise UsageError(f"{out} exists; choose another name")
    package = Path(unheard.__path__[0])
    without = shutil.ignore_patterns("__pycache__", *(["default"] if bundle is not None else []))
    with part_folder(out) as folder:
        shutil.copytree(package, folder / "unheard", ignore=without)
        about = folder / f"unheard-{unheard.__version__}.dist-info"
        about.mkdir()
        text = f"Metadata-Version: 2.1\nName: unheard\nVersion: {unheard.__version__}\n"
        (about / "METADATA").write_text(text, encoding="utf-8")
        if bundle is not None:
            (folder / "bundle").mkdir()
            for name, data in read_verified(bundle).items():
                (folder / "bundle" / name).write_bytes(data)
            shutil.copy(bundle / MANIFEST, folder / "bundle" / MANIFEST)
        (folder / "examples").mkdir()
        for each in examples:
            shutil.copy(each, folder / "examples" / each.name)
        (folder / "app.py").write_text(APP, encoding="utf-8")
        (folder / "README.md").write_text(_readme(own=bundle is not None), encoding="utf-8")
        (folder / "requirements.txt").write_text(_requirements(), encoding="utf-8")
        (folder / ".gitattributes").write_text(
            "".join(f"*.{ending} filter=lfs diff=lfs merge=lfs -text\n" for ending in ("onnx", "npz", "wav")),
            encoding="utf-8",
        )
        folder.chmod(0o755)
        folder.rename(out)
    return out


def _requirements() -> str:
    """Return what must be installed, in the versions that are installed here."""
    return "".join(f"{name}=={metadata.version(name)}\n" for name in (*CORE, "gradio"))


def _readme(*, own: bool) -> str:
    """Return the front matter that a Space is set up by, and what the page is."""
    return f"""---
title: Perceived emotion in speech
emoji: 🎧
colorFrom: blue
colorTo: gray
sdk: gradio
sdk_version: {metadata.version("gradio")}
python_version: "3.11"
app_file: app.py
pinned: false
license: {"other" if own else "cc-by-nc-sa-4.0"}
short_description: Which expression listeners would perceive in a recording
---

The page of a model of `unheard`. It says which expression listeners would perceive, not what somebody feels, and
keeps nothing that is sent. On a machine of your own: `pip install -r requirements.txt`, then `python app.py`.
"""
