"""EmoBox' lists: ``data/SET/SET.jsonl`` and its folds, with recordings at the paths that the rows give.

Rows hold no speaker, and the folds of many sets have every speaker in both splits. So speakers are read from the
corpora's own file names, where they are in them (:data:`SPEAKERS`); else they are unknown.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unheard.corpora.folder import LeftOut, listed
from unheard.corpora.tabular import read_rows
from unheard.errors import DataError, first_five
from unheard.formats import json_text
from unheard.formats.numbers import number_in

NAME = "emobox"
DESCRIPTION = "Any set of EmoBox, from its list and its folds; speakers by the corpora's own names"
CITATION = (
    "Ma Z, Chen M, Zhang H, Zheng Z, Chen W, Li X, Ye J, Chen X, Hain T (2024). EmoBox: Multilingual Multi-corpus "
    "Speech Emotion Recognition Toolkit and Benchmark. Proc. Interspeech 2024. https://github.com/emo-box/EmoBox"
)
LICENCE = "as the corpus' owner says"
LABELS: tuple[str, ...] = ()  # found in the data
LANGUAGES: tuple[str, ...] = ()

#: Our name of a corpus where it is not EmoBox'.
CORPORA = {"cremad": "crema-d", "msppodcast": "msp-podcast"}
#: The speaker in the name of a recording: the groups, put together.
SPEAKERS = {
    "aesdd": r"\w+ \((\d+)\)",
    "ased": r".*-(\d\d)",
    "cafe": r"(\d\d)-.*",
    "cremad": r"(\d{4})_.*",
    "emodb": r"(\d\d).*",
    "emovo": r"\w+-([fm]\d)-.*",
    "enterface": r"(s\d+)_.*",
    "iemocap": r"(Ses\d\d)[FM]_.*_([FM])\w*",
    "jlcorpus": r"((?:fe)?male\d)_.*",
    "ravdess": r".*-(\d\d)",
    "savee": r"([A-Z]{2})_.*",
    "shemo": r"([FM]\d\d).*",
    "subesco": r"([FM]_\d\d)_.*",
    "tess": r"(OA|YA)F?_.*",
    "urdu": r"(S[MF]\d+)_.*",
}


def scan(root: Path) -> Iterator[dict[str, Any] | LeftOut]:
    """Yield a row for every row of a set's list.

    ``root`` is the folder of a set (``EmoBox/data/ravdess``), or a copy of EmoBox with a single set. Labels are
    those of ``label_map.json``.

    Raises
    ------
    DataError
        There is no list, or several; a row lacks a key, or holds a time that is none.
    """
    table = _list(root)
    name = table.stem
    # Paths in the rows begin at EmoBox' own folder, two above that of a set.
    home = root if table.parent != root else root.parent.parent
    maps = table.parent / "label_map.json"
    common = json_text.read_object(maps) if maps.is_file() else {}
    found = read_rows(table, columns=("key", "wav", "emo"))
    stems = Counter(Path(str(cells["wav"])).stem for _, cells in found)
    rows = []
    for number, cells in found:
        wav = Path(str(cells["wav"]))
        if not wav.name:
            raise DataError(f"{table}: row {number}: wav is empty, expected the path of a recording")
        rows.append(
            {
                "corpus": CORPORA.get(name, name),
                "id": wav.stem if stems[wav.stem] == 1 else wav.with_suffix("").as_posix(),
                "recording": wav.with_suffix("").as_posix(),
                "path": str(home.absolute() / wav),
                "start": _time(table, number, cells.get("start_time")),
                "end": _time(table, number, cells.get("end_time")),
                "speaker": speaker(name, wav.stem),
                "channel": "speech",
                "label": str(common.get(str(cells["emo"]), cells["emo"])),
            }
        )

    def name_of(path: Path) -> str | None:
        inside = home.absolute()
        place = root.absolute() / path
        return place.relative_to(inside).with_suffix("").as_posix() if place.is_relative_to(inside) else None

    yield from listed(root, rows, name_of, table.name)


def speaker(name: str, stem: str) -> str | None:
    """Return who speaks in a recording of a set by its name without extension; None where that does not say."""
    found = re.fullmatch(SPEAKERS[name], stem) if name in SPEAKERS else None
    if found is None:
        return None
    who = "".join(found.groups())
    return f"{who}F" if name == "tess" else who


def _list(root: Path) -> Path:
    """Return the list of the only set in a folder."""
    if not root.is_dir():
        raise DataError(f"{root}: {'not a folder' if root.exists() else 'no such folder'}")
    places = [*root.glob("*.jsonl"), *root.glob("data/*/*.jsonl")]
    found = sorted(path for path in places if path.stem == path.parent.name or path.parent == root)
    if len(found) > 1:
        sets = first_five(str(path.parent) for path in found)
        raise DataError(f"{root}: holds several sets of EmoBox; give the folder of one: {sets}")
    if not found:
        raise DataError(f"{root}: no SET.jsonl there; give the folder of a set, such as EmoBox/data/ravdess")
    return found[0]


def _time(table: Path, number: int, value: Any) -> float | None:
    try:
        return None if value is None else number_in(value, 0)
    except ValueError as error:
        raise DataError(f"{table}: row {number}: {error}") from error
