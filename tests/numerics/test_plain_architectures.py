"""Plain architectures: the published space, sizes to the parameter, and networks cut from a larger one."""

from __future__ import annotations

import math

import pytest
import torch
from conftest import make_batch, make_hf
from hypothesis import given, settings
from hypothesis import strategies as st

from dynabert import DynaBertForQuestionAnswering, DynaBertForSequenceClassification, Subnet
from dynabert.errors import UserError
from dynabert.modeling.architecture import (
    BORT,
    BORT_BY_SIZE,
    BORT_POSITIONS,
    BORT_SPACE,
    BORT_VOCABULARY,
    Architecture,
    PlainSpace,
)
from dynabert.modeling.reduction import (
    cut_attention_,
    cut_student,
    kept_dimensions,
    new_student,
)

CLASSES = {
    "ForSequenceClassification": DynaBertForSequenceClassification,
    "ForQuestionAnswering": DynaBertForQuestionAnswering,
}


def teacher_of(kind: str = "ForSequenceClassification", backbone: str = "bert"):
    """4 layers, 6 heads of 8, 60 neurons, in float32."""
    return CLASSES[kind].from_hf(make_hf(backbone, kind, dtype=torch.float32)).eval()


def test_the_published_space_has_300_architectures():
    # 6 depths x 5 neurons x pairs (A, H): 512 and 1024 with 4, 8, 16; 768 with all four.
    assert len(BORT_SPACE) == 300 == len([*BORT_SPACE])
    assert len({*BORT_SPACE}) == 300
    assert BORT in {*BORT_SPACE}


def test_borts_sizes_to_the_parameter_as_stated_and_as_published():
    def sizes(architecture):
        embeddings = architecture.embedding_params(
            vocab_size=BORT_VOCABULARY, positions=BORT_POSITIONS
        )
        return embeddings, architecture.encoder_params

    # (50265 + 512 + 2) * 1024, 4 * (4 * (1024^2 + 1024) + 2 * 1024 * 768 + 768 + 1024 + 4 * 1024)
    assert sizes(BORT) == (51_997_696, 23_108_608)
    # (50265 + 512 + 2) * 768, 4 * (4 * (768^2 + 768) + 2 * 768 * 1024 + 1024 + 768 + 4 * 768)
    assert sizes(BORT_BY_SIZE) == (38_998_272, 15_760_384)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("architecture", [Architecture(2, 3, 24, 40), Architecture(1, 4, 48, 7)])
def test_the_formula_counts_what_the_network_has(kind, architecture):
    teacher = teacher_of(kind)
    student = new_student(teacher, architecture, seed=1)
    outputs, dense = (3, True) if kind == "ForSequenceClassification" else (2, False)
    counted = architecture.num_params(teacher.config, outputs=outputs, dense=dense)
    assert counted == sum(parameter.numel() for parameter in student.parameters())
    layers = student.backbone.encoder.parameters()
    assert architecture.encoder_params == sum(parameter.numel() for parameter in layers)


def test_keys_are_read_back():
    for architecture in BORT_SPACE:
        assert Architecture.parse(architecture.key) == architecture
    assert str(BORT) == "<4, 8, 1024, 768>"
    for bad in ("4-8-1024", "4-8-1024-768-1", "a-8-1024-768", "4-8--1024-768", "999999-1-1-1"):
        with pytest.raises(UserError, match="is no architecture; write"):
            Architecture.parse(bad)


@given(
    st.tuples(*[st.integers(1, 6)] * 4),
    st.lists(st.integers(1, 8), min_size=1, max_size=3),
    st.lists(st.integers(1, 30), min_size=1, max_size=3),
)
def test_a_space_holds_exactly_the_combinations_that_fit(sizes, heads, hiddens):
    arguments = {
        "layers": (sizes[0], sizes[1]),
        "heads": tuple(heads),
        "hiddens": tuple(hiddens),
        "neurons": (sizes[2], sizes[3]),
    }
    wanted = {
        (d, a, h, i)
        for d in sizes[:2]
        for a in heads
        for h in hiddens
        for i in sizes[2:]
        if h % a == 0
    }
    if not wanted:
        with pytest.raises(UserError, match="no hidden size among"):
            PlainSpace(**arguments)
        return
    space = PlainSpace(**arguments)
    assert {(one.layers, one.heads, one.hidden, one.neurons) for one in space} == wanted
    assert len(space) == len(wanted)


@pytest.mark.parametrize("values", [(0, 1, 4, 4), (1, 3, 4, 4), (1, 1, 4, 2.5), (True, 1, 4, 4)])
def test_what_is_no_architecture_is_refused(values):
    with pytest.raises(UserError, match=r"must be a"):
        Architecture(*values)


@pytest.mark.parametrize("backbone", ["bert", "roberta"])
@pytest.mark.parametrize("kind", CLASSES)
def test_a_student_of_the_teachers_sizes_is_the_teacher(kind, backbone):
    teacher = teacher_of(kind, backbone)
    student = cut_student(teacher, Architecture(4, 6, 48, 60))
    batch = make_batch(backbone)
    for ours, theirs in zip(
        student.logits_of(student(**batch)), teacher.logits_of(teacher(**batch)), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_fewer_layers_and_neurons_are_the_sub_network():
    teacher, batch = teacher_of(), make_batch()
    student = cut_student(teacher, Architecture(2, 6, 48, 20))
    subnet = Subnet(layers=(1, 3), heads=(6, 6), neurons=(20, 20))
    torch.testing.assert_close(
        student(**batch).logits, teacher(**batch, subnet=subnet).logits, rtol=0, atol=1e-6
    )


def test_dimensions_are_those_whose_norms_let_them_vary_most():
    teacher = teacher_of()
    with torch.no_grad():
        for module in teacher.backbone.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.weight.fill_(0.1)
                module.bias.zero_()
        teacher.backbone.embeddings.norm.weight[[40, 3, 17]] = 5.0
        teacher.backbone.encoder.layers[2].feed_forward.norm.bias[9] = -6.0
    assert kept_dimensions(teacher, 4).tolist() == [3, 9, 17, 40]


def test_smaller_heads_keep_their_largest_dimensions_and_their_scores():
    teacher = teacher_of()
    attention = teacher.backbone.encoder.layers[0].attention
    with torch.no_grad():  # of every head two dimensions look, and two others carry
        looking = torch.tensor([8 * head + d for head in range(6) for d in (1, 6)])
        carrying = torch.tensor([8 * head + d for head in range(6) for d in (0, 3)])
        for linear, rows in (
            (attention.query, looking),
            (attention.key, looking),
            (attention.value, carrying),
        ):
            small = torch.ones(48, dtype=torch.bool)
            small[rows] = False
            linear.weight[small] = 0
            linear.bias[small] = 0
        small = torch.ones(48, dtype=torch.bool)
        small[carrying] = False
        attention.output.weight[:, small] = 0
    # All hidden dimensions are needed to compare: 12 of 48 would be kept by the norms.
    hidden = torch.randn(2, 5, 48)
    student = new_student(teacher, Architecture(1, 6, 12, 60), seed=0)
    ours = student.backbone.encoder.layers[0].attention
    with torch.no_grad():
        cut_attention_(ours, attention, torch.arange(12))
    # Queries of the student on the kept dimensions are the teacher's at those rows, and scaled.
    expected = attention.query.weight[looking][:, :12] * math.sqrt(2 / 8)
    torch.testing.assert_close(ours.query.weight, expected)
    torch.testing.assert_close(ours.key.weight, attention.key.weight[looking][:, :12])
    torch.testing.assert_close(ours.value.weight, attention.value.weight[carrying][:, :12])
    torch.testing.assert_close(ours.output.weight, attention.output.weight[:12][:, carrying])
    narrow = torch.zeros_like(hidden)
    narrow[..., :12] = hidden[..., :12]
    with torch.no_grad():
        attention.query.bias.zero_()
        attention.key.bias.zero_()
        ours.query.bias.zero_()
        ours.key.bias.zero_()
        q, k = attention.query_key(narrow, 6)
        ours_q, ours_k = ours.query_key(hidden[..., :12], 6)
    torch.testing.assert_close(
        ours_q @ ours_k.mT / math.sqrt(2), q @ k.mT / math.sqrt(8), rtol=1e-4, atol=1e-5
    )


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 4),
    st.sampled_from([(1, 6), (2, 12), (3, 24), (6, 48), (4, 48), (12, 48), (12, 24), (2, 48)]),
    st.integers(1, 60),
)
def test_any_smaller_architecture_can_be_cut(layers, heads_hidden, neurons):
    architecture = Architecture(layers, *heads_hidden, neurons)
    student = cut_student(teacher_of(), architecture)
    logits = student(**make_batch()).logits
    assert logits.shape == (3, 3)
    assert logits.isfinite().all()
    assert student.config.shape.heads == (architecture.heads,) * layers


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        (Architecture(5, 6, 48, 60), "5 layers, and the network it would be cut from 4"),
        (Architecture(4, 6, 54, 60), "54 hidden dimensions, .* 48"),
        (Architecture(4, 6, 48, 61), "61 neurons, .* 60"),
    ],
)
def test_nothing_larger_than_the_teacher_is_cut_from_it(architecture, said):
    with pytest.raises(UserError, match=said):
        cut_student(teacher_of(), architecture)


def test_new_students_are_random_by_their_seed_alone():
    teacher, architecture = teacher_of(), Architecture(1, 2, 8, 8)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one = new_student(teacher, architecture, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    same = new_student(teacher, architecture, seed=3)
    other = new_student(teacher, architecture, seed=4)
    pairs = zip(one.parameters(), same.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(
        one.backbone.embeddings.word.weight, other.backbone.embeddings.word.weight
    )
