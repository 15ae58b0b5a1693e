"""A masked language model's candidates against the official procedure, one word at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import make_hf
from transformers import AutoModelForMaskedLM, AutoTokenizer

from dynabert.data.augmentation import MaskedLanguageModel, masked_lm
from dynabert.data.augmentation.words import eligible_words
from dynabert.errors import UserError

TEXT = "The boy sees a green bird, a cub, and likes the old film."
VOCAB = {"bert": 200, "roberta": 400}


@pytest.fixture
def folder(
    backbone: str,
    tmp_path: Path,
    tiny_tokenizer_folder: Path,
    tiny_roberta_tokenizer_folder: Path,
) -> Path:
    """A tiny random masked language model with its tokenizer."""
    size = {"vocab_size": VOCAB[backbone], "max_position_embeddings": 64}
    make_hf(backbone, "ForMaskedLM", dtype=torch.float32, **size).save_pretrained(tmp_path)
    spelling = tiny_tokenizer_folder if backbone == "bert" else tiny_roberta_tokenizer_folder
    for file in spelling.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def reference(folder: Path, word: str, count: int) -> list[str]:
    """Mask one word, read [CLS] masked [SEP] original [SEP], take the best pieces that are words."""
    model = AutoModelForMaskedLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(TEXT, TEXT, return_tensors="pt")
    is_bert = model.config.model_type == "bert"
    (wanted,) = tokenizer.convert_tokens_to_ids([word if is_bert else f"Ġ{word}"])
    place = inputs["input_ids"][0].tolist().index(wanted)
    inputs["input_ids"][0, place] = tokenizer.mask_token_id
    with torch.no_grad():
        scores = model(**inputs).logits[0, place]
    best = tokenizer.convert_ids_to_tokens(
        [
            piece
            for piece in scores.argsort(descending=True)[:count].tolist()
            if piece < len(tokenizer)
        ]
    )
    best = [piece for piece in best if piece not in tokenizer.all_special_tokens]
    if is_bert:
        return [piece for piece in best if not piece.startswith("##")]
    return [piece[1:] for piece in best if piece.startswith("Ġ")]


@pytest.mark.parametrize("at_once", [1, 64])
def test_candidates_are_those_of_one_word_at_a_time(
    folder: Path, backbone: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masked_lm, "MASKS_AT_ONCE", at_once)
    model = MaskedLanguageModel.load(str(folder))
    assert model is not None
    words = eligible_words(TEXT)
    found = model.candidates(TEXT, words, 60)
    by_word = {word.text: options for word, options in zip(words, found, strict=True)}
    assert by_word["cub"] is None  # several pieces
    for word in ("boy", "sees", "green", "bird", "likes", "old", "film"):
        assert list(by_word[word]) == reference(folder, word, 60)
    if backbone == "bert":
        dropped = 60 - len(by_word["boy"])
        assert dropped > 0
        assert not any(piece.startswith(("##", "[")) for piece in by_word["boy"])


def test_each_text_is_computed_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = MaskedLanguageModel.load(str(folder))
    assert model is not None
    passes: list[tuple[int, ...]] = []
    encoder = model.model.base_model
    encoder.register_forward_hook(lambda *_: passes.append((1,)))
    words = eligible_words(TEXT)
    first = model.candidates(TEXT, words, 5)
    other = model.candidates("A dog sat.", eligible_words("A dog sat."), 5)
    assert model.candidates(TEXT, words, 5) == first != other
    assert len(passes) == 2
    again = MaskedLanguageModel.load(str(folder))
    assert again is not None
    assert again.candidates(TEXT, words, 5) == first  # whatever was computed before


def test_a_word_beyond_what_the_model_reads_is_left_to_glove(folder: Path) -> None:
    model = MaskedLanguageModel.load(str(folder))
    assert model is not None
    text = "the dog " * 40
    found = model.candidates(text, eligible_words(text), 5)
    known = [options is not None for options in found]
    assert known[0]
    assert not known[-1]
    assert known == sorted(known, reverse=True)


def test_models_without_such_a_head(tiny_backbone: Path, tiny_roberta: Path) -> None:
    assert MaskedLanguageModel.load(str(tiny_backbone)) is None
    assert MaskedLanguageModel.load(str(tiny_roberta)) is None


def test_damaged_models_are_refused(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = load_file(path)
    name = next(name for name in weights if "layer.1." in name)
    save_file({key: value for key, value in weights.items() if key != name}, path)
    with pytest.raises(UserError, match="lacks weights"):
        MaskedLanguageModel.load(str(folder))
    path.rename(folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="holds no readable model.safetensors"):
        MaskedLanguageModel.load(str(folder))
