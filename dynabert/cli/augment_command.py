"""The verb that makes more training data: augment."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.markup import escape

from dynabert.cli.data_options import (
    DevFile,
    LabelColumn,
    Regression,
    TaskOrCsv,
    TextColumns,
    chosen_source,
    csv_options,
)
from dynabert.cli.display import TrainingDisplay, console
from dynabert.data.augmentation import Augmentation, Settings, default_copies
from dynabert.data.augmentation import augment as write
from dynabert.data.augmentation.settings import MOST_COPIES
from dynabert.training.events import Notice, Working
from dynabert.training.plan import MAX_SEED


def augment(
    task: TaskOrCsv,
    glove: Annotated[
        Path, typer.Option(help="GloVe vectors: a text file, for example glove.6B.300d.txt.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    masked_lm: Annotated[
        str | None,
        typer.Option(
            "--masked-lm",
            help="Folder or hub id of a BERT or RoBERTa with its masked-language-model head. Left out: "
            "GloVe alone.",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder with the task's files, as for train. Left out: the hub."),
    ] = None,
    copies: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_COPIES,
            help="N: tries for each text. Left out: the official script's of the task.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=MAX_SEED, help="Of everything random, and of --num-train.")
    ] = 0,
    num_train: Annotated[
        int | None,
        typer.Option(
            min=1, help="Augment the examples that train draws with that number and seed."
        ),
    ] = None,
    dev_file: DevFile = None,
    text_column: TextColumns = None,
    label_column: LabelColumn = "label",
    regression: Regression = False,
) -> None:
    """Make more training examples by replacing words (TinyBERT's data augmentation).

    Stopped at any moment, the same command goes on where it stopped. What it writes is for
    `dynabert train --augmentation FOLDER`.

    Example: python -m dynabert augment cola --data-dir path/to/glue --glove glove.6B.300d.txt --out cola-aug
    """
    options = csv_options(dev_file, text_column, label_column, regression)
    data = chosen_source(task, data_dir, num_train, seed, options).load()
    settings = Settings(copies=copies or default_copies(data.task), seed=seed)
    started = time.monotonic()
    with TrainingDisplay() as display:
        for notice in data.notices:
            display(Notice(text=notice))
        made = write(
            *(data, out, settings),
            glove=glove,
            masked_lm=masked_lm,
            device="cuda" if torch.cuda.is_available() else "cpu",
            on_rows=lambda done, total: display(Working(what="augment", done=done, total=total)),
        )
        for notice in made.manifest.notices:
            display(Notice(text=notice))
    _report(made, time.monotonic() - started)


def _report(made: Augmentation, seconds: float) -> None:
    manifest = made.manifest
    words = (
        f"{manifest.num_words('masked_lm'):,} words with candidates from the masked language model, "
        f"{manifest.num_words('glove'):,} from GloVe, {manifest.num_words('none'):,} without any"
    )
    console.print(
        f"{manifest.num_rows:,} new rows from {manifest.plan.num_source:,} in {seconds:.0f} s; of "
        f"{manifest.num_unchanged:,} none could be made. {words}.",
        soft_wrap=True,
    )
    console.print(
        f"They are in {escape(str(made.folder))}. A recipe with stages on augmented data trains on them: "
        f"python -m dynabert train ... --augmentation {escape(str(made.folder))}",
        soft_wrap=True,
    )
