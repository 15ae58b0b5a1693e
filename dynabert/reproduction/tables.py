"""What each row of the tables is: which recipe, and which sub-networks are averaged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dynabert.errors import UserError
from dynabert.reproduction.layout import (
    WHOLE,
    Family,
    Figure,
    Part,
    Question,
    Row,
    Table,
    times,
)
from dynabert.reproduction.measures import tasks_of
from dynabert.reproduction.published import (
    AVERAGE,
    GLUE,
    TABLE_1,
    TABLE_1_BACKBONE,
    TABLE_2,
    TABLE_2_BACKBONE,
    TABLE_3,
    TABLE_4,
    TABLE_5,
    TABLE_6,
    TABLE_7,
    TABLE_8,
    Block,
    Scores,
)
from dynabert.subnet import PAPER_DEPTHS, PAPER_SPACE, PAPER_WIDTHS, Subnet

FOUR_WIDTHS = tuple(Subnet(width) for width in PAPER_WIDTHS)
TWELVE = tuple(PAPER_SPACE)
_DA = "DA: data augmentation."
_NOT_RTE = "RTE is not in the paper's table."
_WITHOUT_DA = "The paper trains with augmented data, ours of these rows go without."
PLAIN = "separate-w1.00"  # the whole network, fine-tuned: what the paper calls BERT_BASE


DEPTHS = tuple(times(depth) for depth in PAPER_DEPTHS)


def _mean(recipe: str, subnets: Iterable[Subnet]) -> dict[str, tuple[Part, ...]]:
    return {WHOLE: tuple(Part(recipe, subnet) for subnet in subnets)}


def _row(label: str, recipe: str, subnets: Sequence[Subnet], scores: Scores | None = None) -> Row:
    published = {(measure, WHOLE): score for measure, score in (scores or {}).items()}
    return Row(label=label, parts=_mean(recipe, subnets), published=published)


def _single(parts: Iterable[tuple[str, Part]]) -> dict[str, tuple[Part, ...]]:
    return {heading: (part,) for heading, part in parts}


def _backbone_row(label: str, scores: Scores) -> Row:
    """The fine-tuned backbone: only at full depth."""
    return Row(
        label=label,
        parts=_single([(DEPTHS[0], Part(PLAIN, Subnet()))]),
        published={(measure, DEPTHS[0]): score for measure, score in scores.items()},
    )


def _grid_rows(name: str, recipe: str, scores: Mapping[str, Block] | None = None) -> list[Row]:
    """A row for each width; its columns are the depths."""
    rows = []
    for number, width in enumerate(PAPER_WIDTHS):
        subnets = [Subnet(width, depth) for depth in PAPER_DEPTHS]
        rows.append(
            Row(
                label=f"{name}, {times(width)}",
                parts=_single(
                    (heading, Part(recipe, subnet))
                    for heading, subnet in zip(DEPTHS, subnets, strict=True)
                ),
                published={
                    (measure, heading): score
                    for measure, block in (scores or {}).items()
                    for heading, score in zip(DEPTHS, block[number], strict=True)
                },
            )
        )
    return rows


def _labels(name: str) -> tuple[str, ...]:
    """Of the rows that `_grid_rows` makes."""
    return tuple(f"{name}, {times(width)}" for width in PAPER_WIDTHS)


def _table_1(name: str, family: Family, backbone: str, elastic: str) -> Table:
    return Table(
        name=name,
        number="1",
        title=f"GLUE with {elastic}, by width and depth",
        cell="one sub-network (rows: width multiplier; columns: depth multiplier)",
        measures=("cola", "stsb", "mrpc", "rte", "mnli-m", "mnli-mm", "qqp", "qnli", "sst2"),
        headings=DEPTHS,
        family=family,
        rows=(
            _backbone_row(backbone, TABLE_1_BACKBONE[family]),
            *_grid_rows(elastic, "dynabert", TABLE_1[family]),
            *_grid_rows("Best of ours", "best"),
        ),
        questions=(
            Question(
                text="Is the largest sub-network as good as the backbone fine-tuned alone?",
                better=f"{elastic}, 1.0x",
                than=backbone,
                heading=DEPTHS[0],
            ),
            Question(
                text="Is the best recipe of ours better, on average over the twelve sub-networks?",
                better=_labels("Best of ours"),
                than=_labels(elastic),
                heading=DEPTHS,
            ),
            Question(
                text="Is the best recipe of ours better than DynaBERT at full size?",
                better="Best of ours, 1.0x",
                than=f"{elastic}, 1.0x",
                heading=DEPTHS[0],
            ),
            Question(
                text="Is the best recipe of ours better for the smallest sub-network?",
                better="Best of ours, 0.25x",
                than=f"{elastic}, 0.25x",
                heading=DEPTHS[-1],
            ),
            Question(
                text="Is half of the width better than half of the depth?",
                better=f"{elastic}, 0.5x",
                heading=times(1.0),
                than=f"{elastic}, 1.0x",
                than_heading=times(0.5),
            ),
        ),
        about=_WITHOUT_DA,
    )


_TABLE_2 = Table(
    name="table2",
    number="2",
    title="SQuAD v1.1, by width and depth",
    cell="one sub-network (rows: width multiplier; columns: depth multiplier)",
    measures=("squad-em", "squad-f1"),
    headings=DEPTHS,
    rows=(
        _backbone_row("BERT_BASE", TABLE_2_BACKBONE),
        *_grid_rows("DynaBERT", "dynabert", TABLE_2),
        *_grid_rows("Best of ours", "best"),
    ),
    questions=(
        Question(
            text="Is the largest sub-network as good as the backbone fine-tuned alone?",
            better="DynaBERT, 1.0x",
            than="BERT_BASE",
            heading=DEPTHS[0],
        ),
        Question(
            text="Is the best recipe of ours better, on average over the twelve sub-networks?",
            better=_labels("Best of ours"),
            than=_labels("DynaBERT"),
            heading=DEPTHS,
        ),
    ),
)
_SEPARATE = Row(
    label="Separate network",
    parts={WHOLE: tuple(Part(f"separate-w{width:.2f}", Subnet(width)) for width in PAPER_WIDTHS)},
    published={(key, WHOLE): score for key, score in TABLE_3["Separate network"].items()},
)
_TABLE_3 = Table(
    name="table3",
    number="3",
    title="What helps in training DynaBERT_w",
    cell="mean of 4 width multipliers",
    measures=(*GLUE, AVERAGE),
    rows=(
        _SEPARATE,
        _row("Vanilla DynaBERT_w", "vanilla-w", FOUR_WIDTHS, TABLE_3["Vanilla DynaBERT_w"]),
        _row("+ Network rewiring", "rewired-w", FOUR_WIDTHS, TABLE_3["+ Network rewiring"]),
        _row("+ Distillation (no DA)", "dynabert-w", FOUR_WIDTHS),
        _row(
            "+ Distillation and DA",
            "dynabert-w-augmented",
            FOUR_WIDTHS,
            TABLE_3["+ Distillation and DA"],
        ),
    ),
    questions=(
        Question(
            text="Does one shared network beat separate ones?",
            better="Vanilla DynaBERT_w",
            than="Separate network",
        ),
        Question(
            text="Does rewiring help?", better="+ Network rewiring", than="Vanilla DynaBERT_w"
        ),
        Question(
            text="Do distillation and data augmentation help?",
            better="+ Distillation and DA",
            than="+ Network rewiring",
        ),
        Question(
            text="Does distillation help without data augmentation?",
            better="+ Distillation (no DA)",
            than="+ Network rewiring",
        ),
    ),
    about=_DA,
)
_TABLE_4 = Table(
    name="table4",
    number="4",
    title="What helps in training DynaBERT",
    cell="mean of 12 configurations",
    measures=("sst2", "cola", "mrpc", "rte"),
    rows=(
        _row("Vanilla DynaBERT", "vanilla", TWELVE, TABLE_4["Vanilla DynaBERT"]),
        _row("Vanilla, from a distilled DynaBERT_w", "vanilla-from-distilled", TWELVE),
        _row("+ Distillation (no DA)", "distilled", TWELVE),
        _row(
            "+ Distillation and DA", "distilled-augmented", TWELVE, TABLE_4["+ Distillation and DA"]
        ),
        _row("+ Fine-tuning (no DA)", "fine-tuned", TWELVE),
        _row("+ Fine-tuning", "fine-tuned-augmented", TWELVE, TABLE_4["+ Fine-tuning"]),
    ),
    questions=(
        Question(
            text="Do distillation and data augmentation help?",
            better="+ Distillation and DA",
            than="Vanilla DynaBERT",
        ),
        Question(
            text="Does fine-tuning at the end help?",
            better="+ Fine-tuning",
            than="+ Distillation and DA",
        ),
        Question(
            text="Does distillation help without data augmentation?",
            better="+ Distillation (no DA)",
            than="Vanilla DynaBERT",
        ),
        Question(
            text="Does distilling the twelve help, after a distilled DynaBERT_w?",
            better="+ Distillation (no DA)",
            than="Vanilla, from a distilled DynaBERT_w",
        ),
        Question(
            text="Does fine-tuning at the end help without data augmentation?",
            better="+ Fine-tuning (no DA)",
            than="+ Distillation (no DA)",
        ),
    ),
    about=f"{_DA} {_NOT_RTE}",
)
_TABLE_5 = Table(
    name="table5",
    number="5",
    title="With and without DynaBERT_w as a teacher assistant",
    cell="mean of 12 configurations",
    measures=("sst2", "cola", "mrpc", "rte"),
    rows=(
        _row("DynaBERT", "dynabert", TWELVE, TABLE_5["DynaBERT"]),
        _row("- DynaBERT_w", "no-assistant", TWELVE, TABLE_5["- DynaBERT_w"]),
        _row("DynaBERT, with DA", "dynabert-augmented", TWELVE),
    ),
    questions=(
        Question(
            text="Does DynaBERT_w as a teacher assistant help?",
            better="DynaBERT",
            than="- DynaBERT_w",
        ),
    ),
    about=f"{_DA} The paper trains with it; ours of these rows go without, except where a row says so. "
    f"{_NOT_RTE}",
)
_TABLE_6 = Table(
    name="table6",
    number="6",
    title="Adaptive in width alone, or in depth alone",
    cell="one sub-network (columns: width or depth multiplier)",
    measures=tuple(TABLE_6["DynaBERT_w"]),
    headings=DEPTHS,
    rows=tuple(
        Row(
            label=label,
            parts=_single(
                (times(mult), Part(recipe, subnet))
                for mult, subnet in zip(PAPER_DEPTHS, subnets, strict=True)
            ),
            published={
                (measure, times(mult)): score
                for measure, line in TABLE_6[label].items()
                for mult, score in zip(PAPER_DEPTHS, line, strict=True)
            },
        )
        for label, recipe, subnets in (
            ("DynaBERT_w", "dynabert-w", [Subnet(width_mult=mult) for mult in PAPER_DEPTHS]),
            ("DynaBERT_d", "dynabert-d", [Subnet(depth_mult=mult) for mult in PAPER_DEPTHS]),
        )
    ),
    questions=(
        Question(
            text="Is half of the width better than half of the depth?",
            better="DynaBERT_w",
            than="DynaBERT_d",
            heading="0.5x",
        ),
    ),
    about=_WITHOUT_DA,
)
_TABLE_7 = Table(
    name="table7",
    number="7",
    title="Conventional and in-place distillation",
    cell="mean of 4 width multipliers (DynaBERT_w) or of 12 configurations (DynaBERT)",
    measures=("sst2", "cola", "mrpc", "rte"),
    rows=tuple(
        _row(f"{kind}, {name}", recipe, subnets, TABLE_7[name, kind])
        for name, kind, recipe, subnets in (
            ("DynaBERT_w", "Conventional", "dynabert-w", FOUR_WIDTHS),
            ("DynaBERT_w", "Inplace", "inplace-w", FOUR_WIDTHS),
            ("DynaBERT", "Conventional", "dynabert", TWELVE),
            ("DynaBERT", "Inplace", "inplace", TWELVE),
        )
    ),
    questions=tuple(
        Question(
            text=f"Is in-place distillation better for {name}?",
            better=f"Inplace, {name}",
            than=f"Conventional, {name}",
        )
        for name in ("DynaBERT_w", "DynaBERT")
    ),
    about=_WITHOUT_DA,
)
_REFERENCE_8 = "Sec. 2.1 (Table 3, + Network rewiring)"
_TABLE_8 = Table(
    name="table8",
    number="8",
    title="Other ways to train DynaBERT_w",
    cell="mean of 4 width multipliers",
    measures=(*GLUE, AVERAGE),
    rows=(
        _row("PR (progressive rewiring)", "progressive-w", FOUR_WIDTHS, TABLE_8["PR"]),
        _row("US (universally slimmable)", "slimmable-w", FOUR_WIDTHS, TABLE_8["US"]),
        _row(_REFERENCE_8, "rewired-w", FOUR_WIDTHS, TABLE_3["+ Network rewiring"]),
    ),
    questions=(
        Question(
            text="Is progressive rewiring better than rewiring once?",
            better="PR (progressive rewiring)",
            than=_REFERENCE_8,
        ),
        Question(
            text="Is universally slimmable training better than four fixed widths?",
            better="US (universally slimmable)",
            than=_REFERENCE_8,
        ),
    ),
    about="The paper compares with Table 3; its row stands here as well.",
)

_RECIPES = Table(
    name="recipes",
    number="",
    title="Whole recipes compared",
    cell="mean of 12 configurations",
    measures=("cola", "mrpc", "sst2", "rte", "stsb", "qnli", "squad-em", "squad-f1"),
    rows=(
        _row("The choices of the authors' code", "dynabert-official", TWELVE),
        _row("DynaBERT, as the paper has it", "dynabert", TWELVE),
        _row("Best of ours", "best", TWELVE),
    ),
    questions=(
        Question(
            text="Is DynaBERT better than with the choices of the authors' code?",
            better="DynaBERT, as the paper has it",
            than="The choices of the authors' code",
        ),
        Question(
            text="Is the best recipe of ours better than the choices of the authors' code?",
            better="Best of ours",
            than="The choices of the authors' code",
        ),
        Question(
            text="Is the best recipe of ours better than DynaBERT?",
            better="Best of ours",
            than="DynaBERT, as the paper has it",
        ),
    ),
    about="Not in the paper. The three train in the same loop, on the same examples, from the same seeds, "
    "without augmented data; the authors' code is slower than this loop, which is not counted here. Its "
    "choices: importance from dev, taken batch by batch; the full-width teacher throughout; another choice "
    "of layers; no warm-up; a learning rate of 2e-5, too small for a small backbone. Without augmented "
    "data the authors' code trains widths on the labels; here they are distilled in all three.",
)

TABLES = {
    table.name: table
    for table in (
        _table_1("table1", "bert", "BERT_BASE", "DynaBERT"),
        _table_1("table1-roberta", "roberta", "RoBERTa_BASE", "DynaRoBERTa"),
        *(_TABLE_2, _TABLE_3, _TABLE_4, _TABLE_5, _TABLE_6, _TABLE_7, _TABLE_8, _RECIPES),
    )
}

# The methods of Figure 3, each trained here on the same backbone.
METHODS = {
    "dynabert": "DynaBERT",
    "best": "Best of ours",
    "distilbert-d0.50": "DistilBERT, half the depth",
    "distilbert-d0.75": "DistilBERT, 3/4 of the depth",
    "tinybert-d0.50": "TinyBERT, half the depth",
    "tinybert-d0.75": "TinyBERT, 3/4 of the depth",
    "tinybert-w0.50-d0.50": "TinyBERT, half of both",
    "layerdrop": "LayerDrop",
}
FIGURES = {
    figure.name: figure
    for figure in (
        Figure(
            name="figure3",
            number="3",
            title="GLUE: methods by parameters, MACs and latency",
            tasks=tasks_of(GLUE),
            methods=METHODS,
        ),
        Figure(
            name="figure4",
            number="4",
            title="SQuAD v1.1: methods by parameters, MACs and latency",
            tasks=("squad",),
            methods=METHODS,
        ),
    )
}


def find(name: str) -> Table | Figure:
    """A table or figure by its name; "3", "Table 3" and "table3" are the same.

    Raises:
        UserError: the paper has no such table or figure.
    """
    plain = name.lower().replace(" ", "")
    plain = f"table{plain}" if plain[:1].isdigit() else plain
    known: dict[str, Table | Figure] = {**TABLES, **FIGURES}
    if plain not in known:
        raise UserError(f"there is no {name!r}; there are {', '.join(known)}.")
    return known[plain]
