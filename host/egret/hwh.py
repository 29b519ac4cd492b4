"""What a bitstream's .hwh, as pynq reads it, says of the build."""

from __future__ import annotations

from typing import Any

_BUILT_FOR = ("PCW_FPGA0_PERIPHERAL_FREQMHZ", "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ")
"""What Vivado's .hwh calls the clock that was asked for, on Zynq-7000 and Zynq UltraScale+."""


def clock_built_for(ip_dict: dict[str, Any]) -> float | None:
    """Return the clock in MHz that a bitstream was built for, or None where its .hwh lacks it.

    `ip_dict` is pynq's, of the overlay or device.
    """
    for description in ip_dict.values():
        for name in _BUILT_FOR:
            value = description.get("parameters", {}).get(name)
            if value is not None:
                return float(value)
    return None
