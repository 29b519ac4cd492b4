"""Reading texts: from a folder, zip or file, with a vocabulary limit, and with clear refusals."""

from __future__ import annotations

import os
import zipfile

import pytest
import torch

from egret.errors import EgretError
from egret_training import data

TEXTS = {"train": " the cat sat \n the dog sat \n", "valid": " the dog \n", "test": " cat \n"}


def write(folder, texts):
    for split, text in texts.items():
        (folder / f"ptb.{split}.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("inside", ["", "simple-examples/data/"])
def test_folder_and_zip_give_the_same_corpus(tmp_path, inside):
    folder = write(tmp_path, TEXTS)
    archive = tmp_path / "ptb.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for split in TEXTS:
            file.write(folder / f"ptb.{split}.txt", f"{inside}ptb.{split}.txt")
    for corpus in (data.load_corpus(folder), data.load_corpus(archive)):
        assert corpus.vocabulary == ["the", "sat", "<eos>", "cat", "dog"]
        assert [corpus.vocabulary[i] for i in corpus.train] == "the cat sat <eos> the dog sat <eos>".split()
        assert [corpus.vocabulary[i] for i in corpus.test] == ["cat", "<eos>"]
        assert corpus.log_frequencies().exp().sum().item() == pytest.approx(1)


def test_refusals_name_what_is_wrong_and_where_to_get_the_data(tmp_path):
    with pytest.raises(EgretError, match="no folder, zip or text at .*Linguistic Data Consortium"):
        data.load_corpus(tmp_path / "missing")
    folder = write(tmp_path, {"train": TEXTS["train"]})
    with pytest.raises(EgretError, match=r"lacks valid\.txt"):
        data.load_corpus(folder)
    with pytest.raises(EgretError, match="holds the word 'bird'"):
        data.load_corpus(write(tmp_path, {**TEXTS, "valid": "the bird\n"}))
    with pytest.raises(EgretError, match="empty"):
        data.load_corpus(write(tmp_path, {**TEXTS, "test": ""}))
    write(tmp_path, TEXTS)
    (tmp_path / "ptb.test.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(EgretError, match="UTF-8"):
        data.load_corpus(tmp_path)


def test_a_vocabulary_limit_keeps_the_most_frequent_words(tmp_path):
    folder = write(tmp_path, {**TEXTS, "train": "a a a b b c d\n<unk> e\n", "valid": "b zebra\n"})
    corpus = data.load_corpus(folder, 4)
    # c, d, e and <unk> itself: four tokens, more than any other word has.
    assert corpus.vocabulary == ["<unk>", "a", "b", "<eos>"]
    assert [
        corpus.vocabulary[i] for i in corpus.train
    ] == "a a a b b <unk> <unk> <eos> <unk> <unk> <eos>".split()
    assert [corpus.vocabulary[i] for i in corpus.valid] == ["b", "<unk>", "<eos>"]
    assert corpus.log_frequencies().argmax() == 0


def test_one_text_file_is_cut_into_the_three(tmp_path):
    path = tmp_path / "story.txt"
    path.write_text("".join(f"line {i}\n" for i in range(40)))
    corpus = data.load_corpus(path, 30)
    assert corpus.name == "story" and len(corpus.vocabulary) == 30
    lengths = [getattr(corpus, split).numel() for split in data.SPLITS]
    assert lengths == [36 * 3, 2 * 3, 2 * 3]
    with pytest.raises(EgretError, match="'36', which train lacks. Set `vocabulary`"):
        data.load_corpus(path)


def test_windows_cover_a_stream_once_and_targets_are_the_next_words():
    parallel = data.streams(torch.arange(103), 4)
    assert parallel.shape == (25, 4)
    pairs = list(data.windows(parallel, 7, start=3))
    inputs, targets = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    assert torch.equal(inputs, parallel[3:-1]) and torch.equal(targets, parallel[4:])
    with pytest.raises(EgretError, match="too few"):
        data.streams(torch.arange(7), 4)


def test_the_penn_treebank_has_its_published_sizes():
    source = os.environ.get("EGRET_PTB")
    if not source:
        pytest.skip("set EGRET_PTB to a folder or zip of the Penn Treebank to check its sizes")
    corpus = data.load_corpus(source)
    sizes = [len(corpus.vocabulary), *(getattr(corpus, split).numel() for split in data.SPLITS)]
    assert sizes == [10_000, 929_589, 73_760, 82_430]
