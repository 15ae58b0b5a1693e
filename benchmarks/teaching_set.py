"""How hard the teaching set is: what counting words reaches, and what each sub-network keeps.

    python benchmarks/teaching_set.py --run runs/demo --out benchmarks/results

Logistic regression on the words of a sentence (and on pairs of neighbouring words) is trained on the
training sentences and judged on dev, beside the twelve sub-networks of the run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from commands import this_command
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from dynabert import PAPER_SPACE
from dynabert.evaluation.latency import describe_machine
from dynabert.evaluation.quality import evaluate_many
from dynabert.examples import load_examples
from dynabert.runs import Run

BASELINES = {"words": (1, 1), "words and pairs of words": (1, 2)}
CONDITIONS = ("seen", "held-out words", "held-out structure")


def main() -> None:
    parser = argparse.ArgumentParser(description="How hard the teaching set is.")
    parser.add_argument("--run", type=Path, required=True, help="folder of a run on it")
    parser.add_argument("--out", type=Path, help="folder for the table")
    arguments = parser.parse_args()
    run = Run.load(arguments.run)
    examples = load_examples(run)
    train = examples.data.train.to_pandas()
    dev = examples.data.dev["dev"].to_pandas()
    correct = {name: baseline(train, dev, ngrams) for name, ngrams in BASELINES.items()}
    evaluations = evaluate_many(run.model(), examples.dev, PAPER_SPACE, metrics=("accuracy",))
    for evaluation in evaluations:
        correct[evaluation.subnet.key] = evaluation.predictions == evaluation.labels
    report = as_markdown(run, train, dev, correct, sum(e.collapsed for e in evaluations))
    print(report)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "teaching_set.md").write_text(report, encoding="utf-8")


def baseline(train: pd.DataFrame, dev: pd.DataFrame, ngrams: tuple[int, int]) -> np.ndarray:
    """(N,) whether logistic regression over counts answers each dev sentence rightly."""
    counts = CountVectorizer(ngram_range=ngrams, token_pattern=r"[A-Za-z]+|[,.?]")
    model = make_pipeline(counts, LogisticRegression(max_iter=1000))
    model.fit(train["sentence"], train["label"])
    return model.predict(dev["sentence"]) == dev["label"].to_numpy()


def as_markdown(
    run: Run,
    train: pd.DataFrame,
    dev: pd.DataFrame,
    correct: dict[str, np.ndarray],
    num_collapsed: int,
) -> str:
    everyone = np.ones(len(dev), dtype=bool)
    per_condition = [
        ("all", everyone),
        *((name, (dev["condition"] == name).to_numpy()) for name in CONDITIONS),
    ]
    rows = [("all", everyone)] + [
        (name, (dev["phenomenon"] == name).to_numpy()) for name in dev["phenomenon"].unique()
    ]
    shown = ["words", "words and pairs of words", "w1.00-d1.00", "w0.50-d1.00", "w0.25-d1.00"]
    shown += ["w1.00-d0.50", "w0.50-d0.50", "w0.25-d0.50"]
    counts = train["phenomenon"].value_counts()
    return "\n".join(
        [
            "# How hard the teaching set is",
            "",
            f"Command: `{this_command()}`  ",
            f"Machine: {describe_machine(torch.device('cpu'))}; {time.strftime('%Y-%m-%d')}  ",
            f"Run: {run.name} (`{run.info.command}`), seed {run.info.seed}, teaching set of seed "
            f"{run.info.data.seed}: {len(train):,} training and {len(dev):,} dev sentences, half of "
            f"them acceptable. Collapsed sub-networks: {num_collapsed} of 12.",
            "",
            "Dev accuracy in percent, of logistic regression over words and of the sub-networks:",
            "",
            *table(("condition", "dev sentences"), per_condition, list(correct), correct, None),
            "",
            "By phenomenon:",
            "",
            *table(("phenomenon", "train / dev sentences"), rows, shown, correct, counts),
            "",
        ]
    )


def table(
    headings: tuple[str, str],
    rows: Sequence[tuple[str, np.ndarray]],
    columns: Sequence[str],
    correct: dict[str, np.ndarray],
    num_train: pd.Series | None,
) -> list[str]:
    lines = [f"| {' | '.join([*headings, *columns])} |", "|---|" + "--:|" * (len(columns) + 1)]
    for name, inside in rows:
        size = f"{inside.sum():,}"
        if num_train is not None:
            total = num_train.sum() if name == "all" else num_train[name]
            size = f"{total:,} / {size}"
        cells = [f"{100 * correct[column][inside].mean():.1f}" for column in columns]
        lines.append(f"| {' | '.join([name, size, *cells])} |")
    return lines


if __name__ == "__main__":
    main()
