"""Text becomes the tokens that the Penn Treebank's conventions say, and comes back."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from egret.errors import EgretError
from egret.text.vocabulary import END, TextConvention, Vocabulary, read_tokens
from host.tests.support.penn_treebank import read_treebank

WORDS = [
    "<eos>",
    "<unk>",
    "N",
    "the",
    "company",
    "'s",
    "n't",
    "do",
    "mr.",
    "u.s.",
    "shares",
    "$",
    "million",
    "says",
    "it",
    "'",
    "1980s",
    "10-year",
    "no",
    ".",
]

TREEBANK = TextConvention(prompts="penn-treebank")


def words_of(text: str, words: list[str] = WORDS) -> list[str]:
    """The words of a prompt by the treebank's conventions, without the <eos> that it starts with."""
    return [words[token] for token in Vocabulary(words, TREEBANK).encode_prompt(text)][1:]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the company says", "the company says"),
        ("The COMPANY says", "the company says"),
        ("the company's shares", "the company 's shares"),
        ("the company’s shares", "the company 's shares"),
        ("it don't", "it do n't"),
        ("Mr. Smith", "mr. <unk>"),
        ("no, the U.S. says", "no the u.s. says"),
        ("shares (the company)", "shares the company"),
        ("$3.5 million", "$ N million"),
        ("1,234.5 12% -7 .5", "N N N N"),
        ("10-year 1980s", "10-year 1980s"),
        ("'the' - company!", "the company"),
        ("xyzzy's", "<unk> 's"),
        ("the\n\ncompany\n", "the company"),
        ("N <unk> .", "N <unk> ."),
        ("", ""),
    ],
)
def test_a_prompt_follows_the_treebank_conventions(text: str, expected: str) -> None:
    assert words_of(text) == expected.split()


def test_a_prompt_starts_after_the_line_before_and_does_not_end() -> None:
    vocabulary = Vocabulary(WORDS, TREEBANK)
    tokens = vocabulary.encode_prompt("The company")
    assert tokens.dtype == np.uint32
    assert [WORDS[token] for token in tokens] == ["<eos>", "the", "company"]


def test_decoding_breaks_lines_at_end_of_sentence() -> None:
    vocabulary = Vocabulary(WORDS)
    assert vocabulary.decode(vocabulary.encode_text("the company\nit says")) == "the company\nit says\n"


def test_an_unknown_word_without_a_word_for_it_is_an_error() -> None:
    with pytest.raises(EgretError, match="xyzzy"):
        Vocabulary(["<eos>", "the"]).encode_text("xyzzy")


def test_a_vocabulary_without_end_of_sentence_is_an_error() -> None:
    with pytest.raises(EgretError, match="<eos>"):
        Vocabulary(["the", "company"])


def penn_treebank(name: str) -> str:
    """Return the text of one file of the Penn Treebank named by EGRET_PTB, or skip the test."""
    if not os.environ.get("EGRET_PTB"):
        pytest.skip("EGRET_PTB does not name a folder or zip of the Penn Treebank")
    return read_treebank(name)


def test_the_treebank_itself_maps_to_itself() -> None:
    vocabulary = Vocabulary(sorted({"<eos>", *penn_treebank("ptb.train.txt").split()}))
    text = penn_treebank("ptb.test.txt")
    expected = [word for line in text.splitlines() for word in [*line.split(), "<eos>"]]
    tokens = vocabulary.encode_text(text)
    assert len(tokens) == 82430
    assert [vocabulary.words[token] for token in tokens] == expected


def units(text: str, **convention: object) -> list[str]:
    return TextConvention(**convention).units(text)  # type: ignore[arg-type]


def test_a_text_is_cut_by_its_convention() -> None:
    text = "The cat,\n\nsat (down).\n"
    assert units(text) == "The cat, <eos> <eos> sat (down). <eos>".split()
    assert units(text, blank_lines=False) == "The cat, <eos> sat (down). <eos>".split()
    assert units(text, lower_case=True)[:2] == ["the", "cat,"]
    apart = units(text, punctuation="apart", blank_lines=False)
    assert apart == "The cat , <eos> sat ( down ) . <eos>".split()
    assert units("a <unk> don't", punctuation="apart") == ["a", "<unk>", "don't", END]
    assert units("ab c\n", unit="character") == ["a", "b", " ", "c", END]


def test_characters_come_back_without_blanks_between_them() -> None:
    vocabulary = Vocabulary([END, *"abc "], TextConvention(unit="character"))
    assert vocabulary.decode(vocabulary.encode_text("ab c\nc")) == "ab c\nc\n"
    assert vocabulary.decode(vocabulary.encode_prompt("ab c")) == "\nab c"


def test_a_byte_order_mark_is_no_word() -> None:
    vocabulary = Vocabulary(["<eos>", "<unk>", "the"])
    assert vocabulary.encode_text("\ufeffthe").tolist() == [2, 0]
    assert vocabulary.encode_prompt("\ufeffthe").tolist() == [0, 2]


def test_unknown_words_are_counted() -> None:
    vocabulary = Vocabulary(["<eos>", "<unk>", "the"])
    assert vocabulary.count_unknown(vocabulary.encode_text("the cat sat")) == 2


@pytest.mark.parametrize(
    "piece", ["$" * 20_000, "." * 2_000_000, "it's" * 20_000, "'" * 20_000, "9" * 50_000]
)
def test_a_long_piece_of_anything_is_quick(piece: str) -> None:
    assert len(words_of(piece)) <= 1


def test_a_convention_that_is_none_is_refused() -> None:
    conventions: list[Any] = [{"unit": "syllable"}, {"unit": []}, {"lower_case": 1}, {"prompts": "French"}]
    for wrong in [*conventions, {"x": 1}, 7]:
        with pytest.raises(EgretError, match="text convention"):
            TextConvention.of_metadata({"text": wrong})
    assert TextConvention.of_metadata({}) == TextConvention()
    own = TextConvention(unit="character", blank_lines=False)
    assert TextConvention.of_metadata({"text": own.as_metadata()}) == own


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<u4',  ", b"no numbers at all"],
)
def test_a_broken_token_file_is_refused(tmp_path, content: bytes) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "tokens.npy"
    path.write_bytes(content)
    with pytest.raises(EgretError, match="no NumPy file of numbers"):
        read_tokens(str(path), 10)


def test_a_token_file_of_an_absurd_shape_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "tokens.npy"
    np.save(path, np.zeros(4, np.uint32))
    path.write_bytes(path.read_bytes().replace(b"(4,)", b"(9999999999999,)"))
    with pytest.raises(EgretError, match="no NumPy file of numbers"):
        read_tokens(str(path), 10)
