"""Recordings in a folder a class, alone or inside folders of speakers and splits.

    happy/a.wav       train/happy/a.wav       ann/happy/a.wav       train/ann/happy/a.wav

Folders named train, validation or test are splits. Where recordings lie two folders deep, the names say which of
both is the class: emotions are known by name, and so are numbered speakers. What is not known is refused and never
guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from unheard.corpora.folder import LeftOut, Remark, clips
from unheard.errors import DataError, first_five

#: Names of folders that are splits and no classes.
SPLIT = re.compile("train|training|validation|valid|val|development|dev|test", re.ASCII | re.IGNORECASE)
#: How emotions begin, or what they are called in short, in the names of folders.
_EMOTION = re.compile(
    r"(neutral|calm|happ|joy|excite|sad|anger|angry|fear|disgust|surpris|pleasant.?surpris|contempt|bored|frustrat"
    r"|anxi|amus|sleep|depress|annoy|laugh|relax|positive|negative).*|neu|cal|hap|exc|ang|fea|dis|sur|sup|fru|ps",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)
#: Speakers by number: ``S03``, ``speaker_1``, ``Actor_01``, ``F-2``; digits alone may be classes too.
_SPEAKER = re.compile(
    r"(speaker|spkr?|actor|actress|subj(ect)?|sub|participant|person|user|talker|sp|id|[spmf])[ _.-]?\d+",
    re.ASCII | re.IGNORECASE,
)


def class_folders(root: Path) -> Iterator[dict[str, Any] | LeftOut | Remark]:
    """Yield a row for every recording below a folder that is called as its class.

    Raises
    ------
    DataError
        It cannot be known which of several folders above the recordings is the class.
    """
    found = list(clips(root, _folders))
    yield from (item for item in found if isinstance(item, LeftOut))
    rows = [item for item in found if not isinstance(item, LeftOut)]
    level = _class_level(root, {row["folders"] for row in rows})
    above = {row["folders"][:level] for row in rows if len(row["folders"]) > level}
    # Folders of speakers are several, in one folder.
    of_speakers = level > 0 and len(above) > 1 and len({folders[:-1] for folders in above}) == 1
    if level:
        speakers = "; that above it is the speaker" if of_speakers else ""
        yield Remark(f"folders: the class is folder {level + 1} of the path{speakers}")
    for row in short_ids(rows):
        folders = row.pop("folders")
        if len(folders) <= level:
            inside = Path(row["path"]).relative_to(root.absolute())
            yield LeftOut(inside.as_posix(), "in no class folder")
        else:
            yield {**row, "label": folders[level], **({"speaker": folders[level - 1]} if of_speakers else {})}


def split_of(path: Path) -> str | None:
    """Return the split of a file, by the first folder with the name of one; None without any."""
    return next((folder.lower() for folder in path.parts[:-1] if SPLIT.fullmatch(folder)), None)


def short_ids(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Cut ids that are relative paths down to the base name where that is unique."""
    count = Counter(row["id"].rsplit("/", 1)[-1] for row in rows)
    return [
        {**row, "id": base if count[base := row["id"].rsplit("/", 1)[-1]] == 1 else row["id"]} for row in rows
    ]


def _folders(path: Path) -> dict[str, Any] | str:
    folders = tuple(folder for folder in path.parts[:-1] if not SPLIT.fullmatch(folder))
    if not folders:
        return "in no class folder"
    return {"id": path.with_suffix("").as_posix(), "folders": folders, "split": split_of(path)}


def _class_level(root: Path, paths: Collection[tuple[str, ...]]) -> int:
    """Return which of the folders above the recordings is the class, counted from 0."""
    deep = [path for path in paths if len(path) > 1]
    if not deep:
        return 0
    levels = [{path[level] for path in deep if len(path) > level} for level in range(max(map(len, deep)))]
    emotions = [_share(names, _EMOTION) for names in levels]
    if max(emotions) > 0.5:
        return emotions.index(max(emotions))
    if len(deep) == len(paths) and len(levels[0]) == 1:  # one folder around everything
        return 1 + _class_level(root / next(iter(levels[0])), {path[1:] for path in deep})
    speakers = [_share(names, _SPEAKER) for names in levels[:2]]
    if speakers in ([1.0, 0.0], [0.0, 1.0]):
        return int(speakers[0])
    above: dict[str, set[str]] = {}
    for path in deep:
        above.setdefault(path[1], set()).add(path[0])
    if any(len(outer) > 1 for outer in above.values()):
        first, second = (first_five(sorted(names)) for names in levels[:2])
        raise DataError(
            f"{root}: the class may be the first folder ({first}) or the second ({second}); give a table with "
            "the columns path, label and speaker"
        )
    return 0


def _share(names: Collection[str], pattern: re.Pattern[str]) -> float:
    return sum(bool(pattern.fullmatch(name.strip())) for name in names) / len(names)
