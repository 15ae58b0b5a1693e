"""What one training of a reproduction came to: one small file, to be committed.

`<backbone>/<task>/<recipe>-s<seed>.json` in the results folder. A file says all that is needed to
repeat it and to judge it: command, commit, machine, budget, and a row for each sub-network.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import AfterValidator, Field, ValidationError

from dynabert.errors import UserError, explain
from dynabert.files import write_text_atomically
from dynabert.subnet import Subnet
from dynabert.training.recipe import in_todays_words
from dynabert.values import Value

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FILE = re.compile(r"(?P<recipe>[A-Za-z0-9][A-Za-z0-9._-]{0,63})-s(?P<seed>\d{1,10})\.json")
RESULTS_DIR = Path("benchmarks/results/reproduction")  # in the checkout
LATENCY_FILE = "latency.json"  # beside the tasks' folders; see `latencies`
Whole = Annotated[int, Field(ge=0)]


def _checked_subnet(key: str) -> str:
    Subnet.parse(key)
    return key


class MeasuredLatency(Value):
    """Median time of a forward pass over a batch, and the distance between its quartiles."""

    batch_size: Annotated[int, Field(ge=1)]
    tokens: Annotated[int, Field(ge=1)]
    median_ms: float
    iqr_ms: float


class SubnetResult(Value):
    """What one sub-network scores and costs."""

    subnet: Annotated[str, AfterValidator(_checked_subnet)]  # its key
    layers: Annotated[tuple[Whole, ...], Field(min_length=1)]  # which run, from 0
    heads: Annotated[tuple[int, ...], Field(min_length=1)]  # of each of them
    neurons: Annotated[tuple[int, ...], Field(min_length=1)]
    metrics: dict[str, float]
    loss: float
    collapsed: bool  # it answers every dev example alike
    num_params: int  # of the Transformer layers
    num_params_total: int
    tokens: int  # for which the MACs are counted
    macs: int
    latency: tuple[MeasuredLatency, ...] = ()  # on `Result.latency_machine`


class Shape(Value):
    """The backbone's size."""

    family: Literal["bert", "roberta"]
    layers: int
    hidden: int
    heads: int
    neurons: int

    def __str__(self) -> str:
        return f"{self.layers} layers x {self.hidden}"


class Result(Value):
    """One training: how it was done, and a row for each sub-network."""

    format: Literal[1] = 1
    backbone: str  # as `backbone_name` has it
    shape: Shape
    task: str
    recipe: str  # name of the preset
    seed: int
    command: str
    commit: str | None  # of the checkout, with "+changes" where files of the package differed
    created: str
    machine: str
    threads: int
    precision: str
    versions: dict[str, str]
    stages: dict[str, Any]  # the whole recipe, every learning rate filled in
    limits: tuple[str, ...]  # in words: where it was trained on less than the preset says
    max_tokens: int
    num_train: int
    num_train_total: int  # that were there to draw from
    num_dev: int
    fingerprint: str  # of the examples
    notices: tuple[str, ...]
    augmentation: dict[str, Any] | None = (
        None  # how the augmented rows were made, if there were any
    )
    stage_seconds: dict[str, float]
    wall_seconds: float  # of the call that finished it, with evaluation
    steps: int  # of the optimiser, all stages
    latency_machine: str | None = None
    rows: tuple[SubnetResult, ...]

    def row(self, subnet: Subnet) -> SubnetResult | None:
        """The row of a sub-network; None if the recipe does not report it."""
        return next((row for row in self.rows if row.subnet == subnet.key), None)

    @property
    def train_seconds(self) -> float:
        """What all its stages took."""
        return sum(self.stage_seconds.values())

    @property
    def budget(self) -> tuple[object, ...]:
        """What must agree before two results of different seeds may be averaged."""
        recipe = in_todays_words(self.stages)
        plain = {key: value for key, value in recipe.items() if key not in ("name", "about")}
        rest = json.dumps([plain, self.augmentation], sort_keys=True)
        return self.num_train, self.num_dev, rest


def backbone_folder(backbone: str) -> str:
    """The name of a backbone's folder: that of a folder or of a hub id, without its owner.

    Raises:
        UserError: nothing usable is left of it.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(backbone).name).lstrip("._-")[:64]
    return _checked(name, "backbone")


def backbone_name(backbone: str) -> str:
    """A backbone as results name it: a folder of this machine by its last part, others as they are."""
    return backbone_folder(backbone) if Path(backbone).is_dir() else backbone


def result_path(folder: Path, backbone: str, task: str, recipe: str, seed: int) -> Path:
    """Where the result of one training is kept.

    Raises:
        UserError: a name that could lead out of the folder.
    """
    place = folder / backbone_folder(backbone) / _checked(task, "task")
    return place / f"{_checked(recipe, 'recipe')}-s{seed}.json"


def _checked(name: str, what: str) -> str:
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} cannot name the folder or file of a {what}: use 1 to 64 letters, digits, '.', "
            "'_' and '-', beginning with a letter or digit."
        )
    return name


def write_result(folder: Path, result: Result) -> Path:
    """Keep a result; it replaces an earlier one of the same training."""
    path = result_path(folder, result.backbone, result.task, result.recipe, result.seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, as_json(result))
    return path


def as_json(result: Result) -> str:
    """One line for each field and each sub-network, in a fixed order: a diff shows what changed.

    What was measured is rounded to seven digits; what it was measured with is not, for that is compared.
    """
    values = result.model_dump(mode="json")
    rows = sorted(values.pop("rows"), key=lambda row: str(row["subnet"]), reverse=True)
    lines = [f" {json.dumps(name)}: {_compact(values[name])}" for name in sorted(values)]
    table = ",\n".join(f"  {_compact(_rounded(row))}" for row in rows)
    lines.append(f' "rows": [\n{table}\n ]')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _compact(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, dict):
        return {key: _rounded(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(member) for member in value]
    return value


def read_result(path: Path) -> Result:
    """A result from its file.

    Raises:
        UserError: it cannot be read, is damaged, or is of another training than its place says.
    """
    try:
        result = Result.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise UserError(
            f"result {path} is damaged or of another version of the program: {explain(error)}. Restore "
            "the file, or remove it and measure again."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"result {path} cannot be read: {error}.") from error
    expected = (path.parents[1].name, path.parent.name, path.name)
    said = (backbone_folder(result.backbone), result.task, f"{result.recipe}-s{result.seed}.json")
    if said != expected:
        raise UserError(
            f"result {path} says that it is {'/'.join(said)}; it does not belong where it lies."
        )
    return result


def list_results(folder: Path) -> Iterator[Path]:
    """The result files of a folder, in the order of their names."""
    if not folder.is_dir():
        return
    for backbone in _folders(folder):
        for task in _folders(backbone):
            for path in sorted(task.iterdir()):
                if _FILE.fullmatch(path.name) and path.is_file():
                    yield path


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and _NAME.fullmatch(path.name))


def read_results(folder: Path) -> list[Result]:
    """All results of a folder; none where there is no such folder.

    Raises:
        UserError: one of them is damaged; names its file.
    """
    return [read_result(path) for path in list_results(folder)]


def as_table(results: list[Result]) -> pd.DataFrame:
    """A row for each sub-network of each result: how it was trained, what it scores and costs.

    Columns beside those of `Result`: width_mult, depth_mult, the metrics by name, and
    latency_ms_batch1, latency_ms_batch128 and so on for each batch size that was timed.
    """
    rows: list[dict[str, object]] = []
    for result in results:
        about = {
            **{"backbone": result.backbone, "task": result.task, "recipe": result.recipe},
            **{"seed": result.seed, "num_train": result.num_train, "num_dev": result.num_dev},
            **{"num_train_total": result.num_train_total, "precision": result.precision},
            **{"machine": result.machine, "limits": "; ".join(result.limits)},
            **{"steps": result.steps, "train_seconds": result.train_seconds},
            **{"commit": result.commit, "latency_machine": result.latency_machine},
        }
        for row in result.rows:
            subnet = Subnet.parse(row.subnet)
            rows.append(
                {
                    **about,
                    **{"subnet": row.subnet, "width_mult": subnet.width_mult},
                    **{"depth_mult": subnet.depth_mult, "layers": list(row.layers)},
                    **{"heads": list(row.heads), "neurons": list(row.neurons)},
                    **row.metrics,
                    **{"loss": row.loss, "collapsed": row.collapsed},
                    **{"num_params": row.num_params, "num_params_total": row.num_params_total},
                    **{"tokens": row.tokens, "macs": row.macs},
                    **{f"latency_ms_batch{one.batch_size}": one.median_ms for one in row.latency},
                    **{f"latency_ms_iqr_batch{one.batch_size}": one.iqr_ms for one in row.latency},
                }
            )
    return pd.DataFrame(rows)
