"""The verb that makes a small pretrained encoder: pretrain."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dynabert.cli.display import TrainingDisplay, console
from dynabert.cli.options import ChosenPrecision, as_typed
from dynabert.cli.stopping import interruptible
from dynabert.modeling.architecture import Architecture
from dynabert.training.plan import MAX_SEED
from dynabert.training.pretraining import Pretrained, discard_unfinished_pretraining
from dynabert.training.pretraining import pretrain as carry_out
from dynabert.training.pretraining_plan import HEAD_RATE, ask_pretraining

Size = Annotated[int | None, typer.Option(min=1, help="Left out: as many as the backbone has.")]


def pretrain(
    backbone: Annotated[
        str, typer.Argument(help="minilm, a folder, or a hub id of a BERT or RoBERTa.")
    ],
    text: Annotated[
        list[Path],
        typer.Option(
            help="UTF-8 text file, a paragraph or sentence a line, or a folder of .txt files; repeatable."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    layers: Size = None,
    heads: Size = None,
    hidden: Size = None,
    neurons: Size = None,
    start: Annotated[
        str, typer.Option(help="teacher: cut from the backbone; scratch: with random weights.")
    ] = "teacher",
    epochs: Annotated[float, typer.Option(help="Passes over the text.")] = 3.0,
    head_epochs: Annotated[
        float, typer.Option(help="Passes for the head, where the backbone lacks one.")
    ] = 3.0,
    learning_rate: Annotated[
        float | None, typer.Option(help="Left out: what is usual for the hidden size.")
    ] = None,
    head_rate: Annotated[float, typer.Option(help="Learning rate of a missing head.")] = HEAD_RATE,
    masked: Annotated[float, typer.Option(help="Share of the tokens that are asked for.")] = 0.15,
    temperature: Annotated[float, typer.Option(help="Of the teacher's answers.")] = 1.0,
    labels: Annotated[float, typer.Option(help="Weight of the masked tokens themselves.")] = 1.0,
    prediction: Annotated[float, typer.Option(help="Weight of the teacher's answers.")] = 1.0,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows of text a step.")] = 32,
    tokens: Annotated[int, typer.Option(min=4, help="Most tokens of a row.")] = 128,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Of everything random.")] = 0,
    precision: ChosenPrecision = "auto",
    restart: Annotated[
        bool, typer.Option("--restart", help="Drop an unfinished pretraining of that folder first.")
    ] = False,
) -> None:
    """Pretrain a small encoder on plain text: masked-LM distillation, as Bort's.

    It learns from the backbone what stood where a token is masked. The folder it is written to is a
    backbone (train --backbone FOLDER), a student (train --recipe plain-student --set
    reduce.pretrained=FOLDER), and a masked language model (augment --masked-lm FOLDER). Without sizes
    only the head is made that the backbone lacks.

    Stopped at any moment, the same command goes on where it stopped.

    Example: python -m dynabert pretrain minilm --text corpus.txt --layers 4 --hidden 192 --out small
    """
    plan = ask_pretraining(
        backbone=backbone,
        texts=tuple(path.resolve() for path in text),
        layers=layers,
        heads=heads,
        hidden=hidden,
        neurons=neurons,
        start=start,
        losses={"labels": labels, "prediction": prediction, "temperature": temperature},
        epochs=epochs,
        head_epochs=head_epochs,
        learning_rate=learning_rate,
        head_rate=head_rate,
        masked_share=masked,
        batch_size=batch_size,
        max_tokens=tokens,
        seed=seed,
        precision=precision,
    )
    if restart:
        discard_unfinished_pretraining(out)
    with interruptible() as stop, TrainingDisplay() as display:
        about = carry_out(plan, out, command=as_typed(), on_event=display, stop=stop)
    console.print(_table(about))
    console.print(
        f"{Architecture.parse(about.architecture)} is in {escape(str(out))}. Train with it: python -m "
        f"dynabert train TASK --backbone {escape(str(out))}",
        soft_wrap=True,
    )


def _table(about: Pretrained) -> Table:
    table = Table(
        title=f"{about.num_dev:,} rows of text held out; trained on {about.num_train:,} "
        f"({about.num_tokens:,} tokens)"
    )
    for name in ("network", "parameters", "masked tokens found", "loss", "perplexity"):
        table.add_column(name, justify="left" if name == "network" else "right")
    rows = {"backbone": about.teacher, about.architecture: about.student}
    for name, quality in rows.items():
        table.add_row(
            *(escape(name), f"{quality.params:,}", f"{quality.accuracy:.1%}"),
            *(f"{quality.loss:.3f}", f"{math.exp(min(quality.loss, 50.0)):,.1f}"),
        )
    return table
