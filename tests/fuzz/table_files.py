"""Small healthy tables, texts and archives of arrays, and mutations that know how these are written."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
from collections.abc import Callable, Mapping

import numpy as np
import polars as pl
import pyarrow.parquet
import yaml
from mutate import Mutator
from safetensors.numpy import save

from unheard.corpora.table import complete, utterances
from unheard.predictions.table import predictions

CLASSES = ("calm", "happy", "sad")
IDS = [f"{speaker}-{number}" for speaker in "ABCDEF" for number in range(6)]

# --- healthy files -----------------------------------------------------------------------------------------------


def utterance_table() -> pl.DataFrame:
    """Six speakers with six clips each."""
    rows = [
        {
            "id": name,
            "path": f"/nowhere/{name}.wav",
            "speaker": name[0],
            "gender": ("female", "male")["ACE".find(name[0]) >= 0],
            "age": 30.0 + k,
            "start": 0.5 * k,
            "end": 0.5 * k + 2.25,
            "duration": 2.25,
            "text": f'Dö {k}, „so"',
            "label": CLASSES[k % 3],
            "valence": (k % 5) / 4,
            "votes": [{"grader": "g1", "label": CLASSES[k % 3], "weight": 1.0, "modality": None}],
        }
        for k, name in enumerate(IDS)
    ]
    return utterances(rows, corpus="made", labels=CLASSES)


def _plain_rows() -> pl.DataFrame:
    columns = (
        "id",
        "path",
        "speaker",
        "gender",
        "age",
        "start",
        "end",
        "duration",
        "text",
        "label",
        "valence",
    )
    return utterance_table().select(*columns).with_columns(pl.col("label").cast(pl.String))


def _bytes(write: Callable[[io.BytesIO], object]) -> bytes:
    data = io.BytesIO()
    write(data)
    return data.getvalue()


def _with_votes() -> list[dict[str, object]]:
    return [row | {"votes": [{"label": row["label"], "weight": 2}]} for row in _plain_rows().to_dicts()]


def tables(suffix: str) -> dict[str, bytes]:
    """Tables of utterances in a format that ``prepare generic`` reads."""
    plain, rows = _plain_rows(), _with_votes()
    if suffix == ".csv":
        cells = plain.with_columns(votes=pl.Series([json.dumps(row["votes"]) for row in rows]))
        made = {
            "commas": plain.write_csv(),
            "votes": cells.write_csv(),
            "semicolons": plain.write_csv(separator=";"),
        }
        return {name: text.encode() for name, text in made.items()} | {
            "windows": plain.write_csv(line_terminator="\r\n", include_bom=True).encode()
        }
    if suffix == ".jsonl":
        return {"lines": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()}
    return _parquets(pl.DataFrame(rows), plain, complete(utterance_table()))


def _parquets(*frames: pl.DataFrame) -> dict[str, bytes]:
    made = {}
    for number, frame in enumerate(frames):
        for compression in ("zstd", "uncompressed"):
            name = f"{number} {compression}"
            made[name] = _bytes(lambda file, c=compression, f=frame: f.write_parquet(file, compression=c))
        arrow = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        made[f"{number} arrow"] = _bytes(lambda file, a=arrow: pyarrow.parquet.write_table(a, file))
    return made


def our_tables() -> dict[str, bytes]:
    """Prepared tables."""
    return _parquets(complete(utterance_table()))


def prediction_table() -> pl.DataFrame:
    """Predictions of all clips."""
    rng = np.random.default_rng(0)
    rows = [
        {"id": name, "speaker": name[0], "label": CLASSES[k % 3], "logits": rng.normal(size=3).tolist()}
        for k, name in enumerate(IDS)
    ]
    constant = {"system": "made", "corpus": "made", "protocol": "loso", "protocol_hash": "0"}
    frame = pl.DataFrame(rows).with_columns(**{name: pl.lit(value) for name, value in constant.items()})
    return predictions(frame, CLASSES)


def our_predictions() -> dict[str, bytes]:
    """Tables of predictions."""
    return _parquets(prediction_table())


def their_predictions(suffix: str) -> dict[str, bytes]:
    """Predictions of another system."""
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.ones(3), len(IDS)).round(6)
    frame = pl.DataFrame({"id": IDS} | {f"p_{name}": shares[:, k] for k, name in enumerate(CLASSES)})
    frame = frame.with_columns(p_sad=1 - pl.col("p_calm") - pl.col("p_happy"), label=pl.Series(CLASSES * 12))
    if suffix == ".csv":
        return {"csv": frame.write_csv().encode()}
    return {"lines": frame.write_ndjson().encode()}


def folds(suffix: str) -> dict[str, bytes]:
    """Folds that leave one speaker out."""
    parts = [
        {
            "train": [i for i in IDS if i[0] not in (one, other)],
            "val": [i for i in IDS if i[0] == other],
            "test": [i for i in IDS if i[0] == one],
        }
        for one, other in zip("ABCDEF", "BCDEFA", strict=True)
    ]
    if suffix == ".json":
        return {
            "json": json.dumps(
                {"name": "loso", "disjoint": ["speaker"], "leaky": False, "folds": parts}
            ).encode()
        }
    rows = [f"{i},{k},{part}\n" for k, fold in enumerate(parts) for part, ids in fold.items() for i in ids]
    return {"csv": ("id,fold,part\n" + "".join(rows)).encode()}


def recipes() -> dict[str, bytes]:
    """Some recipes of the package, and a mapping of labels."""
    from importlib.resources import files

    folder = files("unheard") / "recipes"
    return {
        name: (folder / f"{name}.yaml").read_bytes()
        for name in ("functionals", "ravdess-box", "ravdess-tcgru")
    }


def mappings() -> dict[str, bytes]:
    """Mappings of labels."""
    plain = {
        "name": "three",
        "version": 1,
        "labels": {"Calm": "calm", "joy": "happy", "x": None},
        "others": "drop",
    }
    return {"mapping": yaml.safe_dump(plain).encode()}


def arrays(suffix: str) -> dict[str, bytes]:
    """Features by utterance id."""
    rng = np.random.default_rng(2)
    frames = {name: rng.normal(size=(3 + k % 4, 5)).astype(np.float32) for k, name in enumerate(IDS[:8])}
    rows = {name: array.mean(axis=0) for name, array in frames.items()}
    if suffix == ".csv":
        lines = [",".join([name, *(f"{value:.6g}" for value in row)]) for name, row in rows.items()]
        return {"rows": ("id,a,b,c,d,e\n" + "\n".join(lines)).encode()}
    if suffix == ".safetensors":
        return {"frames": save(frames), "rows": save(rows)}
    fortran = {name: np.asfortranarray(array.astype(np.float64)) for name, array in frames.items()}
    return {
        "stored": _bytes(lambda file: np.savez(file, **frames)),
        "packed": _bytes(lambda file: np.savez_compressed(file, **fortran)),
        "rows": _bytes(lambda file: np.savez_compressed(file, **rows)),
    }


# --- mutations that know the format ------------------------------------------------------------------------------

#: What stands in a cell or a value and must not be taken for something else.
ODD = [
    *(
        "",
        "nan",
        "NaN",
        "-Infinity",
        "inf",
        "1_5",
        "-3",
        "1e300",
        "1e999",
        "0x10",
        "１",
        "9" * 30,
        "9" * 5000,
        "1,5",
    ),
    *(
        "null",
        "None",
        "true",
        "[]",
        "{}",
        '"',
        '""',
        "'",
        "\n",
        "\r",
        "\t",
        ";",
        "\ufeff",
        "\0",
        "\x1b[2J",
        "\u202e",
    ),
    *(
        "../../etc/passwd",
        "/dev/zero",
        ".",
        "/",
        "a" * 5000,
        "\U0001f600" * 50,
        "A-0",
        "happy",
        "Ünïcode",
        "%s{}",
    ),
]
#: Pieces of JSON and YAML that readers stumble over.
PIECES = [
    *(
        '"\\ud800"',
        '"\\u0000"',
        "[" * 500,
        "]" * 50,
        '{"a":' * 300,
        "&x [*x]",
        "*x",
        "&x ",
        "!!float ",
        "2024-01-01",
    ),
    *(
        "!!python/object/apply:os.system ",
        "<<: ",
        "? [a]\n: ",
        "- " * 300,
        "---\n",
        "...\n",
        "%YAML 9\n",
        "\xa0",
        "@",
    ),
    *(
        "yes",
        "1:30:00",
        "0b_",
        ".inf",
        "1e999",
        "0o8",
        "|\n",
        ">\n",
        "'",
        '"',
        "\t",
        "# ",
        ": ",
        ", ",
        "\x85",
        "\u2028",
    ),
]

_WORD = re.compile(rb"[^\s,;:{}\[\]\"']+")


def odd_cell(data: bytes, rng: np.random.Generator) -> bytes:
    """Replace one word or number by something odd."""
    words = list(_WORD.finditer(data))
    if not words:
        return data
    word = words[rng.integers(len(words))]
    return (
        data[: word.start()]
        + ODD[rng.integers(len(ODD))].encode("utf-8", "surrogatepass")
        + data[word.end() :]
    )


def odd_piece(data: bytes, rng: np.random.Generator) -> bytes:
    """Put a piece of JSON or YAML before a word."""
    words = list(_WORD.finditer(data))
    place = words[rng.integers(len(words))].start() if words else 0
    return data[:place] + PIECES[rng.integers(len(PIECES))].encode() + data[place:]


def swap_lines(data: bytes, rng: np.random.Generator) -> bytes:
    """Repeat a line elsewhere, or leave one out: a name stands twice, a column is missing."""
    lines = data.split(b"\n")
    one, other = rng.integers(len(lines), size=2)
    if rng.integers(3):
        lines.insert(other, lines[one])
    else:
        del lines[one]
    return b"\n".join(lines)


def swap_words(data: bytes, rng: np.random.Generator) -> bytes:
    """Put one word in the place of another."""
    words = list(_WORD.finditer(data))
    if len(words) < 2:
        return data
    one, other = words[rng.integers(len(words))], words[rng.integers(len(words))]
    return data[: one.start()] + other[0] + data[one.end() :]


TEXT: Mapping[str, Mutator] = {each.__name__: each for each in (odd_cell, odd_piece, swap_lines, swap_words)}


def flip_inside(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip one bit: whatever is not told by a checksum stays plausible."""
    place = int(rng.integers(len(data))) if data else 0
    return (
        data[:place]
        + bytes(b ^ 1 << int(rng.integers(8)) for b in data[place : place + 1])
        + data[place + 1 :]
    )


def set_varint(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite a byte of the metadata at the end of a Parquet file by a large number, or the end of one."""
    length = struct.unpack("<I", data[-8:-4])[0] if len(data) > 12 else 0
    if not 0 < length < len(data) - 8:
        return data
    place = len(data) - 8 - int(rng.integers(1, length + 1))
    return (
        data[:place] + bytes([int(rng.choice([0, 1, 2, 0x7E, 0x7F, 0x80, 0xFE, 0xFF]))]) + data[place + 1 :]
    )


def set_length(data: bytes, rng: np.random.Generator) -> bytes:
    """Change how long the metadata of a Parquet file are said to be, or cut some of it out and say so."""
    if len(data) < 12:
        return data
    length = struct.unpack("<I", data[-8:-4])[0]
    less = int(rng.integers(-3, 4))
    return data[:-8] + struct.pack("<I", max(0, length + less)) + data[-4:]


PARQUET: Mapping[str, Mutator] = {each.__name__: each for each in (flip_inside, set_varint, set_length)}


def repacked(data: bytes, rng: np.random.Generator) -> bytes:
    """Write an archive again with one member changed, its checksums right."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except Exception:  # damaged by an earlier mutation
        return data
    if not members:
        return data
    number = int(rng.integers(len(members)))
    name, content = members[number]
    step = int(rng.integers(6))
    if step == 0:
        content = flip_inside(content[:128], rng) + content[128:]
    elif step == 1:
        shapes = (b"(100000000, 100)", b"()", b"(0, 5)", b"(-1, 5)", b"(5, 3L)", b"(99999999999999999999,)")
        content = re.sub(rb"\([0-9, ]*\)", shapes[rng.integers(len(shapes))], content, count=1)
    elif step == 2:
        kinds = (b"|O", b"<f2", b">f8", b"|S1", b"<U9", b"|V4", b"<c16", b"<M8", b"|b1", b"<f99", b"<i3")
        content = re.sub(rb"<f[48]", kinds[rng.integers(len(kinds))], content, count=1)
    elif step == 3:
        content = content[: rng.integers(len(content) + 1)]
    elif step == 4:
        name = ("a/b.npy", "../x.npy", "noend", "\x1b[2J.npy", members[0][0], "ü.npy", "x" * 500)[
            rng.integers(7)
        ]
    members[number] = (name, content)
    kind = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)[rng.integers(4)]
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", kind) as archive:
        for each, content in dict(members).items() if step != 4 else members:
            archive.writestr(zipfile.ZipInfo(each), content, kind)
    return written.getvalue()


def set_zip_field(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite a field of the directory of an archive: version, flags, method, checksum, sizes, offset."""
    places = [found.start() for found in re.finditer(rb"PK\x01\x02", data)]
    if not places:
        return data
    place = places[rng.integers(len(places))]
    field, width = [(6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (42, 4)][
        rng.integers(9)
    ]
    number = int(rng.choice([0, 1, 8, 12, 14, 63, 255, 2**16 - 1, 2**31 - 1, 2**32 - 1])) % 2 ** (8 * width)
    return data[: place + field] + number.to_bytes(width, "little") + data[place + field + width :]


ARCHIVE: Mapping[str, Mutator] = {each.__name__: each for each in (flip_inside, repacked, set_zip_field)}


def set_header(data: bytes, rng: np.random.Generator) -> bytes:
    """Change the JSON at the beginning of a safetensors file, its length made right."""
    length = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else 0
    header = data[8 : 8 + length] if length < 2**20 else b""
    changed = TEXT[sorted(TEXT)[rng.integers(len(TEXT))]](header, rng)
    return struct.pack("<Q", len(changed)) + changed + data[8 + length :]


SAFETENSORS: Mapping[str, Mutator] = {each.__name__: each for each in (flip_inside, set_header)}
