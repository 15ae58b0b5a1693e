"""The stages that the recipes of the package are made of."""

from __future__ import annotations

from dynabert.subnet import PAPER_DEPTHS, PAPER_WIDTHS
from dynabert.training.stage import Losses, Rewire, Teacher, Train
from dynabert.training.subnets import Grid

WIDTHS = Grid(width_mults=PAPER_WIDTHS)
DEPTHS = Grid(depth_mults=PAPER_DEPTHS)
ALL = Grid(width_mults=PAPER_WIDTHS, depth_mults=PAPER_DEPTHS)
LABELS = Losses(labels=1.0)

FINE_TUNE = Train(name="fine-tune", losses=LABELS, epochs=4)
REWIRE = Rewire()
WIDTH = Train(
    name="width",
    subnets=WIDTHS,
    losses=Losses(prediction=1.0, hidden=0.1),  # lambda_1, lambda_2 of eq. (3)
    teacher=Teacher(width="full"),
    epochs=3,
)
WIDTH_DEPTH = Train(
    name="width-depth",
    subnets=ALL,
    losses=Losses(prediction=1.0, hidden=1.0),  # of eq. (4)
    teacher=Teacher(width="same"),
    epochs=4,
)
FINAL = Train(name="final", subnets=ALL, losses=LABELS, epochs=1, start_competes=True)
