"""The list of faults does not rot: each still applies to the RTL, no unit is without one. (No simulation.)"""

from __future__ import annotations

from pathlib import Path

import pytest

from tb.faults import RTL, Fault, read_faults, write_faulty_rtl

WITHOUT_FAULTS = {
    "clock_gate": "a wire where clocks are not gated, as in these simulations",
    "egret_pkg": "constants",
    "kernel_types_pkg": "types",
}


def test_every_fault_applies_and_is_named_once(tmp_path: Path) -> None:
    faults = read_faults()
    write_faulty_rtl(faults, tmp_path / "rtl")
    names = [str(fault) for fault in faults]
    assert len(set(names)) == len(names) >= 26
    chosen = "".join(path.read_text() for path in (tmp_path / "rtl").glob("*.sv"))
    for fault in faults:
        assert chosen.count(f"egret_faults::active == {fault.number} ?") == 1


def test_every_unit_has_a_fault() -> None:
    units = {path.stem for path in RTL.glob("*.sv")}
    assert units - {fault.unit for fault in read_faults()} == set(WITHOUT_FAULTS)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("same_as_«5»", "stands 0 times"),
        ("«always_ff»", "times in lane.sv, not once"),
        ("if (same_as_3)", "needs one expression"),
    ],
)
def test_a_fault_that_does_not_apply_is_an_error(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=sentence):
        write_faulty_rtl([Fault(1, "lane", "a fault", text, "1'b0")], tmp_path / "rtl")
