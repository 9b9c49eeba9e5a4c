"""Tables as OpenFace writes them, one a clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unheard import features
from unheard.errors import DataError, UsageError
from unheard.inputs import Clip

HEADER = "frame, face_id, timestamp, confidence, success, gaze_0_x, AU01_r, AU04_r, AU01_c"


def table(path: Path, *rows: str, header: str = HEADER) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")


def test_tracked_frames_of_the_face_that_is_there_most(tmp_path: Path) -> None:
    table(
        tmp_path / "Actor_01" / "01-a.csv",
        "1, 0, 0.000, 0.98, 1, 0.1, 0.5, 1.5, 1",
        "1, 1, 0.000, 0.98, 1, 0.1, 9.0, 9.0, 0",
        "2, 0, 0.033, 0.00, 0, 0.1, 7.0, 7.0, 0",
        "3, 0, 0.067, 0.98, 1, 0.1, 0.25, 2.5, 0",
    )
    made = features.build({"name": "openface", "path": str(tmp_path), "instead": ["03-", "01-"]})
    assert made.names == ("AU01_r", "AU04_r", "AU01_c") and made.medium == "id"
    ((found,),) = made.extract(["03-a"], [0])
    np.testing.assert_array_equal(found, np.float32([[0.5, 1.5, 1], [0.25, 2.5, 0]]))
    assert features.build(made.settings) == made
    with pytest.raises(DataError, match=r"has no table 01-b\.csv.*01-a"):
        made.lookup("03-b")


@pytest.mark.parametrize(
    ("header", "row", "reason"),
    [
        (HEADER, "1, 0, 0.000, 0.00, 0, 0.1, 7.0, 7.0, 0", "no frame in which a face was tracked"),
        (HEADER, "1, 0, 0.000, 0.98, 1, 0.1, x, 7.0, 0", "row 2: ' x' is not a number"),
        ("frame, success, gaze", "1, 1, 0.5", "expected columns such as AU01_r"),
    ],
)
def test_what_is_no_such_table_says_why(header: str, row: str, reason: str, tmp_path: Path) -> None:
    table(tmp_path / "a.csv", row, header=header)
    made = features.build({"name": "openface", "path": str(tmp_path)})
    with pytest.raises(DataError, match=reason):
        made.lookup(Clip("a").id)


def test_a_folder_is_needed_and_known_by_its_content(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no \.csv file"):
        features.build({"name": "openface", "path": str(tmp_path)})
    with pytest.raises(UsageError, match=r"set features\.path"):
        features.build({"name": "openface", "path": ""}).lookup("a")
    table(tmp_path / "a.csv", "1, 0, 0.000, 0.98, 1, 0.1, 0, 7.0, 0")
    with pytest.raises(DataError, match="the content has changed"):
        features.build({"name": "openface", "path": str(tmp_path), "sha256": "0" * 64})
