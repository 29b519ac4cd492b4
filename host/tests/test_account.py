"""The account of a run says what its definitions say, and its theory meets the reference model's count."""

from __future__ import annotations

import json

import numpy as np
import pytest

from egret.account.account import Account, make_account
from egret.account.matrices import MatrixAccount, account_matrices
from egret.account.table import account_table
from egret.board.boards import board_profile
from egret.board.results import Counters, Run
from egret.errors import EgretError
from egret.image.layout import Layout
from egret.image.packer import pack
from egret.profiles import Board, Build
from egret.reference.model import ReferenceModel
from egret.synthetic.calibrated import random_checkpoint

SEED = 30
BUILD = Build(engines=2, lanes=5, bus_bytes=8)
# 14 bytes a cycle, where two ports could take 16.
BOARD = board_profile("pynq-z2", clock_mhz=150.0, bandwidth_bytes_per_second=2_100_000_000)


def counters(**values: object) -> Counters:
    zero = Counters.zero()
    return Counters(**{name: values.get(name, getattr(zero, name)) for name in zero.__dataclass_fields__})  # type: ignore[arg-type]


LAYOUT = Layout.of(BUILD)
# Twice the lanes, half the bits of a weight.
OTHER_DECODER = Layout.of_decoder(
    Build(engines=2, decoder_lanes=10, decoder_weight_bits=4, decoder_gap_bits=2)
)


def matrices(decoder: Layout = LAYOUT) -> tuple[MatrixAccount, ...]:
    return (
        MatrixAccount("layer0.input_weights", 200, 20, activity=1.0, beats_per_token=4.0, layout=LAYOUT),
        MatrixAccount("layer0.recurrent_weights", 300, 30, activity=0.1, beats_per_token=2.0, layout=LAYOUT),
        MatrixAccount("decoder_weights", 500, 50, activity=0.1, beats_per_token=3.0, layout=decoder),
    )


def example(board: Board = BOARD, **changes: object) -> Account:
    """Four tokens of a network of 1 000 weights, of which 100 remain."""
    values: dict[str, object] = {
        "tokens": 4,
        "matrices": matrices(),
        "layer_activity": (0.1,),
        "macs": 40,
        "cycles": 100,
        "update_cycles": 30,
        "beats": (20, 16),
        "wait_cycles": (5, 9),
        "write_cycles": 3,
        "table_beats": 16,
        "layout": LAYOUT,
        "board": board,
    }
    return Account(**{**values, **changes})  # type: ignore[arg-type]


def test_theory_is_the_product_rule() -> None:
    account = example()
    assert account.dense_macs == 4 * 1000
    assert account.sparse_macs == pytest.approx(4 * (20 + 3 + 5))
    assert account.folded_macs == 4 * 20
    assert account.saved_on_paper == pytest.approx(1000 / 28)
    assert account.saved_by_done == 4000 / 40


def test_kernel_without_a_clock() -> None:
    """Where no cycles were counted, nothing that needs them is said."""
    account = example(cycles=0, update_cycles=0, wait_cycles=(0, 0))
    assert not account.timed and example().timed
    untimed = account.as_dict()
    for name in ("macs_per_cycle", "utilisation", "saved_in_cycles", "tokens_per_second"):
        assert untimed[name] is None, name
    assert untimed["roofline_cycles"] == example().as_dict()["roofline_cycles"]
    table = account_table(account)
    assert "cycles were not counted" in table and "inf" not in table and "logits" not in table
    assert "utilisation" not in table and "utilisation" in account_table(example())


def test_ratios() -> None:
    account = example()
    assert account.macs_per_cycle == 0.4
    assert account.slots_filled == 40 / ((36 - 16) * 5)
    assert account.tokens_per_second == 150e6 * 4 / 100


def test_a_decoder_with_lanes_of_its_own() -> None:
    """Of 20 column beats two fifths are the layer's, on paper, with 5 entries; the decoder's have 10."""
    account = example(matrices=matrices(OTHER_DECODER))
    assert account.slots_filled == pytest.approx(40 / (8 * 5 + 12 * 10))
    assert account.dense_machine_cycles == pytest.approx(4 * (200 + 300 + 500 / 2) / 14)
    assert account.decoder_layout == OTHER_DECODER
    text = account_table(account)
    assert "of 10 (decoder 20)" in text and "10 x 4+2 bits" in text and "5 x 8+4 bits" in text
    assert account.as_dict()["matrices"][2]["entries"] == "10 x 4+2 bits"


def test_bytes_by_section() -> None:
    account = example()
    assert account.bytes_per_token == {
        "token table row": 32.0,
        "input columns": 0.0,
        "recurrent columns": 16.0,
        "decoder columns": 24.0,
    }
    assert account.fetched_bytes == 36 * 8
    assert "input columns" not in account_table(account)
    second = MatrixAccount("layer1.input_weights", 1, 1, activity=1.0, beats_per_token=0.5, layout=LAYOUT)
    more = example(matrices=(*matrices()[:-1], second, matrices()[-1]))
    assert more.bytes_per_token["input columns"] == 4.0


def test_the_roofline_is_the_busiest_port_where_the_memory_keeps_up() -> None:
    account = example(beats=(20, 10))  # 30 beats of 8 bytes at 14 bytes a cycle: 17.1
    assert account.roofline_cycles == 20
    assert account.utilisation == 0.2


def test_the_roofline_is_the_memory_where_it_does_not() -> None:
    account = example(beats=(20, 20))
    assert account.roofline_cycles == pytest.approx(40 * 8 / 14)


def test_the_dense_machine_streams_every_weight_at_the_best_of_ports_and_memory() -> None:
    assert example().dense_machine_cycles == pytest.approx(4000 / 14)
    assert example().saved_in_cycles == pytest.approx(4000 / 14 / 100)
    one_engine = Layout.of(Build(engines=1, lanes=5, bus_bytes=8))
    assert example(layout=one_engine, beats=(20,), wait_cycles=(0,)).dense_machine_cycles == 4000 / 8


def test_nothing_to_do_saves_infinitely_much() -> None:
    silent = (MatrixAccount("decoder_weights", 10, 5, activity=0.0, beats_per_token=0.0, layout=LAYOUT),)
    assert example(matrices=silent).saved_on_paper == float("inf")
    assert example(beats=(8, 8), macs=0).slots_filled == 0.0
    assert example(macs=0).saved_by_done == float("inf")
    assert example(macs=0).as_dict()["saved_by_done"] is None


@pytest.mark.parametrize("count", [float("inf"), "many", None])
def test_an_image_that_says_nonsense_of_its_weights_is_refused(count: object) -> None:
    image = pack(random_checkpoint([5], embedding=4, vocabulary=7, seed=SEED), BUILD)
    image.description["dense_macs_per_token"] = count  # as if read so: Python's JSON has Infinity
    with pytest.raises(EgretError, match="how many weights its model has"):
        account_matrices(image, [0.5])


@pytest.mark.parametrize("seed", [SEED, SEED + 1])
def test_where_every_neuron_fires_theory_is_the_reference_models_count(seed: int) -> None:
    checkpoint = random_checkpoint(
        [20, 13], embedding=32, vocabulary=31, sparsity=0.7, activity=1.0, seed=seed
    )
    image = pack(checkpoint, BUILD)
    model = ReferenceModel(checkpoint)
    model.run([0])  # the first step has no events to recur
    trace = model.run(np.arange(10, dtype=np.int64))
    run = Run(
        tokens=trace.tokens,
        argmax=trace.argmax,
        logit=trace.logit,
        cycles=np.zeros(10, dtype=np.uint32),
        events=trace.event_counts().T.astype(np.uint16),
        logits=None,
        counters=counters(macs=int(trace.macs.sum()), cycles=1000, beats=(300, 200, 0, 0, 0, 0, 0, 0)),
    )
    account = make_account(image, run, BOARD)
    assert account.layer_activity == (1.0, 1.0)
    assert account.dense_macs == 10 * checkpoint.dense_macs_per_token()
    assert {matrix.name: matrix.nonzeros for matrix in account.matrices} == checkpoint.nonzeros()
    assert {matrix.name: matrix.weights for matrix in account.matrices} == {
        name: matrix.size for name, matrix in checkpoint.matrices().items()
    }
    assert account.sparse_macs - account.folded_macs == pytest.approx(trace.macs.sum())
    assert account.folded_macs == 10 * checkpoint.nonzeros()["layer0.input_weights"]
    assert account.beats == (300, 200)
    # Every column of every matrix, and a row of the table: what the kernel would have counted.
    beats = image.statistics().all_matrices.beats + 2 * image.table_row_beats()
    assert sum(account.bytes_per_token.values()) == pytest.approx(8 * beats)
    # 3 planes of ceil(20 / 10) * 5 int16, in beats of 8 bytes, on each of 2 engines
    assert account.table_beats == 10 * 2 * 3 * 3


def test_matrices_take_the_activity_of_the_neurons_that_feed_them() -> None:
    checkpoint = random_checkpoint([20, 10, 5], embedding=32, vocabulary=31, sparsity=0.5, seed=SEED)
    run = Run(
        tokens=np.zeros(2, dtype=np.uint32),
        argmax=np.zeros(2, dtype=np.uint32),
        logit=np.zeros(2, dtype=np.int32),
        cycles=np.zeros(2, dtype=np.uint32),
        events=np.array([[4, 3, 0], [6, 5, 1]], dtype=np.uint16),
        logits=None,
        counters=counters(cycles=10),
    )
    account = make_account(pack(checkpoint, BUILD), run, BOARD)
    assert {matrix.name: matrix.activity for matrix in account.matrices} == pytest.approx(
        {
            "layer0.input_weights": 1.0,
            "layer0.recurrent_weights": 0.25,
            "layer1.input_weights": 0.25,
            "layer1.recurrent_weights": 0.4,
            "layer2.input_weights": 0.4,
            "layer2.recurrent_weights": 0.1,
            "decoder_weights": 0.1,
        }
    )
    two_layers = random_checkpoint([20, 10], embedding=32, vocabulary=31, seed=SEED)
    with pytest.raises(EgretError, match="3 layers"):
        make_account(pack(two_layers, BUILD), run, BOARD)


def test_the_table_is_aligned_and_holds_the_figures() -> None:
    text = account_table(example())
    for block in text.split("\n\n"):
        assert len({len(line) for line in block.split("\n")}) == 1, block
    lines = {line.split("  ")[0]: line.split() for line in text.splitlines()}
    assert lines["theoretical dense MACs"][-2:] == ["1,000", "4,000"]
    assert lines["MACs done"][-2:] == ["10", "40"]
    assert lines["cycles"][-2:] == ["25", "100"]
    assert lines["cycles the decoder waited to write logits"][-2:] == ["1", "3"]
    assert lines["token table row"][-2:] == ["32", "44.4%"]
    assert lines["decoder columns"][-6:] == ["5", "x", "8+4", "bits", "24", "33.3%"]
    assert lines["all, were every column as long as the mean"][-2:] == ["72", "100.0%"]
    assert lines["all that was counted"][-2:] == ["72", "100.0%"]  # 36 beats of 8 bytes, 4 tokens
    assert lines["utilisation (roofline / cycles)"][-1] == "20.6%"
    assert lines["tokens per second at 150 MHz"][-1] == "6,000,000"


def test_the_figures_are_json() -> None:
    account = example()
    read = json.loads(json.dumps(account.as_dict(), allow_nan=False))
    assert read["utilisation"] == account.utilisation
    assert read["matrices"][1] == {
        "name": "layer0.recurrent_weights",
        "weights": 300,
        "nonzeros": 30,
        "activity": 0.1,
        "sparse_macs": 3.0,
        "bytes_per_token": 16.0,
        "entries": "5 x 8+4 bits",
    }
