"""What the text fields hold until somebody types: sentences that the run's task can be asked about."""

from __future__ import annotations

from dynabert.run_info import TaskInfo

SENTENCE = "the cat sat on the mat."
PAIR = (SENTENCE, "a cat was sitting on a mat.")
_ENTAILMENT = ("Two dogs slept under the kitchen table.", "Animals were in the kitchen.")
_SPANS = (
    "Where did the dog sleep?",
    "On Monday the cat sat on the mat while the dog slept under the kitchen table. The bird, which had "
    "eaten the bread, sang in the old tree until the rain came.",
)
# By the task's name; of others by their kind and the number of their texts.
_OF_TASKS: dict[str, tuple[str, ...]] = {
    "sst2": ("The plot is thin, but the actors are a joy to watch.",),
    "rte": _ENTAILMENT,
    "mnli": _ENTAILMENT,
    "wnli": ("The cup slid off the table because it was wet.", "The table was wet."),
    "qnli": ("Where did the cat sit?", "While it rained, the cat sat on the mat by the door."),
    "qqp": ("How do I teach a cat to sit?", "What is the best way to train a cat to sit?"),
}
ALL = frozenset((*PAIR, *_SPANS, *(text for texts in _OF_TASKS.values() for text in texts)))


def sample_texts(task: TaskInfo) -> tuple[str, ...]:
    """As many as the task reads."""
    if task.kind == "spans":
        return _SPANS
    known = _OF_TASKS.get(task.name, ())
    usual = PAIR[: len(task.text_columns)]
    return known if len(known) == len(usual) else usual


def sample_sentence(task: TaskInfo) -> str:
    """Where one text is read, whatever the task."""
    samples = sample_texts(task)
    return samples[0] if len(samples) == 1 else SENTENCE
