"""A tiny question answering task in SQuAD's own files: which word comes after "good"?"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

NOUNS = ("cat", "dog", "bird", "boy", "girl", "tree", "house")
FILLERS = "the old red is on with sees likes in new".split()
FILES = {"train": "train-v1.1.json", "dev": "dev-v1.1.json"}


def passage(random: Random, words: int) -> tuple[str, str, int]:
    """A text with one "good", the word after it, and where that begins."""
    texts = [random.choice(FILLERS) for _ in range(words)]
    place = random.randrange(words)
    noun = random.choice(NOUNS)
    texts[place : place + 1] = ["good", noun]
    start = len(" ".join(texts[: place + 1])) + 1
    return " ".join(texts) + " .", noun, start


def content(count: int, seed: int = 0) -> dict:
    """As the JSON has it: two questions about each passage, of which some are long."""
    random = Random(seed)
    paragraphs = []
    for number in range(-(-count // 2)):
        text, noun, start = passage(random, 6 if number % 4 else 30)
        answers = [{"text": noun, "answer_start": start}]
        asked = [
            {"id": f"{seed}-{number}-{n}", "question": question, "answers": answers}
            for n, question in enumerate(("what is good ?", "who is good ?"))
        ]
        paragraphs.append({"context": text, "qas": asked[: count - 2 * number]})
    return {"version": "1.1", "data": [{"title": "Words", "paragraphs": paragraphs}]}


def write_squad(folder: Path, *, train: int = 96, dev: int = 40) -> Path:
    """Both files; returns the folder that holds them."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, count) in enumerate((("train", train), ("dev", dev))):
        text = json.dumps(content(count, seed))
        (folder / FILES[name]).write_text(text, encoding="utf-8")
    return folder
