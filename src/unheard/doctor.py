"""What this machine and this installation can do: versions, extras, threads, memory, cache, GPU, codecs.

Nothing is changed, and a part that cannot be found out says so.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Mapping
from importlib import metadata, util
from pathlib import Path
from typing import Any

from unheard._version import __version__
from unheard.errors import UnheardError, need
from unheard.files import cache_folder

_EXTRA = re.compile(r"^([A-Za-z0-9._-]+)[^;]*;.*\bextra\s*==\s*[\"']([\w-]+)[\"']")
_REQUIRED = re.compile(r"^([A-Za-z0-9._-]+)")


def examined() -> dict[str, Any]:
    """Return versions, extras, threads, memory, cache, GPU and codecs as plain values.

    ``used`` says what a command takes where nothing else is asked for.
    """
    return {
        "versions": _versions(),
        "extras": _extras(),
        "threads": _threads(),
        "memory": _memory(),
        "cache": _cache(),
        "gpu": _gpu(),
        "codecs": _codecs(),
        "used": _used(),
    }


def _versions() -> dict[str, str | None]:
    core = [_REQUIRED.match(line) for line in metadata.requires("unheard") or () if "extra ==" not in line]
    names = [found[1] for found in core if found]
    return {
        "unheard": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        **{name: _version(name) for name in names},
    }


def _extras() -> dict[str, dict[str, Any]]:
    """Return, for each extra of the package, whether it is there and which of its distributions are missing."""
    wanted: dict[str, list[str]] = {}
    for line in metadata.requires("unheard") or ():
        found = _EXTRA.match(line)
        if found and found[1] != "unheard":
            wanted.setdefault(found[2], []).append(found[1])
    for name in metadata.metadata("unheard").get_all("Provides-Extra") or ():
        wanted.setdefault(name, [])
    missing = {name: [one for one in parts if _version(one) is None] for name, parts in wanted.items()}
    return {name: {"installed": not missing[name], "missing": missing[name]} for name in wanted}


def _threads() -> dict[str, Any]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limits = {name: os.environ[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if name in os.environ}
    return {"processors": os.cpu_count(), "usable": usable, "limits": limits}


def _memory() -> dict[str, float | None]:
    """Return gigabytes in all and free; None where the system does not tell."""
    found: dict[str, float | None] = {"total_gb": None, "available_gb": None}
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        parts = dict(line.split(":", 1) for line in lines if ":" in line)
        for name, key in (("total_gb", "MemTotal"), ("available_gb", "MemAvailable")):
            found[name] = round(int(parts[key].split()[0]) / 1e6, 1)
    except (OSError, ValueError, KeyError):
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            found["total_gb"] = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)
    return found


def _cache() -> dict[str, Any]:
    """Return the folder of what was computed once, whether it can be written, and the room that is left."""
    folder = cache_folder()
    there = next((place for place in (folder, *folder.parents) if place.exists()), None)
    free = None if there is None else round(shutil.disk_usage(there).free / 1e9, 1)
    writable = there is not None and os.access(there, os.W_OK)
    taken = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else 0
    found: dict[str, Any] = {
        "folder": str(folder),
        "writable": writable,
        "size_mb": round(taken / 1e6, 1),
        "free_gb": free,
    }
    try:
        from unheard.extraction.store import default_bound

        found["most_gb"] = round(default_bound() / 1e9, 1)
    except (UnheardError, ImportError) as error:
        found["most_gb"] = None
        found["reason"] = str(error)
    return found


def _gpu() -> dict[str, Any]:
    """Return the accelerators that torch sees; torch is imported here and nowhere else in this module."""
    if util.find_spec("torch") is None:
        return {"torch": None, "devices": [], "reason": "torch is not installed; predicting needs none"}
    try:
        torch: Any = need("torch", "train")
        devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        if getattr(torch.backends, "mps", None) is not None and torch.backends.mps.is_available():
            devices.append("Apple GPU (mps)")
    except Exception as error:
        return {"torch": _version("torch"), "devices": [], "reason": f"{type(error).__name__}: {error}"}
    reason = None if devices else "torch sees no accelerator: networks run on the processor"
    return {"torch": _version("torch"), "devices": devices, "reason": reason}


def _codecs() -> dict[str, Any]:
    """Return what can be decoded: by libsndfile, by PyAV where it is installed, and whether FFmpeg is there."""
    try:
        import soundfile

        formats = soundfile.available_formats()
        opus = "OPUS" in soundfile.available_subtypes("OGG") if "OGG" in formats else False
        kinds = [name for name in ("WAV", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF") if name in formats]
        decoded, version = [*kinds, *(["OPUS"] if opus else [])], soundfile.__libsndfile_version__
    except (ImportError, OSError) as error:
        decoded, version = [], f"missing: {error}"
    return {
        "libsndfile": version,
        "decoded": decoded,
        "pyav": _version("av"),
        "ffmpeg": shutil.which("ffmpeg"),
    }


def _used() -> dict[str, Any]:
    """Return what is taken where nothing else is asked for."""
    from unheard.bundle.default import default_model, has_default_model

    found: dict[str, Any] = {"model": None, "runs": None}
    if has_default_model():
        folder = default_model()
        found["model"] = str(folder)
        try:
            from unheard.bundle.runtime import load

            found["runs"] = f"{load(folder).description.name} opens and gives its golden outputs"
        except (UnheardError, ImportError, OSError) as error:
            found["runs"] = f"does not open: {error}"
    return found


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def told(found: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """Return what :func:`examined` found as lines: what, how it is, and whether that is well."""
    lines = [(name, str(value or "missing"), value is not None) for name, value in found["versions"].items()]
    for name, extra in found["extras"].items():
        how = "installed" if extra["installed"] else f"missing {', '.join(extra['missing'])}"
        fix = "" if extra["installed"] else f": pip install 'unheard[{name}]'"
        lines.append((f"extra {name}", how + fix, extra["installed"]))
    threads, memory, cache = found["threads"], found["memory"], found["cache"]
    limits = "".join(f", {name}={value}" for name, value in threads["limits"].items())
    lines.append(("processors", f"{threads['usable']} of {threads['processors']} usable{limits}", True))
    free = memory["available_gb"]
    total = "unknown" if memory["total_gb"] is None else f"{memory['total_gb']} GB"
    lines.append(
        ("memory", total + ("" if free is None else f", {free} GB available"), free is None or free > 1)
    )
    most = "" if cache["most_gb"] is None else f" of at most {cache['most_gb']:g} GB"
    how = "" if cache["writable"] else ", cannot be written"
    lines.append(("cache", f"{cache['folder']}: {cache['size_mb']} MB{most}, {cache['free_gb']} GB free{how}",
                  cache["writable"]))  # fmt: skip
    gpu, codecs, used = found["gpu"], found["codecs"], found["used"]
    lines.append(("GPU", ", ".join(gpu["devices"]) or str(gpu["reason"]), True))
    lines.append(("codecs", f"libsndfile {codecs['libsndfile']}: {', '.join(codecs['decoded']) or 'none'}",
                  bool(codecs["decoded"])))  # fmt: skip
    media = codecs["pyav"] and f"PyAV {codecs['pyav']}"
    other = codecs["ffmpeg"] and f"not by unheard itself; FFmpeg is at {codecs['ffmpeg']} to convert them"
    lines.append(("m4a, mp4, webm", media or other or "neither PyAV nor FFmpeg is here", True))
    lines.append(("default model", str(used["runs"] or "none is installed: name a bundle with --model"),
                  bool(used["runs"]) and not str(used["runs"]).startswith("does not")))  # fmt: skip
    return lines
