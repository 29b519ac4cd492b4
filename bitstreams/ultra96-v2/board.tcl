# Avnet Ultra96-V2: the part of the processing system's set-up that shapes the design around the kernel.
#
# pynq only replaces the programmable logic of a running board: the first-stage boot loader of the SD card image
# sets up memory, pins and peripherals, and this list leaves them out. So the design is an overlay for a running
# board; its exported hardware is not meant to boot one. What it does give is the 2 GB of LPDDR4 that the address
# map needs, and the reference clock that the fabric clock is derived from.

namespace eval egret {
    # DDR that the kernel's ports reach, from address 0.
    variable memory_range 2G

    variable board_parameters {
        CONFIG.PSU__PSS_REF_CLK__FREQMHZ 33.333

        CONFIG.PSU__DDRC__MEMORY_TYPE {LPDDR 4}
        CONFIG.PSU__DDRC__BUS_WIDTH {32 Bit}
        CONFIG.PSU__DDRC__DEVICE_CAPACITY {16384 MBits}
        CONFIG.PSU__DDRC__ROW_ADDR_COUNT 16
    }
}
