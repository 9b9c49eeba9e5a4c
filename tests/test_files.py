"""Digests and atomic writes."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unheard.errors import MachineError, UsageError, need, unknown
from unheard.files import atomic, canonical_json, digest, file_digest, new_output, write_text

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_equal_values_have_equal_digests_whatever_their_order(value: dict[str, object]) -> None:
    assert digest(value) == digest(dict(reversed(value.items())))


def test_canonical_json_is_what_it_says() -> None:
    assert canonical_json({"b": [1, "ä"], "a": None}) == '{"a":null,"b":[1,"ä"]}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


def test_file_digest(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert file_digest(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "x"
    write_text(target, "before")

    def fail() -> None:
        with atomic(target) as file:
            file.write(b"half")
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_killed_write_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "x"
    write_text(target, "before")
    code = "import sys, time\nfrom unheard.files import atomic\nwith atomic(sys.argv[1]) as f:\n"
    code += "    f.write(b'half'); f.flush(); print('on', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, target], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    time.sleep(0.01)
    assert target.read_text() == "before"


def test_new_files_have_the_usual_permissions(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "x", "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o644


def test_existing_outputs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(UsageError, match="exists"):
        new_output(tmp_path / "x")
    assert new_output(tmp_path / "x", force=True) == tmp_path / "x"


def test_missing_extras_and_unknown_names_say_what_to_do() -> None:
    with pytest.raises(MachineError, match=r"pip install 'unheard\[train\]'"):
        need("no_such_module_anywhere", "train")
    assert "did you mean 'angry'" in str(unknown("label", "angri", ["angry", "sad"]))
    assert "choose from: angry, sad" in str(unknown("label", "zzz", ["sad", "angry"]))
