"""The driver and the session, against a modelled board with separate host and device memory."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from egret import contract
from egret.board.boards import open_board
from egret.board.driver import EgretKernel, EgretOverlay, KernelError
from egret.board.session import Session
from egret.checkpoint import Checkpoint
from egret.errors import EgretError, RunError
from egret.image.model_image import ModelImage
from egret.image.packer import pack
from egret.profiles import Build
from egret.reference.model import ReferenceModel
from egret.synthetic.calibrated import random_checkpoint
from host.tests.support.modelled_board import BASE, ModelledBoard

SEED = 20
VOCABULARY = 37  # no multiple of the lanes of all engines, so that the last group is part padding


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    drawn = random_checkpoint(
        [24, 17], embedding=32, vocabulary=VOCABULARY, sparsity=0.6, activity=0.3, seed=SEED
    )
    drawn.decoder_weights = np.clip(drawn.decoder_weights, -16, 15)  # the 5 bits of one of the builds
    return drawn


# Engines, lanes, bytes of the bus; lanes of the decoder, its bits of a weight and of a gap.
@pytest.fixture(
    params=[(2, 5, 8, 5, 8, 4), (1, 10, 16, 16, 8, 0), (3, 2, 8, 7, 5, 3)], ids=lambda p: f"{p[0]}x{p[1]}"
)
def build(request: pytest.FixtureRequest) -> Build:
    engines, lanes, bus_bytes, decoder_lanes, decoder_weight_bits, decoder_gap_bits = request.param
    return Build(
        engines=engines,
        lanes=lanes,
        bus_bytes=bus_bytes,
        decoder_lanes=decoder_lanes,
        decoder_weight_bits=decoder_weight_bits,
        decoder_gap_bits=decoder_gap_bits,
        neuron_depth=256,
        logit_depth=128,
    )


@pytest.fixture
def board(build: Build, checkpoint: Checkpoint) -> ModelledBoard:
    return ModelledBoard(build, checkpoint)


@pytest.fixture
def kernel(board: ModelledBoard) -> EgretKernel:
    return EgretKernel(board.driver_description())


@pytest.fixture
def session(kernel: EgretKernel) -> Iterator[Session]:
    with Session(kernel, chunk=4, timeout_s=5.0) as opened:
        yield opened


@pytest.fixture
def image(checkpoint: Checkpoint, build: Build) -> ModelImage:
    return pack(checkpoint, build)


def tokens_for(steps: int, seed: int = SEED) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, VOCABULARY, size=steps, dtype=np.int64)


def event_counts(trace: object) -> np.ndarray:
    return trace.event_counts().T  # type: ignore[attr-defined]


def test_the_driver_binds_to_the_kernels_vlnv() -> None:
    from pynq.overlay import _ip_drivers

    assert _ip_drivers[contract.VLNV] is EgretKernel


def test_the_session_learns_the_build_from_the_kernel(session: Session, build: Build) -> None:
    assert session.build == build


@pytest.mark.parametrize("steps", [1, 4, 11])
def test_a_run_brings_back_what_the_reference_model_computes(
    session: Session, image: ModelImage, checkpoint: Checkpoint, steps: int
) -> None:
    session.load(image)
    tokens = tokens_for(steps)
    run = session.run(tokens, logits=True)
    expected = ReferenceModel(checkpoint).run(tokens, logits=True)
    np.testing.assert_array_equal(run.tokens, tokens)
    np.testing.assert_array_equal(run.argmax, expected.argmax)
    np.testing.assert_array_equal(run.logit, expected.logit)
    assert run.logits is not None and expected.logits is not None
    np.testing.assert_array_equal(run.logits, expected.logits)
    np.testing.assert_array_equal(run.events, event_counts(expected))
    assert run.counters.macs == expected.macs.sum()
    assert run.counters.events[:2] == tuple(event_counts(expected).sum(axis=0))
    assert run.counters.cycles == 1000 * -(-steps // 4)  # one command for each chunk
    assert run.counters.write_cycles == 7 * -(-steps // 4)


def test_generating_goes_on_across_chunks(
    session: Session, image: ModelImage, checkpoint: Checkpoint
) -> None:
    session.load(image)
    run = session.generate(5, 11)
    expected = ReferenceModel(checkpoint).generate(5, 11)
    np.testing.assert_array_equal(run.tokens, expected.tokens)
    np.testing.assert_array_equal(run.argmax, expected.argmax)
    assert run.logits is None


def test_the_state_persists_until_reset(session: Session, image: ModelImage, checkpoint: Checkpoint) -> None:
    session.load(image)
    tokens = tokens_for(8)
    model = ReferenceModel(checkpoint)
    session.run(tokens)
    model.run(tokens)
    np.testing.assert_array_equal(session.run(tokens).logit, model.run(tokens).logit)
    session.reset()
    np.testing.assert_array_equal(session.run(tokens).logit, ReferenceModel(checkpoint).run(tokens).logit)


def test_streaming_yields_each_chunk_as_it_is_done(
    session: Session, board: ModelledBoard, image: ModelImage
) -> None:
    session.load(image)
    lengths = []
    for part in session.stream(tokens_for(10)):
        lengths.append(len(part))
        assert board.commands.count(contract.COMMAND_RUN) == len(lengths)
    assert lengths == [4, 4, 2]


def test_results_outlive_the_buffers(board: ModelledBoard, kernel: EgretKernel, image: ModelImage) -> None:
    with Session(kernel, chunk=4) as session:
        session.load(image)
        run = session.run(tokens_for(4), logits=True)
        assert run.logits is not None
        kept = run.argmax.copy(), run.logits.copy(), run.events.copy()
        session.run(tokens_for(4, seed=SEED + 1), logits=True)
    arrays: tuple[np.ndarray, ...] = (run.argmax, run.logits, run.events)
    for array, copy in zip(arrays, kept, strict=True):
        np.testing.assert_array_equal(array, np.asarray(copy))


def test_a_run_takes_few_register_accesses(session: Session, board: ModelledBoard, image: ModelImage) -> None:
    session.load(image)
    session.run(tokens_for(4))
    before = board.accesses
    session.run(tokens_for(4))
    # All arguments are as they were: start, polling, and the status at the end.
    assert board.accesses - before == 2 + board.polls


def test_closing_frees_every_buffer(board: ModelledBoard, kernel: EgretKernel, image: ModelImage) -> None:
    with Session(kernel) as session:
        session.load(image)
        session.load(image)
        session.run([1, 2], logits=True)
        assert board.allocated == 5
    assert board.allocated == 0
    session.close()
    assert board.allocated == 0


@pytest.mark.parametrize("code", [code for code in contract.ERRORS if code])
def test_every_error_code_becomes_a_sentence(
    session: Session, board: ModelledBoard, image: ModelImage, code: int
) -> None:
    session.load(image)
    board.fail_with = code | 3 << 8
    with pytest.raises(KernelError, match=contract.ERRORS[code][0]) as caught:
        session.run(tokens_for(4))
    assert (caught.value.code, caught.value.token) == (code, 3)
    assert "at token 3" in str(caught.value)
    with pytest.raises(EgretError, match="No model is loaded"):
        session.run(tokens_for(4))
    session.load(image)
    session.run(tokens_for(4))


def test_an_error_is_found_even_where_the_counters_could_not_be_written(
    session: Session, board: ModelledBoard, image: ModelImage
) -> None:
    board.identity, board.fail_with = 0, contract.ERROR_WRITE_ERROR
    with pytest.raises(KernelError, match="WRITE_ERROR"):
        session.load(image)


def test_another_ip_at_the_kernels_address_is_refused(board: ModelledBoard, kernel: EgretKernel) -> None:
    board.identity = 0
    with pytest.raises(RunError, match="no Egret kernel"):
        Session(kernel)
    assert board.allocated == 0


def test_a_kernel_that_does_not_finish_is_given_up_in_time(
    board: ModelledBoard, kernel: EgretKernel, image: ModelImage
) -> None:
    session = Session(kernel, timeout_s=0.05)
    session.load(image)
    board.polls = 1 << 30
    with pytest.raises(RunError, match="did not finish RUN within 0.05 s"):
        session.run([1])
    with pytest.raises(RunError, match="still running"):
        session.load(image)
    # It may still write to its buffers, so they stay until it has ended.
    with pytest.raises(RunError):
        session.close()
    assert board.allocated > 0
    board.polls_left = 1
    session.close()
    assert board.allocated == 0


def test_a_kernel_left_running_by_another_program_is_not_disturbed(
    board: ModelledBoard, kernel: EgretKernel
) -> None:
    board.control, board.polls_left = 1, 1 << 30
    with pytest.raises(RunError, match="another program"):
        Session(kernel)
    assert not board.commands


def test_an_end_that_a_program_before_us_did_not_see_is_not_taken_for_ours(
    board: ModelledBoard, kernel: EgretKernel, build: Build
) -> None:
    board.control = 0b0110  # done and idle
    with Session(kernel) as session:
        assert session.build == build


def test_an_image_for_another_kernel_is_refused_before_the_kernel_sees_it(
    session: Session, board: ModelledBoard, checkpoint: Checkpoint, build: Build
) -> None:
    other_layers = replace(build, lanes=build.lanes - 1)
    with pytest.raises(
        EgretError, match=rf"its layers for .* {build.lanes - 1} x 8\+4 bits .* has .* {build.lanes} x 8\+4"
    ):
        session.load(pack(checkpoint, other_layers))
    other_decoder = replace(build, decoder_lanes=4, decoder_weight_bits=8, decoder_gap_bits=1)
    with pytest.raises(EgretError, match=r"its decoder for .* 4 x 8\+1 bits .*Pack the checkpoint for this"):
        session.load(pack(checkpoint, other_decoder))
    deeper = replace(build, pointer_depth=100)
    assert board.commands == [contract.COMMAND_QUERY]
    session.build = deeper
    session.load(pack(checkpoint, build))  # 2 * 24 + 1 + 2 * 17 + 1 = 84 pointers
    session.build = replace(deeper, pointer_depth=83)
    with pytest.raises(EgretError, match=r"has 41 neurons in 2 layers, .*, where 40 fit \(POINTER_DEPTH\)"):
        session.load(pack(checkpoint, build))
    with pytest.raises(EgretError, match="No model is loaded"):
        session.run([0])


def test_memory_that_does_not_suffice_is_a_sentence(
    build: Build, checkpoint: Checkpoint, image: ModelImage
) -> None:
    small = ModelledBoard(build, checkpoint, memory_bytes=1 << 14)
    with Session(EgretKernel(small.driver_description())) as session:
        with pytest.raises(EgretError, match="no .* for the image .*; a model with fewer words") as caught:
            session.load(image)
        assert not isinstance(caught.value, RunError)  # the board does what it should
    assert small.allocated == 0
    with pytest.raises(EgretError, match="left for the tokens .*; a chunk of fewer than 100000000000 tokens"):
        Session(EgretKernel(small.driver_description()), chunk=10**11)
    assert small.allocated == 0


def test_a_misplaced_buffer_is_refused(board: ModelledBoard, kernel: EgretKernel) -> None:
    board.misplace = 8
    with pytest.raises(RunError, match=f"{BASE + 8:#x}"):
        Session(kernel)
    assert board.allocated == 0


@pytest.mark.parametrize("tokens", [[], [[1, 2]], [1.5], [-1], [0, VOCABULARY]])
def test_tokens_that_cannot_be_run_are_refused_before_anything_runs(
    session: Session, board: ModelledBoard, image: ModelImage, tokens: list[object]
) -> None:
    session.load(image)
    with pytest.raises(EgretError, match=r"[Tt]oken"):
        session.run(np.array(tokens))
    assert contract.COMMAND_RUN not in board.commands
    session.run([0])


def test_a_run_before_a_load_is_refused(session: Session) -> None:
    for attempt in (lambda: session.run([0]), lambda: session.generate(0, 1), session.reset):
        with pytest.raises(EgretError, match="No model is loaded"):
            attempt()


@pytest.mark.parametrize(("name", "value"), [("token_count", 1 << 32), ("image", -1), ("status", 0)])
def test_a_value_that_its_register_cannot_hold_is_refused(kernel: EgretKernel, name: str, value: int) -> None:
    with pytest.raises(EgretError, match=name):
        kernel.start(contract.COMMAND_QUERY, **{name: value})
    assert not kernel.running


@pytest.mark.filterwarnings("ignore:IP .* is of type:UserWarning")
@pytest.mark.parametrize("vlnv", ["egret:hls:egret_kernel:1.0", "acme:hls:anvil:1.0"])
def test_a_bitstream_without_this_kernel_is_refused(tmp_path: Path, vlnv: str) -> None:
    if importlib.util.find_spec("hls4ml") is None:
        pytest.skip("hls4ml brings the headers that the board is compiled with")
    with open_board("virtual:csim") as opened:
        ours = opened.bitfile
        (tmp_path / "other.bit").write_bytes(ours.read_bytes())
        handoff = ours.with_suffix(".hwh").read_text(encoding="utf-8")
        assert contract.VLNV in handoff
        (tmp_path / "other.hwh").write_text(handoff.replace(contract.VLNV, vlnv), encoding="utf-8")
        with pytest.raises(EgretError, match=f"no Egret kernel .{contract.VLNV}"):
            EgretOverlay(str(tmp_path / "other.bit"), device=opened.device)
