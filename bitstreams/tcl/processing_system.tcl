# What differs between the two families of processing systems, and nothing else: names of pins, interfaces and
# address segments, and the parameters of clock, ports and interrupt. Everything that a board's wiring decides
# (memory chips, pins, peripherals) is in <board>/board.tcl.

namespace eval egret {
    # %d is the number of the HP port, %g that of the slave port that it is on an UltraScale+.
    variable families [dict create \
        processing_system7 [dict create \
            clock FCLK_CLK0 reset FCLK_RESET0_N interrupt IRQ_F2P \
            master M_AXI_GP0 master_clock M_AXI_GP0_ACLK \
            port S_AXI_HP%d port_clock S_AXI_HP%d_ACLK \
            segment S_AXI_HP%d/HP%d_DDR_LOWOCM other_segments {} \
            actual_mhz CONFIG.PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ \
            external {
                DDR      xilinx.com:interface:ddrx_rtl:1.0
                FIXED_IO xilinx.com:display_processing_system7:fixedio_rtl:1.0
            }] \
        zynq_ultra_ps_e [dict create \
            clock pl_clk0 reset pl_resetn0 interrupt pl_ps_irq0 \
            master M_AXI_HPM0_FPD master_clock maxihpm0_fpd_aclk \
            port S_AXI_HP%d_FPD port_clock saxihp%d_fpd_aclk \
            segment SAXIGP%g/HP%d_DDR_LOW \
            other_segments {SAXIGP%g/HP%d_DDR_HIGH SAXIGP%g/HP%d_LPS_OCM SAXIGP%g/HP%d_QSPI SAXIGP%g/HP%d_PCIE_LOW} \
            actual_mhz CONFIG.PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ \
            external {}]]
}

# The name that the family gives to something, with the number of the HP port filled in.
proc egret::family_name {what {port 0}} {
    variable inputs
    variable families
    set name [dict get $families [dict get $inputs family] $what]
    return [string map [list %d $port %g [expr {$port + 2}]] $name]
}

# Parameters of the processing system that follow from the kernel: clock, ports, interrupt.
proc egret::fabric_parameters {} {
    variable inputs
    dict with inputs {}
    set parameters {}
    switch $family {
        processing_system7 {
            lappend parameters \
                CONFIG.PCW_FPGA_FCLK0_ENABLE 1 \
                CONFIG.PCW_EN_CLK0_PORT 1 \
                CONFIG.PCW_EN_RST0_PORT 1 \
                CONFIG.PCW_FCLK0_PERIPHERAL_CLKSRC $clock_source \
                CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ $clock_mhz \
                CONFIG.PCW_USE_M_AXI_GP0 1 \
                CONFIG.PCW_USE_FABRIC_INTERRUPT 1 \
                CONFIG.PCW_IRQ_F2P_INTR 1
            foreach port $ports {
                lappend parameters \
                    CONFIG.PCW_USE_S_AXI_HP$port 1 \
                    CONFIG.PCW_S_AXI_HP${port}_DATA_WIDTH $bus_bits
            }
        }
        zynq_ultra_ps_e {
            lappend parameters \
                CONFIG.PSU__FPGA_PL0_ENABLE 1 \
                CONFIG.PSU__CRL_APB__PL0_REF_CTRL__SRCSEL $clock_source \
                CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ $clock_mhz \
                CONFIG.PSU__USE__M_AXI_GP0 1 \
                CONFIG.PSU__MAXIGP0__DATA_WIDTH 32 \
                CONFIG.PSU__USE__M_AXI_GP1 0 \
                CONFIG.PSU__USE__M_AXI_GP2 0 \
                CONFIG.PSU__USE__IRQ0 1
            # HP port n is slave port 2 + n.
            foreach port $ports {
                lappend parameters \
                    CONFIG.PSU__USE__S_AXI_GP[expr {$port + 2}] 1 \
                    CONFIG.PSU__SAXIGP[expr {$port + 2}]__DATA_WIDTH $bus_bits
            }
        }
    }
    return $parameters
}

# Fails unless the clock that the tool derived is the one that the kernel is meant for (within 0.1 %).
proc egret::check_clock {system} {
    variable inputs
    set wanted [dict get $inputs clock_mhz]
    set actual [get_property [family_name actual_mhz] $system]
    if {abs($actual - $wanted) > 0.001 * $wanted} {
        error "The fabric clock is $actual MHz, but the kernel of [dict get $inputs board] wants $wanted MHz:\
            it cannot be divided from the PLL as board.tcl sets it."
    }
}
