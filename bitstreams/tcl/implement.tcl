# Synthesis and implementation of the block design. Reports are written before timing is judged, and a bitstream
# only if it is met; build.py takes it from the build folder to where the driver looks.

proc egret::run_to_end {run} {
    launch_runs $run -jobs 4
    wait_on_run $run
    if {[get_property PROGRESS [get_runs $run]] ne "100%"} {
        error "Vivado's run $run failed: [get_property STATUS [get_runs $run]];\
            its log is in the project's .runs/$run folder."
    }
}

proc egret::implement {} {
    variable inputs
    dict with inputs {}
    set design [get_files egret.bd]
    generate_target all $design
    add_files -norecurse [make_wrapper -files $design -top]
    add_files -fileset constrs_1 -norecurse $board_folder/egret.xdc
    set_property top egret_wrapper [current_fileset]
    update_compile_order -fileset sources_1

    run_to_end synth_1
    run_to_end impl_1
    open_run impl_1
    set reports $build_folder/reports
    file mkdir $reports
    report_timing_summary -delay_type min_max -max_paths 20 -file $reports/timing.rpt
    report_utilization -hierarchical -file $reports/utilization_by_unit.rpt
    report_utilization -file $reports/utilization.rpt
    report_clocks -file $reports/clocks.rpt
    report_power -file $reports/power.rpt

    foreach {what statistic} {setup STATS.WNS hold STATS.WHS} {
        set slack [get_property $statistic [get_runs impl_1]]
        if {![string is double -strict $slack] || $slack < 0} {
            error "Timing is not met at $clock_mhz MHz: the worst $what slack is $slack ns;\
                the paths are in $reports/timing.rpt. No bitstream is written."
        }
    }

    write_bitstream -force $build_folder/egret.bit
    set handoffs [glob -nocomplain $build_folder/project/*.gen/sources_1/bd/egret/hw_handoff/egret.hwh \
        $build_folder/project/*.srcs/sources_1/bd/egret/hw_handoff/egret.hwh]
    if {[llength $handoffs] == 0} {
        error "Vivado wrote no egret.hwh below $build_folder/project, and pynq needs it beside the bitstream."
    }
    file copy -force [lindex $handoffs 0] $build_folder/egret.hwh
}
