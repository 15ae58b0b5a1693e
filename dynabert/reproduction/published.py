"""The numbers that the paper prints: Tables 1 to 8 of DynaBERT (Hou et al., 2020), Sec. 3.

All are in percent, of the development sets: Matthews correlation for CoLA, Spearman correlation for
STS-B, exact match and F1 for SQuAD v1.1, accuracy for all others (Sec. 3.1 and 3.2). The paper
prints single values; how much they vary from seed to seed it does not say. None stands where the
text has no readable number.
"""

from __future__ import annotations

from collections.abc import Mapping

Score = float | None
Scores = Mapping[str, Score]  # by measure
Line = tuple[Score, Score, Score]  # depth 1.0, 0.75, 0.5
Block = tuple[Line, Line, Line, Line]  # width 1.0, 0.75, 0.5, 0.25

GLUE = ("mnli-m", "mnli-mm", "qqp", "qnli", "sst2", "cola", "stsb", "mrpc", "rte")
AVERAGE = "avg"  # over those nine

NOTES = {
    ("table1-roberta", "DynaRoBERTa, 1.0x", "cola", "0.75x"): (
        "The paper prints “61.0.7” here, which is no number."
    ),
}


def _scores(*values: Score, measures: tuple[str, ...] = (*GLUE, AVERAGE)) -> dict[str, Score]:
    return dict(zip(measures, values, strict=True))


# Table 1: the backbones, fine-tuned, and all twelve sub-networks.
TABLE_1_BACKBONE: dict[str, dict[str, Score]] = {
    "bert": {
        **{"cola": 58.1, "stsb": 89.8, "mrpc": 87.7, "rte": 71.1},
        **{"mnli-m": 84.8, "mnli-mm": 84.9, "qqp": 90.9, "qnli": 92.0, "sst2": 92.9},
    },
    "roberta": {
        **{"cola": 65.1, "stsb": 91.2, "mrpc": 90.7, "rte": 81.2},
        **{"mnli-m": 87.5, "mnli-mm": 87.5, "qqp": 91.8, "qnli": 93.1, "sst2": 95.2},
    },
}
TABLE_1: dict[str, dict[str, Block]] = {
    "bert": {
        "cola": ((59.7, 59.1, 54.6), (60.8, 59.6, 53.2), (58.4, 56.8, 48.5), (50.9, 51.6, 43.7)),
        "stsb": ((90.1, 89.5, 88.6), (90.0, 89.4, 88.5), (89.8, 89.2, 88.2), (89.2, 88.3, 87.0)),
        "mrpc": ((86.3, 85.8, 85.0), (86.5, 85.5, 84.1), (84.8, 84.1, 83.1), (83.8, 83.8, 81.4)),
        "rte": ((72.2, 71.8, 66.1), (71.8, 73.3, 65.7), (72.2, 72.2, 67.9), (68.6, 68.6, 63.2)),
        "mnli-m": ((84.9, 84.4, 83.7), (84.7, 84.3, 83.6), (84.7, 84.2, 83.0), (83.9, 83.4, 82.0)),
        "mnli-mm": ((85.5, 85.1, 84.6), (85.5, 85.2, 84.4), (85.2, 84.7, 83.6), (84.2, 83.7, 82.3)),
        "qqp": ((91.4, 91.4, 91.1), (91.4, 91.3, 91.2), (91.3, 91.2, 91.0), (90.7, 91.1, 90.4)),
        "qnli": ((92.1, 91.7, 90.6), (92.2, 91.8, 90.7), (92.2, 91.5, 90.0), (91.5, 90.8, 88.5)),
        "sst2": ((93.2, 93.3, 92.7), (93.0, 93.1, 92.8), (93.3, 92.7, 91.6), (92.8, 92.0, 92.0)),
    },
    "roberta": {
        "cola": ((63.6, None, 59.5), (63.7, 61.4, 54.9), (61.3, 58.1, 52.9), (54.2, 46.7, 39.8)),
        "stsb": ((91.3, 91.0, 90.0), (91.0, 90.7, 89.7), (90.3, 90.1, 88.9), (89.6, 89.2, 87.5)),
        "mrpc": ((88.7, 89.7, 88.5), (90.0, 89.2, 88.2), (90.4, 90.0, 86.5), (88.2, 88.0, 84.3)),
        "rte": ((82.3, 78.7, 72.9), (79.4, 77.3, 70.8), (75.1, 73.6, 71.5), (70.0, 70.0, 66.8)),
        "mnli-m": ((88.3, 87.7, 86.2), (88.0, 87.5, 85.8), (87.1, 86.8, 84.8), (84.6, 84.0, 82.1)),
        "mnli-mm": ((87.6, 87.2, 85.8), (87.3, 86.7, 85.4), (86.4, 85.9, 84.2), (84.7, 83.7, 82.0)),
        "qqp": ((92.0, 92.0, 91.7), (91.9, 91.8, 91.6), (91.7, 91.5, 91.2), (91.2, 91.0, 90.5)),
        "qnli": ((92.9, 92.5, 91.4), (92.8, 92.4, 91.3), (92.3, 91.9, 90.8), (90.9, 90.9, 89.3)),
        "sst2": ((95.1, 94.3, 93.3), (94.6, 94.3, 93.3), (93.6, 94.2, 92.9), (93.9, 93.2, 91.6)),
    },
}

# Table 2: SQuAD v1.1.
TABLE_2_BACKBONE: dict[str, Score] = {"squad-em": 81.5, "squad-f1": 88.7}
TABLE_2: dict[str, Block] = {
    "squad-em": ((82.6, 82.1, 81.5), (82.3, 82.1, 80.9), (81.9, 81.7, 80.0), (80.7, 79.9, 76.6)),
    "squad-f1": ((89.7, 89.3, 88.8), (89.5, 89.3, 88.5), (89.2, 89.0, 87.8), (88.1, 87.5, 85.0)),
}

# Table 3: training DynaBERT_w, mean of 4 widths.
TABLE_3 = {
    "Separate network": _scores(82.2, 82.2, 90.3, 87.8, 91.0, 39.9, 84.6, 78.8, 61.6, 77.6),
    "Vanilla DynaBERT_w": _scores(82.2, 82.5, 90.6, 89.1, 91.2, 44.0, 87.4, 80.5, 64.2, 79.0),
    "+ Network rewiring": _scores(83.1, 83.0, 90.9, 90.4, 91.7, 51.4, 89.1, 83.8, 69.7, 81.4),
    "+ Distillation and DA": _scores(84.5, 84.9, 91.0, 92.1, 92.7, 55.9, 89.7, 86.1, 69.5, 82.9),
}

# Tables 4 and 5: training DynaBERT, mean of 12 configurations.
THREE = ("sst2", "cola", "mrpc")
TABLE_4 = {
    "Vanilla DynaBERT": _scores(91.3, 46.0, 82.1, measures=THREE),
    "+ Distillation and DA": _scores(92.5, 52.8, 84.5, measures=THREE),
    "+ Fine-tuning": _scores(92.7, 54.8, 83.2, measures=THREE),
}
TABLE_5 = {
    "DynaBERT": _scores(92.7, 54.8, 84.5, measures=THREE),
    "- DynaBERT_w": _scores(92.3, 54.1, 84.4, measures=THREE),
}

# Table 6: adaptive in width alone, or in depth alone, at 1.0, 0.75 and 0.5 of it.
TABLE_6: dict[str, dict[str, Line]] = {
    "DynaBERT_w": {
        "qnli": (92.5, 92.4, 92.3),
        "sst2": (92.9, 93.1, 93.0),
        "cola": (59.0, 57.9, 56.7),
        "stsb": (90.0, 90.0, 89.9),
        "mrpc": (86.0, 87.0, 87.3),
    },
    "DynaBERT_d": {
        "qnli": (92.4, 91.9, 90.6),
        "sst2": (92.9, 92.8, 92.1),
        "cola": (58.3, 58.3, 52.2),
        "stsb": (89.9, 89.0, 88.3),
        "mrpc": (87.3, 85.8, 84.6),
    },
}

# Table 7: two kinds of distillation, mean of 4 widths or 12 configurations.
FOUR = ("sst2", "cola", "mrpc", "rte")
TABLE_7 = {
    ("DynaBERT_w", "Conventional"): _scores(92.7, 55.9, 86.1, 69.5, measures=FOUR),
    ("DynaBERT_w", "Inplace"): _scores(92.6, 55.9, 87.0, 70.0, measures=FOUR),
    ("DynaBERT", "Conventional"): _scores(92.7, 54.8, 84.5, 69.5, measures=FOUR),
    ("DynaBERT", "Inplace"): _scores(92.5, 54.5, 84.8, 69.0, measures=FOUR),
}

# Table 8: two other ways to train DynaBERT_w, mean of 4 widths.
TABLE_8 = {
    "PR": _scores(82.3, 82.8, 90.9, 90.4, 91.6, 52.8, 89.1, 84.5, 70.3, 81.6),
    "US": _scores(82.6, 82.9, 90.6, 90.3, 91.5, 51.2, 89.1, 83.8, 69.6, 81.3),
}
