"""Vivado's .hwh: held against the one that the virtual board gives to pynq, and marked with its clock.

The driver is tested against the virtual board's, so Vivado's must tell pynq the same: the kernel under its
name, its registers, addresses and interrupt. Vivado's file holds far more; compared is what the driver uses.
The clock is written into it: pynq sets divisors only, behind the PLL that the board's boot loader left, which
need not be the one that Vivado had in mind.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from hls.tools.generators.description import two_divisors
from hls.tools.generators.hwh import ZYNQ, ZYNQ_ULTRASCALE

Facts = dict[str, object]

_SYSTEMS = {system.module: system for system in (ZYNQ, ZYNQ_ULTRASCALE)}


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
        system = _SYSTEMS.get(module.get("MODTYPE", ""))
        if system is not None:
            values = {entry.get("NAME"): entry.get("VALUE") for entry in module.iter("PARAMETER")}
            found["the fabric clock's enable bit"] = values.get(system.enable_parameter.format(clock=0))
    return found


def with_clock(handoff: Path, divisor: int, clock_mhz: float) -> str:
    """Return a .hwh with another divisor of fabric clock 0, and rate that the logic was built for."""
    root = ElementTree.parse(handoff).getroot()
    for module in root.iter("MODULE"):
        system = _SYSTEMS.get(module.get("MODTYPE", ""))
        parameters = module.find("PARAMETERS")
        if system is None or parameters is None:
            continue
        first, second = two_divisors(divisor)
        values = {
            system.divisor_parameter.format(clock=0, divisor=0): first,
            system.divisor_parameter.format(clock=0, divisor=1): second,
            system.asked_parameter.format(clock=0): clock_mhz,
            system.actual_parameter.format(clock=0): clock_mhz,
        }
        for entry in [entry for entry in parameters if entry.get("NAME") in values]:
            parameters.remove(entry)
        for name, value in values.items():
            ElementTree.SubElement(parameters, "PARAMETER", NAME=name, VALUE=str(value))
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def _kernel(root: ElementTree.Element) -> ElementTree.Element | None:
    return next((module for module in root.iter("MODULE") if module.get("MODTYPE") == "egret_kernel"), None)


def _property(register: ElementTree.Element, name: str) -> str | None:
    found = register.find(f"./PROPERTY[@NAME='{name}']")
    return None if found is None else found.get("VALUE")


def _number(text: str | None) -> int | None:
    return None if text is None else int(text, 0)
