# Packages hls/rtl as a Vivado IP under the same VLNV, with the same interfaces, address spaces and registers, as
# the IP that Vitis HLS exports from hls/src: a block design, and pynq, cannot tell them apart.
#
# The packager's own guesses are thrown away and every interface is made from the port list of the generated top.

# Adds an interface with its port maps: pairs (logical name, port).
proc egret::add_interface {core name type mode maps} {
    set interface [ipx::add_bus_interface $name $core]
    set_property abstraction_type_vlnv ${type}_rtl:1.0 $interface
    set_property bus_type_vlnv $type:1.0 $interface
    set_property interface_mode $mode $interface
    foreach map $maps {
        lassign $map logical physical
        set_property physical_name $physical [ipx::add_port_map $logical $interface]
    }
    return $interface
}

proc egret::add_parameters {interface parameters} {
    foreach {name value} $parameters {
        set_property value $value [ipx::add_bus_parameter $name $interface]
    }
}

proc egret::package_rtl {} {
    variable inputs
    dict with inputs {}
    file delete -force $ip_folder
    create_project -force egret_kernel $build_folder/package -part $part
    add_files -norecurse $sources
    add_files -fileset constrs_1 -norecurse $out_of_context
    set_property USED_IN out_of_context [get_files $out_of_context]
    set_property top $ip_top [current_fileset]
    update_compile_order -fileset sources_1
    ipx::package_project -root_dir $ip_folder -vendor $vendor -library $library -taxonomy /UserIP \
        -import_files -set_current true
    set core [ipx::current_core]
    set_property name $name $core
    set_property version $version $core
    set_property display_name "Egret kernel" $core
    set_property description "Sparse event-based recurrent network (RTL), built for $board" $core
    set_property supported_families {zynq Production zynquplus Production} $core

    ipx::remove_all_bus_interface $core
    foreach map [ipx::get_memory_maps -of_objects $core] {
        ipx::remove_memory_map [get_property name $map] $core
    }
    foreach space [ipx::get_address_spaces -of_objects $core] {
        ipx::remove_address_space [get_property name $space] $core
    }

    # -- AXI. The counts let interconnects keep as many bursts in flight as the kernel does.
    set buses {}
    foreach entry $interfaces {
        lassign $entry bus mode maps
        lappend buses $bus
        set interface [add_interface $core $bus xilinx.com:interface:aximm $mode $maps]
        if {$mode eq "slave"} {
            add_parameters $interface {PROTOCOL AXI4LITE DATA_WIDTH 32}
            continue
        }
        add_parameters $interface [list PROTOCOL AXI4 ADDR_WIDTH 64 DATA_WIDTH $bus_bits \
            READ_WRITE_MODE READ_WRITE SUPPORTS_NARROW_BURST 0 MAX_BURST_LENGTH $burst_beats \
            NUM_READ_OUTSTANDING $reads_in_flight NUM_WRITE_OUTSTANDING $writes_in_flight]
        set space [ipx::add_address_space Data_$bus $core]
        set_property range 16E $space
        set_property width 64 $space
        set_property master_address_space_ref Data_$bus $interface
    }

    # -- clock, reset, interrupt
    set interface [add_interface $core ap_clk xilinx.com:signal:clock slave {{CLK ap_clk}}]
    add_parameters $interface [list ASSOCIATED_BUSIF [join $buses :] ASSOCIATED_RESET ap_rst_n]
    set interface [add_interface $core ap_rst_n xilinx.com:signal:reset slave {{RST ap_rst_n}}]
    add_parameters $interface {POLARITY ACTIVE_LOW}
    set interface [add_interface $core interrupt xilinx.com:signal:interrupt master {{INTERRUPT interrupt}}]
    add_parameters $interface {SENSITIVITY LEVEL_HIGH}

    # -- registers
    set map [ipx::add_memory_map s_axi_control $core]
    set_property slave_memory_map_ref s_axi_control [ipx::get_bus_interfaces s_axi_control -of_objects $core]
    set block [ipx::add_address_block Reg $map]
    set_property range $window_bytes $block
    set_property width 32 $block
    set_property usage register $block
    set_property access read-write $block
    foreach entry $registers {
        lassign $entry register_name offset access about fields
        set register [ipx::add_register $register_name $block]
        set_property description $about $register
        set_property address_offset $offset $register
        set_property size 32 $register
        set_property access $access $register
        foreach field_entry $fields {
            lassign $field_entry field_name bit field_access
            set field [ipx::add_field $field_name $register]
            set_property bit_offset $bit $field
            set_property bit_width 1 $field
            set_property access $field_access $field
        }
    }

    ipx::create_xgui_files $core
    ipx::update_checksums $core
    ipx::check_integrity $core
    ipx::save_core $core
    close_project
}
