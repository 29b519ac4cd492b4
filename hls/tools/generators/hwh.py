"""The hardware handoff (.hwh) of each board's block design, as far as pynq reads one.

Vivado writes the same facts, and many more, beside a real bitstream. Here they let an unmodified overlay find
the kernel, its registers, its interrupt and the clock on the virtual board.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree

from .description import NOTE, REGISTER_WINDOW_BYTES, Description, two_divisors

CONTROL_FIELDS = [  # name, bit, access
    ("AP_START", 0, "read-write"),
    ("AP_DONE", 1, "read-only"),
    ("AP_IDLE", 2, "read-only"),
    ("AP_READY", 3, "read-only"),
    ("AUTO_RESTART", 7, "read-write"),
    ("INTERRUPT", 9, "read-only"),
]
FIELDS = {
    "CTRL": CONTROL_FIELDS,
    "GIER": [("Enable", 0, "read-write")],
    "IP_IER": [("CHAN0_INT_EN", 0, "read-write"), ("CHAN1_INT_EN", 1, "read-write")],
    "IP_ISR": [("CHAN0_INT_ST", 0, "read-write"), ("CHAN1_INT_ST", 1, "read-write")],
}
ACCESS = {"control": "read-write", "input": "read-write", "output": "read-only", "valid": "read-only"}

KERNEL_INSTANCE = "egret_kernel_0"
INTERRUPT_CONTROLLER = "axi_intc_0"

PYNQ_CLOCKS = 4
"""Fabric clocks of a processing system; only the first is used."""


@dataclass(frozen=True)
class ProcessingSystem:
    """What differs between the two families: names, address map and clock parameters."""

    module: str
    version: str
    master: str  # AXI port that reaches the registers
    interrupt: str
    kernel_base: int
    controller_base: int
    # Parameters of fabric clock {clock}. What was asked for is what the logic was built for.
    source_parameter: str
    divisor_parameter: str
    enable_parameter: str
    asked_parameter: str
    actual_parameter: str


ZYNQ = ProcessingSystem(
    module="processing_system7",
    version="5.5",
    master="M_AXI_GP0",
    interrupt="IRQ_F2P",
    kernel_base=0x4000_0000,
    controller_base=0x4180_0000,
    source_parameter="PCW_FCLK{clock}_PERIPHERAL_CLKSRC",
    divisor_parameter="PCW_FCLK{clock}_PERIPHERAL_DIVISOR{divisor}",
    enable_parameter="PCW_FPGA_FCLK{clock}_ENABLE",
    asked_parameter="PCW_FPGA{clock}_PERIPHERAL_FREQMHZ",
    actual_parameter="PCW_ACT_FPGA{clock}_PERIPHERAL_FREQMHZ",
)
ZYNQ_ULTRASCALE = ProcessingSystem(
    module="zynq_ultra_ps_e",
    version="3.5",
    master="M_AXI_HPM0_FPD",
    interrupt="pl_ps_irq0",
    kernel_base=0xA000_0000,
    controller_base=0xA001_0000,
    source_parameter="PSU__CRL_APB__PL{clock}_REF_CTRL__SRCSEL",
    divisor_parameter="PSU__CRL_APB__PL{clock}_REF_CTRL__DIVISOR{divisor}",
    enable_parameter="PSU__FPGA_PL{clock}_ENABLE",
    asked_parameter="PSU__CRL_APB__PL{clock}_REF_CTRL__FREQMHZ",
    actual_parameter="PSU__CRL_APB__PL{clock}_REF_CTRL__ACT_FREQMHZ",
)


def processing_system(description: Description, board: str) -> ProcessingSystem:
    """Return the family of a board's part."""
    return ZYNQ if description.data["boards"][board]["part"].startswith("xc7z") else ZYNQ_ULTRASCALE


def handoff(description: Description, board: str, divisor: int | None = None) -> str:
    """Return the .hwh of a board's design: kernel, interrupt controller and processing system.

    `divisor` is that of the fabric clock, the profile's unless given. Raises ValueError for one that the two
    dividers do not make.
    """
    profile = description.data["boards"][board]
    system = processing_system(description, board)
    divisor = profile["clock"]["divisor"] if divisor is None else divisor
    root = ElementTree.Element("EDKSYSTEM")
    _add(root, "SYSTEMINFO", NAME=f"egret_{board}", PART=profile["part"])
    _add(root, "EXTERNALPORTS")
    modules = _add(root, "MODULES")
    _kernel(modules, description, description.board_build(board)["ENGINES"])
    _interrupt_controller(modules, system)
    _processing_system(
        modules, system, profile["clock"]["source"], divisor, description.clock_mhz(board, divisor)
    )
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- {NOTE} -->\n{body}\n'


def _add(parent: ElementTree.Element, tag: str, **attributes: object) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, {name: str(value) for name, value in attributes.items()})


def _properties(parent: ElementTree.Element, **values: object) -> None:
    for name, value in values.items():
        _add(parent, "PROPERTY", NAME=name, VALUE=value)


def _module(modules: ElementTree.Element, instance: str, kind: str, vlnv: str) -> ElementTree.Element:
    return _add(modules, "MODULE", FULLNAME=f"/{instance}", INSTANCE=instance, MODTYPE=kind, VLNV=vlnv)


def _interrupt_port(parent: ElementTree.Element, side: str, name: str, other: str, other_port: str) -> None:
    port = _add(parent, "PORT", DIR=side, NAME=name, SIGIS="INTERRUPT")
    _add(_add(port, "CONNECTIONS"), "CONNECTION", INSTANCE=other, PORT=other_port)


def _bus(parent: ElementTree.Element, name: str, kind: str) -> None:
    _add(parent, "BUSINTERFACE", NAME=name, TYPE=kind, VLNV="xilinx.com:interface:aximm:1.0")


def _kernel(modules: ElementTree.Element, description: Description, engines: int) -> None:
    module = _module(modules, KERNEL_INSTANCE, description.data["kernel"]["name"], description.vlnv)
    block = _add(
        _add(module, "ADDRESSBLOCKS"),
        "ADDRESSBLOCK",
        INTERFACE="s_axi_control",
        NAME="Reg",
        RANGE=REGISTER_WINDOW_BYTES,
        USAGE="register",
    )
    registers = _add(block, "REGISTERS")
    for word in description.words():
        register = _add(registers, "REGISTER", NAME=word.name)
        _properties(
            register,
            DESCRIPTION=word.about,
            ADDRESS_OFFSET=f"0x{word.offset:X}",
            SIZE=32,
            ACCESS=ACCESS[word.kind],
        )
        fields = FIELDS.get(word.name, [])
        parent = _add(register, "FIELDS") if fields else register
        for field, bit, access in fields:
            _properties(_add(parent, "FIELD", NAME=field), BIT_OFFSET=bit, BIT_WIDTH=1, ACCESS=access)
    _interrupt_port(_add(module, "PORTS"), "O", "interrupt", INTERRUPT_CONTROLLER, "intr")
    buses = _add(module, "BUSINTERFACES")
    _bus(buses, "s_axi_control", "SLAVE")
    for engine in range(engines):
        _bus(buses, f"m_axi_gmem{engine}", "MASTER")


def _interrupt_controller(modules: ElementTree.Element, system: ProcessingSystem) -> None:
    module = _module(modules, INTERRUPT_CONTROLLER, "axi_intc", "xilinx.com:ip:axi_intc:4.1")
    ports = _add(module, "PORTS")
    _interrupt_port(ports, "I", "intr", KERNEL_INSTANCE, "interrupt")
    _interrupt_port(ports, "O", "irq", f"{system.module}_0", system.interrupt)
    _bus(_add(module, "BUSINTERFACES"), "s_axi", "SLAVE")


def _processing_system(
    modules: ElementTree.Element, system: ProcessingSystem, source: str, divisor: int, clock_mhz: float
) -> None:
    name = system.module
    module = _module(modules, f"{name}_0", name, f"xilinx.com:ip:{name}:{system.version}")
    parameters = _add(module, "PARAMETERS")
    for clock in range(PYNQ_CLOCKS):
        first, second = two_divisors(divisor) if clock == 0 else (1, 1)
        values: list[tuple[str, object]] = [
            (system.source_parameter, source),
            (system.divisor_parameter.replace("{divisor}", "0"), first),
            (system.divisor_parameter.replace("{divisor}", "1"), second),
            (system.enable_parameter, int(clock == 0)),
        ]
        if clock == 0:
            values += [(system.asked_parameter, clock_mhz), (system.actual_parameter, clock_mhz)]
        for pattern, value in values:
            _add(parameters, "PARAMETER", NAME=pattern.replace("{clock}", str(clock)), VALUE=value)
    _interrupt_port(_add(module, "PORTS"), "I", system.interrupt, INTERRUPT_CONTROLLER, "irq")
    _bus(_add(module, "BUSINTERFACES"), system.master, "MASTER")
    memory_map = _add(module, "MEMORYMAP")
    for instance, base, port in (
        (KERNEL_INSTANCE, system.kernel_base, "s_axi_control"),
        (INTERRUPT_CONTROLLER, system.controller_base, "s_axi"),
    ):
        _add(
            memory_map,
            "MEMRANGE",
            ADDRESSBLOCK="Reg",
            BASEVALUE=f"0x{base:08X}",
            HIGHVALUE=f"0x{base + REGISTER_WINDOW_BYTES - 1:08X}",
            INSTANCE=instance,
            MASTERBUSINTERFACE=system.master,
            MEMTYPE="REGISTER",
            SLAVEBUSINTERFACE=port,
        )
