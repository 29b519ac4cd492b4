# From sources to bitstream. Run by bitstreams/build.py:
#
#   vivado -mode batch -source bitstreams/tcl/build.tcl -tclargs bitstreams/build/<board>/<kernel>/inputs.tcl

set here [file dirname [file normalize [info script]]]
source [lindex $argv 0]
foreach script {processing_system package_rtl block_design implement} {
    source [file join $here $script.tcl]
}
source [file join [dict get $egret::inputs board_folder] board.tcl]

# A namespace of its own keeps `dict with` from leaking names into the interpreter.
proc egret::build {} {
    variable inputs
    dict with inputs {}
    set release [version -short]
    if {![regexp {^(\d+)\.(\d+)} $release -> year number] || $year * 10 + $number < 20232} {
        error "These scripts are written for Vivado 2023.2 or later; this is $release."
    }
    if {$kernel eq "rtl"} {
        package_rtl
    }
    create_project -force egret $build_folder/project -part $part
    set_property ip_repo_paths $ip_folder [current_project]
    update_ip_catalog
    block_design
    implement
}

egret::build
