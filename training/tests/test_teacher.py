"""Soft targets: stored, read back for any cut of the text, and learned from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from egret.errors import EgretError
from egret_training import cli, data
from egret_training.data import load_corpus
from egret_training.loss import SampledCrossEntropy, decoder_cross_entropy
from egret_training.model_file import load_model
from egret_training.teacher import HEADER_BYTES, STREAMS, Teacher, record_type
from training.tests.tiny_run import RECIPE, write_text

SHORT = RECIPE[: RECIPE.index('[[phases]]\nname = "pruned"')].replace("epochs = 4", "epochs = 1")


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A text, a run of a tiny recipe, and what its model expects."""
    folder = write_text(tmp_path_factory.mktemp("taught"), 60)
    (folder / "tiny.toml").write_text(SHORT)
    data_of = ["--data", str(folder)]
    train = ["train", "--no-board", str(folder / "tiny.toml"), *data_of, "--run", str(folder / "run")]
    assert cli.main(train) == 0
    soft = str(folder / "soft")
    assert cli.main(["teach", str(folder / "run" / "dense.pt"), soft, *data_of, "--words", "5"]) == 0
    return folder


def opened(folder, weight=1.0, streams=4):
    device = torch.device("cpu")
    return Teacher(folder / "soft", load_corpus(folder), streams, 0, streams, weight, device)


def test_a_teachers_probabilities_are_those_of_its_model_wherever_the_text_is_cut(taught):
    corpus = load_corpus(taught)
    model, _ = load_model(taught / "run" / "dense.pt")
    rows = -(-corpus.train.numel() // STREAMS)
    assert (taught / "soft").stat().st_size == HEADER_BYTES + (corpus.train.numel() - 1) * 4 * 5
    stream = corpus.train[rows : 2 * rows]  # the second of the streams that the teacher ran
    outputs, _ = model.hidden(stream[:, None], model.initial_state(1), torch.float32)
    weights, bias = model.decoder()
    expected = (outputs[-1][:, 0] @ weights.t() + bias).softmax(1)
    records = np.memmap(taught / "soft", record_type(31, 5), "r", HEADER_BYTES)[rows : 2 * rows]
    words = torch.from_numpy(records["words"].astype(np.int64))
    torch.testing.assert_close(
        torch.from_numpy(records["shares"].astype(np.float32)),
        expected.gather(1, words),
        rtol=3e-2,
        atol=1e-3,
    )
    teacher, parallel = opened(taught, 0.25), data.streams(corpus.train, 4)
    words, shares = teacher.window(7, 9)
    torch.testing.assert_close(shares.sum(-1), torch.full((9, 4), 0.25))
    every = np.memmap(taught / "soft", record_type(31, 5), "r", HEADER_BYTES)
    for each in range(4):
        place = each * len(parallel) + 7 + 3
        assert corpus.train[place] == parallel[10, each]
        assert words[3, each].tolist() == every[place]["words"].tolist()


def test_a_run_learns_from_a_teacher_and_refuses_what_is_none(taught, tmp_path, capsys):
    text = SHORT.replace("average_from = 0.8", 'average_from = 0.8\ndistill = { targets = "../soft" }')
    (taught / "student.toml").write_text(text)
    arguments = ["--no-board", str(taught / "student.toml"), "--data", str(taught)]
    assert cli.main(["train", *arguments, "--run", str(taught / "student")]) == 0
    student, plain = (load_model(taught / run / "dense.pt")[0] for run in ("student", "run"))
    assert not torch.equal(student.embedding, plain.embedding)
    for content, said in (
        (b"", "holds no soft targets"),
        (None, "cut short"),
        (b"{}", "holds no soft targets"),
    ):
        broken = tmp_path / "soft"
        broken.write_bytes((taught / "soft").read_bytes()[:-1] if content is None else content)
        (tmp_path / "run").mkdir(exist_ok=True)
        assert cli.main(["train", *arguments, "--run", str(tmp_path / "run")]) == 2
        assert said in capsys.readouterr().err
    (taught / "other").mkdir()
    write_text(taught / "other", 61)
    with pytest.raises(EgretError, match="another text"):
        Teacher(taught / "soft", load_corpus(taught / "other"), 4, 0, 4, 1.0, torch.device("cpu"))
    teach = ["teach", str(taught / "run" / "dense.pt"), str(tmp_path / "none")]
    assert cli.main([*teach, "--data", str(taught), "--words", "32"]) == 2
    assert "between 1 and 31" in capsys.readouterr().err and not (tmp_path / "none").exists()


@pytest.mark.parametrize("sampled", [False, True])
def test_soft_targets_have_the_gradient_of_the_mixed_cross_entropy(sampled):
    torch.manual_seed(3)
    rows, words, k = 150, 40, 6
    hidden = torch.randn(rows, 7, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(words, 7, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(words, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(words, (rows,))
    likely = torch.rand(rows, words).argsort(1)[:, :k]
    shares = torch.rand(rows, k, dtype=torch.float64)
    shares *= 0.6 / shares.sum(1, keepdim=True)
    assert (likely == targets[:, None]).any(), "the test needs a target that the teacher expects too"
    mixed = torch.zeros(rows, words, dtype=torch.float64)
    correction = torch.zeros(rows, words, dtype=torch.float64)
    if sampled:
        head, tail = 10, torch.tensor([12, 17, 25, 39])
        counts = torch.zeros(rows, words, dtype=torch.bool)
        counts[:, :head] = counts[:, tail] = True
        correction[:, tail] = np.log((words - head) / len(tail))
        # (The target counts as itself, without a correction.)
        correction[torch.arange(rows), targets] = 0.0
        correction[~counts.scatter(1, targets[:, None], True)] = -torch.inf
        shares = shares * counts.gather(1, likely)
        found = SampledCrossEntropy.apply(
            hidden, weights, bias, targets, head, tail, torch.float64, (likely, shares)
        )
    else:
        found = decoder_cross_entropy(
            hidden[:, None],
            weights,
            bias,
            targets[:, None],
            torch.float64,
            (likely[:, None], shares[:, None]),
        )
    mixed.scatter_add_(1, likely, shares)
    mixed.scatter_add_(1, targets[:, None], 1 - shares.sum(1, keepdim=True))
    log_p = (hidden @ weights.t() + bias + correction).log_softmax(1)
    expected = -(mixed * log_p.masked_fill(mixed == 0, 0.0)).sum() / rows
    torch.testing.assert_close(found, torch.nn.functional.nll_loss(log_p, targets))
    variables = (hidden, weights, bias)
    for a, b in zip(
        torch.autograd.grad(found, variables), torch.autograd.grad(expected, variables), strict=True
    ):
        torch.testing.assert_close(a, b)
