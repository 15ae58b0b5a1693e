"""The elastic models against Hugging Face's, and against themselves."""

import json
from pathlib import Path

import pytest
import torch
from conftest import make_batch, make_hf
from torch import Tensor
from transformers import AutoModel, AutoModelForSequenceClassification, pipeline

from dynabert import (
    PAPER_SPACE,
    DynaBertForQuestionAnswering,
    DynaBertForSequenceClassification,
    DynaBertModel,
    Subnet,
)

EXACT = {"rtol": 0.0, "atol": 1e-12}  # float64: noise stays far below, bugs do not
CLASSES = {
    "ForSequenceClassification": DynaBertForSequenceClassification,
    "ForQuestionAnswering": DynaBertForQuestionAnswering,
    "Model": DynaBertModel,
}
kinds = pytest.mark.parametrize("kind", CLASSES)
UNEVEN = Subnet(layers=(0, 2, 3), heads=(6, 1, 3), neurons=(1, 60, 17))


@kinds
def test_the_full_network_is_hugging_faces(backbone: str, kind: str, batch: dict) -> None:
    hf = make_hf(backbone, kind)
    model = CLASSES[kind].from_hf(hf)
    theirs = hf(**batch, output_hidden_states=True)
    ours = model(**batch, output_hidden_states=True)
    torch.testing.assert_close(ours[0], theirs[0], **EXACT)
    assert len(ours.hidden_states) == len(theirs.hidden_states) == 5
    for mine, other in zip(ours.hidden_states, theirs.hidden_states, strict=True):
        torch.testing.assert_close(mine, other, **EXACT)


@kinds
def test_float32_logits_agree_to_1e_5(backbone: str, kind: str, batch: dict) -> None:
    hf = make_hf(backbone, kind, dtype=torch.float32)
    model = CLASSES[kind].from_hf(hf)
    torch.testing.assert_close(model(**batch)[0], hf(**batch)[0], rtol=0, atol=1e-5)


def test_attention_probabilities_are_hugging_faces(backbone: str, batch: dict) -> None:
    hf = make_hf(backbone)
    hf.set_attn_implementation("eager")
    model = DynaBertForSequenceClassification.from_hf(hf)
    theirs = hf(**batch, output_attentions=True).attentions
    ours = model(**batch, output_attentions=True).attentions
    assert len(ours) == 4
    real = batch["attention_mask"].bool()
    for mine, other in zip(ours, theirs, strict=True):
        # Rows of padding tokens mean nothing and may differ.
        keep = real[:, None, :, None].expand_as(mine)
        torch.testing.assert_close(mine[keep], other[keep], **EXACT)
        torch.testing.assert_close(mine.sum(-1), torch.ones_like(mine.sum(-1)))


@pytest.mark.parametrize("subnet", [*PAPER_SPACE, UNEVEN], ids=str)
def test_asking_for_attention_changes_nothing(
    model: DynaBertForSequenceClassification, batch: dict, subnet: Subnet
) -> None:
    plain = model(**batch, subnet=subnet)
    asked = model(**batch, subnet=subnet, output_attentions=True, output_hidden_states=True)
    torch.testing.assert_close(asked.logits, plain.logits, **EXACT)
    resolved = subnet.resolve(model.config.shape)
    assert [a.shape[1] for a in asked.attentions] == list(resolved.heads)
    assert len(asked.hidden_states) == len(resolved.layers) + 1


@pytest.mark.parametrize("subnet", [*PAPER_SPACE, UNEVEN], ids=str)
def test_an_extracted_subnet_computes_the_same(
    model: DynaBertForSequenceClassification, batch: dict, subnet: Subnet
) -> None:
    small = model.extract(subnet)
    torch.testing.assert_close(small(**batch).logits, model(**batch, subnet=subnet).logits, **EXACT)
    resolved = subnet.resolve(model.config.shape)
    assert small.config.shape.heads == resolved.heads
    assert small.config.shape.neurons == resolved.neurons
    assert small.config.layer_ids == list(resolved.layers)
    ids = [layer.attention.head_ids.tolist() for layer in small.backbone.encoder.layers]
    assert ids == [list(range(heads)) for heads in resolved.heads]


@pytest.mark.parametrize(
    ("layers", "heads", "head_dim", "neurons"),
    [(1, 1, 4, 7), (3, 5, 6, 31), (2, 12, 64, 96), (24, 16, 4, 33), (13, 2, 16, 1)],
)
def test_a_network_of_any_size(
    backbone: str, batch: dict, layers: int, heads: int, head_dim: int, neurons: int
) -> None:
    """Full it is Hugging Face's; a narrow, shallow part of it computes what its copy computes."""
    hf = make_hf(
        backbone,
        num_layers=layers,
        num_attention_heads=heads,
        hidden_size=heads * head_dim,
        intermediate_size=neurons,
    )
    model = DynaBertForSequenceClassification.from_hf(hf)
    torch.testing.assert_close(model(**batch).logits, hf(**batch).logits, **EXACT)
    torch.testing.assert_close(model.to_hf()(**batch).logits, hf(**batch).logits, **EXACT)
    for subnet in (Subnet(0.5, 0.5), Subnet(0.01, 0.01)):
        small = model.extract(subnet)
        torch.testing.assert_close(
            small(**batch).logits, model(**batch, subnet=subnet).logits, **EXACT
        )
        shape = small.config.shape
        assert set(shape.heads) == {max(1, int(heads * subnet.width_mult))}
        assert set(shape.neurons) == {max(1, int(neurons * subnet.width_mult))}


def test_extracting_twice_is_extracting_once(
    model: DynaBertForSequenceClassification, batch: dict
) -> None:
    twice = model.extract(Subnet(layers=(1, 2, 3))).extract(Subnet(0.5, layers=(0, 2)))
    once = model.extract(Subnet(0.5, layers=(1, 3)))
    torch.testing.assert_close(twice(**batch).logits, once(**batch).logits, **EXACT)
    assert twice.config.layer_ids == once.config.layer_ids == [1, 3]
    assert twice.config.original_num_layers == 4
    assert twice.config.original_num_heads == 6
    assert twice.config.original_num_neurons == 60


def test_extraction_copies(model: DynaBertForSequenceClassification, batch: dict) -> None:
    small = model.extract(Subnet())
    with torch.no_grad():
        small.head.output.bias += 1
    assert not torch.equal(small(**batch).logits, model(**batch).logits)


@pytest.mark.parametrize("pad_to", [11, 12, 20, 40])
def test_padding_changes_no_answer(backbone: str, pad_to: int) -> None:
    model = DynaBertForSequenceClassification.from_hf(make_hf(backbone, max_position_embeddings=48))
    short, long = make_batch(backbone), make_batch(backbone, pad_to=pad_to)
    real = short["attention_mask"].bool()
    for name, value in short.items():  # the same sentences, with more padding
        long[name][:, : real.shape[1]] = value
        if name == "input_ids":
            long[name][:, real.shape[1] :] = model.config.pad_token_id
    for subnet in (Subnet(), Subnet(0.5, 0.5)):
        torch.testing.assert_close(
            model(**long, subnet=subnet).logits, model(**short, subnet=subnet).logits, **EXACT
        )


def test_an_answer_does_not_depend_on_the_other_sentences(
    model: DynaBertForSequenceClassification, batch: dict
) -> None:
    together = model(**batch).logits
    for row, length in enumerate((11, 7, 3)):
        alone = {name: value[row : row + 1, :length] for name, value in batch.items()}
        torch.testing.assert_close(model(**alone).logits, together[row : row + 1], **EXACT)


def test_a_given_embedding_output_replaces_the_embeddings(
    model: DynaBertForSequenceClassification, batch: dict
) -> None:
    embedded = model.backbone.embeddings(batch["input_ids"], batch["token_type_ids"])
    out = model(embedding_output=embedded, attention_mask=batch["attention_mask"])
    torch.testing.assert_close(out.logits, model(**batch).logits, **EXACT)


@kinds
def test_back_to_hugging_face(backbone: str, kind: str, batch: dict) -> None:
    model = CLASSES[kind].from_hf(make_hf(backbone, kind))
    half_deep = model.extract(Subnet(depth_mult=0.5))
    for elastic in (model, half_deep):
        hf = elastic.to_hf()
        assert type(hf).__module__.startswith("transformers.")
        torch.testing.assert_close(hf(**batch)[0], elastic(**batch)[0], **EXACT)


def test_what_hugging_face_cannot_hold_is_refused(
    model: DynaBertForSequenceClassification,
) -> None:
    with pytest.raises(ValueError, match="need all heads of every layer"):
        model.extract(Subnet(0.5)).to_hf()
    with pytest.raises(ValueError, match="same number of neurons in every layer"):
        model.extract(Subnet(heads=(6,) * 4, neurons=(60, 60, 60, 59))).to_hf()


def test_saved_and_loaded_by_auto_model(
    model: DynaBertForSequenceClassification, batch: dict, tmp_path: Path
) -> None:
    small = model.extract(UNEVEN)
    small.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert type(loaded) is DynaBertForSequenceClassification
    torch.testing.assert_close(loaded(**batch).logits, small(**batch).logits, **EXACT)
    bare = AutoModel.from_pretrained(tmp_path)
    torch.testing.assert_close(
        bare(**batch).last_hidden_state, small.backbone(**batch).last_hidden_state, **EXACT
    )


def test_a_folder_of_hugging_face_is_read(backbone: str, batch: dict, tmp_path: Path) -> None:
    hf = make_hf(backbone, dtype=torch.float32)
    hf.save_pretrained(tmp_path)
    model = DynaBertForSequenceClassification.from_hf(tmp_path)
    torch.testing.assert_close(model(**batch).logits, hf(**batch).logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["ForSequenceClassification", "ForQuestionAnswering"])
@pytest.mark.parametrize("left_out", [("architectures",), ("architectures", "model_type")])
def test_a_configuration_that_names_no_class_costs_no_head(
    backbone: str, kind: str, left_out: tuple[str, ...], batch: dict, tmp_path: Path
) -> None:
    hf = make_hf(backbone, kind, dtype=torch.float32)
    hf.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    kept = {name: value for name, value in values.items() if name not in left_out}
    path.write_text(json.dumps(kept), encoding="utf-8")
    model = CLASSES[kind].from_hf(tmp_path)
    torch.testing.assert_close(model(**batch)[0], hf(**batch)[0], rtol=0, atol=1e-5)


def test_a_new_head_is_announced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole, bare = make_hf("bert"), make_hf("bert", "Model")
    DynaBertForSequenceClassification.from_hf(whole)
    assert caplog.messages == []
    DynaBertForSequenceClassification.from_hf(bare)
    assert caplog.messages == ["The head of the model is new: random until it is trained."]


def test_a_text_without_any_token_is_answered_alike_with_attention_asked_for(
    backbone: str, batch: dict
) -> None:
    model = DynaBertForSequenceClassification.from_hf(make_hf(backbone))
    batch["attention_mask"][2] = 0
    asked = model(**batch, output_attentions=True)
    torch.testing.assert_close(asked.logits, model(**batch).logits, **EXACT)
    assert (asked.attentions[0][2] == 0).all()


def test_berts_pooler_is_kept_where_there_is_no_classifier(batch: dict, tmp_path: Path) -> None:
    bare = make_hf("bert", "Model")
    model = DynaBertForSequenceClassification.from_hf(bare, num_labels=5)
    pooled = torch.tanh(model.head.dense(model.backbone(**make_batch()).last_hidden_state[:, 0]))
    torch.testing.assert_close(pooled, bare(**make_batch()).pooler_output, **EXACT)
    assert model.head.output.out_features == 5


def test_another_number_of_labels_gives_a_new_head() -> None:
    hf = make_hf(num_labels=3)
    model = DynaBertForSequenceClassification.from_hf(hf, num_labels=2)
    assert model.head.output.weight.shape == (2, 48)
    torch.testing.assert_close(model.head.dense.weight, hf.bert.pooler.dense.weight, **EXACT)


def test_a_question_answering_head_is_never_taken_for_a_classifier() -> None:
    hf = make_hf("bert", "ForQuestionAnswering")
    model = DynaBertForSequenceClassification.from_hf(hf, num_labels=2)
    assert not torch.equal(model.head.output.weight, hf.qa_outputs.weight)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"is_decoder": True}, "is a decoder"), ({"position_embedding_type": "relative_key"}, "abso")],
)
def test_models_that_are_no_such_encoder_are_refused(changes: dict, message: str) -> None:
    hf = make_hf("bert", "Model")
    for name, value in changes.items():
        setattr(hf.config, name, value)
    with pytest.raises(ValueError, match=message):
        DynaBertModel.from_hf(hf)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    hf = make_hf("bert", "Model")
    hf.config.save_pretrained(tmp_path)
    torch.save(hf.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="needs a whole model.safetensors file"):
        DynaBertModel.from_hf(tmp_path)


def test_too_long_an_input_is_an_error_that_says_what_to_do(
    model: DynaBertForSequenceClassification,
) -> None:
    longest = model.config.max_tokens
    ids = torch.full((1, longest), 9)
    assert model(input_ids=ids).logits.isfinite().all()
    with pytest.raises(ValueError, match=f"at most {longest} tokens, got {longest + 1}; truncate"):
        model(input_ids=torch.full((1, longest + 1), 9))


@pytest.mark.parametrize(
    ("labels", "num_labels", "problem_type"),
    [
        (torch.tensor([2, 0, 1]), 3, None),
        (torch.tensor([0.5, 2.0, -1.0], dtype=torch.float64), 1, None),
        (torch.tensor([[1.0, 0, 1], [0, 0, 1], [1, 1, 1]]), 3, "multi_label_classification"),
        (torch.tensor([[1.0, 0, 1], [0, 0, 1], [1, 1, 1]]), 3, None),
        (torch.tensor([[1.5, 0, 1], [0, 0, 1], [1, -1, 1]]), 3, "regression"),
    ],
)
def test_losses_are_hugging_faces(
    backbone: str, batch: dict, labels: Tensor, num_labels: int, problem_type: str | None
) -> None:
    hf = make_hf(backbone, num_labels=num_labels, dtype=torch.float32, problem_type=problem_type)
    model = DynaBertForSequenceClassification.from_hf(hf)
    labels = labels.float() if labels.is_floating_point() else labels
    torch.testing.assert_close(
        model(**batch, labels=labels).loss, hf(**batch, labels=labels).loss, rtol=0, atol=1e-5
    )


def test_the_span_loss_is_hugging_faces(backbone: str, batch: dict) -> None:
    hf = make_hf(backbone, "ForQuestionAnswering", dtype=torch.float32)
    model = DynaBertForQuestionAnswering.from_hf(hf)
    # The second answer lies outside the window and does not count.
    spans = {"start_positions": torch.tensor([1, 30, 0]), "end_positions": torch.tensor([4, 33, 2])}
    ours, theirs = model(**batch, **spans), hf(**batch, **spans)
    torch.testing.assert_close(ours.loss, theirs.loss, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.start_logits, theirs.start_logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.end_logits, theirs.end_logits, rtol=0, atol=1e-5)


def test_return_dict_false_gives_a_tuple(
    model: DynaBertForSequenceClassification, batch: dict
) -> None:
    (logits,) = model(**batch, return_dict=False)
    torch.testing.assert_close(logits, model(**batch).logits, **EXACT)


def test_pipelines_run_the_whole_and_an_extracted_subnet(
    tmp_path: Path, tiny_tokenizer_folder: Path
) -> None:
    hf = make_hf("bert", dtype=torch.float32, vocab_size=200)
    model = DynaBertForSequenceClassification.from_hf(hf)
    for subnet in (Subnet(), Subnet(0.5, 0.5)):
        folder = tmp_path / subnet.key
        model.extract(subnet).save_pretrained(folder)
        classify = pipeline(
            "text-classification", model=str(folder), tokenizer=str(tiny_tokenizer_folder)
        )
        (answer,) = classify(["the cat sat"], top_k=None)
        inputs = classify.tokenizer("the cat sat", return_tensors="pt")
        probs = model(**inputs, subnet=subnet).logits.softmax(-1)[0].tolist()
        by_label = {entry["label"]: entry["score"] for entry in answer}
        assert by_label == pytest.approx(
            {f"LABEL_{number}": p for number, p in enumerate(probs)}, abs=1e-6
        )
