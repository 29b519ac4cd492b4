"""`egret eval`: perplexity of texts and token files, against the reference model's logits."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pynq", reason="the virtual board is a pynq device")

from egret.checkpoint import Checkpoint
from egret.cli import main
from egret.commands.eval import _writing
from egret.image.packer import pack
from egret.profiles import BOARDS
from egret.reference.model import ReferenceModel
from host.tests.support.small_network import small_checkpoint

SEED = 61
BUILD = BOARDS["pynq-z2"].build
BOARD = "virtual:csim"
WORDS = ["<eos>", "<unk>", "N", "the", "company", "says", *(f"w{i}" for i in range(60))]


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return small_checkpoint(WORDS, BUILD, SEED)


@pytest.fixture(scope="module")
def folder(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("eval")
    checkpoint.save(path / "model.npz")
    pack(checkpoint, BUILD).save(path / "model.egret")
    tokens = np.random.default_rng(SEED).integers(0, len(WORDS), size=50, dtype=np.int64)
    np.save(path / "tokens.npy", tokens.astype(np.int32))
    np.save(path / "outside.npy", np.array([1, len(WORDS)], dtype=np.int32))
    np.save(path / "floats.npy", np.array([1.0, 2.0], dtype=np.float64))
    np.save(path / "one.npy", np.array([1], dtype=np.int32))
    (path / "broken.npy").write_bytes(b"no numbers")
    return path


def expected_perplexity(checkpoint: Checkpoint, tokens: np.ndarray) -> float:
    logits = ReferenceModel(checkpoint).run(tokens, logits=True).logits
    assert logits is not None
    scores = logits[:-1] / 2048.0
    chosen = scores[np.arange(tokens.size - 1), tokens[1:]]
    return float(np.exp((np.log(np.exp(scores).sum(axis=1)) - chosen).mean()))


@pytest.mark.parametrize("model", ["model.npz", "model.egret"])
@pytest.mark.parametrize(("options", "count"), [([], 50), (["--tokens", "17", "--chunk", "5"], 17)])
def test_a_token_file_has_the_reference_models_perplexity(
    checkpoint: Checkpoint,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    model: str,
    options: list[str],
    count: int,
) -> None:
    files = [str(folder / model), str(folder / "tokens.npy")]
    assert main(["eval", *files, "--board", BOARD, "--json", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    tokens = np.load(folder / "tokens.npy")[:count]
    assert found["perplexity"] == pytest.approx(expected_perplexity(checkpoint, tokens))
    assert (found["tokens"], found["predicted"]) == (count, count - 1)
    trace = ReferenceModel(checkpoint).run(tokens)
    assert found["right"] == np.count_nonzero(trace.argmax[:-1] == tokens[1:])
    assert found["account"]["macs"] == trace.macs.sum()
    assert found["events_per_token"] == pytest.approx(trace.event_counts().mean(axis=1).tolist())
    assert found["cycles_per_token"] is None  # this board has no clock


def test_a_text_from_standard_input_is_printed_and_checked(
    checkpoint: Checkpoint, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("the company says N\nthe w3 xyzzy\n"))
    assert main(["eval", str(folder / "model.npz"), "-", "--board", BOARD, "--check"]) == 0
    out = capsys.readouterr().out
    tokens = np.array([3, 4, 5, 2, 0, 3, 9, 1, 0])
    assert f"perplexity  {expected_perplexity(checkpoint, tokens):.2f} over 8 predicted tokens\n" in out
    assert "every logit, event count and MAC of 9 tokens" in out
    # 66 words are 5 groups of 8 decoder lanes in each of 2 engines: 160 bytes, in whole 64.
    assert "logits      384 bytes per token written: 'egret run --text' writes none\n" in out
    # With all 10 000 words: 20 032 bytes an engine, at 92 % of 2.1 GB/s and 125 MHz.
    assert "40,064 bytes per token written, 2,592 cycles" in _writing(40_064, BOARDS["pynq-z2"], clocked=True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["model.npz", "missing.npy"], "missing.npy"),
        (["model.npz", "missing.txt"], "missing.txt"),
        (["model.npz", "outside.npy"], f"token {len(WORDS)} at position 1"),
        (["model.npz", "floats.npy"], "integers"),
        (["model.npz", "broken.npy"], "no NumPy file"),
        (["model.npz", "one.npy"], "takes two"),
        (["model.egret", "tokens.npy", "--check"], "checkpoint"),
        (["model.npz", "tokens.npy", "--board", "kite"], "virtual:csim"),
    ],
)
def test_wrong_input_ends_with_2_and_a_sentence(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(folder)
    assert main(["eval", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert said in captured.err
