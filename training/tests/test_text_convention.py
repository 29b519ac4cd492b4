"""A model's perplexity on a text is one number, whoever measures it: training and board cut it alike."""

from __future__ import annotations

import dataclasses
import os
from types import SimpleNamespace

import numpy as np
import pytest

from egret.account.text_score import TextScore
from egret.image.model_file import vocabulary_of
from egret.reference.model import ReferenceModel
from egret.synthetic.calibrated import random_checkpoint
from egret.text.vocabulary import METADATA_KEY, TextConvention
from egret_training import data
from egret_training.evaluation import evaluate_reference, renumber

SEED = 5
PROSE = "The cat sat.\n\n The dog, too:\n\ufeff\nno <unk> here\n" * 8
WIKI = " = Title = \n \n the first paragraph , \n \n \n the second \n" * 8


def files(folder, text, encoding="utf-8"):
    for split in data.SPLITS:
        (folder / f"{split}.txt").write_text(text, encoding=encoding)
    return folder


def treebank(folder):
    """The beginning of each text of the Penn Treebank."""
    source = os.environ.get("EGRET_PTB")
    if not source:
        pytest.skip("set EGRET_PTB to a folder or zip of the Penn Treebank to compare on it")
    for split, text in data._read_texts(data.Path(source)).items():
        lines = text.splitlines(keepends=True)[:400]
        (folder / f"{split}.txt").write_text("".join(lines), encoding="utf-8")
    return folder


CASES = {
    "penn treebank": (treebank, None, TextConvention(prompts="penn-treebank")),
    "penn treebank, 200 words": (treebank, 200, TextConvention(prompts="penn-treebank")),
    "blank lines": (lambda folder: files(folder, WIKI), None, TextConvention()),
    "no blank lines": (lambda folder: files(folder, WIKI), 6, TextConvention(blank_lines=False)),
    "prose": (
        lambda folder: files(folder, PROSE),
        5,
        TextConvention(lower_case=True, punctuation="apart"),
    ),
    "characters": (lambda folder: files(folder, PROSE), None, TextConvention(unit="character")),
    "byte order mark": (lambda folder: files(folder, WIKI, "utf-8-sig"), 9, TextConvention()),
}


@pytest.mark.parametrize("name", CASES)
def test_training_and_board_cut_and_score_a_text_alike(name, tmp_path):
    source, words, convention = CASES[name]
    corpus = data.load_corpus(source(tmp_path), words, convention)
    drawn = random_checkpoint(
        layers=[8], embedding=6, vocabulary=len(corpus.vocabulary), sparsity=0.5, activity=0.3, seed=SEED
    )
    checkpoint = dataclasses.replace(
        drawn, vocabulary=corpus.vocabulary, metadata={METADATA_KEY: convention.as_metadata()}
    )
    # What training counted, what `evaluate` runs, what `egret eval` and `run --text` run.
    text = (tmp_path / "test.txt").read_text(encoding="utf-8")
    tokens = vocabulary_of(checkpoint).encode_text(text)
    np.testing.assert_array_equal(tokens, corpus.test)
    np.testing.assert_array_equal(tokens, renumber(corpus, checkpoint.vocabulary, "test", convention))

    score, model = TextScore(tokens), ReferenceModel(checkpoint)
    for first in range(0, len(tokens), 7):
        trace = model.run(tokens[first : first + 7], logits=True)
        score.take(Part(trace.argmax, trace.logits))  # type: ignore[arg-type]
    measured = evaluate_reference(checkpoint, renumber(corpus, checkpoint.vocabulary, "test", convention))
    assert score.perplexity == measured.perplexity, "to the last digit"
    assert score.predicted == measured.tokens


class Part(SimpleNamespace):
    """What a score reads of a run."""

    def __init__(self, argmax, logits):
        super().__init__(argmax=argmax, logits=logits)

    def __len__(self):
        return len(self.argmax)


def test_a_limited_vocabulary_always_has_a_word_for_unknown_ones(tmp_path):
    corpus = data.load_corpus(files(tmp_path, "a b a\n"), 100)
    assert "<unk>" in corpus.vocabulary and len(corpus.vocabulary) == 4


def test_a_text_of_one_line_is_split(tmp_path):
    path = tmp_path / "line.txt"
    path.write_text("word " * 100)
    corpus = data.load_corpus(path)
    assert [getattr(corpus, split).numel() for split in data.SPLITS] == [91, 6, 6]
