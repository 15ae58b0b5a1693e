"""Two processes train one run, and share its stages with the next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_data import write_csv

from dynabert.runs import Run

PROGRAM = """
import json, os, sys
from pathlib import Path
from test_stage_cache import LONG, SHORT
from dynabert.data.source import CsvSource, DataSource
from dynabert.training import TrainingPlan, train
from dynabert.training.events import StageStarted

folder, backbone = Path(sys.argv[1]), sys.argv[2]
files = {"train_file": folder / "train.csv", "dev_file": folder / "dev.csv"}
trained = {}
for recipe in (SHORT, LONG):
    events = []
    plan = TrainingPlan(
        name=recipe.name, recipe=recipe, data=DataSource(csv=CsvSource(**files)), backbone=backbone
    )
    train(plan, folder / "runs", events.append, stage_cache=folder / "cache")
    trained[recipe.name] = [event.stage for event in events if isinstance(event, StageStarted)]
rank = os.environ["RANK"]
(folder / f"trained-{rank}.json").write_text(json.dumps(trained))
"""


@pytest.mark.slow
def test_two_processes_leave_one_whole_run(tiny_backbone: Path, tmp_path: Path) -> None:
    write_csv(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)
    here = Path(__file__).parent
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"),
            *(
                "--standalone",
                str(tmp_path / "program.py"),
                str(tmp_path),
                str(tiny_backbone),
            ),
        ],
        env=os.environ
        | {
            "ACCELERATE_USE_CPU": "true",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(map(str, (here.parents[1], here.parent, here))),
        },
        check=True,
        timeout=300,
    )
    for rank in (0, 1):
        trained = json.loads((tmp_path / f"trained-{rank}.json").read_text())
        assert trained == {"short": ["fine-tune", "rewire"], "long": ["width"]}
    runs = [Run.load(tmp_path / "runs" / name) for name in ("short", "long")]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["long", "short"]
    for run in runs:
        assert run.results["latency_ms"].notna().all()
        assert all(
            torch.isfinite(w).all() for w in load_file(run.folder / "model.safetensors").values()
        )
    # 96 examples in batches of 16, of which each process takes half.
    steps = [record["step"] for record in runs[0].metrics if record["event"] == "evaluation"]
    assert max(steps) == 3
