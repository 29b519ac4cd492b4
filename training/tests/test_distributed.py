"""Two processes under torchrun train as one does."""

from __future__ import annotations

import csv
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from egret.errors import EgretError
from egret.installation import CHECKOUT
from egret_training import train
from egret_training.data import load_corpus
from egret_training.distributed import Group
from egret_training.recipe import load_recipe

RECIPE = """
name = "tiny"
streams = 4
window = 50
evaluation_streams = 4
[model]
embedding = 12
layers = [20, 12]
tied = true
[[phases]]
name = "dense"
epochs = 2
learning_rate = 1e-2
"""


def test_two_processes_have_the_losses_of_one(tmp_path):
    (tmp_path / "tiny.toml").write_text(RECIPE)
    random = np.random.default_rng(3)
    follower = random.permutation(20)
    word, words = 0, []
    for _ in range(1600):
        word = int(follower[word]) if random.random() < 0.9 else int(random.integers(20))
        words.append(f"w{word}")
    text = tmp_path / "text.txt"
    text.write_text("\n".join(" ".join(words[i : i + 8]) for i in range(0, 1600, 8)))
    command_line = ["-m", "egret_training", "train", "tiny.toml", "--no-board"]
    command_line += ["--data", "text.txt", "--into"]
    roots = [str(CHECKOUT / folder) for folder in ("host", "training")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(roots), "OMP_NUM_THREADS": "1"}
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for command in ([*command_line, "one"], [*launch, *command_line, "two"]):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    logs = [list(csv.DictReader((tmp_path / run / "log.csv").open())) for run in ("one", "two")]
    for kind in ("train_perplexity", "valid_perplexity"):
        found = [[float(row[kind]) for row in log] for log in logs]
        # (Products in bfloat16 are rounded differently with other numbers of streams.)
        assert found[0] == pytest.approx(found[1], rel=0.003), kind
    start, one, two = (
        torch.cat([value.flatten() for value in model.values()])
        for model in (
            train.Trainer(
                load_recipe(tmp_path / "tiny.toml"), load_corpus(text), tmp_path / "new"
            ).model.state_dict(),
            *(torch.load(tmp_path / run / "dense.pt", weights_only=True)["model"] for run in ("one", "two")),
        )
    )
    # With the gradient of half of the streams alone, it is as far as it has come.
    assert float((one - two).norm() / (one - start).norm()) < 0.15


def test_streams_that_do_not_divide_are_refused(monkeypatch):
    group = Group()
    group.size = 3
    with pytest.raises(EgretError, match="4 streams do not divide among 3 processes"):
        group.share(torch.zeros(10, 4))
