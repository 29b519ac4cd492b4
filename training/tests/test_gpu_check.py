"""The check of a GPU: what passes and what it must find, on networks of a few neurons and a processor."""

from __future__ import annotations

import pytest
import torch

from egret_training import cli
from egret_training.benchmark import Size
from egret_training.execution import Execution
from egret_training.gpu_check import check_training
from training.tests.recorder import Recorder

TINY = Size(8, (12, 8), streams=3, window=5, vocabulary=40)


class Frozen(Recorder):
    """A recorder whose replays compute nothing: what is scheduled or drawn anew does not show."""

    def __call__(self, compute):
        return super().__call__(compute)[0], lambda: None


class Wrong(Recorder):
    """A recorder whose replays spoil the last gradient."""

    def __call__(self, compute):
        results, replay = super().__call__(compute)

        def spoiled():
            replay()
            results[-1].add_(1.0)

        return results, spoiled


def failed(recorder, monkeypatch):
    monkeypatch.setattr("egret_training.gpu_check.VALID_TOKENS", 600)
    found = list(check_training(TINY, Execution(product_type=torch.float32, record=recorder), 1))
    assert [check.what for check in found[-4:]] == [
        "a window with its update, recorded",
        "validation",
        "saving",
        "an epoch of the Penn Treebank",
    ]
    return {check.what for check in found if not check.passed}


def test_what_records_as_it_should_passes(monkeypatch):
    assert failed(Recorder(), monkeypatch) == set()


def test_replays_that_are_frozen_or_wrong_are_found(monkeypatch):
    assert failed(Frozen(), monkeypatch) == {
        "replays draw their dropout anew",
        "replays follow the scheduled hardness",
    }
    assert failed(Wrong(), monkeypatch) == {
        "recorded windows against plain ones, integers",
        "recorded windows against plain ones, floating point",
    }


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, so there is nothing to refuse")
def test_without_a_gpu_the_check_says_so(capsys):
    assert cli.main(["check-gpu"]) == 2
    assert "finds no GPU" in capsys.readouterr().err
