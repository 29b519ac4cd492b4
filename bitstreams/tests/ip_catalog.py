"""What the stub of Vivado knows about the IPs of the block designs: pins, interfaces, parameters, segments.

From AMD's product guides: PG082 (Zynq-7000 PS), PG201 (UltraScale+ PS), PG099 (interrupt controller), PG164
(processor system reset), PG247 (SmartConnect). What exists depends on the parameters, as in Vivado: an HP
port that was not enabled has no pins.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

AXI, AXI_LITE = "aximm", "aximm"


@dataclass
class Shape:
    """Pins and interfaces of a cell. Directions are seen from the cell."""

    pins: dict[str, str] = field(default_factory=dict)
    """Name to direction, `I` or `O`."""
    clocks: set[str] = field(default_factory=set)
    resets: set[str] = field(default_factory=set)
    """Active-low reset inputs."""
    interfaces: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Name to (kind, mode): `aximm` and so on, `master` or `slave`."""
    address_spaces: set[str] = field(default_factory=set)
    segments: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Path below the cell to (interface it is reached through, bytes)."""
    optional: set[str] = field(default_factory=set)
    """Inputs that may stay open."""


Parameters = dict[str, str]


def number(parameters: Parameters, name: str) -> int:
    """Return a parameter as a number; one that was not set has its default."""
    return int(parameters.get(name, DEFAULTS.get(name, "0")))


DEFAULTS = {
    "PCW_USE_M_AXI_GP0": "1",
    "PCW_EN_CLK0_PORT": "1",
    "PCW_EN_RST0_PORT": "1",
    "PSU__USE__M_AXI_GP0": "1",
    "PSU__USE__M_AXI_GP2": "1",
    "NUM_SI": "1",
    "NUM_MI": "1",
}


def _processing_system7(parameters: Parameters) -> Shape:
    shape = Shape(interfaces={"DDR": ("ddrx", "master"), "FIXED_IO": ("fixedio", "master")})
    shape.address_spaces.add("Data")
    if number(parameters, "PCW_EN_CLK0_PORT") and number(parameters, "PCW_FPGA_FCLK0_ENABLE"):
        shape.pins["FCLK_CLK0"] = "O"
    if number(parameters, "PCW_EN_RST0_PORT"):
        shape.pins["FCLK_RESET0_N"] = "O"
    if number(parameters, "PCW_USE_FABRIC_INTERRUPT") and number(parameters, "PCW_IRQ_F2P_INTR"):
        shape.pins["IRQ_F2P"] = "I"
    if number(parameters, "PCW_USE_M_AXI_GP0"):
        shape.interfaces["M_AXI_GP0"] = (AXI, "master")
        _clock(shape, "M_AXI_GP0_ACLK")
    for port in range(4):
        if number(parameters, f"PCW_USE_S_AXI_HP{port}"):
            shape.interfaces[f"S_AXI_HP{port}"] = (AXI, "slave")
            _clock(shape, f"S_AXI_HP{port}_ACLK")
            shape.segments[f"S_AXI_HP{port}/HP{port}_DDR_LOWOCM"] = (f"S_AXI_HP{port}", 1 << 30)
    return shape


def _zynq_ultra_ps_e(parameters: Parameters) -> Shape:
    shape = Shape(address_spaces={"Data"})
    if number(parameters, "PSU__FPGA_PL0_ENABLE"):
        shape.pins["pl_clk0"] = "O"
    shape.pins["pl_resetn0"] = "O"
    if number(parameters, "PSU__USE__IRQ0"):
        shape.pins["pl_ps_irq0"] = "I"
    for port, name in ((0, "hpm0_fpd"), (1, "hpm1_fpd"), (2, "hpm0_lpd")):
        if number(parameters, f"PSU__USE__M_AXI_GP{port}"):
            shape.interfaces[f"M_AXI_{name.upper()}"] = (AXI, "master")
            _clock(shape, f"maxi{name}_aclk")
    for port in range(4):
        if number(parameters, f"PSU__USE__S_AXI_GP{port + 2}"):
            shape.interfaces[f"S_AXI_HP{port}_FPD"] = (AXI, "slave")
            _clock(shape, f"saxihp{port}_fpd_aclk")
            shape.segments[f"SAXIGP{port + 2}/HP{port}_DDR_LOW"] = (f"S_AXI_HP{port}_FPD", 1 << 31)
    return shape


def _smartconnect(parameters: Parameters) -> Shape:
    shape = Shape(resets={"aresetn"}, pins={"aresetn": "I"})
    _clock(shape, "aclk")
    for index in range(number(parameters, "NUM_SI")):
        shape.interfaces[f"S{index:02d}_AXI"] = (AXI, "slave")
    for index in range(number(parameters, "NUM_MI")):
        shape.interfaces[f"M{index:02d}_AXI"] = (AXI, "master")
    return shape


def _axi_intc(parameters: Parameters) -> Shape:
    shape = Shape(
        pins={"intr": "I", "s_axi_aresetn": "I"},
        resets={"s_axi_aresetn"},
        interfaces={"s_axi": (AXI_LITE, "slave")},
        segments={"S_AXI/Reg": ("s_axi", 1 << 16)},
    )
    _clock(shape, "s_axi_aclk")
    if number(parameters, "C_IRQ_CONNECTION") == 1:  # a single wire; otherwise the interface `interrupt`
        shape.pins["irq"] = "O"
    return shape


def _proc_sys_reset(parameters: Parameters) -> Shape:
    del parameters
    shape = Shape(pins={"ext_reset_in": "I", "aux_reset_in": "I", "mb_debug_sys_rst": "I", "dcm_locked": "I"})
    shape.optional = {"aux_reset_in", "mb_debug_sys_rst", "dcm_locked"}
    for output in ("mb_reset", "bus_struct_reset", "peripheral_reset"):
        shape.pins[output] = "O"
    for output in ("interconnect_aresetn", "peripheral_aresetn"):
        shape.pins[output] = "O"
    _clock(shape, "slowest_sync_clk")
    return shape


def _clock(shape: Shape, name: str) -> None:
    shape.pins[name] = "I"
    shape.clocks.add(name)


@dataclass(frozen=True)
class CatalogIp:
    """An IP of Vivado's catalog: its shape, and the parameters that the designs may set."""

    shape: Callable[[Parameters], Shape]
    parameters: frozenset[str]


_PLLS = "IO PLL|ARM PLL|DDR PLL"
_VALUES = {
    r"PCW_USE_\w+|PCW_EN_\w+|PCW_\w+_ENABLE|PCW_IRQ_F2P_INTR": "0|1",
    r"PCW_FCLK0_PERIPHERAL_CLKSRC": _PLLS,
    r"PCW_S_AXI_HP\d_DATA_WIDTH": "32|64",
    r"PCW_PRESET_BANK\d_VOLTAGE": "LVCMOS 1.8V|LVCMOS 2.5V|LVCMOS 3.3V",
    r"PCW_UIPARAM_DDR_BUS_WIDTH": "16 Bit|32 Bit",
    r"PCW_UIPARAM_DDR_MEMORY_TYPE": "DDR 3|DDR 3 \\(Low Voltage\\)|DDR 2|LPDDR 2",
    r"PCW_\w+_IO": r"MIO|MIO \d+( \.\. \d+)?",
    r"PCW_FPGA0_PERIPHERAL_FREQMHZ": r"[1-9]\d{0,2}",
    r"PSU__USE__\w+|PSU__FPGA_PL0_ENABLE": "0|1",
    r"PSU__[MS]AXIGP\d__DATA_WIDTH": "32|64|128",
    r"PSU__CRL_APB__PL0_REF_CTRL__SRCSEL": "IOPLL|RPLL|DPLL",
    r"PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ": r"[1-9]\d{0,2}",
    r"PSU__DDRC__MEMORY_TYPE": "DDR 4|DDR 3|LPDDR 4|LPDDR 3",
    r"PSU__DDRC__BUS_WIDTH": "16 Bit|32 Bit|64 Bit",
    r"PSU__DDRC__DEVICE_CAPACITY": r"\d+ MBits",
    r"NUM_SI|NUM_MI": r"[1-9]|1[0-6]",
    r"C_IRQ_CONNECTION": "0|1",
}


def value_allowed(name: str, value: str) -> bool:
    """Return whether a parameter takes a value; any, where nothing is known of it."""
    return all(
        re.fullmatch(values, value) is not None
        for names, values in _VALUES.items()
        if re.fullmatch(names, name) is not None
    )


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


CATALOG = {
    "xilinx.com:ip:processing_system7": CatalogIp(
        _processing_system7,
        _names(
            """PCW_PRESET_BANK0_VOLTAGE PCW_PRESET_BANK1_VOLTAGE PCW_CRYSTAL_PERIPHERAL_FREQMHZ
            PCW_APU_PERIPHERAL_FREQMHZ PCW_UIPARAM_DDR_MEMORY_TYPE PCW_UIPARAM_DDR_PARTNO
            PCW_UIPARAM_DDR_BUS_WIDTH PCW_UIPARAM_DDR_FREQ_MHZ PCW_UIPARAM_DDR_BOARD_DELAY0
            PCW_UIPARAM_DDR_BOARD_DELAY1 PCW_UIPARAM_DDR_BOARD_DELAY2 PCW_UIPARAM_DDR_BOARD_DELAY3
            PCW_UIPARAM_DDR_DQS_TO_CLK_DELAY_0 PCW_UIPARAM_DDR_DQS_TO_CLK_DELAY_1
            PCW_UIPARAM_DDR_DQS_TO_CLK_DELAY_2 PCW_UIPARAM_DDR_DQS_TO_CLK_DELAY_3
            PCW_QSPI_PERIPHERAL_ENABLE PCW_QSPI_QSPI_IO PCW_QSPI_GRP_SINGLE_SS_ENABLE
            PCW_QSPI_GRP_SINGLE_SS_IO PCW_QSPI_GRP_FBCLK_ENABLE PCW_QSPI_GRP_FBCLK_IO
            PCW_ENET0_PERIPHERAL_ENABLE PCW_ENET0_ENET0_IO PCW_ENET0_GRP_MDIO_ENABLE
            PCW_ENET0_GRP_MDIO_IO PCW_ENET0_RESET_ENABLE PCW_ENET0_RESET_IO
            PCW_SD0_PERIPHERAL_ENABLE PCW_SD0_SD0_IO PCW_SD0_GRP_CD_ENABLE PCW_SD0_GRP_CD_IO
            PCW_USB0_PERIPHERAL_ENABLE PCW_USB0_USB0_IO PCW_USB0_RESET_ENABLE PCW_USB0_RESET_IO
            PCW_UART0_PERIPHERAL_ENABLE PCW_UART0_UART0_IO PCW_GPIO_MIO_GPIO_ENABLE PCW_GPIO_MIO_GPIO_IO
            PCW_FPGA_FCLK0_ENABLE PCW_EN_CLK0_PORT PCW_EN_RST0_PORT PCW_FCLK0_PERIPHERAL_CLKSRC
            PCW_FPGA0_PERIPHERAL_FREQMHZ PCW_USE_M_AXI_GP0 PCW_USE_FABRIC_INTERRUPT PCW_IRQ_F2P_INTR
            PCW_USE_S_AXI_HP0 PCW_USE_S_AXI_HP1 PCW_USE_S_AXI_HP2 PCW_USE_S_AXI_HP3
            PCW_S_AXI_HP0_DATA_WIDTH PCW_S_AXI_HP1_DATA_WIDTH PCW_S_AXI_HP2_DATA_WIDTH
            PCW_S_AXI_HP3_DATA_WIDTH"""
        ),
    ),
    "xilinx.com:ip:zynq_ultra_ps_e": CatalogIp(
        _zynq_ultra_ps_e,
        _names(
            """PSU__PSS_REF_CLK__FREQMHZ PSU__DDRC__MEMORY_TYPE PSU__DDRC__BUS_WIDTH
            PSU__DDRC__DEVICE_CAPACITY PSU__DDRC__ROW_ADDR_COUNT PSU__FPGA_PL0_ENABLE
            PSU__CRL_APB__PL0_REF_CTRL__SRCSEL PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ PSU__USE__M_AXI_GP0
            PSU__USE__M_AXI_GP1 PSU__USE__M_AXI_GP2 PSU__MAXIGP0__DATA_WIDTH PSU__USE__IRQ0
            PSU__USE__S_AXI_GP2 PSU__USE__S_AXI_GP3 PSU__USE__S_AXI_GP4 PSU__USE__S_AXI_GP5
            PSU__SAXIGP2__DATA_WIDTH PSU__SAXIGP3__DATA_WIDTH PSU__SAXIGP4__DATA_WIDTH
            PSU__SAXIGP5__DATA_WIDTH"""
        ),
    ),
    "xilinx.com:ip:smartconnect": CatalogIp(_smartconnect, _names("NUM_SI NUM_MI NUM_CLKS")),
    "xilinx.com:ip:axi_intc": CatalogIp(_axi_intc, _names("C_IRQ_CONNECTION C_KIND_OF_INTR")),
    "xilinx.com:ip:proc_sys_reset": CatalogIp(_proc_sys_reset, frozenset()),
}
