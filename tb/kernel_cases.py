"""The small networks that the benches run: what is random about them comes from one seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from egret.checkpoint import THRESHOLD_MAXIMUM, Checkpoint
from egret.contract import THRESHOLD_MINIMUM
from egret.image.layout import best_tile_rows
from egret.image.model_image import ModelImage
from egret.image.packer import pack
from egret.matrices import DECODER, network_matrices
from egret.profiles import Build
from egret.reference.model import ReferenceModel
from egret.synthetic.calibrated import extreme_checkpoint, random_checkpoint

THRESHOLD_TOKEN = 0


@dataclass(frozen=True)
class Case:
    """A build of the kernel and a network to run on it."""

    name: str
    build: Build
    layers: tuple[int, ...]
    vocabulary: int
    weight_sparsity: float
    activity: float | tuple[float, ...]
    """For all layers, or for each."""
    embedding: int = 12
    decoder_sparsity: float | None = None
    """None: as weight_sparsity."""
    balanced: bool = False
    extreme: bool = False
    """Sums and biases that saturate wherever something can."""
    on_threshold: bool = False
    """THRESHOLD_TOKEN, first after a reset, takes the states of layer 0 to their thresholds, not above."""
    tied: bool = False
    """Every word has the logit of several others, so that the smallest must win among equals."""
    tile_rows: int | None = None
    """Rows of a lane in a tile of the decoder; None: as the packer chooses."""

    @property
    def tiled(self) -> bool:
        """Whether the decoder is in several tiles, which hls/src does not take yet."""
        rows = -(-self.vocabulary // self.build.decoder_slots)
        return (self.tile_rows or best_tile_rows(rows, self.build.logit_depth)) < rows

    def pack(self, checkpoint: Checkpoint) -> ModelImage:
        """Return the image of the case's network."""
        return pack(checkpoint, self.build, self.tile_rows)


def small_build(**parameters: int) -> Build:
    """A build with memories just large enough for the benches: they simulate and clear quickly."""
    depths = {
        "neuron_depth": 256,
        "accumulator_depth": 128,
        "logit_depth": 16,
        "decoder_depth": 64,
        "pointer_depth": 1024,
    }
    return Build(**{**depths, **parameters})


ONE_LANE = {"engines": 1, "lanes": 1, "decoder_lanes": 1, "neuron_depth": 128, "accumulator_depth": 512}

CASES = (
    Case("pynq_z2_shape", small_build(), (40, 40, 20), 100, 0.85, 0.15, balanced=True),
    Case("one_engine_one_layer", small_build(engines=1), (33,), 57, 0.5, 0.3),
    Case("two_layers", small_build(), (23, 37), 64, 0.7, 0.2),
    Case("dense_all_fire", small_build(), (20, 12), 30, 0.0, 1.0),
    Case("no_weights", small_build(), (20, 20), 30, 1.0, 0.3),
    Case("silent", small_build(), (20, 20, 20), 30, 0.5, 0.0),
    Case(
        "ultra96_shape",
        small_build(engines=1, lanes=10, decoder_lanes=10, bus_bytes=16, max_burst_beats=64),
        (47, 30),
        123,
        0.85,
        0.2,
    ),
    Case(
        "three_engines_three_lanes",
        small_build(engines=3, lanes=3, decoder_lanes=3),
        (29, 18, 11),
        50,
        0.6,
        0.25,
    ),
    Case(
        "one_lane",
        small_build(**ONE_LANE),
        (19, 9),
        23,
        0.5,
        0.3,
    ),
    Case("narrow_gaps", small_build(gap_bits=2, lanes=6), (61, 34), 40, 0.95, 0.2),
    Case("saturating", small_build(), (21, 34), 45, 0.2, 0.5, extreme=True),
    Case("tied_logits", small_build(), (24, 20), 90, 0.6, 0.3, tied=True),
    Case(
        "four_bit_weights",
        small_build(weight_bits=4, lanes=8, decoder_weight_bits=4, decoder_lanes=8),
        (45, 18),
        33,
        0.8,
        0.2,
    ),
    # Decoders with lanes and entries of their own: no gaps and all weights, no gaps and few, fewer lanes.
    Case(
        "dense_decoder",
        small_build(decoder_lanes=8, decoder_weight_bits=8, decoder_gap_bits=0),
        (26, 31),
        121,
        0.7,
        0.2,
        decoder_sparsity=0.0,
    ),
    Case(
        "dense_decoder_on_a_wide_bus",
        small_build(
            engines=1,
            lanes=10,
            bus_bytes=16,
            max_burst_beats=64,
            decoder_lanes=16,
            decoder_weight_bits=8,
            decoder_gap_bits=0,
        ),
        (35, 22),
        133,
        0.7,
        0.25,
    ),
    Case(
        "decoder_of_five_bits",
        small_build(decoder_lanes=8, decoder_weight_bits=5, decoder_gap_bits=3),
        (30, 27),
        150,
        0.85,
        0.2,
    ),
    Case("fewer_decoder_lanes", small_build(engines=3, decoder_lanes=2), (33,), 71, 0.6, 0.3),
    # A decoder in tiles: three that take turns in two banks.
    Case("decoder_in_tiles", small_build(), (23, 37), 230, 0.7, 0.2),
    # More tiles than events, and the last has one word; records in compact form, in all three memories.
    Case("more_tiles_than_events", small_build(), (14, 9), 1281, 0.6, 0.1),
    Case("tiles_of_one_word", small_build(**ONE_LANE), (19, 9), 23, 0.5, 0.3, tile_rows=1),
    Case("two_words_in_two_tiles", small_build(**ONE_LANE), (19, 9), 2, 0.5, 0.3, tile_rows=1),
    # A decoder whose sums take both banks: a token's columns wait for the sweep of the token before.
    Case("decoder_in_both_banks", small_build(), (24, 20), 155, 0.8, 0.3),
    Case("eight_layers", small_build(), (10, 9, 8, 7, 6, 5, 4, 3), 20, 0.3, 0.4),
    # Layers without events: their marks follow each other with nothing between.
    Case("silent_layers", small_build(), (10, 5, 5, 5, 5, 5, 5, 5), 20, 0.3, (1.0,) + (0.0,) * 7),
)


def make_checkpoint(case: Case, seed: int) -> Checkpoint:
    """The random network of `case`, with its shares of zero weights and of events."""
    if case.extreme:
        checkpoint = extreme_checkpoint(
            case.layers, case.embedding, case.vocabulary, case.weight_sparsity, case.build.weight_bits, seed
        )
    else:
        checkpoint = _random(case, seed)
    if case.on_threshold:
        _put_on_threshold(checkpoint)
    highest = (1 << (case.build.decoder_weight_bits - 1)) - 1
    checkpoint.decoder_weights = np.clip(checkpoint.decoder_weights, -highest - 1, highest)
    return checkpoint


def _put_on_threshold(checkpoint: Checkpoint) -> None:
    layer = checkpoint.layers[0]
    # with thresholds that no state exceeds, what is left of the first token is the state
    layer.threshold = np.full(layer.neurons, THRESHOLD_MAXIMUM, dtype=np.uint16)
    model = ReferenceModel(checkpoint)
    model.run([THRESHOLD_TOKEN])
    states = model.state.cells[0].astype(np.int64)
    layer.threshold = np.where(states >= THRESHOLD_MINIMUM, states, THRESHOLD_MAXIMUM).astype(np.uint16)


def _random(case: Case, seed: int) -> Checkpoint:
    of_decoder = case.weight_sparsity if case.decoder_sparsity is None else case.decoder_sparsity
    sparsity = {
        matrix.name: of_decoder if matrix.kind == DECODER else case.weight_sparsity
        for matrix in network_matrices(len(case.layers))
    }
    checkpoint = random_checkpoint(
        case.layers,
        case.embedding,
        case.vocabulary,
        sparsity,
        case.activity,
        case.build.slots if case.balanced else None,
        case.build.weight_bits,
        seed,
        compact=case.build.compact(case.vocabulary),
    )
    if case.tied:
        # a period that is no divisor of the slots: equal words lie in different engines and lanes
        twin = np.arange(case.vocabulary) % 7
        checkpoint.decoder_weights = checkpoint.decoder_weights[twin]
        checkpoint.decoder_fraction_bits = checkpoint.decoder_fraction_bits[twin]
        checkpoint.decoder_bias = checkpoint.decoder_bias[twin]
    return checkpoint
