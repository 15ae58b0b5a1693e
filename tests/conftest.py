"""Tiny random models, offline: the numeric guarantees do not depend on size."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

# Before torch, and for every process that tests start. The networks are so small that a second
# thread only waits: on a busy machine that made the tests use up to ten times the processor time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import (
    BertConfig,
    BertTokenizer,
    PreTrainedModel,
    RobertaConfig,
    RobertaTokenizer,
)

from dynabert import DynaBertForSequenceClassification

BACKBONES = ("bert", "roberta")
PAD = {"bert": 0, "roberta": 1}
CONFIGS = {"bert": BertConfig, "roberta": RobertaConfig}
PREFIXES = {"bert": "Bert", "roberta": "Roberta"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones first: of several processes none ends alone with one of them."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    torch.manual_seed(0)


def make_hf(
    backbone: str = "bert",
    kind: str = "ForSequenceClassification",
    *,
    num_layers: int = 4,
    num_labels: int = 3,
    dtype: torch.dtype = torch.float64,
    **changes: object,
) -> PreTrainedModel:
    """A small Hugging Face model with weights large enough for errors to show."""
    values = {
        "vocab_size": 97,
        "hidden_size": 48,
        "num_hidden_layers": num_layers,
        "num_attention_heads": 6,
        "intermediate_size": 60,
        "max_position_embeddings": 40,
        "pad_token_id": PAD[backbone],
        "type_vocab_size": 2,
        "num_labels": num_labels if kind == "ForSequenceClassification" else 2,
    } | changes
    model = getattr(transformers, PREFIXES[backbone] + kind)(CONFIGS[backbone](**values))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    return model.to(dtype).eval()


def make_batch(
    backbone: str = "bert", *, lengths: tuple[int, ...] = (11, 7, 3), pad_to: int | None = None
) -> dict[str, Tensor]:
    """Sentences of those lengths, padded; two segments each."""
    tokens = pad_to or max(lengths)
    generator = torch.Generator().manual_seed(1)
    shape = (len(lengths), tokens)
    input_ids = torch.randint(5, 97, shape, generator=generator)
    attention_mask = (torch.arange(tokens)[None] < torch.tensor(lengths)[:, None]).long()
    token_types = torch.randint(0, 2, shape, generator=generator)
    return {
        "input_ids": input_ids * attention_mask + PAD[backbone] * (1 - attention_mask),
        "attention_mask": attention_mask,
        "token_type_ids": token_types * attention_mask,
    }


@pytest.fixture(params=BACKBONES)
def backbone(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def batch(backbone: str) -> dict[str, Tensor]:
    return make_batch(backbone)


@pytest.fixture
def model(backbone: str) -> DynaBertForSequenceClassification:
    """An elastic classifier in float64, in eval mode."""
    return DynaBertForSequenceClassification.from_hf(make_hf(backbone))


WORDS = (
    "the a cat dog bird boy girl sat ran sees see likes like on mat tree . , ? is are was not and "
    "good bad film very ##s ##ed ##ing old new green red house in with who what"
).split()


@pytest.fixture(scope="session")
def tiny_tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT tokenizer whose vocabulary is a few words and every letter."""
    folder = tmp_path_factory.mktemp("tokenizer")
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters]
    pieces += [f"##{letter}" for letter in letters if f"##{letter}" not in pieces]
    vocab = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    BertTokenizer(vocab=vocab, model_max_length=40).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer_folder: Path) -> Path:
    """A folder as the hub would give it: a small pretrained BERT without a head, and its tokenizer."""
    folder = tmp_path_factory.mktemp("backbone")
    torch.manual_seed(0)
    model = make_hf("bert", "Model", dtype=torch.float32, vocab_size=200)
    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):  # so that it can learn
            module.reset_parameters()
    model.save_pretrained(folder)
    for file in tiny_tokenizer_folder.iterdir():
        shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="session")
def tiny_roberta_tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RoBERTa tokenizer: bytes, and pieces for a few words with and without the space before."""
    folder = tmp_path_factory.mktemp("roberta-tokenizer")
    spelling = Tokenizer(models.BPE())
    spelling.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        vocab_size=1000,
        show_progress=False,
    )
    spelling.train_from_iterator(
        [f"{word} {word}" for word in WORDS if word.isalpha()] * 3, trainer
    )
    pieces = json.loads(spelling.to_str())["model"]
    merges = [tuple(merge) for merge in pieces["merges"]]
    RobertaTokenizer(vocab=pieces["vocab"], merges=merges, model_max_length=40).save_pretrained(
        folder
    )
    return folder


@pytest.fixture(scope="session")
def tiny_roberta(
    tmp_path_factory: pytest.TempPathFactory, tiny_roberta_tokenizer_folder: Path
) -> Path:
    """A folder as the hub would give it: a small pretrained RoBERTa, and its tokenizer."""
    folder = tmp_path_factory.mktemp("roberta")
    torch.manual_seed(0)
    model = make_hf("roberta", "Model", dtype=torch.float32, vocab_size=400, type_vocab_size=1)
    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):  # so that it can learn
            module.reset_parameters()
    model.save_pretrained(folder)
    for file in tiny_roberta_tokenizer_folder.iterdir():
        shutil.copy(file, folder)
    return folder
