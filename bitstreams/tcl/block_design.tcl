# The block design, the same for every board:
#
#   processing system --GP/HPM--> SmartConnect --> kernel registers, interrupt controller
#   kernel m_axi_gmemN --> SmartConnect --> HP port N         (one each: engines never wait for each other)
#   kernel interrupt --> interrupt controller --> processing system
#   System ILA on the kernel's m_axi ports                    (make bitstream DEBUG=1)
#
# One clock drives everything. The instances are named as in the .hwh of the virtual board.

# Creates an IP of the catalog, whatever its version in this release of Vivado.
proc egret::add_ip {name vlnv {parameters {}}} {
    set cell [create_bd_cell -type ip -vlnv $vlnv $name]
    if {[llength $parameters]} {
        set_property -dict $parameters $cell
    }
    return $cell
}

# Connects one driver with any number of sinks, all named cell/pin.
proc egret::wire {driver args} {
    foreach sink $args {
        connect_bd_net [get_bd_pins $driver] [get_bd_pins $sink]
    }
}

# Connects two interfaces, named cell/interface.
proc egret::bus {master slave} {
    connect_bd_intf_net [get_bd_intf_pins $master] [get_bd_intf_pins $slave]
}

# A logic analyser on every memory port of the kernel; Vivado's hardware manager shows it over JTAG.
proc egret::debug_core {clock resetn} {
    variable inputs
    dict with inputs {}
    set parameters [list CONFIG.C_MON_TYPE INTERFACE CONFIG.C_NUM_MONITOR_SLOTS $engines CONFIG.C_DATA_DEPTH 1024]
    for {set engine 0} {$engine < $engines} {incr engine} {
        lappend parameters CONFIG.C_SLOT_${engine}_INTF_TYPE xilinx.com:interface:aximm_rtl:1.0
    }
    add_ip debug_0 xilinx.com:ip:system_ila $parameters
    for {set engine 0} {$engine < $engines} {incr engine} {
        bus $kernel_cell/m_axi_gmem$engine debug_0/SLOT_${engine}_AXI
    }
    wire $clock debug_0/clk
    wire $resetn debug_0/resetn
}

proc egret::block_design {} {
    variable inputs
    variable board_parameters
    variable memory_range
    dict with inputs {}
    create_bd_design egret

    # -- processing system
    set system ${family}_0
    set cell [add_ip $system xilinx.com:ip:$family [concat $board_parameters [fabric_parameters]]]
    check_clock $cell
    foreach {interface type} [family_name external] {
        create_bd_intf_port -mode Master -vlnv $type $interface
        connect_bd_intf_net [get_bd_intf_ports $interface] [get_bd_intf_pins $system/$interface]
    }
    set clock $system/[family_name clock]

    # -- reset
    add_ip reset_0 xilinx.com:ip:proc_sys_reset
    wire $system/[family_name reset] reset_0/ext_reset_in
    set resetn reset_0/peripheral_aresetn

    # -- kernel and interrupt. Without the controller pynq finds no interrupt for the kernel.
    add_ip $kernel_cell $vlnv
    add_ip $controller_cell xilinx.com:ip:axi_intc {CONFIG.C_IRQ_CONNECTION 1}
    wire $kernel_cell/interrupt $controller_cell/intr
    wire $controller_cell/irq $system/[family_name interrupt]

    # -- registers
    add_ip control_0 xilinx.com:ip:smartconnect {CONFIG.NUM_SI 1 CONFIG.NUM_MI 2}
    bus $system/[family_name master] control_0/S00_AXI
    bus control_0/M00_AXI $kernel_cell/s_axi_control
    bus control_0/M01_AXI $controller_cell/s_axi

    # -- memory. The SmartConnect makes AXI3 of the kernel's AXI4 where the port is AXI3.
    set engine 0
    foreach port $ports {
        add_ip memory_$engine xilinx.com:ip:smartconnect {CONFIG.NUM_SI 1 CONFIG.NUM_MI 1}
        bus $kernel_cell/m_axi_gmem$engine memory_$engine/S00_AXI
        bus memory_$engine/M00_AXI $system/[family_name port $port]
        wire $clock memory_$engine/aclk $system/[family_name port_clock $port]
        wire $resetn memory_$engine/aresetn
        incr engine
    }
    if {$debug} {
        debug_core $clock $resetn
    }

    # -- clock and reset of everything else
    wire $clock reset_0/slowest_sync_clk $system/[family_name master_clock] $kernel_cell/ap_clk \
        $controller_cell/s_axi_aclk control_0/aclk
    wire $resetn $kernel_cell/ap_rst_n $controller_cell/s_axi_aresetn control_0/aresetn

    # -- addresses
    set register_space [get_bd_addr_spaces $system/Data]
    assign_bd_address -offset $kernel_base -range $window_bytes -target_address_space $register_space \
        [get_bd_addr_segs $kernel_cell/s_axi_control/Reg] -force
    assign_bd_address -offset $controller_base -range $window_bytes -target_address_space $register_space \
        [get_bd_addr_segs $controller_cell/S_AXI/Reg] -force
    # Of what else a port reaches the kernel sees nothing: Vivado wants that said.
    set engine 0
    foreach port $ports {
        set space [get_bd_addr_spaces $kernel_cell/Data_m_axi_gmem$engine]
        assign_bd_address -offset 0 -range $memory_range -target_address_space $space \
            [get_bd_addr_segs $system/[family_name segment $port]] -force
        foreach name [family_name other_segments $port] {
            set segment [get_bd_addr_segs -quiet $system/$name]
            if {$segment ne ""} {
                exclude_bd_addr_seg -target_address_space $space $segment
            }
        }
        incr engine
    }
    validate_bd_design
    save_bd_design
}
