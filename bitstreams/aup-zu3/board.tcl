# AUP-ZU3: the part of the processing system's set-up that shapes the design around the kernel, as for the Ultra96-V2.
# The values are those of the board's PYNQ image (Xilinx/AUP-ZU3,
# petalinux_bsp/hardware_project/run_create_zynq_ultra_ps.tcl), with the 8 GB of DDR4; the kernel reaches the lower 2 GB,
# which is what the 4 GB version's lower segment has too.

namespace eval egret {
    # DDR that the kernel's ports reach, from address 0.
    variable memory_range 2G

    variable board_parameters {
        CONFIG.PSU__PSS_REF_CLK__FREQMHZ 33.33333

        CONFIG.PSU__DDRC__MEMORY_TYPE {DDR 4}
        CONFIG.PSU__DDRC__BUS_WIDTH {32 Bit}
        CONFIG.PSU__DDRC__DEVICE_CAPACITY {16384 MBits}
        CONFIG.PSU__DDRC__ROW_ADDR_COUNT 17
    }
}
