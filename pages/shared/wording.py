"""How the app says things. Free of Streamlit."""

from __future__ import annotations

import re

from pydantic import ValidationError

from dynabert.analysis.head_ablation import HeadAblation, RankCorrelation, rank_correlation
from dynabert.data.tasks import TaskKind
from dynabert.export import Format
from dynabert.plots import span
from dynabert.run_info import RunInfo
from dynabert.subnet import NetworkShape, ResolvedSubnet, Subnet
from dynabert.training.recipe import Recipe
from dynabert.training.stage import Losses, Reduce, Rewire, Stage, Train
from dynabert.training.subnets import LayerDrop, Sandwich
from dynabert.words import count as count

METRICS = {
    "accuracy": ("accuracy", "Share of the examples that are answered correctly."),
    "f1": ("F1", "Harmonic mean of precision and recall of the second label."),
    "f1_macro": ("macro F1", "Mean over the labels of the harmonic mean of precision and recall."),
    "mcc": (
        "MCC",
        "Matthews correlation: 1 is perfect, 0 is what guessing earns, also when one "
        "label is rare.",
    ),
    "pearson": ("Pearson", "Linear correlation of predictions and labels: 1 is perfect."),
    "spearman": ("Spearman", "Rank correlation of predictions and labels: 1 is perfect."),
}
# Of answers that are parts of a passage; other names are as above.
SPAN_METRICS = {
    "f1": (
        "F1",
        "Words that the answer shares with the right one: the harmonic mean of precision and recall, "
        "averaged over the questions.",
    ),
    "em": ("exact match", "Share of the questions whose answer is the right one, word for word."),
}
FORMATS: dict[Format, str] = {
    "transformers": "transformers",
    "onnx": "ONNX",
    "onnx-int8": "ONNX, 8-bit",
}
COLLAPSED = "collapsed: it gives every dev example the same answer"
NOTHING_TRAINED = (
    "Nothing in this run was trained on its task: the classification head is random. Scores, "
    "predictions and importance show what chance gives."
)
NO_RUNS = """There are no runs in `{folder}` yet. Train one on the page Train and watch, or in a terminal:

```
python -m dynabert train teaching --backbone minilm --name demo
```"""

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~$:&])")
# Where an address, an icon or an emoji by its name would begin: they are looked for after the signs
# above have been taken as they are.
_NAMED = re.compile(r"(?<=:)(?=[^\W\d_]|//|[+-]1:)|(?<=\bwww)(?=\.)|(?<=@)(?=\w)", re.IGNORECASE)
_JOINER = "\N{WORD JOINER}"  # cannot be seen


def escape(text: object) -> str:
    """Text for Markdown, shown letter by letter."""
    return _MARKDOWN.sub(r"\\\1", _NAMED.sub(_JOINER, str(text))).replace("\n", " ")


def sentence(error: Exception) -> str:
    """An error's message as a sentence of its own, for Markdown."""
    return escape(begun(str(error)))


def metric_title(name: str) -> str:
    known = SPAN_METRICS | METRICS  # of one name, one title
    return known[name][0] if name in known else name


def metric_help(name: str, kind: TaskKind = "classification") -> str | None:
    known = METRICS | SPAN_METRICS if kind == "spans" else METRICS
    return known[name][1] if name in known else None


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def begun(text: str) -> str:
    """A message as it begins a line: in a capital, unless it begins with a name, as "squad: …" does."""
    return text if text.partition(" ")[0].endswith(":") else capital(text)


def grouped(number: str) -> str:
    """A whole number that a file tells, its thousands apart; anything else as it is. For Markdown."""
    return f"{int(number):,}" if re.fullmatch("[0-9]{1,15}", number) else escape(number)


def field_title(column: str) -> str:
    """A text column of a task as a field is called, for example "Premise", "Sentence 1"."""
    return capital(re.sub(r"(?<=[^\W\d])(?=\d+$)", " ", column))


def collapsed_mark(collapsed: bool | None) -> str:
    """What follows the score or the name of a sub-network that has collapsed."""
    return " ✕" if collapsed else ""


def ordinal(number: int) -> str:
    """For example "1st", "12th", "22nd"."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def duration(seconds: float) -> str:
    """For example "42 s", "3 min 20 s", "2 h 05 min"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def subnet_counts(subnet: Subnet, shape: NetworkShape) -> str:
    """What a sub-network keeps, for example "4 of 6 layers (1, 3, 4, 6), in each 6 of 12 heads ..."."""
    resolved = subnet.resolve(shape)
    numbers = ", ".join(str(layer + 1) for layer in resolved.layers)
    return (
        f"{len(resolved.layers)} of {count(shape.num_layers, 'layer')} ({numbers}), in each "
        f"{span(resolved.heads)} of {span(shape.heads)} heads and "
        f"{span(resolved.neurons)} of {span(shape.neurons)} neurons{_tokens(resolved)}"
    )


def _tokens(resolved: ResolvedSubnet) -> str:
    config = resolved.length_config
    return "" if config is None else f"; {config.in_words} leave them"


def subnet_title(subnet: Subnet) -> str:
    """For example "width 0.5, depth 0.667", "heads 12.6.3.3, depth 0.667"."""
    width = (
        f"width {subnet.width_mult:.3g}"
        if subnet.heads is None
        else f"heads {'.'.join(map(str, subnet.heads))}"
    )
    return f"{width}, depth {subnet.depth_mult:.3g}"


def ranked_alike(found: HeadAblation) -> str:
    """How well the estimate ranks the heads by what removing them does."""
    everywhere, within = (
        rank_correlation(found.importance, found.loss_moved, within_layers=within)
        for within in (False, True)
    )
    if everywhere is None:
        return "There are too few heads to say whether estimate and measurement rank them alike."
    inside = (
        ""
        if within is None
        else f", and within their layers, which is what rewiring uses, by {interval(within)}"
    )
    return (
        f"Estimate and measurement rank the {everywhere.num_heads} heads alike by "
        f"{interval(everywhere)}{inside} (Spearman; in brackets the 95 % interval over heads). Both are "
        "of the trained network, on the same examples."
    )


def interval(correlation: RankCorrelation) -> str:
    """For example "**0.72** (0.60 to 0.81)"."""
    return f"**{correlation.value:.2f}** ({correlation.low:.2f} to {correlation.high:.2f})"


def cost_axis(cost: str, tokens: int, batch_size: int = 1) -> tuple[str, float]:
    """The title of a cost that a search weighs, and what it is divided by.

    cost: "macs", "latency" or "modelled", of so many tokens and texts.
    """
    if cost == "macs":
        return f"MACs for {tokens} tokens (million)", 1e6
    kind = "modelled latency" if cost == "modelled" else "latency"
    return f"{kind} (ms, {tokens} tokens, batch {batch_size})", 1.0


def recipe_of(info: RunInfo) -> Recipe | None:
    """The recipe as a value; None if this version of the code cannot read it."""
    try:
        return Recipe.model_validate(info.recipe)
    except ValidationError:
        return None


def not_trained(largest: Subnet) -> str:
    """What to know of a run whose largest sub-network is not the full one."""
    return (
        f"This run ends with {one_size(largest)}. Heads, neurons and layers outside of it are as an earlier "
        "stage left them: the full network that some pages show beside it says nothing about the task."
    )


def trained_nothing(info: RunInfo) -> bool:
    """Whether no stage of the recipe changed a weight."""
    stages = info.recipe.get("stages") or []
    return not any(isinstance(stage, dict) and stage.get("kind") == "train" for stage in stages)


def stage_in_words(stage: Stage) -> str:
    """What a stage of a recipe does."""
    match stage:
        case Rewire():
            examples = "all" if stage.num_examples is None else f"{stage.num_examples:,}"
            sorted_part = (
                "every layer"
                if stage.within == 1
                else f"what width {stage.within:g} keeps of every layer"
            )
            return (
                f"Measure how much the loss depends on each head and neuron ({examples} {stage.split} "
                f"examples) and sort {sorted_part} by it, so that a narrower network keeps the best"
            )
        case Reduce():
            sizes = (
                ("layers", stage.layers),
                ("heads", stage.heads),
                ("hidden dimensions", stage.hidden),
                ("neurons", stage.neurons),
            )
            named = [f"{size:,} {what}" for what, size in sizes if size is not None]
            if stage.pretrained is not None:
                return (
                    f"Go on with a smaller network that was pretrained on text ({stage.pretrained}), with a "
                    "new head; what follows is about that one"
                )
            made = "cut from it" if stage.start == "teacher" else "with random weights"
            return (
                f"Go on with a plain network of {', '.join(named) or 'the same size'}, {made}; what follows "
                "is about that one"
            )
        case Train():
            data = ", original and augmented examples" if stage.data == "augmented" else ""
            return (
                f"{_trained(stage)} {_lesson(stage)}{data}; {stage.epochs:g} "
                f"{'epoch' if stage.epochs == 1 else 'epochs'}{_rate(stage)}"
            )


def _rate(stage: Train) -> str:
    if stage.peak_rate is not None:
        return f", learning rate {_short(stage.peak_rate)}"
    return (
        "" if stage.rate_factor == 1 else f", {stage.rate_factor:g} times the usual learning rate"
    )


def _short(rate: float) -> str:
    """For example "1e-4", "2.5e-5"."""
    mantissa, exponent = f"{rate:.3e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _trained(stage: Train) -> str:
    chosen = stage.subnets
    if isinstance(chosen, LayerDrop):
        return f"Train with layers left out at random ({chosen.rate:.0%} of them in each step)"
    parts = [
        f"{name} {', '.join(f'{mult:g}' for mult in mults)}"
        for name, mults in (("widths", chosen.width_mults), ("depths", chosen.depth_mults))
        if len(mults) > 1
    ]
    if isinstance(chosen, Sandwich):
        return _sandwich(chosen, " × ".join(parts))
    if len(chosen.judged) == 1:
        return f"Train {one_size(chosen.judged[0])}"
    return f"Train {len(chosen.judged)} sub-networks together ({' × '.join(parts)})"


def one_size(subnet: Subnet) -> str:
    """For example "the full network"."""
    if subnet.is_full:
        return "the full network"
    return f"the sub-network of width {subnet.width_mult:g} and depth {subnet.depth_mult:g}"


def _sandwich(chosen: Sandwich, sizes: str) -> str:
    between = "of any size between them" if chosen.between == "any" else "of those between them"
    said = (
        f"Train, in each step, the largest and the smallest sub-network and {chosen.num_random} random "
        f"ones {between} ({sizes})"
    )
    if not sizes:
        said = f"Train, {2 + chosen.num_random} times in each step, {one_size(chosen.judged[0])}"
    if chosen.length_drop:
        said += (
            f", whole, with {chosen.length_drop:.0%} of the tokens dropped in every layer, and with random "
            "shares up to that"
        )
    if chosen.layer_drop:
        said += f", {chosen.layer_drop:.0%} of the layers left out at random,"
    return said


_IMITATED = {
    "prediction": "answers",
    "hidden": "hidden states",
    "attention": "attention",
    "relations": "relations among queries, keys and values",
    "cosine": "direction of the last hidden states",
}


def _lesson(stage: Train) -> str:
    if stage.largest is None:
        return _learned(stage.losses, stage, inplace=True)
    others = " and ".join(_imitated(stage.losses))
    return f"{_learned(stage.largest, stage)}; the others imitate its {others} as it learns"


def _learned(losses: Losses, stage: Train, *, inplace: bool = False) -> str:
    taught = []
    if losses.labels:
        taught.append("on the labels")
    if losses.need_teacher and stage.teacher is not None:
        what = _imitated(losses)
        listed = " and ".join([", ".join(what[:-1]), what[-1]] if len(what) > 1 else what)
        source = (
            "the stage before"
            if stage.teacher.stage == "previous"
            else f"stage {stage.teacher.stage}"
        )
        width = "at full width" if stage.teacher.width == "full" else "at the same width"
        if inplace and stage.teacher.distillation == "inplace":
            width += "; the smaller ones imitate the largest as it learns"
        taught.append(f"to imitate the {listed} of {source} ({width})")
    return " and ".join(taught)


def _imitated(losses: Losses) -> list[str]:
    return [words for name, words in _IMITATED.items() if getattr(losses, name)]
