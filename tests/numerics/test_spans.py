"""Question answering through the shared paths, against a few lines of reference each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import make_hf
from datasets import Dataset
from small_squad import content
from squad_tokenizers import roberta_tokenizer
from torch import Tensor

from dynabert import DynaBertForQuestionAnswering, Subnet
from dynabert.analysis.head_ablation import ablate_heads
from dynabert.backbones import load_tokenizer
from dynabert.data import EncodedWindows
from dynabert.data.squad import encode_windows
from dynabert.distillation import prediction_losses
from dynabert.evaluation import evaluate, evaluate_gradually
from dynabert.evaluation.answer_scores import answer_score, normalized
from dynabert.evaluation.intervals import mean_interval
from dynabert.evaluation.quality import evaluate_many
from dynabert.evaluation.spans import MAX_ANSWER_TOKENS, N_BEST, SpanTally, best_spans
from dynabert.importance import compute_importance
from dynabert.subnet import kept_layers
from dynabert.training.stage import Losses
from dynabert.training.step import accumulate_gradients

METRICS = ("f1", "em")
SUBNETS = [Subnet(1.0, 1.0), Subnet(0.5, 0.75), Subnet(0.25, 0.5)]


def rows(count: int = 14) -> Dataset:
    """Questions about short and long passages."""
    asked = [
        {
            "id": question["id"],
            "question": question["question"],
            "context": paragraph["context"],
            "answers": {
                "text": [answer["text"] for answer in question["answers"]],
                "answer_start": [answer["answer_start"] for answer in question["answers"]],
            },
        }
        for paragraph in content(count)["data"][0]["paragraphs"]
        for question in paragraph["qas"]
    ]
    return Dataset.from_list(asked)


@pytest.fixture(params=["bert", "roberta"])
def windows(
    request: pytest.FixtureRequest, tiny_tokenizer_folder: Path, tmp_path: Path
) -> EncodedWindows:
    if request.param == "bert":
        return encode_windows(
            rows(), load_tokenizer(tiny_tokenizer_folder), max_tokens=26, doc_stride=9
        )
    # Bytes are many: wider windows, of which most passages still need some.
    return encode_windows(rows(), roberta_tokenizer(tmp_path), max_tokens=60, doc_stride=21)


def make(windows: EncodedWindows, seed: int = 0, **changes: object) -> DynaBertForQuestionAnswering:
    torch.manual_seed(seed)
    kind = "roberta" if windows.template.segments is None else "bert"
    changes = {"vocab_size": 300, "max_position_embeddings": 80} | changes
    changes |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return DynaBertForQuestionAnswering.from_hf(make_hf(kind, "ForQuestionAnswering", **changes))


def by_brute_force(start: list[float], end: list[float], inside: list[bool]) -> tuple:
    """The best pair of every pair that may be an answer."""
    tokens = range(len(start))
    starts, ends = (
        sorted((n for n in tokens if inside[n]), key=lambda n: -logits[n])[:N_BEST]
        for logits in (start, end)
    )
    pairs = [
        (start[s] + end[e], s, e) for s in starts for e in ends if s <= e < s + MAX_ANSWER_TOKENS
    ]
    return max(pairs, default=(-np.inf, 0, 0))


@pytest.mark.parametrize("size", [1, 7, 25, 90])
def test_best_spans_by_brute_force(size: int) -> None:
    random = np.random.default_rng(size)
    start, end = random.normal(size=(2, 3, 40, size))
    inside = random.random((40, size)) < 0.8
    first, last, best = best_spans(start, end, inside)
    for network in range(3):
        for row in range(40):
            score, s, e = by_brute_force(
                start[network, row].tolist(), end[network, row].tolist(), inside[row].tolist()
            )
            assert best[network, row] == pytest.approx(score)
            if score > -np.inf:
                assert (first[network, row], last[network, row]) == (s, e)


def reference_answers(
    model: DynaBertForQuestionAnswering, windows: EncodedWindows, subnet: Subnet
) -> tuple[dict[str, str], list[float]]:
    """Each window alone and without padding: answers by id, and the loss of each window."""
    found: dict[int, tuple[float, str]] = {}
    losses = []
    for row in range(len(windows)):
        batch = windows.batch([row])
        with torch.no_grad():
            out = model(**batch, subnet=subnet)
        losses.append(out.loss.item())
        begin, shown = windows.context_start[row], windows.num_tokens[row]
        inside = [begin <= n < begin + shown for n in range(out.start_logits.shape[1])]
        score, s, e = by_brute_force(
            out.start_logits[0].tolist(), out.end_logits[0].tolist(), inside
        )
        question = windows.question_of[row]
        passage = windows.passages[windows.passage_of[question]]
        moved = windows.first_token[row] - begin
        text = passage.text[passage.offsets[s + moved, 0] : passage.offsets[e + moved, 1]]
        if question not in found or score > found[question][0]:
            found[question] = (score, text)
    return {windows.ids[number]: text for number, (_, text) in found.items()}, losses


def test_evaluation_is_that_of_windows_read_one_by_one(windows: EncodedWindows) -> None:
    assert len(windows) > windows.num_examples  # some passages need several
    model = make(windows).train()
    done: list[int] = []
    found = evaluate_many(model, windows, SUBNETS, metrics=METRICS, on_batch=done.append)
    assert model.training
    assert done[-1] == windows.num_examples
    model.eval()
    for subnet, evaluation in zip(SUBNETS, found, strict=True):
        answers, losses = reference_answers(model, windows, subnet)
        assert evaluation.answers == answers
        assert evaluation.loss == pytest.approx(np.mean(losses), rel=1e-5)
        scores = [
            answer_score(answers[name], map(normalized, gold))
            for name, gold in zip(windows.ids, windows.gold, strict=True)
        ]
        assert evaluation.metrics["f1"] == pytest.approx(np.mean([one.f1 for one in scores]))
        assert evaluation.metrics["em"] == pytest.approx(np.mean([one.em for one in scores]))
        assert evaluation.num_examples == windows.num_examples


def test_the_full_network_answers_as_hugging_faces(windows: EncodedWindows) -> None:
    model = make(windows)
    hf = model.to_hf().eval()
    batch = windows.batch(range(len(windows)))
    inputs = {name: batch[name] for name in batch if not name.endswith("positions")}
    with torch.no_grad():
        theirs = hf(**inputs)
    tally = SpanTally(windows, 1)
    tally.add(
        range(len(windows)), [theirs.start_logits[None].numpy(), theirs.end_logits[None].numpy()]
    )
    expected = tally.evaluation(0, Subnet(), METRICS)
    found = evaluate(model, windows, metrics=METRICS)
    assert list(found.texts) == list(expected.texts)
    assert found.metrics == expected.metrics


def test_the_last_estimate_is_the_evaluation(windows: EncodedWindows) -> None:
    model = make(windows)
    estimates = list(
        evaluate_gradually(
            model,
            windows,
            SUBNETS[1],
            metrics=METRICS,
            generator=torch.Generator().manual_seed(0),
            first_block=4,
            later_blocks=6,
            batch_size=3,
        )
    )
    assert [one.num_read for one in estimates] == [4, 10, 14]
    at_once = evaluate(model, windows, SUBNETS[1], metrics=METRICS)
    last = estimates[-1]
    assert last.evaluation.answers == at_once.answers
    assert {name: one.value for name, one in last.metrics.items()} == at_once.metrics
    assert last.metrics["f1"].half_width == 0
    assert last.share_of_tokens == 1
    order = torch.randperm(14, generator=torch.Generator().manual_seed(0)).numpy()
    assert estimates[0].metrics["f1"].value == pytest.approx(at_once.f1[order[:4]].mean())


@pytest.mark.parametrize("read", [64, 400, 790])
@pytest.mark.parametrize("kind", ["f1", "em", "nearly all right"])
def test_intervals_of_means_hold_the_truth_95_times_in_100(read: int, kind: str) -> None:
    random = np.random.default_rng(1)
    values = random.choice([0, 0.4, 0.8, 1], 800) if kind == "f1" else random.random(800) < 0.97
    truth = values.mean()
    held = 0
    for _ in range(300):
        found = mean_interval(values[random.permutation(800)[:read]].astype(float), 800)
        assert 0 <= found.low <= found.value <= found.high <= 1
        held += found.low <= truth <= found.high
    assert held / 300 >= 0.905
    assert mean_interval(values.astype(float), 800).half_width == 0


def gradients(model: DynaBertForQuestionAnswering) -> dict[str, Tensor]:
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def reference_loss(
    student: DynaBertForQuestionAnswering,
    teacher: DynaBertForQuestionAnswering,
    batch: dict[str, Tensor],
    subnet: Subnet,
) -> Tensor:
    """Labels, both soft cross-entropies and hidden states, window by window, padding cut out by hand."""
    total = torch.zeros((), dtype=torch.float64)
    squares, count = [], 0
    for row, length in enumerate(batch["attention_mask"].sum(1).tolist()):
        alone = {
            name: value[row : row + 1, :length] if value.dim() == 2 else value[row : row + 1]
            for name, value in batch.items()
        }
        given = student(**alone, subnet=subnet, output_hidden_states=True)
        with torch.no_grad():
            taught = teacher(**alone, subnet=Subnet(subnet.width_mult), output_hidden_states=True)
        for name in ("start", "end"):
            ours, theirs = (one[f"{name}_logits"][0] for one in (given, taught))
            total = total + 0.5 * F.cross_entropy(ours[None], alone[f"{name}_positions"])
            total = total - 0.5 * (theirs.softmax(-1) * ours.log_softmax(-1)).sum()
        layers = [0, *(layer + 1 for layer in kept_layers(subnet.depth_mult, 4))]
        squares.append(
            sum(
                (ours - taught.hidden_states[n]).square().mean(-1).sum()
                for ours, n in zip(given.hidden_states, layers, strict=True)
            )
        )
        count += length
    return total / len(batch["input_ids"]) + 0.3 * sum(squares) / count


def test_a_steps_gradients(windows: EncodedWindows) -> None:
    student, teacher = make(windows), make(windows, seed=1)
    lengths = windows.lengths
    batch = windows.batch([int(lengths.argmax()), int(lengths.argmin()), 0, len(windows) - 1])
    assert not batch["attention_mask"].all()
    total = sum(reference_loss(student, teacher, batch, subnet) for subnet in SUBNETS)
    total.backward()
    expected = gradients(student)
    student.zero_grad()
    losses = accumulate_gradients(
        student,
        batch,
        SUBNETS,
        Losses(labels=1.0, prediction=1.0, hidden=0.3),
        teacher=teacher,
    )
    assert losses.sum().item() == pytest.approx(total.item(), rel=1e-6)
    found = gradients(student)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-10, rtol=1e-8, msg=name)


def test_a_prediction_loss_over_padding_is_finite_in_half_precision() -> None:
    model = DynaBertForQuestionAnswering.from_hf(make_hf("bert", "ForQuestionAnswering"))
    mask = torch.tensor([[1, 1, 1, 0, 0]])
    hidden = torch.randn(1, 5, 48, dtype=torch.float64)
    batch = {"attention_mask": mask}
    sets = model.read(hidden, batch)
    halves = model.to(torch.bfloat16).read(hidden.bfloat16(), batch)
    for one in (sets, halves):
        assert torch.stack([logits.softmax(-1)[0, 3:] for logits in one]).eq(0).all()
        # However a temperature divides them.
        assert prediction_losses([x / 0.1 for x in one], [x / 0.1 for x in one]).isfinite()


def test_importance_does_not_depend_on_padding(windows: EncodedWindows) -> None:
    model = make(windows)
    chosen = [int(windows.lengths.argmax()), int(windows.lengths.argmin()), 1]
    together = compute_importance(model, [windows.batch(chosen)])
    alone = compute_importance(model, [windows.batch([row]) for row in chosen])
    torch.testing.assert_close(together.heads, alone.heads, rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(together.neurons, alone.neurons, rtol=1e-5, atol=1e-9)


def test_a_head_is_removed_as_if_masked(windows: EncodedWindows) -> None:
    model = make(windows)
    found = ablate_heads(model, windows, metric="f1", num_examples=6, seed=1)
    drawn = torch.randperm(14, generator=torch.Generator().manual_seed(1))[:6].numpy()
    part = windows.select(drawn)
    assert (found.num_examples, found.score) == (
        6,
        evaluate(model, part, metrics=METRICS).metrics["f1"],
    )
    for place in ((0, 0), (3, 5)):
        mask = torch.ones(4, 6, dtype=torch.float64)
        mask[place] = 0
        changes = []
        for row in range(len(part)):
            batch = part.batch([row])
            with torch.no_grad():
                changes.append((model(**batch, head_mask=mask).loss - model(**batch).loss).item())
        assert found.loss_change[place] == pytest.approx(np.mean(changes), abs=1e-6)
        assert found.loss_moved[place] == pytest.approx(np.abs(changes).mean(), abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "collapsed"),
    [("right", False), ("first token", True), ("same place", True), ("random", False)],
)
def test_who_answers_all_questions_alike_is_collapsed(
    windows: EncodedWindows, kind: str, collapsed: bool
) -> None:
    tally = SpanTally(windows, 1)
    batch = windows.batch(range(len(windows)))
    shape = batch["input_ids"].shape
    random = np.random.default_rng(0)
    at = np.arange(len(windows))
    places = {
        "right": (windows.start_positions, windows.end_positions),
        "first token": (
            windows.context_start,
            windows.context_start + random.integers(0, 3, len(at)),
        ),
        "same place": (windows.context_start + 2, windows.context_start + 2),
        "random": [windows.context_start + random.integers(0, 6, len(at)) for _ in range(2)],
    }
    logits = np.zeros((2, 1, *shape), np.float32)
    for number, chosen in enumerate(places[kind]):
        # What lies in a first window is preferred, so that the place in the passage is that, too.
        logits[number, 0, at, chosen] = 10 + 5 * (windows.first_token == 0) * (kind != "right")
    tally.add(at, list(logits))
    evaluation = tally.evaluation(0, Subnet(), METRICS)
    assert evaluation.collapsed is collapsed
    if kind == "right":
        # In bytes, a window may cut a word short elsewhere; the answer is found all the same.
        assert evaluation.metrics == {"f1": 1.0, "em": 1.0}
