"""What fits a board: docs/image.md's figures, each at its edge and one beyond, and the sentences for more."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from egret.checkpoint import Checkpoint
from egret.cli import main
from egret.errors import EgretError
from egret.image.limits import check_limits, check_memory, image_bytes, memory_limit, most_words, size_limits
from egret.image.packer import pack
from egret.installation import CHECKOUT as ROOT
from egret.profiles import BOARDS, Board, Build
from egret.synthetic.calibrated import random_checkpoint
from host.tests.support.small_network import small_checkpoint

PAGE = (ROOT / "docs" / "image.md").read_text(encoding="utf-8")
WHAT_FITS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.partition("## What fits")[2].splitlines()
    if line.startswith("|")
]
NAMES = [name.strip("`") for name in WHAT_FITS[0][1:]]
FIGURES = {row[0]: [int(cell.replace(",", "")) for cell in row[1:]] for row in WHAT_FITS[2:]}

NETWORKS = {
    "layers": lambda count: ([1] * count, 1),
    "words": lambda count: ([1], count),
    "neurons in layer 0": lambda count: ([count], 1),
    "neurons in all layers": lambda count: ([1000, 2000, count - 3000], 1),
    "neurons in layers 0, 2, 4, 6": lambda count: ([1000, 10, count - 1000], 1),
    "neurons in layers 1, 3, 5, 7": lambda count: ([10, count], 1),
}
"""Layers and words that need so much of a limit, and of no other as much."""


@pytest.mark.parametrize("board", range(len(NAMES)), ids=NAMES)
@pytest.mark.parametrize("row", [row for row in FIGURES if "memory" not in row and "POINTER" not in row])
def test_what_the_page_says_fits_and_one_more_does_not(row: str, board: int) -> None:
    what, parameter = re.fullmatch(r"(.+?)(?:, each rounded up)? \((.+)\)", row).groups()  # type: ignore[union-attr]
    most, build = FIGURES[row][board], BOARDS[NAMES[board]].build
    check_limits(*NETWORKS[what](most), build)
    with pytest.raises(EgretError, match=rf"where {most:,} fit \({re.escape(parameter)}\)"):
        check_limits(*NETWORKS[what](most + 1), build)


def test_the_page_has_every_limit_and_board() -> None:
    assert NAMES == list(BOARDS)
    parameters = [re.search(r"\((.+)\)", row)[1] for row in FIGURES]  # type: ignore[index]
    assert parameters[:7] == [limit.parameter for limit in size_limits([1, 1], 1, Build())]
    assert len(parameters) == 10 and set(parameters[7:]) == {"memory"}


def test_neurons_are_counted_in_pointers() -> None:
    """2 H + 1 for each layer: on no board is that the limit which decides."""
    for layers, depth in (([20, 30], 102), ([20, 31], 104)):
        check_limits(layers, 1, Build(pointer_depth=depth))
        with pytest.raises(
            EgretError, match=rf"{sum(layers)} neurons in 2 layers.*where {sum(layers) - 1} fit"
        ):
            check_limits(layers, 1, Build(pointer_depth=depth - 1))


@pytest.mark.parametrize("board", range(len(NAMES)), ids=NAMES)
@pytest.mark.parametrize("row", [row for row in FIGURES if "memory" in row])
def test_a_word_more_than_the_page_says_is_beyond_the_memory(row: str, board: int) -> None:
    neurons = [int(re.search(r"layers of ([\d,]+) neurons", row)[1].replace(",", ""))] * 2  # type: ignore[index]
    profile, most = BOARDS[NAMES[board]], FIGURES[row][board]

    def fits(words: int) -> bool:
        size = image_bytes(neurons, words, profile.build, 9 * words, 0.15)
        kept = all(limit.kept for limit in size_limits(neurons, words, profile.build))
        return kept and memory_limit(size, neurons, words, profile).kept

    assert fits(most) and not fits(most + 1)


@pytest.mark.parametrize("name", BOARDS)
def test_the_bytes_of_a_dense_model_are_foreseen_to_the_last(name: str) -> None:
    build, neurons, words = BOARDS[name].build, [27, 14], 37
    bits = build.decoder_weight_bits
    checkpoint = random_checkpoint(neurons, 16, words, sparsity=0.0, seed=3, decoder_weight_bits=bits)
    image = pack(checkpoint, build)
    metadata = -(-image.header.metadata.bytes // 64) * 64
    assert image.data.size - metadata == image_bytes(neurons, words, build, image.header.vocabulary.bytes)


def test_the_bytes_of_the_shipped_model_are_foreseen_within_a_thousandth() -> None:
    """A lane has no fifteenth part of a weight, so what is foreseen of a pruned model is an estimate."""
    checkpoint = Checkpoint.load(ROOT / "models" / "ptb-egru.npz")
    neurons, build = [layer.neurons for layer in checkpoint.layers], BOARDS["pynq-z2"].build
    image = pack(checkpoint, build)
    text = image.header.vocabulary.bytes
    foreseen = image_bytes(neurons, len(checkpoint.vocabulary), build, text, density=0.15)
    assert foreseen == pytest.approx(image.data.size, rel=1e-3)


def tiny(board: Board, size: int) -> Board:
    return replace(board, memory=replace(board.memory, bytes=size))


def test_an_image_larger_than_the_memory_is_refused_with_its_bytes() -> None:
    board = BOARDS["pynq-z2"]
    image = pack(small_checkpoint([f"w{i}" for i in range(50)], board.build, 4), board.build)
    check_memory(image, board)
    with pytest.raises(
        EgretError, match=rf"{image.data.size:,} bytes of image \([\d,]+ of them the table of 50 words"
    ):
        check_memory(image, tiny(board, image.data.size))
    assert most_words([24], tiny(board, 1 << 20), 0.85) > most_words([24], tiny(board, 1 << 19), 0.85) > 0
    assert most_words([2041], board, 0.85) == 0


def test_the_command_line_names_what_does_not_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, packed = tmp_path / "small.npz", tmp_path / "small.image"
    small_checkpoint(["<eos>", "<unk>", *(f"w{i}" for i in range(50))], BOARDS["pynq-z2"].build, 5).save(
        model
    )
    random = ["random", "-o", str(tmp_path / "x"), "--layers", "8", "--embedding", "4"]
    assert main([*random, "--vocabulary", "33793"]) == 2
    said = "The model has 33,793 words, where 33,792 fit (DECODER_DEPTH). A recipe with `vocabulary = 33792`"
    assert said in capsys.readouterr().err
    narrow = replace(BOARDS["pynq-z2"], build=replace(BOARDS["pynq-z2"].build, neuron_depth=16))
    short = tiny(BOARDS["pynq-z2"], 1 << 14)
    for board, said in ((narrow, "NEURON_DEPTH"), (short, "bytes of image")):
        monkeypatch.setitem(BOARDS, "pynq-z2", board)
        for command in (
            ["run", str(model), "--prompt", "w1", "--board", "virtual:pynq-z2"],
            ["run", str(model), "--prompt", "w1", "--board", "virtual:csim"],
            ["pack", str(model), "-o", str(packed)],
        ):
            assert main(command) == 2
            captured = capsys.readouterr()
            assert said in captured.err and captured.err.count("\n") == 1 and captured.out == ""
        assert not packed.exists()
