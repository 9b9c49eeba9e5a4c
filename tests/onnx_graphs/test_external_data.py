"""Graphs that keep their data elsewhere: in bundles never, in encoder folders beside the graph alone."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path

import numpy as np
import onnx
import pytest
from unopened import refusals

from onnx_toys import write_onnx
from unheard import encoders
from unheard.bundle.manifest import write_manifest
from unheard.errors import DataError
from unheard.onnx_graphs import protobuf

SPECIAL = (
    "/dev/zero",
    "../../etc/passwd",
    "/etc/passwd",
    "pipe",
    "folder",
    "socket",
    "device",
    "link",
    "circle",
)
SPECIAL += ("way/passwd",)
BUNDLE = Path(encoders.__file__).parents[1] / "models" / "default"


def wide(number: int, content: bytes | int, *, tag_bit: int = 0, length_bit: int = 0) -> bytes:
    """A field whose tag or length has a bit that a reader of 32 bits does not see."""
    if isinstance(content, int):
        return protobuf.varint(number << 3 | tag_bit) + protobuf.varint(content)
    return protobuf.varint(number << 3 | 2 | tag_bit) + protobuf.varint(len(content) | length_bit) + content


def external(location: str, **bits: int) -> bytes:
    """The fields of a tensor that say that its values lie in another file."""
    entry = wide(1, b"location") + wide(2, location.encode())
    return wide(13, entry, **bits) + wide(
        14, 1, **{key: bit for key, bit in bits.items() if key == "tag_bit"}
    )


def with_fields(path: Path, fields: bytes) -> None:
    """Take the values of a graph's first constant away, and give it these fields."""
    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    del model.graph.initializer[0]
    graph = model.graph.SerializeToString() + wide(5, tensor.SerializeToString() + fields)
    model.ClearField("graph")
    path.write_bytes(model.SerializeToString() + wide(7, graph))


HIDDEN: list[tuple[dict[str, int], str]] = [
    ({"tag_bit": 1 << 32}, "a number has more than 32 bits"),
    ({"tag_bit": 1 << 35}, "a number has more than 32 bits"),
    ({"length_bit": 1 << 32}, "a number has more than 31 bits"),
    ({"length_bit": 1 << 63}, "a number has more than 31 bits"),
    ({}, "keeps data in other files, which is refused"),
]


def test_bundles_with_data_elsewhere(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # whoever opens it waits for a writer who never comes
    folders = [tmp_path / str(number) for number in range(len(HIDDEN))]
    for folder, (bits, _) in zip(folders, HIDDEN, strict=True):
        shutil.copytree(BUNDLE, folder)
        with_fields(folder / "model.onnx", external(str(pipe), **bits))
        write_manifest(folder)
    for folder, (_, match), found in zip(folders, HIDDEN, refusals("bundle", folders), strict=True):
        assert match in found.message
        assert "model.onnx" in found.message
        assert found.seconds < 1
        assert {Path(name).parent for name in found.opened} == {folder}


def special(folder: Path, name: str) -> None:
    """Make something in a folder that is no regular file of it."""
    place = folder / name
    if name == "pipe":
        os.mkfifo(place)
    elif name == "folder":
        place.mkdir()
    elif name == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(place))
    elif name == "device":
        place.symlink_to("/dev/zero")
    elif name == "link":
        place.symlink_to("/etc/passwd")
    elif name == "circle":
        place.symlink_to("circle")
    elif name == "way/passwd":
        place.parent.symlink_to("/etc")


def test_encoder_folders_with_data_elsewhere(tmp_path: Path) -> None:
    folders = [write_onnx(tmp_path / str(number)) for number in range(len(SPECIAL))]
    for folder, location in zip(folders, SPECIAL, strict=True):
        special(folder, location)
        with_fields(folder / "toy.onnx", external(location))
    for folder, found in zip(folders, refusals("encoder", folders), strict=True):
        assert str(folder) in found.message, found
        assert found.seconds < 1
        assert set(found.opened) == {str(folder / name) for name in ("encoder.json", "toy.onnx")}


def test_encoder_folders_whose_files_are_none(tmp_path: Path) -> None:
    cases = [
        (file, kind)
        for file in ("toy.onnx", "encoder.json", "norm.mvn")
        for kind in ("pipe", "device", "link", "folder")
    ]
    folders = [write_onnx(tmp_path / f"{file}-{kind}") for file, kind in cases]
    for folder, (file, kind) in zip(folders, cases, strict=True):
        content = json.loads((folder / "encoder.json").read_text())
        (folder / "encoder.json").write_text(json.dumps({**content, "normalise": "norm.mvn"}))
        (folder / file).unlink(missing_ok=True)
        special(folder, kind)
        (folder / kind).rename(folder / file)
    for folder, (file, _), found in zip(folders, cases, refusals("encoder", folders), strict=True):
        assert str(folder) in found.message, found
        assert found.seconds < 1
        assert str(folder / file) not in found.opened
        assert not any(name.startswith(("/dev", "/etc")) for name in found.opened)


def outside(folder: Path, **entries: str) -> None:
    """Move the weights of a toy into a file beside it, and change what is said of the first."""
    model = onnx.load(folder / "toy.onnx")
    onnx.save(model, folder / "toy.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    made = onnx.load(folder / "toy.onnx", load_external_data=False)
    for key, value in entries.items():
        found = [entry for entry in made.graph.initializer[0].external_data if entry.key == key]
        (found[0] if found else made.graph.initializer[0].external_data.add(key=key)).value = value
    (folder / "toy.onnx").write_bytes(made.SerializeToString())


@pytest.mark.parametrize(
    ("entries", "match"),
    [
        ({"offset": "-1"}, "from -1 on"),
        ({"offset": "999999999"}, "from 999999999 on"),
        ({"offset": "1e1"}, "from 1e1 on"),
        ({"length": "4"}, "its file says 4"),
        ({"length": "99999999999999999999"}, "its file says 99999999999999999999"),
        ({"location": ""}, "does not say once in which file"),
        ({"location": "absent.bin"}, "no such file"),
        ({"location": "w\0.bin"}, r"holds the control character U\+0000"),
    ],
    ids=str,
)
def test_places_that_are_not_in_the_file(tmp_path: Path, entries: dict[str, str], match: str) -> None:
    folder = write_onnx(tmp_path / "encoder")
    outside(folder, **entries)
    with pytest.raises(DataError, match=match):
        encoders.load({"name": "onnx", "model": str(folder)})


def test_data_beside_the_graph_is_read_through_links_that_stay_in_the_folder(tmp_path: Path) -> None:
    plain = encoders.load({"name": "onnx", "model": str(write_onnx(tmp_path / "plain"))})
    folder = write_onnx(tmp_path / "encoder")
    outside(folder)
    (folder / "below").mkdir()
    (folder / "w.bin").rename(folder / "below" / "w.bin")
    (folder / "w.bin").symlink_to("below/w.bin")
    apart = encoders.load({"name": "onnx", "model": str(folder)})
    wave = np.sin(np.arange(16_000)).astype(np.float32)
    np.testing.assert_array_equal(apart.extract([wave], [2])[0][0], plain.extract([wave], [2])[0][0])


def test_tensors_that_share_their_bytes_take_more_than_there_is(tmp_path: Path) -> None:
    folder = write_onnx(tmp_path / "encoder")
    outside(folder)
    model = onnx.load(folder / "toy.onnx", load_external_data=False)
    for number in range(9):
        model.graph.initializer.add().CopyFrom(model.graph.initializer[0])
        model.graph.initializer[-1].name = str(number)
    (folder / "toy.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match=r"its tensors take .* in the files beside it"):
        encoders.load({"name": "onnx", "model": str(folder)})
