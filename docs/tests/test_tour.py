"""The tour names what stands in the files that it links to; its worked example is the shipped model's."""

from __future__ import annotations

import re

import pytest

from bitstreams import REPOSITORY as ROOT
from egret.checkpoint import Checkpoint
from egret.image.columns import split_entries
from egret.image.packer import pack
from egret.profiles import BOARDS

TOUR = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"\[`(\w+)`\]\(\.\./([^)#]+)\)", TOUR)))


@pytest.mark.parametrize(("name", "file"), NAMED, ids=lambda value: value)
def test_what_a_link_names_is_defined_in_its_file(name: str, file: str) -> None:
    source = (ROOT / file).read_text(encoding="utf-8")
    assert re.search(rf"^ *(?:async )?(?:def|class|module) {name}\b", source, re.MULTILINE)


def test_every_part_of_the_project_is_on_the_way() -> None:
    assert {file.split("/")[0] for _, file in NAMED} == {"training", "host", "hls"}


def test_the_weight_is_where_the_tour_says() -> None:
    checkpoint = Checkpoint.load(ROOT / "models" / "ptb-egru.npz")
    layer = checkpoint.layers[1]
    assert layer.recurrent_weights.shape == (3, 384, 384)
    assert (layer.recurrent_weights[0, 137, 6], layer.recurrent_fraction_bits[0, 137]) == (31, 6)
    image = pack(checkpoint, BOARDS["pynq-z2"].build)
    matrix = next(found for found in image.matrices() if found.name == "layer1.recurrent_weights")
    assert (matrix.layout.engines, matrix.layout.lanes) == (2, 5)
    columns = image.matrix_columns(1, matrix)
    weights, gaps = split_entries(columns, matrix.layout)
    first = columns.pointers[6]
    assert (weights[first, 3], gaps[first, 3]) == (31, 13)
    # 13 is the row of z of position 68 = 13 * 5 + 3, which is neuron 137 = 68 * 2 + 1
    assert (13 * 5 + 3) * 2 + 1 == 137
    streamed = sum(count for name, count in checkpoint.nonzeros().items() if name.startswith("layer"))
    weights_of_layers = sum(
        matrix.size for name, matrix in checkpoint.matrices().items() if name.startswith("layer")
    )
    assert 1 - streamed / weights_of_layers == pytest.approx(5 / 6, abs=0.02)


def test_the_token_is_the_word_that_the_tour_says() -> None:
    assert Checkpoint.load(ROOT / "models" / "ptb-egru.npz").vocabulary[37] == "company"
