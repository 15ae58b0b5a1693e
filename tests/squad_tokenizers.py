"""Both kinds of tokenizer, tiny: BERT's with segments, RoBERTa's of bytes and without."""

from __future__ import annotations

from pathlib import Path

from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerBase, RobertaTokenizer

from dynabert.backbones import load_tokenizer


def roberta_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Saved and loaded again, as a backbone's would be; every byte is a token, " the" is one too."""
    alphabet = sorted(ByteLevel.alphabet())
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *alphabet, "th", "the", "Ġthe"]
    vocab = {piece: number for number, piece in enumerate(pieces)}
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the")]
    RobertaTokenizer(vocab=vocab, merges=merges).save_pretrained(folder)
    return load_tokenizer(folder)
