"""Text becomes the tokens that the Penn Treebank's conventions say, and comes back."""

from __future__ import annotations

import os

import numpy as np
import pytest
from penn_treebank import read_treebank

from egret.errors import EgretError
from egret.text import Vocabulary

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


def words_of(text: str, words: list[str] = WORDS) -> list[str]:
    return [words[token] for token in Vocabulary(words).encode_lines(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the company says", "the company says <eos>"),
        ("The COMPANY says", "the company says <eos>"),
        ("the company's shares", "the company 's shares <eos>"),
        ("the company’s shares", "the company 's shares <eos>"),
        ("it don't", "it do n't <eos>"),
        ("Mr. Smith", "mr. <unk> <eos>"),
        ("no, the U.S. says", "no the u.s. says <eos>"),
        ("shares (the company)", "shares the company <eos>"),
        ("$3.5 million", "$ N million <eos>"),
        ("1,234.5 12% -7 .5", "N N N N <eos>"),
        ("10-year 1980s", "10-year 1980s <eos>"),
        ("'the' - company!", "the company <eos>"),
        ("xyzzy's", "<unk> 's <eos>"),
        ("the\n\ncompany\n", "the <eos> company <eos>"),
        ("N <unk> .", "N <unk> . <eos>"),
        ("", ""),
    ],
)
def test_text_follows_the_treebank_conventions(text: str, expected: str) -> None:
    assert words_of(text) == expected.split()


def test_a_prompt_starts_after_the_line_before_and_does_not_end() -> None:
    vocabulary = Vocabulary(WORDS)
    tokens = vocabulary.encode_prompt("The company")
    assert tokens.dtype == np.uint32
    assert [WORDS[token] for token in tokens] == ["<eos>", "the", "company"]


def test_decoding_breaks_lines_at_end_of_sentence() -> None:
    vocabulary = Vocabulary(WORDS)
    assert vocabulary.decode(vocabulary.encode_lines("the company\nit says")) == "the company\nit says\n"


def test_an_unknown_word_without_a_word_for_it_is_an_error() -> None:
    with pytest.raises(EgretError, match="xyzzy"):
        Vocabulary(["<eos>", "the"]).encode_lines("xyzzy")


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
    expected = [word for line in text.splitlines() if line.strip() for word in [*line.split(), "<eos>"]]
    tokens = vocabulary.encode_lines(text)
    assert len(tokens) == 82430
    assert [vocabulary.words[token] for token in tokens] == expected
