"""Recipes, their stages, and the one loop that trains them."""

from dynabert.training.calibration import calibrate
from dynabert.training.pipeline import discard_unfinished, train
from dynabert.training.plan import TrainingPlan
from dynabert.training.presets import RECIPES, find_recipe
from dynabert.training.recipe import Recipe, load_recipe
from dynabert.training.stage import Losses, Reduce, Rewire, Teacher, Train
from dynabert.training.subnets import Grid

__all__ = [
    "RECIPES",
    "Grid",
    "Losses",
    "Recipe",
    "Reduce",
    "Rewire",
    "Teacher",
    "Train",
    "TrainingPlan",
    "calibrate",
    "discard_unfinished",
    "find_recipe",
    "load_recipe",
    "train",
]
