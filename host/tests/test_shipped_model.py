"""The shipped model on the virtual PYNQ-Z2, through the driver that a real board runs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from egret.account.account import make_account
from egret.board.boards import open_board
from egret.board.driver import EgretOverlay
from egret.board.results import Run
from egret.board.session import Session
from egret.checkpoint import Checkpoint
from egret.image.model_image import ModelImage
from egret.image.packer import column_beats, pack
from egret.installation import CHECKOUT
from egret.profiles import BOARDS
from egret.reference.model import ReferenceModel, Trace

MODEL = CHECKOUT / "models" / "ptb-egru.npz"
BOARD = BOARDS["pynq-z2"]
SEED = 50
pytestmark = pytest.mark.xdist_group("shipped model")  # they share one run

GIVEN, GENERATED = 70, 70


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return Checkpoint.load(MODEL)


@pytest.fixture(scope="module")
def image(checkpoint: Checkpoint) -> ModelImage:
    return pack(checkpoint, BOARD.build)


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with open_board("virtual:pynq-z2") as opened:
        overlay = EgretOverlay(str(opened.bitfile), device=opened.device)
        with Session(overlay.egret_kernel) as session:
            yield session


@pytest.fixture(scope="module")
def tokens(checkpoint: Checkpoint) -> np.ndarray:
    return np.random.default_rng(SEED).integers(0, len(checkpoint.vocabulary), size=GIVEN, dtype=np.int64)


@pytest.fixture(scope="module")
def run(session: Session, image: ModelImage, tokens: np.ndarray) -> Run:
    session.load(image)
    given = session.run(tokens, logits=True)
    return Run.join([given, session.generate(int(given.argmax[-1]), GENERATED, logits=True)])


@pytest.fixture(scope="module")
def trace(checkpoint: Checkpoint, run: Run) -> Trace:
    return ReferenceModel(checkpoint).run(run.tokens, logits=True)


def test_the_board_has_the_build_of_its_profile(session: Session) -> None:
    ours, theirs = vars(session.build), vars(BOARD.build)
    told = set(theirs) - {"max_burst_beats", "reads_in_flight"}
    assert {name: ours[name] for name in told} == {name: theirs[name] for name in told}


def test_every_logit_of_every_token_is_the_reference_models(run: Run, trace: Trace) -> None:
    assert len(run) == GIVEN + GENERATED
    assert run.logits is not None and trace.logits is not None
    np.testing.assert_array_equal(run.logits, trace.logits)
    np.testing.assert_array_equal(run.argmax, trace.argmax)
    np.testing.assert_array_equal(run.logit, trace.logit)
    np.testing.assert_array_equal(run.tokens[GIVEN:], trace.argmax[GIVEN - 1 : -1])


def test_events_and_macs_are_the_reference_models(run: Run, trace: Trace) -> None:
    np.testing.assert_array_equal(run.events, trace.event_counts().T)
    assert run.counters.macs == trace.macs.sum()
    layers = trace.event_counts().shape[0]
    assert run.counters.events[:layers] == tuple(trace.event_counts().sum(axis=1))
    assert not any(run.counters.events[layers:])


def test_only_columns_of_neurons_that_fired_are_fetched(run: Run, trace: Trace, image: ModelImage) -> None:
    per_column = column_beats(image)
    expected = np.full(BOARD.build.engines, len(run) * image.table_row_beats(), dtype=np.int64)
    last_layer = len(image.neurons) - 1
    for layer in range(len(image.neurons)):
        for step in range(len(run)):
            now = trace.events[layer][step][0]
            above = "decoder_weights" if layer == last_layer else f"layer{layer + 1}.input_weights"
            expected += per_column[above][:, now].sum(axis=1)
            if step:
                before = trace.events[layer][step - 1][0]
                expected += per_column[f"layer{layer}.recurrent_weights"][:, before].sum(axis=1)
    assert run.counters.beats[: BOARD.build.engines] == tuple(expected)


def test_the_cycles_of_the_tokens_are_the_cycles_of_the_run(session: Session, run: Run) -> None:
    # What is left is the start of each command and the writing of its counters.
    commands = -(-GIVEN // session.chunk) + -(-GENERATED // session.chunk)
    rest = run.counters.cycles - int(run.cycles.sum())
    assert 0 < rest < 500 * commands


def test_the_same_run_takes_the_same_cycles(session: Session, run: Run, tokens: np.ndarray) -> None:
    session.reset()
    again = session.run(tokens, logits=True)
    np.testing.assert_array_equal(again.argmax, run.argmax[:GIVEN])
    # The memory is as the commands before left it: whose turn it is, and what bandwidth is left of the last
    # cycle. Reads and the writing of logits share it, so that each token may take a few cycles more or less.
    np.testing.assert_allclose(again.cycles[:1], run.cycles[:1], rtol=0, atol=32)
    np.testing.assert_allclose(again.cycles[1:], run.cycles[1:GIVEN], rtol=0, atol=12)
    assert abs(int(again.cycles.sum()) - int(run.cycles[:GIVEN].sum())) <= 64


def test_sparsity_is_saved_as_cycles(session: Session, image: ModelImage, tokens: np.ndarray) -> None:
    session.reset()
    account = make_account(image, session.run(tokens), BOARD)
    assert account.cycles >= account.roofline_cycles
    assert account.utilisation > 0.5
    assert account.saved_in_cycles > 0.5 * account.saved_on_paper


def test_the_command_line_finds_the_shipped_model_right(capsys: pytest.CaptureFixture[str]) -> None:
    from egret.cli import main

    arguments = ["run", str(MODEL), "--prompt", "the company", "--generate", "5", "--check", "--logits"]
    assert main(arguments) == 0
    assert "every logit" in capsys.readouterr().out
