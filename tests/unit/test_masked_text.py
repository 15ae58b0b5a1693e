"""Text cut into rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import WORDS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from dynabert.backbones import load_tokenizer
from dynabert.data import masked_text
from dynabert.data.masked_text import Masking, read_text, text_fingerprint
from dynabert.errors import UserError

PLAIN = [word for word in WORDS if word.isalpha()]
LINES = st.lists(
    st.lists(st.sampled_from(PLAIN), max_size=12).map(" ".join), min_size=1, max_size=8
).filter(lambda lines: any(lines))


@given(lines=LINES, max_tokens=st.integers(3, 12))
@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_rows_hold_all_words_in_order(
    tiny_tokenizer_folder: Path, tmp_path: Path, lines: list[str], max_tokens: int
) -> None:
    tokenizer = load_tokenizer(str(tiny_tokenizer_folder))
    path = tmp_path / "text.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    rows = [row.tolist() for row in read_text([path], tokenizer, max_tokens=max_tokens)]
    assert all(3 <= len(row) <= max_tokens for row in rows)
    assert all((row[0], row[-1]) == (2, 3) for row in rows)  # [CLS] ... [SEP]
    inside = [token for row in rows for token in row[1:-1]]
    assert inside == tokenizer(" ".join(lines), add_special_tokens=False)["input_ids"]
    # Whole lines stay together where they fit: a row that ends within one is full.
    ends, place = set(), 0
    for line in lines:
        place += len(line.split())
        ends.add(place)
    place = 0
    for row in rows:
        place += len(row) - 2
        assert place in ends or len(row) == max_tokens


def test_a_robertas_rows_have_its_frame(
    tiny_roberta_tokenizer_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text("the cat sees a bird\n", encoding="utf-8")
    tokenizer = load_tokenizer(str(tiny_roberta_tokenizer_folder))
    (row,) = read_text([tmp_path / "text.txt"], tokenizer, max_tokens=20)
    marked = tmp_path / "marked.txt"
    marked.write_text("\ufeff" + (tmp_path / "text.txt").read_text("utf-8"), "utf-8")
    (same,) = read_text([marked], tokenizer, max_tokens=20)
    assert same.tolist() == row.tolist()
    assert row.tolist() == tokenizer("the cat sees a bird")["input_ids"]


def test_a_folder_stands_for_its_text_files(tiny_tokenizer_folder: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_tokenizer_folder))
    (tmp_path / "b.txt").write_text("dog\n\n", encoding="utf-8")
    (tmp_path / "a.txt").write_text("cat\n", encoding="utf-8")
    (tmp_path / "c.md").write_text("bird\n", encoding="utf-8")
    told: list[tuple[int, int]] = []
    rows = read_text([tmp_path], tokenizer, max_tokens=8, on_read=lambda *parts: told.append(parts))
    cat, dog = (tokenizer(word)["input_ids"] for word in ("cat", "dog"))
    assert [row.tolist() for row in rows] == [cat, dog]
    assert told == [(3, 9), (6, 9)]
    both = [tmp_path / "a.txt", tmp_path / "b.txt"]
    assert text_fingerprint([tmp_path]) == text_fingerprint(both)
    assert text_fingerprint(both[::-1]) != text_fingerprint(both)


def test_rows_in_which_nothing_could_be_asked_are_left_out(
    tiny_tokenizer_folder: Path, tmp_path: Path
) -> None:
    tokenizer = load_tokenizer(str(tiny_tokenizer_folder))
    (tmp_path / "a.txt").write_text("☃\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("cat\n", encoding="utf-8")
    assert len(read_text([tmp_path], tokenizer, max_tokens=8)) == 1


@pytest.mark.parametrize(
    ("content", "max_tokens", "said"),
    [
        (b"", 8, "there is no text in"),
        (b"\n \n", 8, "there is no text in"),
        (b"\xff\xfe\x00", 8, "is not UTF-8 text"),
        (b"cat", 2, "must leave room for text, got 2"),
        (None, 8, "is no text file, nor a folder with .txt files"),
    ],
)
def test_bad_text_is_one_sentence(
    tiny_tokenizer_folder: Path,
    tmp_path: Path,
    content: bytes | None,
    max_tokens: int,
    said: str,
) -> None:
    tokenizer = load_tokenizer(str(tiny_tokenizer_folder))
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=said):
        read_text([path], tokenizer, max_tokens=max_tokens)


def test_masking_needs_a_mask_token(tiny_tokenizer_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_tokenizer_folder)
    masking = Masking.of(tokenizer)
    assert masking.mask_token_id == tokenizer.convert_tokens_to_ids("[MASK]")
    special = set(tokenizer.all_special_ids)
    assert special.isdisjoint(masking.ordinary_ids.tolist())
    assert len(masking.ordinary_ids) == len(tokenizer) - len(special)
    tokenizer.mask_token = None
    with pytest.raises(UserError, match="knows no mask token"):
        Masking.of(tokenizer)


def test_a_file_without_line_ends_is_cut_at_spaces(
    tiny_tokenizer_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masked_text, "LONGEST_LINE", 20)
    monkeypatch.setattr(masked_text, "CHARACTERS_AT_ONCE", 30)
    tokenizer = load_tokenizer(str(tiny_tokenizer_folder))
    words = [PLAIN[place % len(PLAIN)] for place in range(50)]
    (tmp_path / "a.txt").write_text(" ".join(words), encoding="utf-8")
    (tmp_path / "b.txt").mkdir()  # a folder, whatever it is called
    told: list[int] = []
    rows = read_text(
        [tmp_path], tokenizer, max_tokens=9, on_read=lambda done, total: told.append(done)
    )
    inside = [token for row in rows for token in row[1:-1]]
    assert inside == tokenizer(" ".join(words), add_special_tokens=False)["input_ids"]
    assert len(told) > 3
    (tmp_path / "a.txt").write_text("cat" * 30, encoding="utf-8")  # nowhere a space
    assert sum(len(row) - 2 for row in read_text([tmp_path], tokenizer, max_tokens=9)) >= 5
