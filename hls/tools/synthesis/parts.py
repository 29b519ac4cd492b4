"""What a part offers, and about how fast it is.

The delays are round figures of the size that the families' slowest speed grades have, with an average net
delay; they were not read from a data sheet. They rank paths. Whether a design runs at its clock, placing and
routing decide.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Delays:
    """Nanoseconds.

    `net` is for a net between two cells of the fabric; `carry_in` from a LUT into a carry chain, `carry_step`
    from one carry block to the next, `carry_out` out of the chain; `setup` is a flip-flop's.
    """

    flip_flop: float
    setup: float
    net: float
    lut: float
    wide_mux: float
    carry_in: float
    carry_step: float
    carry_out: float
    lut_memory: float
    shift_register: float
    block_memory: float
    block_memory_setup: float
    dsp_register: float
    dsp_product: float
    dsp_multiply: float
    dsp_add: float
    dsp_setup: float


@dataclass(frozen=True)
class Part:
    """A device: its `family` for `synth_xilinx`; totals of LUTs, flip-flops, 36 Kbit block RAMs and DSPs."""

    name: str
    family: str
    luts: int
    flip_flops: int
    block_memories: int
    dsps: int
    delays: Delays


XC7Z020 = Part(
    name="xc7z020",
    family="xc7",
    luts=53_200,
    flip_flops=106_400,
    block_memories=140,
    dsps=220,
    delays=Delays(
        flip_flop=0.46,
        setup=0.08,
        net=0.60,
        lut=0.12,
        wide_mux=0.25,
        carry_in=0.53,
        carry_step=0.11,
        carry_out=0.33,
        lut_memory=0.12,
        shift_register=1.63,
        block_memory=2.45,
        block_memory_setup=0.57,
        dsp_register=0.43,
        dsp_product=2.45,
        dsp_multiply=4.10,
        dsp_add=1.90,
        dsp_setup=0.36,
    ),
)

XCZU3EG = Part(
    name="xczu3eg",
    family="xcup",
    luts=70_560,
    flip_flops=141_120,
    block_memories=216,
    dsps=360,
    delays=Delays(
        flip_flop=0.08,
        setup=0.03,
        net=0.30,
        lut=0.09,
        wide_mux=0.06,
        carry_in=0.15,
        carry_step=0.03,
        carry_out=0.10,
        lut_memory=0.09,
        shift_register=0.50,
        block_memory=1.20,
        block_memory_setup=0.30,
        dsp_register=0.25,
        dsp_product=1.00,
        dsp_multiply=2.00,
        dsp_add=0.80,
        dsp_setup=0.20,
    ),
)

PARTS = (XC7Z020, XCZU3EG)


def part_of(name: str) -> Part:
    """Return the part that an ordering name (`xc7z020clg400-1`) begins with; KeyError if none is known."""
    for part in PARTS:
        if name.startswith(part.name):
            return part
    raise KeyError(name)
