"""The examples a run was trained and judged on, found and tokenized again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from dynabert.data.encoding import Encoded, encode_task
from dynabert.data.loading import TaskData
from dynabert.errors import UserError
from dynabert.runs import Run


@dataclass(frozen=True)
class RunExamples:
    """The splits of a run's task; each is tokenized when first asked for."""

    data: TaskData
    tokenizer: PreTrainedTokenizerBase
    max_tokens: int
    doc_stride: int
    notices: tuple[str, ...]

    @cached_property
    def train(self) -> Encoded:
        return self._encode("train")

    @cached_property
    def dev(self) -> Encoded:
        """The split that the run's metric refers to (of MNLI, the matched genres)."""
        return self._encode(next(iter(self.data.dev)))

    @cached_property
    def other_dev(self) -> Mapping[str, Encoded]:
        """Every further dev split by its name (of MNLI, the mismatched genres)."""
        _, *others = self.data.dev
        return {name: self._encode(name) for name in others}

    @property
    def all_dev(self) -> Mapping[str, Encoded]:
        """Every dev split by its name, `dev` first."""
        return {next(iter(self.data.dev)): self.dev, **self.other_dev}

    @property
    def num_dev(self) -> int:
        """How many examples all dev splits have together."""
        return sum(split.num_examples for split in self.all_dev.values())

    def check_own(self, what: str) -> None:
        """Refuse examples that are not those the run was trained on.

        what: asks for them, for example "A search".

        Raises:
            UserError: they are others.
        """
        if self.notices:
            raise UserError(f"{'; '.join(self.notices)}. {what} needs the run's own.")

    def _encode(self, name: str) -> Encoded:
        split = self.data.train if name == "train" else self.data.dev[name]
        return encode_task(
            split,
            self.data.task,
            self.tokenizer,
            max_tokens=self.max_tokens,
            doc_stride=self.doc_stride,
        )


def load_examples(run: Run, data_dir: Path | None = None) -> RunExamples:
    """The examples of a run, from where they came or from another folder.

    Examples that are not the ones the run was trained on are used all the same, with a notice.

    Raises:
        UserError: they are not there any more.
    """
    source = run.info.data
    if data_dir is not None:
        source = source.moved(data_dir)
    data = source.load()
    notices = []
    if data.fingerprint != run.info.task.fingerprint:
        notices.append(
            f"the examples found now ({data.source}) are not those that {run.name} was trained on "
            "(their fingerprint differs); scores cannot be compared with the run's"
        )
    info = run.info
    return RunExamples(data, run.tokenizer(), info.max_tokens, info.doc_stride, tuple(notices))
