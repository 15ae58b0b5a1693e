"""A run: the folder that a finished training leaves behind.

`runs/<name>/` holds

- `recipe.yaml`: everything needed to repeat it, and what it was run on;
- `config.json`, `model.safetensors` and the tokenizer's files, as Hugging Face lays them out;
- `importance.safetensors`: scores of the backbone's heads and neurons, in their original order;
- `metrics.jsonl`: losses and scores as it trained;
- `results.parquet`: a row for each sub-network;
- `manifest.json`: the sha256 of each of these. It is what makes the folder a run;
- `measured.parquet`, later: rows for sub-networks that were evaluated since;
- `head_ablation.safetensors`, later: what the network loses without each of its heads;
- `latency/`, `searches/`, `ose/` and `ose-plain/`, later: latency tables, searches and extractions.

A run is written under another name and renamed when complete, so a folder with a manifest is whole.
Nothing in it is pickled.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pandas as pd
import torch
import yaml
from pydantic import ValidationError
from transformers import PreTrainedTokenizerBase

from dynabert.analysis.choices import keeping_all_tokens, on_grid
from dynabert.analysis.head_ablation import HeadAblation
from dynabert.backbones import load_tokenizer
from dynabert.errors import BROKEN_FILES, UserError, explain, first_line, why_unreadable
from dynabert.evaluation.retiming import TIMES
from dynabert.files import file_sha256, new_file, new_folder, write_text_atomically
from dynabert.importance import Importance
from dynabert.modeling.configuration import DynaBertConfig
from dynabert.modeling.models import TaskModel
from dynabert.names import check_run_name, may_name
from dynabert.results import check_has_sizes, latest_rows, read_results
from dynabert.run_info import RunInfo
from dynabert.subnet import PAPER_DEPTHS, PAPER_WIDTHS, SearchSpace, Subnet
from dynabert.task_models import model_class

MANIFEST = "manifest.json"
RECIPE = "recipe.yaml"
IMPORTANCE = "importance.safetensors"
METRICS = "metrics.jsonl"
RESULTS = "results.parquet"
MEASURED = "measured.parquet"
ABLATION = "head_ablation.safetensors"

_COMPLETE = {RECIPE, METRICS, RESULTS, "config.json", "model.safetensors", "tokenizer.json"}

RUNS_DIR = Path("runs")  # where the command line keeps runs, unless told otherwise
RUNS_DIR_VARIABLE = "DYNABERT_RUNS_DIR"  # tells it, and the app


@dataclass(frozen=True)
class Run:
    """A complete run on disk; parts are read when asked for."""

    folder: Path
    info: RunInfo

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Open a run's folder.

        Raises:
            UserError: it is not a run, or a file is missing or not the one that was written.
        """
        folder = Path(folder)
        if not (folder / MANIFEST).is_file():
            raise UserError(f"{folder} is not a run: it has no {MANIFEST}.")
        try:
            manifest: dict[str, str] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            for name, digest in manifest.items():
                if Path(name).name != name or not isinstance(digest, str):
                    raise ValueError(f"it names {name!r}")
            if missing := sorted(_COMPLETE - manifest.keys()):
                raise ValueError(f"it does not name {missing[0]}")
        except (OSError, ValueError, AttributeError) as error:
            raise UserError(f"run {folder}: {MANIFEST} is damaged: {error}.") from error
        for name, digest in manifest.items():
            path = folder / name
            if not path.is_file():
                raise UserError(f"run {folder} is damaged: {name} is missing.")
            if file_sha256(path) != digest:
                raise UserError(
                    f"run {folder} is damaged: {name} is not the file that was written "
                    "(its sha256 differs). Copy the run again or train it anew."
                )
        try:
            values = yaml.safe_load((folder / RECIPE).read_text(encoding="utf-8"))
            return cls(folder, RunInfo.model_validate(values))
        except ValidationError as error:
            raise UserError(f"run {folder}: {RECIPE}: {explain(error)}") from error
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(
                f"run {folder}: cannot read {RECIPE}: {why_unreadable(error)}."
            ) from error

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def argument(self) -> str:
        """What the command line finds it by: its name where `runs/` holds it, else its folder."""
        folder = self.folder.resolve()
        return self.name if folder == (RUNS_DIR / self.name).resolve() else str(folder)

    def model(self, device: str | torch.device = "cpu") -> TaskModel:
        """The trained elastic model, in float32, in eval mode; a new one on each call."""
        try:
            model = model_class(self.info.task.kind).from_pretrained(
                self.folder, dtype=torch.float32, use_safetensors=True, local_files_only=True
            )
        except BROKEN_FILES as error:
            raise UserError(
                f"run {self.folder}: cannot load the model: {first_line(error)}"
            ) from error
        return model.eval().to(device)

    @cached_property
    def config(self) -> DynaBertConfig:
        """The model's configuration, without its weights."""
        try:
            return DynaBertConfig.from_pretrained(self.folder, local_files_only=True)
        except BROKEN_FILES as error:
            raise UserError(f"run {self.folder}: config.json: {first_line(error)}") from error

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer of the backbone."""
        return load_tokenizer(self.folder)

    @cached_property
    def importance(self) -> Importance | None:
        """Importance in the backbone's original order of heads and neurons; None if none was measured."""
        path = self.folder / IMPORTANCE
        if not path.is_file():
            return None
        try:
            return Importance.load(path)
        except BROKEN_FILES as error:
            raise UserError(
                f"run {self.folder}: {IMPORTANCE} is damaged: {first_line(error)}. Copy the run again or "
                "train it anew."
            ) from error

    @property
    def ablation(self) -> HeadAblation | None:
        """What the network loses without each of its heads; None if that was not measured.

        Raises:
            UserError: the file cannot be read.
        """
        path = self.folder / ABLATION
        if not path.is_file():
            return None
        size = (self.config.original_num_layers, self.config.original_num_heads)
        try:
            ablation = HeadAblation.load(path)
            if ablation.loss_change.shape != size:
                raise ValueError(f"it is of {ablation.loss_change.shape} heads, not {size}")
            return ablation
        except BROKEN_FILES as error:
            raise UserError(
                f"run {self.folder}: {ABLATION} is damaged: {first_line(error)}. Remove that file; "
                "what was measured can be measured again."
            ) from error

    def keep_ablation(self, ablation: HeadAblation) -> None:
        """Keep what was measured with the run; it replaces an earlier measurement."""
        try:
            ablation.save(self.folder / ABLATION)
        except OSError as error:
            raise UserError(f"cannot write to {self.folder}: {error.strerror or error}.") from error

    def check_writable(self) -> None:
        """Refuse before long work is done whose result could not be kept.

        Raises:
            UserError: nothing can be written to the run's folder.
        """
        if not os.access(self.folder, os.W_OK):
            raise UserError(f"cannot write to {self.folder}, where the result would be kept.")

    @property
    def results(self) -> pd.DataFrame:
        """A row for each evaluated sub-network that keeps all tokens: who reads them compares widths
        and depths. The columns are those of `dynabert.evaluation.sweep`."""
        return keeping_all_tokens(self.all_results)

    @property
    def all_results(self) -> pd.DataFrame:
        """Those of `results`, and of sub-networks that drop tokens.

        Raises:
            UserError: a table cannot be read, or lacks what every row must say.
        """
        path, remedy = self.folder / RESULTS, "Copy the run again or train it anew."
        results = read_results(path, self.info.task.metrics, remedy=remedy)
        check_has_sizes(results, path, remedy=remedy)
        later = self._measured()
        if later is not None:
            results = latest_rows(pd.concat([results, later], ignore_index=True))
        # Where nothing was timed, a file has no numbers at all there.
        return results.astype({name: float for name in TIMES if name in results})

    @property
    def reported_results(self) -> pd.DataFrame:
        """Those of `results` that the recipe reports; all of a width and a depth, where it reports none."""
        return self.among_reported(self.results)

    def among_reported(self, results: pd.DataFrame) -> pd.DataFrame:
        """Those rows that the recipe reports; all of a width and a depth, where it reports none.

        A sub-network with a width for each layer is none of them.
        """
        results = on_grid(results)
        widths, depths = (
            self.info.recipe.get(f"{name}_mults") or [] for name in ("width", "depth")
        )
        reported = results["width_mult"].isin(widths) & results["depth_mult"].isin(depths)
        return results[reported] if reported.any() else results

    @property
    def recipe_grid(self) -> SearchSpace:
        """The widths and depths that the recipe reports: those it has trained.

        Of a student of fixed size the full network is none of it: its other layers were left behind.
        """
        recipe = self.info.recipe
        return SearchSpace(
            tuple(recipe.get("width_mults") or PAPER_WIDTHS),
            tuple(recipe.get("depth_mults") or PAPER_DEPTHS),
        )

    @property
    def largest(self) -> Subnet:
        """The largest sub-network of `recipe_grid`: what the others are compared with."""
        return next(iter(self.recipe_grid))

    @property
    def is_family(self) -> bool:
        """Whether the recipe trained the full network and smaller ones beside it."""
        return self.largest.is_full and len(self.recipe_grid) > 1

    def usual_tokens(self, results: pd.DataFrame) -> int:
        """Tokens that costs are counted for: as in the run's results, at most what it reads."""
        return min(int(results["tokens"].iloc[0]), self.config.max_tokens)

    def add_results(self, rows: pd.DataFrame) -> None:
        """Keep rows measured later with the run; they replace earlier ones of the same sub-networks.

        What a new row does not say (a latency, the metrics of a further dev split) stays as it was.
        """
        path = self.folder / MEASURED
        with (self.folder / MANIFEST).open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)  # two who add at once must not lose each other's rows
            earlier = self._measured()
            if earlier is not None:
                rows = pd.concat([earlier, rows], ignore_index=True)
            with new_file(path) as partial:
                latest_rows(rows).to_parquet(partial, index=False)

    def _measured(self) -> pd.DataFrame | None:
        path = self.folder / MEASURED
        if not path.is_file():
            return None
        return read_results(
            path,
            self.info.task.metrics,
            remedy="Remove that file; what was measured can be measured again.",
        )

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """What was recorded while training, in order."""
        try:
            lines = (self.folder / METRICS).read_text(encoding="utf-8").splitlines()
            return [json.loads(line) for line in lines]
        except (OSError, ValueError) as error:
            raise UserError(
                f"run {self.folder}: {METRICS} is damaged: {first_line(error)}."
            ) from error

    @property
    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())


def list_runs(runs_dir: Path) -> list[str]:
    """Names of the complete runs in a folder, in alphabetical order."""
    if not runs_dir.is_dir():
        return []
    try:
        return sorted(
            folder.name
            for folder in runs_dir.iterdir()
            if may_name(folder.name) and (folder / MANIFEST).is_file()
        )
    except OSError as error:
        raise UserError(f"cannot read the runs folder {runs_dir}: {error.strerror}.") from error


def find_run(name_or_folder: str, runs_dir: Path) -> Run:
    """A run by its name in `runs_dir`, or by its folder.

    Raises:
        UserError: there is none; names those that there are.
    """
    if may_name(name_or_folder) and (runs_dir / name_or_folder / MANIFEST).is_file():
        return Run.load(runs_dir / name_or_folder)
    if (Path(name_or_folder) / MANIFEST).is_file():
        return Run.load(name_or_folder)
    known = ", ".join(list_runs(runs_dir)) or "none yet"
    raise UserError(f"there is no run {name_or_folder!r}; runs in {runs_dir}: {known}.")


def runs_dir_option(runs_dir: Path) -> list[str]:
    """What a command needs to keep or find runs in that folder."""
    return [] if runs_dir.resolve() == RUNS_DIR.resolve() else ["--runs-dir", str(runs_dir)]


def unfinished_folder(name: str, runs_dir: Path) -> Path:
    """Where a run of that name keeps its state while it trains; never listed as a run."""
    return runs_dir / f".{check_run_name(name)}.unfinished"


def list_unfinished(runs_dir: Path) -> list[str]:
    """Names of the runs in a folder that are being trained or were cut off, in alphabetical order."""
    try:
        names = [
            path.name.removeprefix(".").removesuffix(".unfinished")
            for path in runs_dir.glob(".*.unfinished")
        ]
    except OSError as error:
        raise UserError(f"cannot read the runs folder {runs_dir}: {error.strerror}.") from error
    return sorted(name for name in names if may_name(name))


def write_run(
    name: str,
    runs_dir: Path,
    *,
    info: RunInfo,
    save_model: Callable[[Path], None],
    importance: Importance | None,
    metrics_file: Path,
    results: pd.DataFrame,
) -> Run:
    """Write a complete run and only then give it its name.

    Raises:
        UserError: there is already a run of that name.
    """
    target = runs_dir / check_run_name(name)
    with new_folder(target, otherwise="choose another name or remove it first") as folder:
        save_model(folder)
        if importance is not None:
            importance.save(folder / IMPORTANCE)
        shutil.copyfile(metrics_file, folder / METRICS)
        results.to_parquet(folder / RESULTS, index=False)
        text = yaml.safe_dump(info.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        (folder / RECIPE).write_text(text, encoding="utf-8")
        write_manifest(folder)
    return Run.load(target)


def write_manifest(folder: Path) -> None:
    """Record the sha256 of every file of a run, which completes it."""
    digests = {
        path.name: file_sha256(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != MANIFEST
    }
    write_text_atomically(folder / MANIFEST, json.dumps(digests, indent=1) + "\n")
