"""egret.open(): a network on a board in a few lines, equal to the reference model step by step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pynq", reason="the virtual board is a pynq device")

import egret
from egret.board.boards import open_board
from egret.board.driver import KernelError
from egret.checkpoint import Checkpoint
from egret.errors import EgretError
from egret.image.packer import pack
from egret.network import Network, Step
from egret.profiles import BOARDS
from egret.reference.model import ReferenceModel, Trace
from egret.sampling import Sampler
from host.tests.support.small_network import small_checkpoint

SEED = 71
BUILD = BOARDS["pynq-z2"].build
BOARD = "virtual:csim"
WORDS = ["<eos>", "<unk>", "the", "company", *(f"w{i}" for i in range(60))]
TOKENS = np.random.default_rng(SEED).integers(0, len(WORDS), size=37, dtype=np.int64)


def draw(seed: int) -> Checkpoint:
    return small_checkpoint(WORDS, BUILD, seed)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return draw(SEED)


@pytest.fixture
def net(checkpoint: Checkpoint) -> Iterator[Network]:
    with egret.open(checkpoint, board=BOARD, chunk=8) as opened:
        yield opened


def same(steps: list, trace: Trace) -> None:
    """Assert that steps are those of the reference model."""
    assert [step.token for step in steps] == trace.tokens.tolist()
    assert [step.argmax for step in steps] == trace.argmax.tolist()
    assert [step.logit for step in steps] == trace.logit.tolist()
    assert [step.events for step in steps] == [tuple(row) for row in trace.event_counts().T.tolist()]


def test_the_package_shows_what_a_program_needs() -> None:
    assert egret.Network is Network and egret.Step is Step and egret.Checkpoint is Checkpoint
    assert issubclass(egret.RunError, egret.EgretError)
    assert all(hasattr(egret, name) for name in egret.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Kite'"):
        _ = egret.Kite


def test_a_stream_is_the_reference_models(net: Network, checkpoint: Checkpoint) -> None:
    trace = ReferenceModel(checkpoint).run(TOKENS, logits=True)
    steps = list(net.stream(TOKENS, logits=True))
    same(steps, trace)
    assert trace.logits is not None
    for step, logits in zip(steps, trace.logits, strict=True):
        assert step.logits is not None
        np.testing.assert_array_equal(step.logits, logits)
    assert net.counters.macs == trace.macs.sum()
    chunks = {id(step.counters): step.counters.macs for step in steps}
    assert list(chunks.values()) == [trace.macs[i : i + 8].sum() for i in range(0, 37, 8)]


@pytest.mark.parametrize("kind", ["list", "generator", "run"])
def test_tokens_come_in_any_form_and_the_state_persists(
    net: Network, checkpoint: Checkpoint, kind: str
) -> None:
    trace = ReferenceModel(checkpoint).run(TOKENS)
    first, rest = TOKENS[:11], TOKENS[11:]
    before = list(net.stream(first.tolist()))
    if kind == "run":
        after = net.run(rest)
        np.testing.assert_array_equal(after.argmax, trace.argmax[11:])
        return
    given = rest.tolist() if kind == "list" else (int(token) for token in rest)
    same([*before, *net.stream(given)], trace)
    assert before[0].logits is None


def test_one_token_a_start_answers_before_the_next_is_asked_for(checkpoint: Checkpoint) -> None:
    reference = ReferenceModel(checkpoint)
    answers: list[int] = [3]

    def own_answers() -> Iterator[int]:
        for _ in range(12):
            yield answers[-1]

    with egret.open(checkpoint, board=BOARD, chunk=1) as net:
        for step in net.stream(own_answers()):
            answers.append(step.argmax)
    assert answers[1:] == reference.generate(3, 12).argmax.tolist()


def test_generating_greedily_and_drawn(net: Network, checkpoint: Checkpoint) -> None:
    reference = ReferenceModel(checkpoint)
    steps = list(net.generate(5, 20))
    same(steps, reference.generate(5, 20))
    assert [step.next for step in steps] == [step.argmax for step in steps]
    net.reset()
    reference.reset()
    steps = list(net.generate(5, 20, temperature=1.5, top_k=7, seed=SEED))
    sampler, token = Sampler(1.5, 7, SEED), 5
    for step in steps:
        logits = reference.run([token], logits=True).logits
        assert logits is not None and step.token == token and step.logits is None
        token = sampler.choose(logits[0])
        assert step.next == token


def test_text_goes_in_and_out(net: Network) -> None:
    assert net.encode("the company w3").tolist() == [0, 2, 3, 7]
    assert net.decode([2, 3, 0, 7]) == "the company\nw3"


def test_a_state_can_be_saved_and_come_back_to(net: Network, checkpoint: Checkpoint) -> None:
    list(net.stream(TOKENS))
    list(net.generate(5, 9))
    list(net.generate(6, 9, temperature=2.0))
    state = net.save()
    assert state.tokens.size == 37 + 9 + 9
    expected = net.run(TOKENS)
    net.reset()
    assert net.run(TOKENS).logit.tolist() != expected.logit.tolist()
    net.restore(state)
    np.testing.assert_array_equal(net.run(TOKENS).logit, expected.logit)
    with egret.open(checkpoint, board=BOARD, chunk=3) as other:  # on another board, too
        other.restore(state)
        np.testing.assert_array_equal(other.run(TOKENS).logit, expected.logit)
    with egret.open(draw(SEED + 1), board=BOARD) as other, pytest.raises(EgretError, match="another model"):
        other.restore(state)


def test_the_state_at_the_beginning_can_be_restored(net: Network) -> None:
    state = net.save()
    first = net.run(TOKENS)
    net.restore(state)
    np.testing.assert_array_equal(net.run(TOKENS).logit, first.logit)


def test_after_an_error_reset_goes_on(net: Network, checkpoint: Checkpoint) -> None:
    state = net.save()
    session = net._session
    buffer = session._buffers["image"]
    model = session.kernel.device.model
    model.set_faulty(range(buffer.device_address, buffer.device_address + buffer.nbytes))
    with pytest.raises(KernelError, match="READ_ERROR"):
        net.run(TOKENS)
    model.set_faulty(None)
    for refused in (lambda: net.run(TOKENS), lambda: net.stream(TOKENS), net.save):
        with pytest.raises(EgretError, match="reset"):
            refused()
    net.reset()
    trace = ReferenceModel(checkpoint).run(TOKENS)
    np.testing.assert_array_equal(net.run(TOKENS).logit, trace.logit)
    net.restore(state)
    np.testing.assert_array_equal(net.run(TOKENS).logit, trace.logit)


@pytest.mark.parametrize("tokens", [[], [len(WORDS)], [-1], [1.5]])
def test_wrong_tokens_are_refused_before_anything_runs(net: Network, tokens: list) -> None:
    with pytest.raises(EgretError):
        net.stream(tokens)
    assert net.save().tokens.size == 0


def test_files_can_be_opened_and_the_board_is_free_afterwards(checkpoint: Checkpoint, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "model.npz")
    pack(checkpoint, BUILD).save(tmp_path / "model.egret")
    expected = ReferenceModel(checkpoint).run(TOKENS).argmax
    for name in ("model.npz", "model.egret"):
        with egret.open(tmp_path / name, board=BOARD) as net:
            np.testing.assert_array_equal(net.run(TOKENS).argmax, expected)
            assert net.words == WORDS
        assert len(net._session._buffers) == 0
        for refused in (lambda: net.run(TOKENS), net.save, net.reset):
            with pytest.raises(EgretError, match="closed"):
                refused()
    with open_board(BOARD) as again:
        assert again.board.name == "pynq-z2"


@pytest.mark.parametrize(
    ("model", "board", "said"),
    [("missing.npz", BOARD, "missing.npz"), ("model.npz", "kite", "virtual:csim")],
)
def test_what_is_not_there_is_said(
    checkpoint: Checkpoint, tmp_path: Path, model: str, board: str, said: str
) -> None:
    checkpoint.save(tmp_path / "model.npz")
    with pytest.raises(EgretError, match=said):
        egret.open(tmp_path / model, board=board)


def test_a_model_that_does_not_fit_leaves_the_board_free(checkpoint: Checkpoint) -> None:
    with pytest.raises(EgretError, match="another kernel"):
        egret.open(pack(checkpoint, BUILD), board="virtual:csim-ultra96-v2")
    with egret.open(checkpoint, board=BOARD) as net:
        assert len(net.run(TOKENS)) == TOKENS.size
