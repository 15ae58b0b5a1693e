"""Head functions and their fusion, on heads whose function is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import make_hf
from scipy.spatial.distance import jensenshannon
from squad_tokenizers import roberta_tokenizer
from transformers import AutoTokenizer

from dynabert import DynaBertForSequenceClassification, Subnet
from dynabert.analysis.functions import FUNCTIONS, function_profile
from dynabert.analysis.fusion import measure_fusion, similarity
from dynabert.analysis.sentences import (
    Sentence,
    TokenLink,
    attention_of,
    cut_to_fit,
    read_sentences,
    teaching_sentences,
)
from dynabert.data.teaching import Link
from dynabert.errors import UserError
from dynabert.importance import Importance
from dynabert.rewiring import rewire_

# [CLS] the old dog near cats barks . [SEP]: the verb's subject is three words back.
SUBJECT, VERB, SIZE = 3, 6, 9


def sentence(size: int = SIZE, subject: int = SUBJECT, verb: int = VERB) -> Sentence:
    special = np.zeros(size, bool)
    special[[0, -1]] = True
    marks = np.zeros(size, bool)
    marks[-2] = True
    link = TokenLink(kind="subject-verb", head=(verb,), dependent=(subject,))
    return Sentence(
        text="",
        input_ids=tuple(range(size)),
        special=special,
        punctuation=marks,
        links=(link,),
    )


def looking(by: int, size: int = SIZE) -> np.ndarray:
    """(S, S) every token at the one `by` places away; evenly where there is none."""
    matrix = even(size)
    for token in range(max(0, -by), size - max(0, by)):
        matrix[token] = 0
        matrix[token, token + by] = 1
    return matrix


def looking_at(column: int, size: int = SIZE) -> np.ndarray:
    matrix = np.zeros((size, size), np.float32)
    matrix[:, column] = 1
    return matrix


def even(size: int = SIZE) -> np.ndarray:
    return np.full((size, size), 1 / size, np.float32)


def following_the_link() -> np.ndarray:
    """The verb looks at its subject, all others evenly."""
    matrix = even()
    matrix[VERB] = 0
    matrix[VERB, SUBJECT] = 1
    return matrix


def test_every_head_is_called_what_it_does():
    heads = {
        "previous token": looking(-1),
        "next token": looking(1),
        "same token": looking(0),
        "[CLS]": looking_at(0),
        "[SEP]": looking_at(SIZE - 1),
        "punctuation": looking_at(SIZE - 2),
        "verb → subject": following_the_link(),
        "broad": even(),
        # Three words back, link or no link: that is a distance, not grammar.
        "mixed": looking(-3),
    }
    maps = np.stack([*heads.values(), np.full((SIZE, SIZE), np.nan)])[None]
    profile = function_profile([maps.astype(np.float32)] * 30, [sentence()] * 30)
    assert profile.labels()[0].tolist() == [*heads, ""]
    excess = dict(zip(FUNCTIONS, profile.excess[:, 0, 0], strict=True))
    assert excess["previous token"] == pytest.approx(1 - 1 / SIZE)
    breadth = profile.breadth[0]
    assert breadth[list(heads).index("broad")] == pytest.approx(1)
    assert breadth[0] == 0


def test_few_tokens_name_no_head():
    maps = following_the_link()[None, None]
    assert function_profile([maps] * 19, [sentence()] * 19).labels() == "broad"
    assert function_profile([maps] * 20, [sentence()] * 20).labels() == "verb → subject"


def test_a_link_is_measured_against_words_as_far_apart():
    fixed = looking(-3)
    both = 0.5 * following_the_link() + 0.5 * fixed
    maps = np.stack([fixed, both])[None].astype(np.float32)
    profile = function_profile([maps], [sentence()])
    number = FUNCTIONS.index("verb → subject")
    np.testing.assert_allclose(profile.observed[number, 0], [1, 1])
    # Two other pairs of words are three apart, (1, 4) and (2, 5).
    np.testing.assert_allclose(profile.chance[number, 0], [1, 0.5 + 0.5 / SIZE])
    assert profile.counts[number] == 1
    assert np.isnan(profile.observed[FUNCTIONS.index("verb → object")]).all()


def test_sentences_count_by_their_tokens():
    short = sentence(5, subject=1, verb=2)
    maps = [looking(-1)[None, None], even(5)[None, None]]
    profile = function_profile(maps, [sentence(), short])
    number = FUNCTIONS.index("previous token")
    # 6 words and marks with a word before them in the first, 2 in the second.
    assert profile.counts[number] == 8
    np.testing.assert_allclose(profile.observed[number], (6 * 1 + 2 / 5) / 8)
    np.testing.assert_allclose(profile.chance[number], (6 / 9 + 2 / 5) / 8)
    table = profile.table()
    assert table["excess"].is_monotonic_decreasing
    assert table.iloc[0]["function"] == "previous token"


def random_maps(heads: int, size: int = SIZE, seed: int = 0) -> np.ndarray:
    """(1, H, S, S)"""
    random = np.random.default_rng(seed)
    return random.dirichlet(np.full(size, 0.3), (1, heads, size)).astype(np.float32)


def test_similarity_is_one_minus_the_jensen_shannon_divergence():
    first, second = random_maps(3)[0], random_maps(2, seed=1)[0]
    found = similarity(first, second)
    expected = [
        [1 - (jensenshannon(a, b, base=2, axis=-1) ** 2).mean() for b in second] for a in first
    ]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert similarity(looking(-1)[None], looking(1)[None])[0, 0] < 0.3
    assert similarity(looking_at(1)[None], looking_at(2)[None])[0, 0] == 0


def test_a_head_copied_into_another_slot_is_found():
    full = random_maps(4)
    small = full.copy()
    small[0, 2] = full[0, 1]
    small[0, 1] = np.nan
    fusion = measure_fusion([small], [full], [sentence()])
    table = fusion.resemblance().set_index("head")
    assert (table.loc[3, "like_layer"], table.loc[3, "like_head"]) == (1, 2)
    assert table.loc[3, "similarity"] == pytest.approx(1, abs=1e-6)
    assert table.loc[1, "like_head"] == 1
    assert table.loc[1, "to_itself"] == pytest.approx(1, abs=1e-6)
    # Head 3 has moved all the way to what head 2 did.
    (row,) = fusion.absorbed().to_dict("records")
    before = similarity(full[0, [0, 2, 3]], full[0, [1]]).max()
    assert (row["layer"], row["head"], row["by_layer"], row["by_head"]) == (1, 2, 1, 3)
    assert row["similarity"] == pytest.approx(1, abs=1e-6)
    assert row["fusion"] == pytest.approx(1 - before, abs=1e-6)
    assert row["fusion"] > row["chance"]
    assert fusion.by_layer().to_dict("records")[0]["num_removed"] == 1


def test_full_against_full_shows_no_fusion():
    maps = [random_maps(4), random_maps(4, seed=1)]
    fusion = measure_fusion(maps, maps, [sentence(), sentence()])
    assert len(fusion.removed) == 0
    assert (fusion.mean, fusion.chance_mean) == (0, 0)
    np.testing.assert_allclose(fusion.resemblance()["similarity"], 1, atol=1e-6)
    assert (fusion.resemblance()["like_head"] == [1, 2, 3, 4]).all()
    assert fusion.absorbed().empty
    assert fusion.by_layer().empty


def test_heads_that_did_not_change_absorb_nothing():
    full = [random_maps(6, seed=seed) for seed in range(3)]
    small = [maps.copy() for maps in full]
    for maps in small:
        maps[0, 3:] = np.nan
    fusion = measure_fusion(small, full, [sentence()] * 3)
    np.testing.assert_allclose(fusion.fusion, 0, atol=1e-6)
    np.testing.assert_allclose(fusion.chance, 0, atol=1e-6)
    np.testing.assert_allclose(fusion.interval, 0, atol=1e-6)


def test_attention_that_only_grows_even_is_no_more_than_chance():
    full = [random_maps(6, seed=seed) for seed in range(20)]
    small = [0.3 * maps + 0.7 / SIZE for maps in full]
    for maps in small:
        maps[0, 3:] = np.nan
    fusion = measure_fusion(small, full, [sentence()] * 20)
    assert fusion.mean > 0.1
    assert fusion.mean == pytest.approx(fusion.chance_mean, abs=0.03)
    assert fusion.interval[0] < fusion.above_chance < fusion.interval[1]
    assert fusion.interval[1] - fusion.interval[0] < 0.05


@pytest.fixture
def tokenizer(tiny_tokenizer_folder):
    return AutoTokenizer.from_pretrained(tiny_tokenizer_folder)


def test_links_become_tokens(tokenizer):
    text = "The cat likes the dogs."
    link = Link(kind="verb-object", head=(8, 13), dependent=(18, 22))
    (found,) = read_sentences(tokenizer, [text], [[link]], max_tokens=40)
    tokens = tokenizer.convert_ids_to_tokens(found.input_ids)
    assert tokens == ["[CLS]", "the", "cat", "likes", "the", "dog", "##s", ".", "[SEP]"]
    assert found.links == (TokenLink(kind="verb-object", head=(3,), dependent=(5, 6)),)
    assert np.flatnonzero(found.punctuation).tolist() == [7]
    assert np.flatnonzero(found.special).tolist() == [0, 8]
    with pytest.raises(UserError, match="may have 8 tokens here, one has 9"):
        read_sentences(tokenizer, [text], max_tokens=8)
    with pytest.raises(UserError, match="none that is empty"):
        read_sentences(tokenizer, ["a cat", " "], max_tokens=8)


def test_the_teaching_sentences_show_every_kind_of_link(tokenizer):
    sentences = teaching_sentences(tokenizer, 60)
    assert len(teaching_sentences(tokenizer, 10_000, max_tokens=20)) < 100
    with pytest.raises(UserError, match="at most 5 tokens"):
        teaching_sentences(tokenizer, max_tokens=5)
    assert len({sentence.text for sentence in sentences}) == 60
    kinds = {link.kind for sentence in sentences for link in sentence.links}
    assert len(kinds) == 4
    assert [s.text for s in teaching_sentences(tokenizer, 60)] == [s.text for s in sentences]


def test_attention_of_many_is_that_of_each_in_the_heads_original_places(tokenizer):
    model = DynaBertForSequenceClassification.from_hf(make_hf(vocab_size=200, dtype=torch.float32))
    sentences = read_sentences(tokenizer, ["a cat sat.", "the dog ran on the mat"], max_tokens=40)
    before = attention_of(model, sentences, Subnet())
    importance = Importance(torch.rand(4, 6), torch.rand(4, 60))
    rewire_(model, importance)
    after = attention_of(model, sentences, Subnet())
    for one, other, read in zip(before, after, sentences, strict=True):
        assert one.shape == (4, 6, len(read), len(read))
        np.testing.assert_allclose(one, other, atol=1e-6)
    half = attention_of(model, sentences, Subnet(0.5, 0.5))
    kept = ~np.isnan(half[0][:, :, 0, 0])
    assert kept.sum(1).tolist() in ([0, 3, 0, 3], [3, 0, 0, 3])
    layer = int(np.flatnonzero(kept.any(1))[0])
    assert set(np.flatnonzero(kept[layer])) == set(
        importance.heads[layer].argsort(descending=True)[:3].tolist()
    )


@pytest.mark.parametrize("longest", range(2, 40))
def test_bytes_of_one_character_and_lone_spaces_do_not_make_it_longer(tmp_path, longest):
    tokenizer = roberta_tokenizer(tmp_path)
    text = "the  é the   🙂 the 猫 th  e"
    whole = tokenizer(text)["input_ids"]
    short, num_cut = cut_to_fit(tokenizer, text, longest)
    left = len(tokenizer(short)["input_ids"])
    assert left <= longest
    assert num_cut == len(whole) - left
    assert text.startswith(short)
    # No more is cut than must be: with the next character it would not fit.
    if num_cut:
        rest = text[len(short) :]
        more = len(rest) - len(rest.lstrip(" ")) + 1
        assert len(tokenizer(text[: len(short) + more])["input_ids"]) > longest


@pytest.mark.parametrize("longest", [3, 5, 8, 100])
def test_a_sentence_is_cut_to_the_tokens_that_fit(tiny_tokenizer_folder, longest):
    tokenizer = AutoTokenizer.from_pretrained(tiny_tokenizer_folder)
    text = "the cat is a good dog , the end ."
    whole = tokenizer(text)["input_ids"]
    short, num_cut = cut_to_fit(tokenizer, text, longest)
    assert num_cut == max(0, len(whole) - longest)
    assert text.startswith(short)
    assert tokenizer(short)["input_ids"][:-1] == whole[: len(whole) - num_cut - 1]
