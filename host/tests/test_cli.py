"""The command line: what it prints, and how it ends when something is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from egret import cli, command_line, contract
from egret.board import open_session
from egret.board.driver import EgretKernel
from egret.board.session import Session
from egret.checkpoint import Checkpoint
from egret.cli import main
from egret.commands import pack as pack_command
from egret.commands.run import _runs
from egret.errors import RunError
from egret.image.model_image import ModelImage
from egret.image.packer import pack
from egret.installation import CHECKOUT
from egret.network import Network
from egret.profiles import BOARDS
from egret.reference.comparison import ReferenceCheck
from egret.reference.model import ReferenceModel
from egret.sampling import Sampler
from egret.synthetic.calibrated import random_checkpoint
from egret.text.vocabulary import Vocabulary
from host.tests.support.modelled_board import ModelledBoard

SEED = 40
BOARD = BOARDS["pynq-z2"]
WORDS = ["<eos>", "<unk>", "N", "the", "company", "says", "it", "shares", *(f"w{i}" for i in range(23))]


def checkpoint_with(seed: int) -> Checkpoint:
    drawn = random_checkpoint(
        [24, 17],
        embedding=32,
        vocabulary=len(WORDS),
        sparsity=0.6,
        activity=0.3,
        seed=seed,
        decoder_weight_bits=BOARD.build.decoder_weight_bits,
    )
    return replace(drawn, vocabulary=WORDS)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return checkpoint_with(SEED)


@pytest.fixture(scope="module")
def model(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "small.npz"
    checkpoint.save(path)
    return path


@pytest.fixture
def board(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> ModelledBoard:
    """Have the command line find a modelled board behind the name it is given."""
    modelled = ModelledBoard(BOARD.build, checkpoint)

    @contextmanager
    def open_kernel(name: str, bitfile: None) -> Iterator[EgretKernel]:
        kernel = EgretKernel(modelled.driver_description())
        kernel.board = BOARD
        yield kernel

    monkeypatch.setattr(open_session, "open_kernel", open_kernel)
    return modelled


def fails(capsys: pytest.CaptureFixture[str], status: int, *arguments: str) -> str:
    """Run a command line that must end with `status` and one line to standard error; return the line."""
    assert main(arguments) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("egret: ") and captured.err.count("\n") == 1
    return captured.err


def test_a_prompt_goes_on_as_the_reference_model_says(
    board: ModelledBoard, model: Path, checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(model), "--prompt", "the company says", "--generate", "30", "--check"]) == 0
    out = capsys.readouterr().out
    reference = ReferenceModel(checkpoint)
    vocabulary = Vocabulary(WORDS)
    first = reference.run(vocabulary.encode_prompt("the company says")).argmax[-1]
    words = vocabulary.decode([first, *reference.generate(int(first), 29).argmax]).split()
    assert "prompt:     the company says\n" in out
    generated = out.split("generated:")[1].split("checked:")[0].split()
    assert generated == words
    assert "all 33 tokens equal the reference model's" in out
    assert "utilisation (roofline / cycles)" in out
    assert board.allocated == 0


def test_words_can_be_drawn_and_a_seed_repeats_them(
    board: ModelledBoard, model: Path, checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    def generated(*options: str) -> dict[str, Any]:
        prompt = ["--prompt", "the company says", "--generate", "25", "--check", "--json"]
        assert main(["run", str(model), *prompt, *options]) == 0
        return json.loads(capsys.readouterr().out)

    first = generated("--temperature", "1.5", "--top-k", "9", "--seed", "4")
    # The same draws from the reference model's logits.
    reference, sampler = ReferenceModel(checkpoint), Sampler(1.5, 9, 4)
    trace = reference.run(Vocabulary(WORDS).encode_prompt("the company says"), logits=True)
    words: list[str] = []
    for _ in range(25):
        assert trace.logits is not None
        token = sampler.choose(trace.logits[-1])
        words.append(WORDS[token])
        trace = reference.run([token], logits=True)
    assert first["generated"] == words
    assert first["steps_checked"] == first["account"]["tokens"] == 4 + 24  # the last word is not fed back
    sampling = first["sampling"]
    assert (sampling["words"], sampling["temperature"], sampling["top_k"], sampling["seed"]) == (
        25,
        1.5,
        9,
        4,
    )
    assert sampling["logit_bytes_per_word"] == 2 * 64  # 31 words: 2 groups of 8 decoder lanes, an engine
    assert sampling["host_seconds_per_word"] > 0
    assert generated("--temperature", "1.5", "--top-k", "9", "--seed", "4")["generated"] == words
    assert generated("--temperature", "1.5", "--top-k", "9", "--seed", "5")["generated"] != words
    assert generated("--top-k", "1")["generated"] == generated()["generated"]


def test_what_drawing_costs_is_printed(
    board: ModelledBoard, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(model), "--temperature", "2", "--generate", "3"]) == 0
    out = capsys.readouterr().out
    assert "sampled:    temperature 2, seed 0; each of 3 words cost a start" in out
    assert "128 bytes of logits" in out
    assert "temperature" in fails(capsys, 2, "run", str(model), "--temperature", "-1")
    assert "--temperature or --top-k" in fails(capsys, 2, "run", str(model), "--seed", "1")


def test_a_texts_perplexity_is_that_of_the_reference_models_logits(
    board: ModelledBoard,
    model: Path,
    checkpoint: Checkpoint,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = tmp_path / "text"
    text.write_text("the company says\nit says N shares xyzzy\n", encoding="utf-8")
    assert main(["run", str(model), "--text", str(text), "--logits", "--check", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    expected_words = "the company says <eos> it says N shares <unk> <eos>".split()
    assert result["given"] == expected_words
    assert result["generated"] == []
    tokens = np.array([WORDS.index(word) for word in expected_words])
    trace = ReferenceModel(checkpoint).run(tokens, logits=True)
    assert trace.logits is not None
    scores = trace.logits[:-1] / 2048.0
    log_likelihood = scores[np.arange(9), tokens[1:]] - np.log(np.exp(scores).sum(axis=1))
    assert result["text"]["perplexity"] == pytest.approx(np.exp(-log_likelihood.mean()))
    assert result["text"]["right"] == np.count_nonzero(trace.argmax[:-1] == tokens[1:])
    assert result["text"]["predicted"] == 9
    assert result["account"]["macs"] == trace.macs.sum()
    assert result["events_per_token"] == trace.event_counts().T.tolist()


def test_a_text_can_be_cut_and_gone_on_with(
    board: ModelledBoard, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text"
    text.write_text("the company says\n" * 20, encoding="utf-8")
    arguments = ["run", str(model), "--text", str(text), "--tokens", "21", "--generate", "3", "--json"]
    assert main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert (len(result["given"]), len(result["generated"])) == (21, 3)
    assert result["account"]["tokens"] == 23  # the last word generated is not fed back
    assert result["text"]["predicted"] == 20
    assert result["text"]["perplexity"] is None  # no logits were asked for


def test_a_packed_image_runs_as_its_checkpoint_does(
    board: ModelledBoard, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "small.egret"
    assert main(["pack", str(model), "-o", str(image), "--board", "pynq-z2"]) == 0
    capsys.readouterr()
    outputs = []
    for path in (model, image):
        assert main(["run", str(path), "--prompt", "it says"]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
    assert "reference model" in fails(capsys, 2, "run", str(image), "--check")


def test_a_kernel_that_computes_something_else_is_found_out(
    board: ModelledBoard, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board.model = ReferenceModel(checkpoint_with(SEED + 1))
    assert "differs from the reference model" in fails(capsys, 1, "run", str(model), "--check")


@pytest.mark.parametrize("field", ["argmax", "logit", "events", "logits", "tokens", "macs"])
@pytest.mark.parametrize("step", [1, 5], ids=["given", "generated"])
def test_the_check_sees_a_single_wrong_number(checkpoint: Checkpoint, field: str, step: int) -> None:
    given = np.array([0, 3, 4], dtype=np.uint32)
    with Session(EgretKernel(ModelledBoard(BOARD.build, checkpoint).driver_description())) as session:
        session.load(pack(checkpoint, session.build))
        parts = list(_runs(Network(session, BOARD, ExitStack()), given, 5, True, None))
    right = ReferenceCheck(checkpoint, given)
    for part in parts:
        right.take(part)
    assert right.steps == 7

    index, row = (0, step) if step < given.size else (1, step - given.size)
    if field == "macs":
        counters = parts[index].counters
        parts[index] = replace(parts[index], counters=replace(counters, macs=counters.macs + 1))
    else:
        array = getattr(parts[index], field).copy()
        array[row : row + 1] += 1
        parts[index] = replace(parts[index], **{field: array})
    wrong = ReferenceCheck(checkpoint, given)
    with pytest.raises(RunError, match="MACs" if field == "macs" else f"at step {step}"):
        for part in parts:
            wrong.take(part)


def test_an_error_of_the_kernel_ends_with_1(
    board: ModelledBoard, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board.fail_with = contract.ERROR_READ_ERROR
    assert "READ_ERROR" in fails(capsys, 1, "run", str(model))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "missing.npz"], "missing.npz"),
        (["run", "MODEL", "--text", "missing.txt"], "missing.txt"),
        (["run", "MODEL", "--text", "EMPTY"], "no words"),
        (["run", "EMPTY"], "neither"),
        (["pack", "MODEL", "-o", "OUT", "--board", "kite"], "pynq-z2"),
        (["pack", "MODEL", "-o", "missing/out"], "missing"),
        (["inspect", "EMPTY"], "neither"),
    ],
)
def test_wrong_input_ends_with_2_and_a_sentence(
    board: ModelledBoard,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EMPTY").write_text("", encoding="utf-8")
    given = [str(model) if argument == "MODEL" else argument for argument in arguments]
    assert said in fails(capsys, 2, *given)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["run"],
        ["run", "MODEL", "--text", "a", "--prompt", "b"],
        ["run", "MODEL", "--generate", "-1"],
        ["run", "MODEL", "--chunk", "0"],
        ["run", "MODEL", "--tokens", "many"],
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage: egret" in capsys.readouterr().err


def test_help_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--help"]) == 0
    assert "--prompt" in capsys.readouterr().out


def test_boards_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["boards"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in BOARDS)


def test_a_random_model_can_be_drawn_and_run(
    board: ModelledBoard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "random.npz"
    sizes = ["--layers", "24", "17", "--embedding", "32", "--vocabulary", "31"]
    assert main(["random", "-o", str(path), *sizes, "--sparsity", "0.5", "--seed", str(SEED)]) == 0
    assert "layers 24-17" in capsys.readouterr().out
    drawn = Checkpoint.load(path)
    board.model = ReferenceModel(drawn)
    assert main(["run", str(path), "--check"]) == 0
    capsys.readouterr()
    assert "share" in fails(capsys, 2, "random", "-o", str(path), *sizes, "--sparsity", "1.5").lower()


def test_the_list_of_boards_says_which_one_is_here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOARD", "Pynq-Z2")
    assert main(["boards", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["auto"] == "pynq-z2"
    assert set(document["boards"]) == set(BOARDS)
    assert document["boards"]["pynq-z2"]["engines"] == BOARD.build.engines
    monkeypatch.setenv("BOARD", "ZCU104")
    assert main(["boards"]) == 0
    assert "none (This board calls itself 'ZCU104'" in capsys.readouterr().out


def test_machines_can_look_into_files(
    model: Path, checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "small.egret"
    assert main(["pack", str(model), "-o", str(image)]) == 0
    capsys.readouterr()
    assert main(["inspect", str(image), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    data = image.read_bytes()
    assert document["checksum"] == int.from_bytes(data[12:16], "little")
    assert document["bytes"] == len(data)
    assert document["layers"] == [24, 17]
    assert sum(document["section_bytes"].values()) == len(data)
    assert main(["inspect", str(model), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    kept = {name: entry["nonzeros"] for name, entry in document["matrices"].items()}
    assert kept == checkpoint.nonzeros()


def test_every_command_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    whole = capsys.readouterr().out
    names = re.findall(r"^    ([a-z]+)  ", whole, flags=re.MULTILINE)
    assert {"run", "eval", "verify", "boards", "pack", "random", "inspect", "bench"} <= set(names)
    for name in names:
        assert main([name, "--help"]) == 0
        # What it does, between the usage and the list of options.
        told = capsys.readouterr().out.split("\n\n")[1]
        assert len(told.split()) > 10, name


def test_the_exit_statuses_are_those_that_the_documents_list() -> None:
    readme = ((CHECKOUT / "host") / "README.md").read_text(encoding="utf-8")
    table = readme.split("| exit status |")[1].split("\n\n")[0]
    listed = [int(status) for row in table.splitlines()[2:] for status in row.split("|")[1].split(",")]
    assert listed == [
        command_line.FINE,
        command_line.BOARD_FAILED,
        command_line.WRONG_INPUT,
        command_line.INTERRUPTED,
        command_line.TERMINATED,
    ]


def test_ctrl_c_ends_with_130(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pack_command, "load_model", interrupted)
    monkeypatch.setattr("sys.argv", ["egret", "pack", str(model), "-o", "x"])
    with pytest.raises(SystemExit) as caught:
        cli.entry_point()
    assert caught.value.code == command_line.INTERRUPTED
    assert capsys.readouterr().err == "egret: interrupted.\n"


def test_too_little_memory_is_a_sentence(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MemoryError("Unable to allocate 5 TiB")

    monkeypatch.setattr(pack_command, "load_model", full)
    assert "memory does not suffice (Unable to allocate 5 TiB)" in fails(
        capsys, 2, "pack", str(model), "-o", "x"
    )


def test_files_can_be_looked_into(
    model: Path, checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "small.egret"
    assert main(["pack", str(model), "-o", str(image)]) == 0
    described = capsys.readouterr().out
    assert main(["inspect", str(image)]) == 0
    assert capsys.readouterr().out == described
    loaded = ModelImage.load(image)
    assert f"{loaded.data.size:,} bytes" in described
    for matrix in loaded.statistics().matrices:
        (line,) = [line for line in described.splitlines() if line.split()[0] == matrix.name]
        entries = "8 x 4+4" if matrix.name == "decoder_weights" else "5 x 8+4"
        assert f" {8 * matrix.beats:,} bytes: {matrix.beats:,} beats of {entries} bits, " in line
        assert f"{matrix.nonzeros:,} non-zero" in line
    assert main(["inspect", str(model)]) == 0
    out = capsys.readouterr().out
    assert "layers 24-17" in out and "31 words" in out
    assert all(f"{count:,} non-zero" in out for count in checkpoint.nonzeros().values())
