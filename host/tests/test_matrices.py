"""What is said of a weight matrix in one place: its name, whose events it multiplies, its order of gates."""

from __future__ import annotations

import numpy as np
import pytest

from egret.errors import EgretError
from egret.image.packer import pack
from egret.matrices import DECODER, FOLDED, Matrix, network_matrices
from egret.profiles import Build
from egret.synthetic.calibrated import random_checkpoint


def test_a_network_of_three_layers_has_these_matrices() -> None:
    assert [matrix.name for matrix in network_matrices(3)] == [
        "layer0.input_weights",
        "layer0.recurrent_weights",
        "layer1.input_weights",
        "layer1.recurrent_weights",
        "layer2.input_weights",
        "layer2.recurrent_weights",
        "decoder_weights",
    ]
    assert [matrix.name for matrix in network_matrices(3) if matrix.folded] == [FOLDED.name]


def test_a_name_says_everything() -> None:
    for matrix in network_matrices(12):
        assert Matrix.named(matrix.name) == matrix


@pytest.mark.parametrize("name", ["", "layer.input_weights", "layer0.other_weights", "layer01.input_weights"])
def test_a_name_that_no_network_has_is_refused(name: str) -> None:
    with pytest.raises(EgretError, match=f"^No network has a weight matrix '{name}'.$"):
        Matrix.named(name)


def test_sources_are_the_layer_below_the_layer_itself_and_the_last() -> None:
    assert Matrix.named("layer2.input_weights").source == 1
    assert Matrix.named("layer2.recurrent_weights").source == 2
    assert Matrix(DECODER).source == -1
    with pytest.raises(EgretError, match="multiplies the embedding"):
        _ = FOLDED.source


def test_columns_hold_the_gates_in_the_order_of_the_accumulators() -> None:
    """docs/formats.md, section 3: gx, z, r of input weights; z, r, gr of recurrent ones."""
    gates = np.array(["z", "r", "g"])
    for name, order in (("layer1.input_weights", "gzr"), ("layer1.recurrent_weights", "zrg")):
        matrix = Matrix.named(name)
        assert "".join(gates[matrix.column_order()]) == order
        assert (gates[matrix.column_order()][matrix.gate_order()] == gates).all()
    assert Matrix.named("layer1.input_weights").column_order(4) == [2, 0, 1, 3]
    assert Matrix(DECODER).column_order() == Matrix(DECODER).gate_order() == [0]


def test_activity_is_that_of_the_neurons_that_feed_it() -> None:
    shares = [matrix.activity([0.1, 0.2]) for matrix in network_matrices(2)]
    assert shares == [1.0, 0.1, 0.1, 0.2, 0.2]


def test_an_image_has_all_but_the_folded_one() -> None:
    build = Build()
    image = pack(random_checkpoint([9, 7], 5, 11, balanced_slots=build.slots, seed=1), build)
    shapes = {matrix.name: (matrix.gates, matrix.rows, matrix.columns) for matrix in image.matrices()}
    assert shapes == {
        "layer0.recurrent_weights": (3, 9, 9),
        "layer1.input_weights": (3, 7, 9),
        "layer1.recurrent_weights": (3, 7, 7),
        "decoder_weights": (1, 11, 7),
    }
    assert [matrix.source for matrix in image.matrices()] == [0, 0, 1, 1]
