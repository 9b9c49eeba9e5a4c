"""Write the stored leaky folds of RAVDESS: run with the CSV file to write, the seed and the share to validate on.

Ids of the 1,440 speech clips sorted; scikit-learn's StratifiedKFold(6, shuffle, random_state=seed) over clips;
validation: a stratified share of the rest with the same seed. ``ravdess-random6``: seed 0 and 0.2, which leaves
960 clips for training; ``ravdess-article-random6``: seed 42 and 0.15.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedKFold, train_test_split


def ravdess_ids() -> list[str]:
    """All names of the official scheme: neutral has no strong intensity."""
    return sorted(
        f"03-01-{emotion:02d}-{intensity:02d}-{sentence:02d}-{take:02d}-{actor:02d}"
        for emotion in range(1, 9)
        for intensity in (1, 2)
        for sentence in (1, 2)
        for take in (1, 2)
        for actor in range(1, 25)
        if not (emotion == 1 and intensity == 2)
    )


def main() -> None:
    seed, share = int(sys.argv[2]), float(sys.argv[3])
    ids = np.array(ravdess_ids())
    emotion = np.array([i[6:8] for i in ids])
    parts = np.full((len(ids), 6), "t")
    for k, (rest, test) in enumerate(StratifiedKFold(6, shuffle=True, random_state=seed).split(ids, emotion)):
        _, val = train_test_split(rest, test_size=share, random_state=seed, stratify=emotion[rest])
        parts[test, k] = "x"
        parts[val, k] = "v"
    with Path(sys.argv[1]).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "parts"])
        writer.writerows([i, "".join(row)] for i, row in zip(ids, parts, strict=True))


if __name__ == "__main__":
    main()
