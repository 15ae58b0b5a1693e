"""Options that several verbs share."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from dynabert.analysis.choices import depth_choices, width_choices
from dynabert.errors import UserError
from dynabert.evaluation.latency import MOST_TEXTS
from dynabert.runs import RUNS_DIR_VARIABLE, Run
from dynabert.subnet import PAPER_DEPTHS, PAPER_WIDTHS, NetworkShape, SearchSpace, Subnet
from dynabert.training.precision import Precision

RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's name, or its folder.")]
RunsDir = Annotated[Path, typer.Option(envvar=RUNS_DIR_VARIABLE, help="Where runs are kept.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder with the task's files: original ones (CoLA/train.tsv, ...) or a copy of the "
        "hub's repository (cola/train-*.parquet, ...), or where a CSV file has gone. Left out: where the "
        "run found them, else the hub."
    ),
]
Width = Annotated[float, typer.Option(help="Width multiplier m_w, in (0, 1].")]
Depth = Annotated[float, typer.Option(help="Depth multiplier m_d, in (0, 1].")]
SubnetKey = Annotated[
    str | None,
    typer.Option(
        "--subnet",
        help="A sub-network by its key instead, for example w0.50-d0.75, layer by layer "
        "w1.00-y0.2.5-h12.6.3-n1536.768.384, or with fewer tokens leaving each of six layers "
        "w1.00-d1.00-r0.9_0.8_0.6_0.5_0.4_0.3.",
    ),
]
Widths = Annotated[
    str, typer.Option(help="Width multipliers, separated by commas; or all: every number of heads.")
]
Depths = Annotated[
    str,
    typer.Option(help="Depth multipliers, separated by commas; or all: every number of layers."),
]
Drops = Annotated[
    str,
    typer.Option(
        help="Shares of the tokens that enter a layer which every layer drops, separated by commas."
    ),
]
Batch = Annotated[
    int, typer.Option(min=1, max=MOST_TEXTS, help="Texts per pass, where latency is measured.")
]
LatencyBatch = Annotated[
    int,
    typer.Option("--latency-batch", min=1, max=MOST_TEXTS, help="Sentences per timed pass."),
]
ChosenPrecision = Annotated[
    Precision, typer.Option(help="auto is bf16 where the hardware computes in it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

ALL_WIDTHS = ",".join(map(str, PAPER_WIDTHS))
ALL_DEPTHS = ",".join(map(str, PAPER_DEPTHS))


def as_typed() -> str:
    """The command that is being carried out, for the record."""
    start = ["python"]
    if (
        processes := os.environ.get("LOCAL_WORLD_SIZE", "1")
    ) != "1":  # as torchrun tells each of them
        start += ["-m", "torch.distributed.run", "--nproc_per_node", processes]
    return shlex.join([*start, "-m", "dynabert", *sys.argv[1:]])


def chosen_subnet(width: float, depth: float, key: str | None) -> Subnet:
    """The sub-network that the options name."""
    if key is None:
        return Subnet(width, depth)
    if (width, depth) != (1.0, 1.0):
        raise UserError("give either --subnet or --width and --depth, not both.")
    return Subnet.parse(key)


def chosen_space(widths: str, depths: str, shape: NetworkShape) -> SearchSpace:
    """The grid that two lists of multipliers span, or all that a network of that shape offers."""
    return SearchSpace(
        tuple(width_choices(shape, PAPER_WIDTHS)[::-1])
        if widths == "all"
        else _numbers(widths, "--widths"),
        tuple(depth_choices(shape, PAPER_DEPTHS)[::-1])
        if depths == "all"
        else _numbers(depths, "--depths"),
    )


def chosen_drops(drops: str) -> tuple[float, ...]:
    """The shares that a list names.

    Raises:
        UserError: one that is not in [0, 1).
    """
    shares = _numbers(drops, "--drops")
    if bad := [share for share in shares if not 0 <= share < 1]:
        raise UserError(
            f"--drops takes shares from 0 to below 1, for example 0,0.1,0.2, got {bad[0]:g}."
        )
    return shares


def whole_numbers(text: str, option: str, *, example: str) -> tuple[int, ...]:
    """The whole numbers from 1 that a list names, none of them twice.

    Raises:
        UserError: something else.
    """
    parts = text.replace(",", " ").split()
    if not parts or not all(part.isdecimal() and 0 < int(part) < 10**6 for part in parts):
        raise UserError(
            f"{option} takes whole numbers from 1, separated by commas, for example {example}, got {text!r}."
        )
    return tuple(dict.fromkeys(map(int, parts)))


def check_data_dir(run: Run, data_dir: Path | None) -> None:
    """Refuse a folder that the run's examples cannot come from, also where none will be needed.

    Raises:
        UserError: they are generated.
    """
    if data_dir is not None:
        run.info.data.moved(data_dir)


def check_out_file(path: Path | None, *suffixes: str) -> None:
    """Refuse a file that could not be written, before long work is done for it.

    Raises:
        UserError: another suffix, or no such folder.
    """
    if path is None:
        return
    if path.suffix not in suffixes:
        raise UserError(f"--out writes {' or '.join(suffixes)}, got {path.name!r}.")
    if not path.parent.is_dir():
        raise UserError(f"--out {path}: there is no folder {path.parent}.")
    if not os.access(path if path.exists() else path.parent, os.W_OK) or path.is_dir():
        raise UserError(f"--out {path} cannot be written.")


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UserError(
            f"{option} takes numbers separated by commas, for example 1,0.5"
            f"{'' if option == '--drops' else ', or the word all'}, got {text!r}."
        ) from error
