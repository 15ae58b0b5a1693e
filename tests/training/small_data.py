"""A tiny task for whole trainings: is the last word good or bad?"""

from __future__ import annotations

import csv
from pathlib import Path
from random import Random

WORDS = {"neg": ("bad", "old", "red"), "pos": ("good", "new", "green")}


def write_csv(folder: Path, *, train: int = 96, dev: int = 40) -> tuple[Path, Path]:
    """Train and dev files with columns text and label."""
    random = Random(0)
    files = []
    for name, count in (("train.csv", train), ("dev.csv", dev)):
        path = folder / name
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            for number in range(count):
                label = ("neg", "pos")[number % 2]
                filler = " ".join(
                    random.choice("the cat dog bird sat ran".split()) for _ in range(4)
                )
                writer.writerow([f"{filler} is {random.choice(WORDS[label])}.", label])
        files.append(path)
    return files[0], files[1]


def write_glue(folder: Path, *, train: int = 96, dev: int = 40) -> Path:
    """The same as the original files of SST-2; returns the folder that holds them."""
    files = folder / "SST-2"
    files.mkdir(parents=True)
    for path in write_csv(files, train=train, dev=dev):
        with path.open(newline="", encoding="utf-8") as file:
            rows = [
                (row["text"], ("neg", "pos").index(row["label"])) for row in csv.DictReader(file)
            ]
        lines = ["sentence\tlabel", *(f"{text}\t{label}" for text, label in rows)]
        path.with_suffix(".tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        path.unlink()
    return folder
