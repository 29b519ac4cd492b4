"""Compares a .hwh that Vivado wrote with the one that the virtual board gives to pynq.

The driver is tested against the second, so the first must tell pynq the same: the kernel under its name, its
registers, addresses, interrupt and clock. Vivado's file holds far more; compared is what the driver uses.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

Facts = dict[str, object]

_CLOCK = {
    "processing_system7": (
        "PCW_FCLK0_PERIPHERAL_DIVISOR0",
        "PCW_FCLK0_PERIPHERAL_DIVISOR1",
        "PCW_FPGA_FCLK0_ENABLE",
    ),
    "zynq_ultra_ps_e": (
        "PSU__CRL_APB__PL0_REF_CTRL__DIVISOR0",
        "PSU__CRL_APB__PL0_REF_CTRL__DIVISOR1",
        "PSU__FPGA_PL0_ENABLE",
    ),
}
"""Two divisors and the enable bit of the fabric clock, by processing system."""


def differences(expected: Path, found: Path) -> list[str]:
    """Return a sentence for each fact that `found` tells otherwise; none means that pynq sees the same."""
    wanted, got = (facts(ElementTree.parse(path).getroot()) for path in (expected, found))
    return [
        f"{what} is {got.get(what, 'missing')}, but the driver expects {value}."
        for what, value in wanted.items()
        if got.get(what) != value
    ]


def facts(root: ElementTree.Element) -> Facts:
    """Return what pynq and the driver take from a .hwh, by what it is about."""
    found: Facts = {}
    kernel = _kernel(root)
    if kernel is not None:
        found["the kernel's instance"] = kernel.get("INSTANCE")
        found["the kernel's type"] = kernel.get("VLNV")
        for register in kernel.iter("REGISTER"):
            found[f"the offset of register {register.get('NAME')}"] = _number(
                _property(register, "ADDRESS_OFFSET")
            )
    for entry in root.iter("MEMRANGE"):
        if entry.get("MEMTYPE") == "REGISTER":
            found[f"the address of {entry.get('INSTANCE')}"] = _number(entry.get("BASEVALUE"))
    for module in root.iter("MODULE"):
        for port in module.findall("./PORTS/PORT[@SIGIS='INTERRUPT'][@DIR='O']"):
            wire = f"{module.get('INSTANCE')}/{port.get('NAME')}"
            ends = [f"{end.get('INSTANCE')}/{end.get('PORT')}" for end in port.iter("CONNECTION")]
            found[f"what the interrupt {wire} goes to"] = " ".join(sorted(ends))
        names = _CLOCK.get(module.get("MODTYPE", ""))
        if names is not None:
            values = {entry.get("NAME"): entry.get("VALUE") for entry in module.iter("PARAMETER")}
            first, second, enable = (_number(values.get(name)) for name in names)
            found["the fabric clock's divisor"] = None if first is None or second is None else first * second
            found["the fabric clock's enable bit"] = enable
    return found


def _kernel(root: ElementTree.Element) -> ElementTree.Element | None:
    return next((module for module in root.iter("MODULE") if module.get("MODTYPE") == "egret_kernel"), None)


def _property(register: ElementTree.Element, name: str) -> str | None:
    found = register.find(f"./PROPERTY[@NAME='{name}']")
    return None if found is None else found.get("VALUE")


def _number(text: str | None) -> int | None:
    return None if text is None else int(text, 0)
