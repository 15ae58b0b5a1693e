"""A recipe is data: the stages of training, one after another, as plain frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from dynabert.data.squad.windows import DEFAULT_STRIDE
from dynabert.errors import UserError, explain, why_unreadable
from dynabert.subnet import PAPER_DEPTHS, PAPER_WIDTHS, DepthChoice, SearchSpace
from dynabert.training.stage import (
    PREVIOUS,
    Reduce,
    Rewire,
    Stage,
    Train,
    default_learning_rate,
)
from dynabert.training.subnets import Mults
from dynabert.values import Value


class Recipe(Value):
    """Everything about training that is not the task, the backbone or the machine."""

    name: str
    about: str = ""
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    depth_choice: DepthChoice = "paper"
    batch_size: Annotated[int, Field(ge=1)] = 32
    max_tokens: Annotated[int, Field(ge=3)] | None = None  # None: what is usual for the task
    doc_stride: Annotated[int, Field(ge=1)] = DEFAULT_STRIDE  # of windows over long passages
    # Examples of dev, drawn with the seed, by which checkpoints are chosen; None: all. Reported are
    # always the scores on all of dev.
    judge_examples: Annotated[int, Field(ge=1)] | None = None
    # The sub-networks that are reported at the end.
    width_mults: Mults = PAPER_WIDTHS
    depth_mults: Mults = PAPER_DEPTHS

    @model_validator(mode="after")
    def _stages_fit_together(self) -> Self:
        earlier: list[str] = []
        for stage in self.stages:
            if stage.name in earlier:
                raise ValueError(f"two stages are called {stage.name!r}")
            if stage.name == PREVIOUS:
                raise ValueError(f"no stage can be called {PREVIOUS!r}: that names the one before")
            if isinstance(stage, Train) and stage.teacher is not None:
                wanted = stage.teacher.stage
                if not earlier:
                    raise ValueError(f"stage {stage.name!r} has no earlier stage to learn from")
                if wanted not in (PREVIOUS, *earlier):
                    raise ValueError(
                        f"stage {stage.name!r} learns from {wanted!r}, but before it come only "
                        f"{', '.join(earlier)}"
                    )
                if wanted == PREVIOUS and isinstance(self.stages[len(earlier) - 1], Reduce):
                    raise ValueError(
                        f"stage {stage.name!r} would learn from the network that {earlier[-1]!r} has just "
                        "made, which knows nothing; name a stage before that as its teacher"
                    )
                if stage.compares_heads and (lost := self._rewired_since(stage, earlier)):
                    raise ValueError(
                        f"stage {stage.name!r} compares attention head by head, but {lost!r} has changed "
                        f"the order of the heads since {wanted!r}; learn from {lost!r} or a later stage"
                    )
            earlier.append(stage.name)
        return self

    def _rewired_since(self, stage: Train, earlier: list[str]) -> str | None:
        """The stage that last rewired the student after its teacher was made, if one did."""
        names = [one.name for one in self._between(stage, earlier) if isinstance(one, Rewire)]
        return names[-1] if names else None

    def _between(self, stage: Train, earlier: list[str]) -> tuple[Stage, ...]:
        """The stages between the one that made the teacher and this one."""
        assert stage.teacher is not None
        if stage.teacher.stage == PREVIOUS:
            return ()
        return self.stages[earlier.index(stage.teacher.stage) + 1 : len(earlier)]

    def for_hidden_size(
        self, hidden_size: int, pretrained: Mapping[str, int] = MappingProxyType({})
    ) -> Recipe:
        """The same recipe with every learning rate that it leaves open filled in.

        hidden_size: of the backbone; a `Reduce` may change it for the stages after it.
        pretrained: of the pretrained networks that stages go on with, by the names of those.
        """
        stages: list[Stage] = []
        for stage in self.stages:
            if isinstance(stage, Reduce):
                hidden_size = pretrained.get(stage.name) or stage.hidden or hidden_size
            if isinstance(stage, Train) and stage.learning_rate is None:
                rate = default_learning_rate(hidden_size)
                stage = stage.model_copy(update={"learning_rate": rate})
            stages.append(stage)
        return self.model_copy(update={"stages": tuple(stages)})

    def to_yaml(self) -> str:
        """All its fields, also those left as they are; `load_recipe` reads them back alike."""
        fields = self.model_dump(mode="json")
        return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, default_flow_style=None)

    @property
    def reported(self) -> SearchSpace:
        return SearchSpace(self.width_mults, self.depth_mults)

    @property
    def augmented_stages(self) -> list[str]:
        """Names of the stages that train on augmented data."""
        return [stage.name for stage in self.train_stages if stage.data == "augmented"]

    @property
    def train_stages(self) -> list[Train]:
        return [stage for stage in self.stages if isinstance(stage, Train)]


def in_todays_words(recipe: Any) -> Any:
    """A recipe that was written down, with the defaults of fields that were not there yet.

    One that is no recipe any more stays as it is.
    """
    try:
        return Recipe.model_validate(recipe).model_dump(mode="json")
    except ValidationError:
        return recipe


def load_recipe(path: Path) -> Recipe:
    """A recipe from a YAML file.

    Raises:
        UserError: no such file, not YAML, or a field that is unknown, missing or out of range.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Recipe.model_validate(values)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"cannot read recipe {path}: {why_unreadable(error)}.") from error
    except ValidationError as error:
        raise UserError(f"recipe {path}: {explain(error)}") from error
